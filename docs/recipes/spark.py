"""A column of questions through a hub with Spark.

    spark-submit spark.py questions.parquet answers.parquet

Spark runs `ask` once for each partition, on an executor; the partition's batches share one hub. The key is read there
from the environment: set HUBMIX_API_KEY on the executors (`spark.executorEnv.HUBMIX_API_KEY`, or your cluster's store
of secrets). It is not in the plan.

What limits the rate: the partitions that run at once times `CONCURRENCY` calls are open at most. `Hub(rate_limit=…)`
bounds one Python worker by itself. `SharedRateLimit` with a Redis that all executors reach bounds them together: set
HUBMIX_REDIS on the executors. A partition that Spark runs a second time, after an executor was lost, is asked and paid
a second time.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from hubmix import Hub, SharedRateLimit

if TYPE_CHECKING:
    import pandas

MODEL = "gpt-4o-mini"
FALLBACKS = ("deepseek-chat",)
COLUMN = "question"
CONCURRENCY = 16
ADDED = "answer string, model string, cost double, error string"


def ask(
    frames: Iterator[pandas.DataFrame], model: str = MODEL, fallbacks: tuple[str, ...] = FALLBACKS
) -> Iterator[pandas.DataFrame]:
    """The batches of a partition, with the columns of `ADDED`; errors are values."""
    redis = os.environ.get("HUBMIX_REDIS")
    with Hub(rate_limit=SharedRateLimit("180/min", redis=redis) if redis else None) as hub:
        for frame in frames:
            rows = hub.map(list(frame[COLUMN]), model=model, fallbacks=fallbacks, concurrency=CONCURRENCY)
            costs = [row.cost.total if row.cost is not None else None for row in rows]
            yield frame.assign(
                answer=[row.text for row in rows],
                model=[row.model for row in rows],
                cost=[None if cost is None else float(cost) for cost in costs],
                error=[None if row.error is None else str(row.error) for row in rows],
            )


def main(source: str, target: str) -> None:
    """Read questions, ask, write answers."""
    from pyspark.sql import SparkSession

    spark = SparkSession.builder.appName("hubmix").getOrCreate()
    questions = spark.read.parquet(source)
    columns = ", ".join(f"`{name}` {kind}" for name, kind in questions.dtypes)
    answers = questions.mapInPandas(ask, schema=f"{columns}, {ADDED}")
    answers.write.mode("overwrite").parquet(target)


if __name__ == "__main__":
    main(*sys.argv[1:3])
