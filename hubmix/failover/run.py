"""One call over its routes, as a state machine that never waits.

`drivers.run_sync` and `drivers.run_async` drive it; they differ only in the verb that waits.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from hubmix.errors import HubmixError, Scope
from hubmix.failover import failures
from hubmix.failover.breakers import OpenBreaker
from hubmix.failover.candidates import Candidate, Candidates
from hubmix.failover.classify import classify
from hubmix.failover.decide import Decision, NextStep, Remaining, decide, sdk_would_retry
from hubmix.failover.evidence import Evidence, Failure, Recovery
from hubmix.failover.limits import Deadline, Limits
from hubmix.failover.measurements import MEASUREMENTS
from hubmix.failover.over_api import refused_model
from hubmix.failover.plan import AttemptFailed, Plan
from hubmix.failover.preference import measured_as
from hubmix.failover.report import what_happened
from hubmix.failover.requests import Requests, Send, Sleep, milliseconds
from hubmix.failover.route import Route, RouteHub
from hubmix.failover.summary import Failed, final_error, route_error
from hubmix.wire.error_body import find_request_id
from hubmix.wire.trace import Attempt, Trace

logger = logging.getLogger("hubmix.failover")

_DISCOVERY = 3.0  # seconds for the names of further models: two answers of a healthy hub


class FailoverRun:
    """The state of one call.

    A driver asks `next()` and does what it says: `Send` (and reports `succeeded`, `failed` or `abandoned`), `Sleep`, or
    None for the end, on which `finish()` returns the last resort or raises.
    """

    def __init__(self, plan: Plan) -> None:
        if not plan.routes:
            raise ValueError("a plan needs at least one route")
        self.plan = plan
        requested = plan.payload.get("model") or plan.routes[0].model
        self.trace = Trace(str(requested), chosen=plan.chosen)
        self.served = plan.routes[0]
        """The route that answered; until one has, the first."""
        self.hedged: list[Route] = []
        """Routes that were asked at the same time and closed, because another one answered first."""
        self.current: Send
        """The request that the call rests on, once there is one."""
        self._answered: Send | None = None
        self._answer: Attempt | None = None
        self._asked = Requests(plan, self.trace)
        self._candidates = Candidates(plan)
        self._began = self._ended = plan.clock.monotonic()  # the call; its last attempt
        self._total: Deadline | None = None
        if plan.total_timeout is not None:
            self._total = Deadline(self._began + plan.total_timeout, "total_timeout", plan.total_timeout)
        self._discover = plan.discover is not None
        self._requests = 0
        self._refusals = 0
        self._again: Candidate | None = None
        self._pause = 0.0
        self._last: Candidate | None = None
        self._fatal: Candidate | None = None
        self._kept: tuple[Send, Any] | None = None
        self._over = False
        self._note = ""
        if plan.hedging is not None:
            plan.hedging.count_call(plan.routes[0])

    # -- what to do -------------------------------------------------------------------------------------------------

    def next(self) -> Send | Sleep | None:
        """Return the next step; None at the end."""
        if self._over or self._spent():
            return None
        if self._pause:
            seconds, self._pause = self._pause, 0.0
            return Sleep(seconds)
        if self._again is not None:
            candidate, self._again = self._again, None
            return self._send(candidate)
        if self._last is None and not self.plan.breakers.has_open:  # what is healthy keeps the user's order
            return self._send(self._candidates.primary)
        ranked = self._candidates.ranked()
        for candidate, _ in ranked:
            if reason := self._candidates.unfit(candidate):
                self._asked.skip(candidate, reason)
                candidate.done = True
                continue
            wait = candidate.ready_at - self.plan.clock.monotonic()
            if wait > 0 and self._total is not None and wait >= self._total.left(self.plan.clock.monotonic()):
                candidate.done = True
                continue
            if wait > 0:
                return Sleep(wait)
            self._report_passed(candidate, ranked)
            return self._send(candidate)
        return None

    def hedge_after(self, step: Send) -> float | None:
        """Return the seconds of silence after which another route may be asked too."""
        hedging = self.plan.hedging
        if hedging is None or self._asked.hedge is not None or not hedging.allows(self.plan.routes[0]):
            return None
        return None if self._route_for_hedge(step) is None else hedging.after

    def hedge(self, step: Send) -> Send | None:
        """Return the second request of a call whose first one is silent, or None."""
        hedging, now = self.plan.hedging, self.plan.clock.monotonic()
        if hedging is None or (self._total is not None and now >= self._total.at):
            return None
        candidate = self._route_for_hedge(step)
        if candidate is None or not hedging.take(self.plan.routes[0]):
            return None
        logger.info("No content from %s yet; asking %s too.", *self._names(step.candidate, candidate))
        self._last, self._ended = candidate, now
        return self._asked.pair(step, self._send(candidate))

    def _route_for_hedge(self, step: Send) -> Candidate | None:
        """Return the first healthy route of another model or hub that was not asked yet."""
        if self._requests >= self.plan.policy.max_attempts or self.plan.hedging is None:
            return None
        now = self.plan.clock.monotonic()
        for candidate, breaker in self._candidates.ranked():
            ready = breaker is None and not candidate.tries and candidate.ready_at <= now
            if not ready or candidate.route.shares(Scope.MODEL, step.route) or self._candidates.unfit(candidate):
                continue
            if not self.plan.hedging.both_by_call(step.route, candidate.route):
                return candidate
        return None

    def _spent(self) -> bool:
        if self._requests >= self.plan.policy.max_attempts:
            self._note = f"max_attempts={self.plan.policy.max_attempts} was reached."
            return True
        if self._total is not None and self.plan.clock.monotonic() >= self._total.at:
            self._note = f"total_timeout={self._total.seconds:g} s ran out."
            if not self._requests:
                first = self._fatal = self._candidates.primary
                first.failure, first.evidence = failures.TOTAL_TIMEOUT, Evidence("total_timeout", "connect")
            return True
        return False

    def _send(self, candidate: Candidate) -> Send:
        if self._last is not None and self._last is not candidate:
            kind = self._last.failure.kind if self._last.failure else "unknown"
            logger.info("Going on from %s to %s: %s.", *self._names(self._last, candidate), kind)
        self._last = candidate
        candidate.tries += 1
        self._requests += 1
        plan, policy = self.plan, self.plan.policy
        streaming = plan.streaming
        limits = Limits(
            plan.timeout if plan.timeout is not None else candidate.route.hub.timeout,
            policy.first_token_timeout if streaming else None,
            policy.idle_timeout if streaming else None,
            self._total,
        )
        started = plan.clock.monotonic()
        permit = self._candidates.enter(candidate)
        step = Send(candidate, candidate.route, limits, permit, started, milliseconds(started - self._ended))
        self.current = self._asked.begin(step)
        return step

    def _names(self, *candidates: Candidate) -> list[str]:
        accounts = [self._asked.account(candidate.route) for candidate in candidates]
        at = [f" at {account}" if len(set(accounts)) > 1 else "" for account in accounts]
        return [f"the model {c.route.model!r}{where}" for c, where in zip(candidates, at, strict=True)]

    # -- what came of it --------------------------------------------------------------------------------------------

    def succeeded(self, step: Send, value: Any) -> None:
        """Record an answer, or the beginning of a stream."""
        plan = self.plan
        if plan.streaming:
            plan.breakers.committed(step.permit)
        else:
            plan.breakers.succeeded(step.permit)
        seconds = plan.clock.monotonic() - step.started
        MEASUREMENTS.answered(measured_as(step.route, streaming=plan.streaming), seconds)
        latency = milliseconds(seconds)
        self.trace.served = step.route.model
        self.served, self._answered = step.route, step
        self._answer = self._asked.end(
            step,
            "ok",
            status=200,
            request_id=getattr(value, "request_id", None),
            latency_ms=latency,
            first_token_ms=latency if plan.streaming else None,
        )
        for slower in tuple(self._asked.under_way):
            self._lost(slower)

    def _lost(self, step: Send) -> None:
        """Record a request that is closed because another one answered first."""
        seconds = self.plan.clock.monotonic() - step.started
        self.plan.breakers.released(step.permit)
        MEASUREMENTS.outlasted(measured_as(step.route, streaming=self.plan.streaming), seconds)
        told = self.plan.hedging.may_cost(step.route) if self.plan.hedging else ""
        reason = f"Closed after {seconds:.2f} s without content: {self.served.model!r} answered first. {told}"
        self._asked.end(step, "hedged", reason=reason, latency_ms=milliseconds(seconds))
        self.hedged.append(step.route)

    def goes_on_without(self, step: Send, error: BaseException | None) -> bool:
        """Record a request that failed while another is under way; False if none is."""
        if error is None or len(self._asked.under_way) < 2:
            return False
        if isinstance(error, AttemptFailed):
            self.failed(step, error)
            return True
        if not isinstance(error, HubmixError) or step is not self._asked.hedge:
            return False
        # It was never sent, for a budget or a rate limit had no room for it.
        self.plan.breakers.released(step.permit)
        self._requests -= 1
        step.candidate.tries -= 1
        self._asked.end(step, "skipped", kind="skipped", reason=str(error))
        return True

    def wants_more(self, error: AttemptFailed) -> float:
        """Return the seconds to spend on finding further models after a failure."""
        if not self._discover:
            return 0.0
        plan = self.plan
        failure = classify(error.evidence, self._candidates.primary.route.hub.own_error_types)
        willing = failure.free_models_only or (failure.opt_in and plan.policy.fallback_on_content_filter)
        # What a hook of the user's would make of it is asked once, by `failed`.
        if failure.action is Recovery.FAIL and not willing and plan.policy.classify is None:
            return 0.0
        self._discover = False
        error.at = plan.clock.monotonic()
        return _DISCOVERY if self._total is None else min(_DISCOVERY, self._total.left(error.at) / 2)

    def admit(self, models: Iterable[str]) -> None:
        """Add further models, before `failed` decides."""
        self._candidates.admit(models)

    def failed(self, step: Send, error: AttemptFailed) -> None:
        """Record a failed attempt, and decide what is next."""
        evidence, candidate, plan = error.evidence, step.candidate, self.plan
        failure = plan.classify(step.route, evidence)
        plan.breakers.failed(step.permit, failure, evidence)
        if not failure.amended:  # the route answers the changed request
            MEASUREMENTS.failed(measured_as(step.route, streaming=plan.streaming))
        if failure.other_api:
            step.route.hub.remember_wrong_api(refused_model(step.route, evidence), step.route.api.name)
        candidate.failure, candidate.evidence, candidate.partial = failure, evidence, error.partial
        self._ended = plan.clock.monotonic() if error.at is None else error.at
        self._refusals += failure.ask_one_more
        candidate.tries -= failure.amended  # an amended request is no retry
        if failure.keeps_answer and error.partial is not None:
            self._kept = (step, error.partial)
        self._candidates.narrow(candidate, failure, evidence)
        remaining = self._remaining(candidate, failure)
        decision = decide(failure, plan.policy, remaining, repeatable=sdk_would_retry(evidence))
        if decision.step is NextStep.FAIL and failure.ask_one_more:
            self._note = "Two models refused the request, so the fault may be in it."
        elif decision.step is NextStep.FAIL and plan.bound:
            self._note = plan.bound[1]
        returned = decision.step is NextStep.RETURN and self._kept is not None
        self._asked.end(
            step,
            "ok" if returned else "error",
            kind=failure.kind,
            status=evidence.status,
            code=evidence.code,
            request_id=evidence.request_id or find_request_id(evidence.headers, evidence.message),
            reason=what_happened(failure, step.route.model),
            latency_ms=milliseconds(self._ended - step.started),
        )
        self._follow(candidate, failure, decision)
        if self._asked.under_way:  # the other request is the call now, and decides what is next
            self._again, self._pause = None, 0.0

    def abandoned(self) -> None:
        """Give back the permits of requests that say nothing about the hub."""
        for step in self._asked.under_way:
            self.plan.breakers.released(step.permit)
        self._asked.under_way.clear()

    def wants_lists(self) -> list[tuple[RouteHub, float]]:
        """Return the hubs to ask whether a model ID is mistyped, and seconds for each."""
        if self._kept is not None and self._fatal is None:
            return []
        left = _DISCOVERY if self._total is None else min(_DISCOVERY, self._total.left(self.plan.clock.monotonic()))
        hubs: dict[int, RouteHub] = {}
        for candidate in self._candidates:
            route = candidate.route
            if candidate.failure and candidate.failure.suggests and left > 0 and route.hub.lists(route.model) is None:
                candidate.unlisted = True
                hubs[id(route.hub)] = route.hub
        return [(hub, left) for hub in hubs.values()]

    def finish(self) -> Any:
        """Return an answer that is whole but empty, or raise the error of the call.

        Raises:
            HubmixError: the route's own error if one model at one hub was to be asked, or if the first failure ended
                the call; `AllModelsFailedError` if several were.
        """
        if self._kept is not None and self._fatal is None:
            step, value = self._kept
            self.trace.served, self.served, self._answered = step.route.model, step.route, step
            self._answer = self.trace.attempts[-1]
            logger.warning("The answer of the model %r is empty; nothing better could be had.", step.route.model)
            return value
        raise final_error(self._candidates, self.plan, self.trace, self._note, fatal=self._fatal is not None)

    def completed(self, amended: tuple[str, ...], tokens: int | None) -> None:
        """Note what was changed in the request, and measure the whole answer.

        Args:
            amended: the names of the amendments of the request that was answered.
            tokens: the output tokens, if they were counted.
        """
        step, last = self._answered_step()
        if last.outcome == "ok":
            last.amended = amended
        if tokens is None:
            return
        seconds = self.plan.clock.monotonic() - step.started
        if last.first_token_ms is not None:
            seconds -= last.first_token_ms / 1000
        MEASUREMENTS.produced(measured_as(step.route, streaming=self.plan.streaming), tokens, seconds)

    def _answered_step(self) -> tuple[Send, Attempt]:
        if self._answered is None or self._answer is None:
            raise RuntimeError("no route has answered")
        return self._answered, self._answer

    # -- the end of a stream ----------------------------------------------------------------------------------------

    def ended(self, *, incomplete: bool) -> None:
        """Record the end of a stream.

        Text without a finish reason is passed on as it came, but it counts against its model: gateways end a cut stream
        in perfect order.
        """
        step, last = self._answered_step()
        if not incomplete:
            self.plan.breakers.ended_well(step.permit)
            return
        evidence = Evidence("no_finish", "committed", last.status, request_id=last.request_id)
        self.plan.breakers.failed(step.permit, self.plan.classify(step.route, evidence), evidence)

    def interrupted(self, error: AttemptFailed) -> HubmixError:
        """Record a stream that broke off, and return the error of the call."""
        step, last = self._answered_step()
        evidence = replace(error.evidence, phase="committed")
        failure = classify(evidence, step.route.hub.own_error_types)
        self.plan.breakers.failed(step.permit, failure, evidence)
        last.outcome, last.kind, last.code = "error", failure.kind, evidence.code
        last.reason = what_happened(failure, step.route.model)
        earlier = [f"{one.model!r} ({one.facts()})" for one in self.trace.attempts if one is not last]
        note = f"Before it: {', '.join(earlier)}." if earlier else ""
        return route_error(Failed(step.route, failure, evidence, error.partial), self.trace, note)

    # -- details ----------------------------------------------------------------------------------------------------

    def _follow(self, candidate: Candidate, failure: Failure, decision: Decision) -> None:
        if decision.step is NextStep.RETRY:
            self._again, self._pause = candidate, decision.wait
        elif decision.step is NextStep.LATER:
            self._candidates.hold_back(candidate, failure, self.plan.clock.monotonic() + decision.wait)
        elif decision.step is NextStep.NEXT:
            self._candidates.finish_with(candidate, failure)
        elif decision.step is NextStep.RETURN and self._kept is not None:
            self._over = True
        else:
            self._fatal, self._over = candidate, True

    def _remaining(self, current: Candidate, failure: Failure) -> Remaining:
        others = self._candidates.outside(current, failure)
        now = self.plan.clock.monotonic()
        found = (self._candidates.open_breaker(other) for other in others if other.ready_at <= now)
        return Remaining(
            tries=current.tries,
            requests=self.plan.policy.max_attempts - self._requests,
            healthy=any(breaker is None or breaker.soft for breaker in found),
            others=bool(others),
            sole=len({candidate.route.served for candidate in self._candidates}) == 1,
            opened=self._candidates.open_breaker(current) is not None,
            refusals=self._refusals,
            seconds=None if self._total is None else self._total.at - now,
            elapsed=now - self._began,
        )

    def _report_passed(self, chosen: Candidate, ranked: list[tuple[Candidate, OpenBreaker | None]]) -> None:
        """Note the routes before the chosen one that were not asked in their turn."""
        if chosen is self._candidates.primary:
            return
        known = {id(candidate): breaker for candidate, breaker in ranked}
        for candidate in self._candidates:
            if candidate is chosen:
                return
            breaker = known.get(id(candidate))
            if breaker is None or candidate.route.served == chosen.route.served:
                continue
            if reason := self._candidates.unfit(candidate):
                self._asked.skip(candidate, reason)
            else:
                self._asked.skip(candidate, breaker.describe(), breaker)
