"""Failed attempts as LangChain's `on_retry` event, for tracers and callbacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tenacity import Future, RetryCallState

if TYPE_CHECKING:
    from hubmix.wire.trace import Attempt


class AttemptError(Exception):
    """A failed attempt, as callbacks see it."""


def retry_state(attempt: Attempt, number: int) -> RetryCallState:
    """The event's value: tenacity's, which LangChain's handlers read.

    Args:
        attempt: the attempt that failed or was skipped.
        number: how many there were, this one included.
    """
    nothing: Any = None
    state = RetryCallState(retry_object=nothing, fn=None, args=(), kwargs={"model": attempt.model})
    state.attempt_number = number
    state.idle_for = (attempt.waited_ms or 0) / 1000
    outcome = Future(number)
    outcome.set_exception(AttemptError(f"{attempt.model}: {attempt.outcome}, {attempt.kind}: {attempt.reason}"))
    state.outcome = outcome
    return state
