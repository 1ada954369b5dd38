"""Hedging: ask a second route while the first one is silent.

The first content wins. A hedge costs a prompt more, so at most one call in ten of a hub has one.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from hubmix._text import plain
from hubmix.failover.route import Route

_COST = 10  # calls pay for one hedge
_AT_START = 3 * _COST
_MOST = 10 * _COST  # with room for three only, a hub of which 9 % of the calls want a hedge lacked one in ten of them


class PromptPrice(NamedTuple):
    """What a request costs before any output.

    Args:
        usd: the price of the estimated prompt, or of the call; None if it is unknown.
        by_call: whether the model is billed by the call.
    """

    usd: Decimal | None
    by_call: bool


class HedgeTokens:
    """A token bucket for each hub: ten calls pay for one hedge. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stock: dict[str, int] = {}

    def count_call(self, hub: str) -> None:
        """Add a tenth of a hedge."""
        with self._lock:
            self._stock[hub] = min(self._stock.get(hub, _AT_START) + 1, _MOST)

    def allows(self, hub: str) -> bool:
        """Whether a hedge is in stock."""
        return self._stock.get(hub, _AT_START) >= _COST

    def take(self, hub: str) -> bool:
        """Take one hedge; False if none is in stock."""
        with self._lock:
            stock = self._stock.get(hub, _AT_START)
            if stock < _COST:
                return False
            self._stock[hub] = stock - _COST
            return True

    def clear(self) -> None:
        """Fill every bucket."""
        with self._lock:
            self._stock.clear()


TOKENS = HedgeTokens()


def _after_fork() -> None:
    # A lock that another thread held in the parent would stay locked.
    TOKENS.__init__()  # type: ignore[misc]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


@dataclass(frozen=True, slots=True)
class Hedging:
    """When a call may ask a second route at the same time.

    Args:
        after: seconds without content.
        price: what a request over a route costs before any output.
        tokens: how many hedges each hub has left.
    """

    after: float
    price: Callable[[Route], PromptPrice]
    tokens: HedgeTokens = TOKENS

    def count_call(self, first: Route) -> None:
        """Count a call, whether it is hedged or not."""
        self.tokens.count_call(first.base_url)

    def allows(self, first: Route) -> bool:
        """Whether the hub of the call has a hedge in stock."""
        return self.tokens.allows(first.base_url)

    def take(self, first: Route) -> bool:
        """Take one hedge of the hub of the call."""
        return self.tokens.take(first.base_url)

    def both_by_call(self, first: Route, second: Route) -> bool:
        """Whether both would be billed in full, because they are billed by the call."""
        return self.price(first).by_call and self.price(second).by_call

    def may_cost(self, route: Route) -> str:
        """Say what a request that was closed may cost."""
        usd = self.price(route).usd
        return "Its cost is unknown." if usd is None else f"It costs up to {plain(usd)} USD, its prompt."
