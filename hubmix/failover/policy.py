"""How failover behaves, and the decision after each failure: a pure function of failure, policy and what is left."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from enum import Enum
from numbers import Integral, Real
from typing import Any

from hubmix.errors import ConfigurationError, Scope
from hubmix.failover.evidence import Evidence, Failure, Recovery

BACKOFF = 0.5  # seconds, doubled with every try of the same model
LONGEST_BACKOFF = 8.0  # seconds
RETRIES_ON_LAST = 2
"""Retries of a model while no other healthy one remains, where the policy allows any and not more."""


@dataclass(frozen=True, slots=True)
class FailoverPolicy:
    """How a call walks its candidates. A frozen value; all times are in seconds.

    Args:
        max_retries: retries of the same model while another healthy one remains. On the last one it is at least two;
            0 means never.
        max_attempts: requests in all, whatever the number of candidates.
        first_token_timeout: the wait for the first content of a stream, after which the next model is asked; None
            leaves it to `timeout`. Comments and role chunks do not count as content.
        idle_timeout: the longest silence inside a stream; None for no limit.
        max_retry_after: the longest single wait. A hub that asks for more is not waited for.
        fallback_on_content_filter: ask the next model where a content filter refused.
        capability_filter: pass over fallbacks that, by the catalog, cannot do what the request needs.
        max_price_ratio: with ``fallbacks="auto"``, how many times as much as the primary a fallback may cost.
        classify: may replace the failure that an attempt means; called with the evidence and the table's own verdict,
            returns another `Failure`, or None to leave it.

    Raises:
        ConfigurationError: If a number is none, or out of range.

    Example:
        >>> FailoverPolicy(max_retries=0).max_attempts
        6
    """

    max_retries: int = 1
    max_attempts: int = 6
    first_token_timeout: float | None = None
    idle_timeout: float | None = 120.0
    max_retry_after: float = 60.0
    fallback_on_content_filter: bool = False
    capability_filter: bool = True
    max_price_ratio: float = 1.5
    classify: Callable[[Evidence, Failure], Failure | None] | None = None

    def __post_init__(self) -> None:
        self._check_types()
        if self.max_retries < 0:
            raise ConfigurationError(f"max_retries must be 0 or more, not {self.max_retries}.")
        if self.max_attempts < 1:
            raise ConfigurationError(f"max_attempts must be 1 or more, not {self.max_attempts}.")
        if self.max_price_ratio <= 0:
            raise ConfigurationError(f"max_price_ratio must be more than 0, not {self.max_price_ratio}.")
        if self.max_retry_after < 0:
            raise ConfigurationError(f"max_retry_after must be 0 or more seconds, not {self.max_retry_after}.")
        for name in ("first_token_timeout", "idle_timeout"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ConfigurationError(f"{name} must be more than 0 seconds, or None for no limit; not {value}.")

    def _check_types(self) -> None:
        for name in ("max_retries", "max_attempts"):
            if not isinstance(value := getattr(self, name), Integral):
                raise ConfigurationError(f"{name} must be a whole number, not {value!r}.")
        for name in ("first_token_timeout", "idle_timeout", "max_retry_after", "max_price_ratio"):
            value = getattr(self, name)
            if not isinstance(value, Real) and not (value is None and name.endswith("_timeout")):
                raise ConfigurationError(f"{name} must be a number, not {value!r}.")

    def retries(self, *, on_last: bool) -> int:
        """How often the same model may be asked again, with another healthy one left or without."""
        if on_last and self.max_retries > 0:
            return max(self.max_retries, RETRIES_ON_LAST)
        return self.max_retries


def read_policy(given: Any) -> FailoverPolicy | None:
    """The policy as a user gives it: itself, or a dict of its parameters.

    Raises:
        ConfigurationError: If it is neither, or a parameter does not exist: a typo must not be swallowed.
    """
    if given is None or isinstance(given, FailoverPolicy):
        return given
    if not isinstance(given, Mapping):
        raise ConfigurationError(
            f"failover must be a FailoverPolicy or a dict of its parameters, not {type(given).__name__}."
        )
    names = [field.name for field in fields(FailoverPolicy)]
    for name in given:
        if name not in names:
            raise ConfigurationError(f"FailoverPolicy has no parameter {name!r}; it has {', '.join(names)}.")
    return FailoverPolicy(**given)


@dataclass(frozen=True, slots=True)
class Left:
    """What is left when a decision is due.

    Args:
        tries: requests made of this model so far, the failed one included.
        requests: requests that may still be made in this call.
        healthy: another candidate could be asked right now, and would not fail for the same reason.
        others: another candidate could be asked now or later.
        mirror: the hub has another base URL that has not been tried.
        reopens_in: seconds until this model's breaker lets a request through; 0 if it does.
        seconds: until the deadline of the call; None if there is none.
    """

    tries: int
    requests: int
    healthy: bool = False
    others: bool = False
    mirror: bool = False
    reopens_in: float = 0.0
    seconds: float | None = None


class Move(str, Enum):
    """What to do after a failure."""

    RETRY = "retry"  # the same model again, after a wait
    NEXT = "next"  # another model; this one is done with
    LATER = "later"  # another model; this one may be asked again when its breaker lets it
    MIRROR = "mirror"  # the same model at the hub's other base URL
    RETURN = "return"  # the answer as it came: whole, but empty
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Decision:
    """A move, and the seconds to wait before it."""

    move: Move
    wait: float = 0.0


def decide(failure: Failure, policy: FailoverPolicy, left: Left, jitter: float = 1.0) -> Decision:
    """What to do after a failure.

    Args:
        failure: what the attempt means.
        policy: the caller's.
        left: what is left.
        jitter: a random number in [0, 1), for full jitter.

    Example:
        >>> from hubmix.failover.failures import SERVER, QUOTA
        >>> decide(SERVER, FailoverPolicy(), Left(tries=1, requests=5, healthy=True)).move
        <Move.RETRY: 'retry'>
        >>> decide(QUOTA, FailoverPolicy(), Left(tries=1, requests=5)).move
        <Move.FAIL: 'fail'>
    """
    if failure.amended:
        return Decision(Move.RETRY if left.requests > 0 else Move.NEXT)
    if failure.action is Recovery.FAIL:
        return Decision(_after_fail(failure, policy, left))
    if failure.action is Recovery.NEXT and not (failure.waits and not left.healthy):
        # A busy model may come round again when the others have failed too.
        return Decision(Move.LATER if failure.waits and _may_retry(failure, policy, left) else Move.NEXT)
    if failure.waits and left.others:
        # All are busy: whichever reopens first is asked, which the walk sees and this function does not.
        return Decision(Move.LATER if _may_retry(failure, policy, left) else Move.NEXT)
    return _retry(failure, policy, left, jitter)


def backoff(tries: int, jitter: float) -> float:
    """Seconds to wait after the given number of tries: full jitter over 0.5 s doubled each time, at most 8 s."""
    return jitter * min(BACKOFF * 2.0 ** (tries - 1), LONGEST_BACKOFF)


def _after_fail(failure: Failure, policy: FailoverPolicy, left: Left) -> Move:
    willing = failure.free_models_only or (failure.opt_in and policy.fallback_on_content_filter)
    if willing and left.healthy and left.requests > 0:
        return Move.NEXT
    return Move.RETURN if failure.keeps_answer else Move.FAIL


def _may_retry(failure: Failure, policy: FailoverPolicy, left: Left) -> bool:
    if left.requests <= 0:
        return False
    allowed = policy.retries(on_last=not _elsewhere(failure, left))
    if failure.retries is not None:
        allowed = min(allowed, failure.retries)
    return left.tries <= allowed


def _retry(failure: Failure, policy: FailoverPolicy, left: Left, jitter: float) -> Decision:
    asked_for = failure.retry_after if failure.retry_after is not None else backoff(left.tries, jitter)
    wait = max(asked_for, left.reopens_in)
    fits = wait <= policy.max_retry_after and (left.seconds is None or wait < left.seconds)
    # What has just been closed by its breaker is not worth a wait while there is somebody else to ask.
    closed = left.reopens_in > 0 and _elsewhere(failure, left)
    if fits and not closed and _may_retry(failure, policy, left):
        return Decision(Move.RETRY, wait)
    if not failure.never_next:
        return Decision(Move.NEXT)
    return Decision(Move.MIRROR if _elsewhere(failure, left) and left.requests > 0 else Move.FAIL)


def _elsewhere(failure: Failure, left: Left) -> bool:
    """Whether there is somebody else to ask for whom this failure does not hold."""
    if not failure.never_next:
        return left.healthy
    # The mirror is the same hub: it has the same accounts, but another address.
    return left.mirror and failure.scope is Scope.ENDPOINT
