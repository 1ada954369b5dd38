"""Failover across model IDs: one call, several candidates, one whole answer or one error that lists every attempt.

Every failure has a scope, and changing the model only helps when the scope is the model. What follows from a failure
is decided by the table (`failure_table`) and the policy (`policy`); `walk` keeps the state of one call; the two drivers
here only wait.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from hubmix.failover.plan import AttemptFailed, Limits, Plan
from hubmix.failover.policy import Move
from hubmix.failover.run import Try, Wait, Walk
from hubmix.wire.trace import Trace

if TYPE_CHECKING:
    from tenacity import RetryCallState

T = TypeVar("T")


def walk_sync(plan: Plan, attempt: Callable[[str, Limits], T]) -> tuple[T, Trace]:
    """Ask the candidates of a plan until one answers.

    Args:
        plan: the call.
        attempt: sends one request for a model within limits; returns the answer, or a stream at its first content.
            Raises `AttemptFailed` with what was seen; any other exception propagates at once.

    Returns:
        The answer and the trace.

    Raises:
        HubmixError: as `Walk.finish` says.

    Example:
        >>> walk_sync(Plan(["a"]), lambda model, limits: f"{model} says hello")[0]
        'a says hello'
    """
    walk = Walk(plan)
    while (step := walk.next()) is not None:
        if isinstance(step, Wait):
            plan.sleep(step.seconds)
            continue
        try:
            return _send(walk, step, attempt), walk.trace
        except AttemptFailed as failed:
            first = failed
        if walk.decision.move is Move.RETRY:
            try:
                return _send_again(walk, step, attempt, first), walk.trace
            except AttemptFailed:
                walk.tried_again(step)
    return walk.finish(), walk.trace


async def walk_async(plan: Plan, attempt: Callable[[str, Limits], Awaitable[T]]) -> tuple[T, Trace]:
    """`walk_sync` for an attempt function that is awaited. Cancellation propagates and gives back what is held."""
    walk = Walk(plan)
    while (step := walk.next()) is not None:
        if isinstance(step, Wait):
            await plan.async_sleep(step.seconds)
            continue
        try:
            return await _send_async(walk, step, attempt), walk.trace
        except AttemptFailed as failed:
            first = failed
        if walk.decision.move is Move.RETRY:
            try:
                return await _send_again_async(walk, step, attempt, first), walk.trace
            except AttemptFailed:
                walk.tried_again(step)
    return walk.finish(), walk.trace


def _send(walk: Walk, step: Try, attempt: Callable[[str, Limits], T]) -> T:
    try:
        try:
            value = attempt(step.model, step.limits)
        except AttemptFailed as failed:
            if walk.plan.late is not None and (seconds := walk.wants_more(failed)):
                walk.admit(walk.plan.late(seconds))
            walk.failed(step, failed)
            raise
        walk.succeeded(step, value)
    except BaseException:  # Ctrl-C in a hook of the user too: a permit that is not given back is a probe lost for ever
        walk.abandoned(step)
        raise
    return value


async def _send_async(walk: Walk, step: Try, attempt: Callable[[str, Limits], Awaitable[T]]) -> T:
    try:
        try:
            value = await attempt(step.model, step.limits)
        except AttemptFailed as failed:
            if walk.plan.alate is not None and (seconds := walk.wants_more(failed)):
                walk.admit(await walk.plan.alate(seconds))
            walk.failed(step, failed)
            raise
        walk.succeeded(step, value)
    except BaseException:  # Ctrl-C in a hook of the user too: a permit that is not given back is a probe lost for ever
        walk.abandoned(step)
        raise
    return value


# The first request is made outside tenacity, which costs a healthy call some 20 microseconds; where it failed and is to
# be repeated, tenacity takes over with that failure as its first attempt.


def _send_again(walk: Walk, step: Try, attempt: Callable[[str, Limits], T], first: AttemptFailed) -> T:
    from tenacity import Retrying

    known: list[AttemptFailed] = [first]

    def send() -> T:
        if known:
            raise known.pop()
        again = walk.again(step)
        if again is None:
            raise first
        return _send(walk, again, attempt)

    return Retrying(sleep=walk.plan.sleep, **_rules(walk))(send)


async def _send_again_async(
    walk: Walk, step: Try, attempt: Callable[[str, Limits], Awaitable[T]], first: AttemptFailed
) -> T:
    from tenacity import AsyncRetrying

    known: list[AttemptFailed] = [first]

    async def send() -> T:
        if known:
            raise known.pop()
        again = walk.again(step)
        if again is None:
            raise first
        return await _send_async(walk, again, attempt)

    return await AsyncRetrying(sleep=walk.plan.async_sleep, **_rules(walk))(send)


def _rules(walk: Walk) -> dict[str, Any]:
    """tenacity's rules, all of them answered by the walk: one decision, made once for each failure."""
    from tenacity import retry_if_exception, stop_after_attempt
    from tenacity.stop import stop_base

    class StopBeforeDeadline(stop_base):
        # tenacity's own stop_before_delay reads the system's clock, and tests bring theirs.
        def __call__(self, retry_state: RetryCallState) -> bool:
            return not walk.fits(walk.decision.wait)

    def wants_retry(error: BaseException) -> bool:
        return isinstance(error, AttemptFailed) and walk.decision.move is Move.RETRY

    return {
        "retry": retry_if_exception(wants_retry),
        "wait": lambda retry_state: walk.decision.wait,
        "stop": stop_after_attempt(walk.plan.policy.max_attempts) | StopBeforeDeadline(),
        "reraise": True,
    }
