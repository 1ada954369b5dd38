"""A column of questions through a hub with Ray Data.

    python ray_data.py questions.parquet answers.parquet

Ray starts several workers, and each of them makes one `Asker`: one hub, whose connections serve every batch. The key is
read on the workers from the environment (`runtime_env` below takes it there); it is not in the task.

What limits the rate: `WORKERS` times `CONCURRENCY` calls are open at most. `Hub(rate_limit=…)` would bound each worker
by itself. `SharedRateLimit` with a Redis that all of them reach bounds them together: give its URL as `redis`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from hubmix import Hub, SharedRateLimit

MODEL = "gpt-4o-mini"
FALLBACKS = ("deepseek-chat",)
WORKERS, CONCURRENCY = 4, 16


class Asker:
    """Answers a batch: adds the columns answer, model, cost (USD) and error.

    Args:
        column: the column with the questions.
        model: the model ID.
        fallbacks: model IDs to go on to.
        redis: a Redis URL, for a rate that holds across workers.
    """

    def __init__(
        self,
        column: str = "question",
        model: str = MODEL,
        fallbacks: Sequence[str] = FALLBACKS,
        redis: str | None = None,
    ) -> None:
        self._column, self._model, self._fallbacks = column, model, fallbacks
        self._hub = Hub(rate_limit=SharedRateLimit("180/min", redis=redis) if redis else None)

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """A batch as Ray passes it, a mapping of columns; errors are values."""
        questions = [str(text) for text in batch[self._column]]
        rows = self._hub.map(questions, model=self._model, fallbacks=self._fallbacks, concurrency=CONCURRENCY)
        costs = [row.cost.total if row.cost is not None else None for row in rows]
        return {
            **batch,
            "answer": [row.text or "" for row in rows],
            "model": [row.model or "" for row in rows],
            "cost": [float("nan") if cost is None else float(cost) for cost in costs],
            "error": ["" if row.error is None else str(row.error) for row in rows],
        }


def main(source: str, target: str) -> None:
    """Read questions, ask, write answers."""
    import ray

    names = ("HUBMIX_API_KEY", "HUBMIX_BASE_URL", "AIHUBMIX_API_KEY", "AIHUBAPI_API_KEY")
    ray.init(runtime_env={"env_vars": {name: os.environ[name] for name in names if name in os.environ}})
    questions = ray.data.read_parquet(source)
    # An asker waits for answers most of the time: it takes a quarter of a core.
    answers = questions.map_batches(Asker, batch_size=256, concurrency=WORKERS, num_cpus=0.25)
    answers.write_parquet(target)


if __name__ == "__main__":
    main(*sys.argv[1:3])
