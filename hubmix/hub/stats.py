"""What this process measured of a hub's routes, as a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from hubmix._html import Records, table
from hubmix._text import in_columns, plain
from hubmix.failover.measurements import MEASUREMENTS, Measured, RouteKey

_COLUMNS = ("model", "api", "streamed", "calls", "failures", "first_content_s", "tokens_per_s", "cost")


@dataclass(frozen=True, slots=True)
class RouteStats:
    """What was measured of one route.

    Args:
        model: the model ID.
        api: the API it was asked over.
        streamed: whether the answers were streamed.
        calls: requests that were answered.
        failures: requests that failed, except those that were amended and sent again.
        first_content_s: mean seconds to the first content of a stream, or to a whole answer; recent calls weigh more.
        tokens_per_s: mean output tokens a second.
        cost: USD that the model's calls of this process cost, over all APIs, as far as known.
    """

    model: str
    api: str
    streamed: bool
    calls: int
    failures: int
    first_content_s: float | None
    tokens_per_s: float | None
    cost: Decimal | None

    def cells(self) -> tuple[str, ...]:
        """The columns as text."""
        return (
            self.model,
            self.api,
            "yes" if self.streamed else "no",
            f"{self.calls:,}",
            f"{self.failures:,}",
            "" if self.first_content_s is None else f"{self.first_content_s:.2f}",
            "" if self.tokens_per_s is None else f"{self.tokens_per_s:,.0f}",
            "" if self.cost is None else plain(self.cost),
        )


class HubStats(Records[RouteStats]):
    """The routes of a hub that this process has asked. A table in a notebook."""

    def __repr__(self) -> str:
        return in_columns([_COLUMNS, *(row.cells() for row in self._rows)])

    def _repr_html_(self) -> str:
        return table(_COLUMNS, [row.cells() for row in self._rows], numeric=range(3, len(_COLUMNS)))


def stats_of(hub_name: str, key_id: str, costs: Mapping[str, Decimal | None]) -> HubStats:
    """Return what was measured of one hub and key.

    Args:
        hub_name: the hub's host.
        key_id: the salted hash of the key.
        costs: USD by model.
    """
    rows = []
    for key, measured in MEASUREMENTS.items():
        if isinstance(key, RouteKey) and (key.hub, key.account) == (hub_name, key_id):
            rows.append(_row(key, measured, costs.get(key.model)))
    return HubStats(sorted(rows, key=lambda row: (row.model, row.api, row.streamed)))


def _row(key: RouteKey, measured: Measured, cost: Decimal | None) -> RouteStats:
    latency, rate = measured.latency, measured.throughput
    return RouteStats(
        key.model,
        key.api,
        key.streamed,
        measured.calls,
        measured.failures,
        latency.value if latency.weight else None,
        rate.value if rate.weight else None,
        cost,
    )
