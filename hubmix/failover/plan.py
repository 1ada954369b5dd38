"""What a call is given: its routes, its limits, and the clock that it waits on."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import anyio

from hubmix.failover.breakers import REGISTRY, BreakerRegistry, Key
from hubmix.failover.classify import classify
from hubmix.failover.evidence import Evidence, Failure
from hubmix.failover.hedging import Hedging
from hubmix.failover.over_api import over_route
from hubmix.failover.policy import FailoverPolicy
from hubmix.failover.route import Route
from hubmix.wire.trace import Attempt

logger = logging.getLogger("hubmix.failover")


class AttemptFailed(Exception):  # noqa: N818  # a signal between rooms, never seen by a caller
    """Raised by a send function with what was seen.

    Args:
        evidence: what was seen.
        partial: the whole but empty answer (`empty_answer`), which is returned if no route has a better one; of a
            stream, what had arrived.
    """

    def __init__(self, evidence: Evidence, partial: Any = None) -> None:
        super().__init__(evidence.cause)
        self.evidence = evidence
        self.partial = partial
        self.at: float | None = None  # on the plan's clock, if something else was waited for since


class Clock(Protocol):
    """Monotonic time, and the verbs that wait for it."""

    def monotonic(self) -> float:
        """Return the seconds of a clock that only goes forward."""

    def sleep(self, seconds: float) -> None:
        """Wait, in a thread."""

    async def async_sleep(self, seconds: float) -> None:
        """Wait, in an event loop."""


class SystemClock:
    """The clock of the system."""

    monotonic = staticmethod(time.monotonic)
    sleep = staticmethod(time.sleep)

    async def async_sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds)


SYSTEM_CLOCK = SystemClock()


@dataclass(frozen=True, slots=True)
class Plan:
    """One call.

    Args:
        routes: in the order of the user; the first is what the user asked for, with its mirrors behind it.
        payload: the payload of the call.
        policy: when to retry, when to go on, when to give up.
        timeout: seconds for one attempt.
        total_timeout: seconds for everything, waits included.
        streaming: the send function returns an open stream at its first content.
        chosen: why the first route is first, if a measurement or a price decided.
        bound: the account that alone can read the request, and why, in a sentence; None if any can.
        hedging: when a second route is asked at the same time; None for never.
        discover: returns the routes to a model that the first route's hub names once that route has failed. None if
            it is not asked.
        on_attempt: called with every failed or skipped attempt as it happens.
        breakers: the circuit breakers.
        clock: the time.
    """

    routes: Sequence[Route]
    payload: Mapping[str, Any] = field(default_factory=dict)
    policy: FailoverPolicy = field(default_factory=FailoverPolicy)
    timeout: float | None = None
    total_timeout: float | None = None
    streaming: bool = False
    chosen: str | None = None
    bound: tuple[Key, str] | None = None
    hedging: Hedging | None = None
    discover: Callable[[str], Iterable[Route]] | None = None
    on_attempt: Callable[[Attempt], None] | None = None
    breakers: BreakerRegistry = REGISTRY
    clock: Clock = SYSTEM_CLOCK

    def classify(self, route: Route, evidence: Evidence) -> Failure:
        """Classify by the table, then by the user's hook, which has the last word."""
        failure = over_route(classify(evidence, route.hub.own_error_types), evidence, route, self.payload)
        hook = self.policy.classify
        if hook is None:
            return failure
        try:
            return hook(evidence, failure) or failure
        except Exception:  # a user's hook must not cost the call its answer
            logger.warning("FailoverPolicy.classify raised; the table's own verdict stands.", exc_info=True)
            return failure
