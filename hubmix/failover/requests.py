"""The requests of one call, and the trace that they leave."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, Literal

from hubmix.failover.breakers import OpenBreaker, Permit
from hubmix.failover.candidates import Candidate
from hubmix.failover.limits import Limits
from hubmix.failover.plan import Plan
from hubmix.failover.route import Route, key_names
from hubmix.wire.trace import Attempt, Trace

logger = logging.getLogger("hubmix.failover")

Outcome = Literal["ok", "error", "skipped", "hedged"]


@dataclass(frozen=True, slots=True)
class Send:
    """Send one request over this route, within these limits."""

    candidate: Candidate
    route: Route
    limits: Limits
    permit: Permit
    started: float
    waited_ms: float


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait, then ask what is next."""

    seconds: float


class Requests:
    """The requests of a call.

    `under_way` holds one, or two while a hedge runs.
    """

    __slots__ = ("_first", "_keys", "_plan", "_trace", "hedge", "under_way")

    def __init__(self, plan: Plan, trace: Trace) -> None:
        self._plan = plan
        self._trace = trace
        self._keys = key_names(plan.routes)
        self._first: Send | None = None  # what the hedge runs next to
        self.hedge: Send | None = None
        self.under_way: list[Send] = []

    def begin(self, step: Send) -> Send:
        """Add a request; return the one that the call rests on."""
        self.under_way.append(step)
        return self.under_way[0]

    def pair(self, first: Send, hedge: Send) -> Send:
        """Note that a request is the hedge of another one."""
        self._first, self.hedge = first, hedge
        return hedge

    def end(self, step: Send, outcome: Outcome, **details: Any) -> Attempt:
        """Record how a request ended; the trace keeps the order in which they began."""
        self.under_way.remove(step)
        if step is self.hedge and self._first is not None:
            details["hedged_after_ms"] = milliseconds(step.started - self._first.started)
        attempt = self._record(step.route, outcome, waited_ms=step.waited_ms, **details)
        if step is self._first and self.hedge not in self.under_way:
            attempts = self._trace.attempts
            attempts[-2:] = attempts[-1], attempts[-2]
        return attempt

    def skip(self, candidate: Candidate, reason: str, breaker: OpenBreaker | None = None) -> None:
        """Record once that a route was passed over."""
        if candidate.reported or candidate.tries or candidate.route.mirror:
            return
        candidate.reported = True
        kind = breaker.failure.kind if breaker else "skipped"
        status, code = (breaker.evidence.status, breaker.evidence.code) if breaker else (None, None)
        self._record(candidate.route, "skipped", kind=kind, status=status, code=code, reason=reason)

    def account(self, route: Route) -> str:
        """Name the hub of a route, and its key if the call has several for that hub."""
        key = self._keys.get(route.account)
        return f"{route.hub.name} ({key})" if key else route.hub.name

    def _record(self, route: Route, outcome: Outcome, **details: Any) -> Attempt:
        details |= {"base_url": route.mirror, "hub": route.hub.name, "key": self._keys.get(route.account)}
        attempt = Attempt(route.model, outcome, api=route.api.name, **details)
        self._trace.attempts.append(attempt)
        if self._plan.on_attempt is not None and outcome in ("error", "skipped"):
            try:
                self._plan.on_attempt(attempt)
            except Exception:  # an observer must not change what it observes
                logger.warning("on_attempt raised; the call goes on.", exc_info=True)
        return attempt


def milliseconds(seconds: float) -> float:
    """Return seconds as milliseconds with one decimal."""
    return round(seconds * 1000, 1)
