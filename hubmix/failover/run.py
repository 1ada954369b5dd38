"""The walk over the candidates as a state machine: what to do next, fed with what came of it. It never waits itself.

`failover.walk_sync` and `failover.walk_async` are its two drivers; they differ in nothing but the verb that waits.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from hubmix.errors import HubmixError, Scope
from hubmix.failover import failures
from hubmix.failover.breakers import Block, Permit
from hubmix.failover.candidates import Candidate, Candidates
from hubmix.failover.classify import classify
from hubmix.failover.evidence import Evidence, Failure, Fault, Recovery
from hubmix.failover.plan import AttemptFailed, Limits, Plan
from hubmix.failover.policy import Decision, Left, Move, decide
from hubmix.failover.report import what_happened
from hubmix.failover.verdict import Verdict, all_failed
from hubmix.wire.error_body import find_request_id
from hubmix.wire.trace import Attempt, Trace

logger = logging.getLogger("hubmix.failover")

_PATIENCE = 3.0  # seconds for the names of further candidates: two answers of a hub that is well


@dataclass(frozen=True, slots=True)
class Try:
    """Send one request for this candidate, within these limits."""

    candidate: Candidate
    limits: Limits
    permit: Permit
    started: float
    waited_ms: float

    @property
    def model(self) -> str:
        return self.candidate.model


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait, then ask what is next."""

    seconds: float


