"""What one call reserves in the budgets that apply to it, and how it settles."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from typing import TYPE_CHECKING

from hubmix.failover.limits import DEFAULT_TIMEOUT
from hubmix.failover.plan import AttemptFailed
from hubmix.hub import spending
from hubmix.hub.budget import Budget, Reservation, check_budget, reserve
from hubmix.hub.estimates import estimate_of
from hubmix.transport.answer import monotonic
from hubmix.transport.exchange import Opened

if TYPE_CHECKING:
    from hubmix.failover.evidence import Evidence
    from hubmix.failover.limits import Limits
    from hubmix.failover.options import CallOptions
    from hubmix.failover.route import Route
    from hubmix.hub.planning import ConnectedHub
    from hubmix.wire.api import Payload
    from hubmix.wire.values import Cost

_CATALOG_PATIENCE = 3.0  # seconds for the prices, once: two answers of a healthy hub
_EXPIRY = 60.0  # seconds after the call's own limit
# A request that broke off this way may have been worked on, and billed.
_MAYBE_BILLED = frozenset({"read_timeout", "first_token_timeout", "idle_timeout", "total_timeout", "cut", "no_finish"})


class Charging:
    """What one call holds in its budgets.

    Args:
        payload: the call's payload.
        options: its options.
    """

    __slots__ = ("_closing", "_held", "_loop", "_options", "_owed", "_payload")

    def __init__(self, payload: Payload, options: CallOptions) -> None:
        self._payload = payload
        self._options = options
        self._held: dict[Route, Reservation] = {}
        self._owed: tuple[Reservation, Decimal | None, str] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closing: list[asyncio.Future[None]] = []

    def reserve(self, hub: ConnectedHub, route: Route, limits: Limits) -> None:
        """Reserve for one request; if it fails, `failed` counts its prompt or nothing.

        Raises:
            BudgetExceededError: a budget has no room.
        """
        budgets = self._budgets(hub)
        if not budgets:
            return
        if hub.catalog.cached.find(route.model) is None:
            hub.catalog.warm(_CATALOG_PATIENCE)
        self._reserve(budgets, hub, route, limits)

    async def areserve(self, hub: ConnectedHub, route: Route, limits: Limits) -> None:
        """`reserve`, for asyncio."""
        budgets = self._budgets(hub)
        if not budgets:
            return
        if hub.catalog.cached.find(route.model) is None:
            await hub.catalog.awarm(_CATALOG_PATIENCE)
        if any(budget.store for budget in budgets):
            self._loop = asyncio.get_running_loop()
            await asyncio.gather(*self._closing)  # what an earlier attempt gives back is room for this one
            await asyncio.to_thread(self._reserve, budgets, hub, route, limits)
        else:
            self._reserve(budgets, hub, route, limits)

    def failed(self, route: Route, error: BaseException) -> None:
        """Count the prompt of a failed request if the hub may have billed it."""
        if not isinstance(error, AttemptFailed) or _may_be_billed(error.evidence):
            self.broke_off(route)
        elif (held := self._held.pop(route, None)) is not None:
            self._close(held.release)

    def owe(self, route: Route, billed: str, cost: Cost | None) -> None:
        """Note the model that is billed, and its cost; an unknown one counts as reserved."""
        if (held := self._held.pop(route, None)) is not None:
            self._owed = (held, cost.total if cost is not None and cost.complete else None, billed)

    def settle(self) -> None:
        """Count what the call cost."""
        if self._owed is not None:
            (held, cost, model), self._owed = self._owed, None
            held.settle(cost, model)

    async def asettle(self) -> None:
        """`settle`, for asyncio; a store outside this process is asked in a thread."""
        await asyncio.gather(*self._closing)
        if self._owed is not None and self._owed[0].is_shared:
            await asyncio.to_thread(self.settle)
        else:
            self.settle()

    def broke_off(self, route: Route) -> None:
        """Count the prompt of a call that was cancelled or left."""
        if (held := self._held.pop(route, None)) is not None:
            self._close(held.keep_input)

    def dropped(self, route: Route, answer: object) -> None:
        """Count the prompt of a hedged request that lost, and close its stream."""
        self.broke_off(route)
        if isinstance(answer, Opened):
            answer.discard()

    def _close(self, close: Callable[[], None]) -> None:
        """Close a reservation; in an event loop a slow store must not hold up the others."""
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop has ended, and its threads with it
                self._closing.append(self._loop.run_in_executor(None, close))
                return
        close()

    def _budgets(self, hub: ConnectedHub) -> tuple[Budget, ...]:
        return (*check_budget(self._options.budget), *hub.budgets, *spending.budgets(hub.spending_key))

    def _reserve(self, budgets: tuple[Budget, ...], hub: ConnectedHub, route: Route, limits: Limits) -> None:
        info = hub.catalog.cached.find(route.model)
        estimate = estimate_of(route.model, info, self._payload, self._options.extra_body, chat=bool(route.api.stream))
        seconds = (limits.timeout or DEFAULT_TIMEOUT) + _EXPIRY
        left = None if limits.total is None else limits.total.left(monotonic())
        self._held[route] = reserve(budgets, estimate, seconds=seconds, patience=left)


def _may_be_billed(evidence: Evidence) -> bool:
    return evidence.cause in _MAYBE_BILLED or (evidence.cause == "reset" and evidence.phase != "connect")
