"""What to do after a failure, as a pure function."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from hubmix.errors import Scope
from hubmix.failover.evidence import Evidence, Failure, Fault, Recovery
from hubmix.failover.policy import LONGEST_BACKOFF, FailoverPolicy


@dataclass(frozen=True, slots=True)
class Remaining:
    """What is left when a decision is due.

    Args:
        tries: requests sent for this route so far, the failed one included.
        requests: requests that may still be sent in this call.
        healthy: a route outside the failure's scope could be asked right now.
        others: a route outside the failure's scope could be asked now or later.
        sole: the call has only this one model at one hub.
        opened: the circuit breaker of this route is open.
        refusals: routes that have refused this call for reasons nobody knows, this one included.
        seconds: until the deadline of the call; None if there is none.
        elapsed: seconds since the call began.
    """

    tries: int
    requests: int
    healthy: bool = False
    others: bool = False
    sole: bool = False
    opened: bool = False
    refusals: int = 0
    seconds: float | None = None
    elapsed: float = 0.0


class NextStep(str, Enum):
    """What to do after a failure."""

    RETRY = "retry"  # the same route again, after a wait
    NEXT = "next"  # another route; whatever this failure holds for is done with
    LATER = "later"  # another route; this one may be asked again after a wait
    RETURN = "return"  # the answer as it came: whole, but empty
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Decision:
    """A step, and the seconds before the route may be asked again."""

    step: NextStep
    wait: float = 0.0


LASTING = (Fault.REQUEST, Fault.ACCOUNT)
"""Neither a mistyped model nor a missing permission mends itself."""

_RETRIED_STATUSES = (408, 409, 429)


def sdk_would_retry(evidence: Evidence) -> bool:
    """Whether the SDK would send the request again, and so would a sole route."""
    told = evidence.headers.get("x-should-retry")
    if told in ("true", "false"):
        return told == "true"
    if evidence.cause == "status":
        status = evidence.status or 0
        return status in _RETRIED_STATUSES or status >= 500
    return evidence.phase in ("connect", "open") or evidence.cause in ("read_timeout", "first_token_timeout", "cut")


def decide(failure: Failure, policy: FailoverPolicy, left: Remaining, *, repeatable: bool = True) -> Decision:
    """Return what to do after a failure.

    Args:
        failure: what the attempt means.
        policy: the caller's.
        left: what is left.
        repeatable: the SDK would send the request again (`sdk_would_retry`).

    Example:
        >>> from hubmix.failover.failures import SERVER, QUOTA
        >>> decide(SERVER, FailoverPolicy(), Remaining(tries=1, requests=5)).step
        <NextStep.RETRY: 'retry'>
        >>> decide(QUOTA, FailoverPolicy(), Remaining(tries=1, requests=5)).step
        <NextStep.FAIL: 'fail'>
    """
    if failure.amended:
        return Decision(NextStep.RETRY if left.requests > 0 else NextStep.NEXT)
    if failure.ask_one_more and left.refusals > 1:
        return Decision(NextStep.FAIL)
    if failure.action is Recovery.FAIL:
        if _helps(failure, policy) and left.others:
            return Decision(NextStep.NEXT)
        return Decision(NextStep.RETURN if failure.keeps_answer else NextStep.FAIL)
    again = _again(failure, policy, left, repeatable)
    if again is None:
        return Decision(NextStep.NEXT)
    # Another route answers sooner than one that asks to be left alone.
    patient = failure.throttled or failure.least_wait > 0 or again.wait > LONGEST_BACKOFF
    return Decision(NextStep.LATER, again.wait) if patient and left.others else again


def _helps(failure: Failure, policy: FailoverPolicy) -> bool:
    """Whether another account or endpoint helps, or another model by the user's wish."""
    if failure.scope is Scope.REQUEST:
        return failure.opt_in and policy.fallback_on_content_filter
    return failure.scope is not Scope.MODEL


def _again(failure: Failure, policy: FailoverPolicy, left: Remaining, repeatable: bool) -> Decision | None:
    """Return a retry if it is allowed and the wait fits, else None."""
    # A sole route is asked again whenever the SDK would, so that failover costs no answer.
    as_sdk = repeatable and left.sole and failure.fault not in LASTING and failure.retries != 0
    if failure.action is Recovery.NEXT and not failure.waits and not as_sdk:
        return None
    if left.opened and left.healthy and not (failure.throttled or failure.least_wait):
        return None
    allowed = policy.retries(on_last=not left.healthy)
    if failure.retries is not None and not as_sdk:
        allowed = min(allowed, failure.retries)
    if left.requests <= 0 or left.tries > allowed:
        return None
    wait = _wait(failure, policy, left)
    fits = wait <= policy.max_retry_after and (left.seconds is None or wait < left.seconds)
    if not fits or policy.stops(policy.max_attempts - left.requests, left.elapsed, wait):
        return None
    return Decision(NextStep.RETRY, wait)


def _wait(failure: Failure, policy: FailoverPolicy, left: Remaining) -> float:
    asked = failure.retry_after
    if asked is None or (asked > policy.max_retry_after and left.sole):
        # The SDK does not believe a Retry-After of more than a minute either, and asks after its own backoff.
        return max(policy.backoff(left.tries), failure.least_wait * 2.0 ** (left.tries - 1))
    return asked