class Walk:
    """One call's way through its candidates.

    A driver asks `next()` and does what it says: `Try` (and reports `succeeded`, `failed` or `abandoned`), `Wait`, or
    None for the end, on which `finish()` returns the last resort or raises.
    """

    def __init__(self, plan: Plan) -> None:
        if not plan.models:
            raise ValueError("a plan needs at least one model")
        self.plan = plan
        self.trace = Trace(plan.models[0])
        self.decision = Decision(Move.NEXT)
        self._candidates = Candidates(plan)
        self._registry = plan.health.registry
        self._ended = plan.clock()  # of the last attempt, or the start
        self._deadline = None if plan.total_timeout is None else self._ended + plan.total_timeout
        self._requests = 0
        self._waited = 0.0  # seconds, for breakers
        self._last: Candidate | None = None
        self._verdicts: list[Verdict] = []
        self._fatal: Verdict | None = None
        self._kept: tuple[str, Any] | None = None
        self._over = False
        self._note = ""

    # -- what to do -------------------------------------------------------------------------------------------------

    def next(self) -> Try | Wait | None:
        """The next step; None when the walk is over."""
        if self._over or self._spent():
            return None
        self._candidates.choose_endpoint()
        blocked: list[tuple[Candidate, Block]] = []
        for candidate in self._candidates.all:
            if candidate.done:
                continue
            if reason := self._candidates.unfit(candidate):
                self._skip(candidate, "skipped", reason)
                continue
            entered = self._candidates.enter(candidate)
            if isinstance(entered, Permit):
                return self._try_past(blocked, candidate, entered)
            blocked.append((candidate, entered))
        for candidate, block in blocked:
            if block.soft:
                others = [pair for pair in blocked if pair[0] is not candidate]
                return self._try_past(others, candidate, self._candidates.enter_anyway(candidate))
        return self._wait_for(blocked)

    def again(self, step: Try) -> Try | None:
        """The same candidate once more, after the wait that was decided; None where it may not be asked now."""
        if not self._spent():
            entered = self._candidates.enter(step.candidate)
            if isinstance(entered, Permit):
                return self._try(step.candidate, entered)
        # `next()` finds out what to do instead: wait, go on, or end.
        self.decision = Decision(Move.LATER)
        return None

    def _spent(self) -> bool:
        if self._requests >= self.plan.policy.max_attempts:
            self._note = f"max_attempts={self.plan.policy.max_attempts} was reached."
            return True
        if self._deadline is not None and self.plan.clock() >= self._deadline:
            self._note = f"total_timeout={self.plan.total_timeout:g} s ran out."
            if not self._verdicts:
                evidence = Evidence("total_timeout", "connect")
                self._fatal = self._verdict(self._candidates.all[0], failures.TOTAL_TIMEOUT, evidence)
            return True
        return False

    def _try_past(self, blocked: list[tuple[Candidate, Block]], candidate: Candidate, permit: Permit) -> Try:
        try:
            for other, block in blocked:
                self._skip_blocked(other, block)
            return self._try(candidate, permit)
        except BaseException:  # Ctrl-C in `on_attempt`: nobody else would give the permit back
            self._registry.released(permit)
            raise

    def _try(self, candidate: Candidate, permit: Permit) -> Try:
        if self._last is not None and self._last is not candidate:
            self._log_switch(self._last, candidate)
        self._last = candidate
        candidate.tries += 1
        self._requests += 1
        plan, policy = self.plan, self.plan.policy
        limits = Limits(
            plan.timeout,
            policy.first_token_timeout if plan.streaming else None,
            policy.idle_timeout if plan.streaming else None,
            self._deadline,
            self._candidates.mirror_url,
        )
        started = plan.clock()
        return Try(candidate, limits, permit, started, _milliseconds(started - self._ended))

    # -- what came of it --------------------------------------------------------------------------------------------

    def succeeded(self, step: Try, value: Any) -> None:
        """The attempt answered (a stream: began to)."""
        plan = self.plan
        if plan.streaming:
            self._registry.committed(step.permit)
        else:
            self._registry.succeeded(step.permit)
        latency = _milliseconds(plan.clock() - step.started)
        self.trace.served = step.model
        self.trace.attempts.append(
            Attempt(
                step.model,
                "ok",
                status=200,
                request_id=getattr(value, "request_id", None),
                waited_ms=step.waited_ms,
                latency_ms=latency,
                first_token_ms=latency if plan.streaming else None,
                base_url=step.limits.base_url,
            )
        )

    def wants_more(self, error: AttemptFailed) -> float:
        """Seconds that the names of further candidates are worth after a failure; 0 where they would not help."""
        plan, failure = self.plan, classify(error.evidence, self.plan.hub_types)
        willing = failure.free_models_only or (failure.opt_in and plan.policy.fallback_on_content_filter)
        # What a hook of the user's would make of it is asked once, by `failed`.
        if failure.action is Recovery.FAIL and not willing and plan.policy.classify is None:
            return 0.0
        error.at = plan.clock()
        return _PATIENCE if self._deadline is None else min(_PATIENCE, max(0.0, self._deadline - error.at) / 2)

    def admit(self, models: Iterable[str]) -> None:
        """Further candidates, before `failed` decides."""
        self.plan.late = self.plan.alate = None
        self._candidates.admit(models)

    def failed(self, step: Try, error: AttemptFailed) -> None:
        """The attempt failed: record it, and decide (`decision`)."""
        evidence, candidate = error.evidence, step.candidate
        failure = self.plan.classify(evidence)
        self._registry.failed(step.permit, failure, evidence)
        candidate.verdict = verdict = self._verdict(candidate, failure, evidence)
        self._verdicts.append(verdict)
        self._ended = self.plan.clock() if error.at is None else error.at
        if failure.keeps_answer and error.partial is not None:
            self._kept = (step.model, error.partial)
        self._candidates.narrow(candidate, failure, evidence)
        self.decision = decide(failure, self.plan.policy, self._left(candidate), self.plan.random())
        returned = self.decision.move is Move.RETURN and self._kept is not None
        self._record(
            Attempt(
                step.model,
                "ok" if returned else "error",
                failure.kind,
                evidence.status,
                evidence.code,
                evidence.request_id or find_request_id(evidence.headers, evidence.message),
                what_happened(failure, step.model),
                step.waited_ms,
                _milliseconds(self._ended - step.started),
                base_url=step.limits.base_url,
            )
        )
        self._obey(candidate, verdict)

    def abandoned(self, step: Try) -> None:
        """The attempt was cancelled, or broke for a reason that is no failure of the hub. Harmless after its end."""
        self._registry.released(step.permit)

    def tried_again(self, step: Try) -> None:
        """The retries of a candidate are over. Where they were stopped short, it is not to be asked again."""
        if self.decision.move is Move.RETRY:
            step.candidate.done = True

    def fits(self, seconds: float) -> bool:
        """Whether a wait of so many seconds ends before the deadline."""
        return self._deadline is None or seconds < self._deadline - self.plan.clock()

    def finish(self) -> Any:
        """The last resort, an answer that is whole but empty; or else the error of the call.

        Raises:
            HubmixError: the candidate's own error where there was one candidate, or where the first failure ended the
                call; `AllModelsFailedError` where several were to be asked.
        """
        if self._kept is not None and self._fatal is None:
            model, value = self._kept
            self.trace.served = model
            logger.warning("The answer of the model %r is empty; nothing better could be had.", model)
            return value
        raise self._error()

    # -- details ----------------------------------------------------------------------------------------------------

    def _obey(self, candidate: Candidate, verdict: Verdict) -> None:
        move = self.decision.move
        if move is Move.NEXT:
            candidate.done = True
        elif move is Move.MIRROR:
            self._candidates.go_to_mirror()
            candidate.tries = 0
        elif move is Move.RETURN and self._kept is not None:
            self._over = True
        elif move in (Move.FAIL, Move.RETURN):
            self._fatal, self._over = verdict, True

    def _left(self, current: Candidate) -> Left:
        candidates = self._candidates
        others = candidates.others(current)
        block = candidates.block(current)
        return Left(
            tries=current.tries,
            requests=self.plan.policy.max_attempts - self._requests,
            healthy=any((closed := candidates.block(other)) is None or closed.soft for other in others),
            others=bool(others),
            mirror=candidates.has_mirror,
            reopens_in=0.0 if block is None or block.soft else block.seconds,
            seconds=None if self._deadline is None else self._deadline - self.plan.clock(),
        )

    def _wait_for(self, blocked: list[tuple[Candidate, Block]]) -> Wait | None:
        """Wait for whichever reopens first, if that fits; else the walk is over."""
        if not blocked:
            return None
        soonest = min(blocked, key=lambda pair: pair[1].seconds)[1]
        if self._fits(soonest):
            self._waited += soonest.seconds
            return Wait(soonest.seconds)
        for candidate, block in blocked:
            self._skip_blocked(candidate, block)
        return None

    def _fits(self, block: Block) -> bool:
        # An empty account does not fill by waiting.
        if block.failure.free_models_only:
            return False
        longest = self.plan.policy.max_retry_after
        if self._deadline is None:
            # A model that is not served will not be served in a minute: without a deadline that asks for patience,
            # the error comes at once. A busy or failing one is waited for, and so is a probe under way.
            lasting = block.failure.cooldown.fixed and not block.probing
            return not lasting and self._waited + block.seconds <= longest
        return block.seconds <= longest and self.fits(block.seconds)

    def _skip_blocked(self, candidate: Candidate, block: Block) -> None:
        if candidate.verdict is None:
            # To a call that was not even sent, the streams that broke off before it are no interruption of its own.
            seen = failures.UNSTEADY if block.failure.mid_stream else block.failure
            failure = replace(seen, retry_after=_back_in(block))
            candidate.verdict = replace(self._verdict(candidate, failure, block.evidence), asked=False)
        until = "another call is trying it" if block.probing else f"{block.seconds:.3g} s more"
        whose = "model" if block.target is Scope.MODEL else block.target.value
        reason = f"The circuit breaker of the {whose} is open ({until})."
        self._skip(candidate, block.failure.kind, reason, block.evidence)

    def _skip(self, candidate: Candidate, kind: str, reason: str, evidence: Evidence | None = None) -> None:
        if candidate.reported or candidate.tries:
            return
        candidate.reported = True
        status, code = (evidence.status, evidence.code) if evidence else (None, None)
        self._record(Attempt(candidate.model, "skipped", kind, status, code, reason=reason))

    def _record(self, attempt: Attempt) -> None:
        self.trace.attempts.append(attempt)
        if self.plan.on_attempt is None or attempt.outcome == "ok":
            return
        try:
            self.plan.on_attempt(attempt)
        except Exception:  # an observer must not change what it observes
            logger.warning("on_attempt raised; the call goes on.", exc_info=True)

    def _log_switch(self, last: Candidate, candidate: Candidate) -> None:
        kind = last.verdict.failure.kind if last.verdict else "unknown"
        logger.info("Going on from the model %r to %r: %s.", last.model, candidate.model, kind)

    def _verdict(self, candidate: Candidate, failure: Failure, evidence: Evidence) -> Verdict:
        return Verdict(candidate.model, self._candidates.keys(candidate)[0].base_url, failure, evidence)

    def _error(self) -> HubmixError:
        if self._fatal is not None and len({verdict.model for verdict in self._verdicts}) <= 1:
            return self._own_error(self._fatal)
        if self._verdicts and all(verdict.evidence.cause == "html" for verdict in self._verdicts):
            # One page of HTML is a mishap; HTML from every model is a website, not an API.
            return self._own_error(replace(self._verdicts[-1], failure=failures.ENDPOINT))
        candidates = self._candidates.all
        verdicts = [candidate.verdict for candidate in candidates if candidate.verdict]
        if len(candidates) == 1:
            return self._own_error(verdicts[-1].coming_back_in(self._retry_after()))
        if len(verdicts) == 1 and verdicts[0].failure.larger_window_only and not self._note:
            # The others were passed over for their windows: the request is at fault, as with one candidate.
            return self._own_error(verdicts[0])
        return all_failed(verdicts, self.trace, self.plan.suggest, self._retry_after(), self._note)

    def _own_error(self, verdict: Verdict) -> HubmixError:
        error = verdict.to_exception(self.plan.suggest, self._note)
        error.attempts = self.trace.attempts
        return error

    def _retry_after(self) -> float | None:
        """Seconds until the first candidate may be asked again; None where one may be at once, or never."""
        waits: list[float | None] = []
        for candidate in self._candidates.all:
            if candidate.verdict:
                # The breaker has heard what the hub asked for, and knows of earlier failures too.
                block = self._candidates.block(candidate)
                failure = candidate.verdict.failure
                if block is None and failure.cooldown.counted and failure.retry_after is None:
                    return None
                waits.append(_back_in(block) if block else failure.retry_after)
        return min((seconds for seconds in waits if seconds is not None), default=None)


def _back_in(block: Block) -> float | None:
    """Seconds after which another try makes sense; None where waiting mends nothing, as with a mistyped model ID."""
    return None if block.failure.fault is Fault.REQUEST else block.seconds


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 1)
