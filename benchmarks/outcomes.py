"""What a caller got from a call that met a fault, in a word. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class Outcome(str, Enum):
    """What a caller is left with."""

    WHOLE = "a whole answer"
    MARKED = "half an answer, marked incomplete"
    ERROR = "an error"
    ERROR_AFTER = "an error, after the first words"
    SILENT = "nothing, and no error"
    HALF = "half an answer, taken as whole"
    HALF_CALL = "half a tool call, ready to be run"
    MIXTURE = "the beginning of one answer and the whole of another"
    WAITING = "still waiting"

    @property
    def harmful(self) -> bool:
        """Whether a program cannot tell that something went wrong, or never gets to."""
        return self in (Outcome.SILENT, Outcome.HALF, Outcome.HALF_CALL, Outcome.MIXTURE, Outcome.WAITING)


@dataclass(slots=True)
class Received:
    """What came out of a call.

    Args:
        text: All that was shown, in order.
        calls: The arguments of tool calls that are ready to be run.
        error: What was raised.
        marked: Whether the answer says of itself that it is not whole.
        waiting: Whether the time was up first.
        seconds: How long it took.
        requests: Model to how often it was asked.
    """

    text: str = ""
    calls: Sequence[Mapping[str, Any]] = ()
    error: BaseException | None = None
    marked: bool = False
    waiting: bool = False
    seconds: float = 0.0
    requests: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Expected:
    """What the two models say when all is well.

    Args:
        first, second: Their texts, which begin differently.
        call: The arguments of the tool call that both make, or None where no tool is given.
    """

    first: str
    second: str
    call: Mapping[str, Any] | None = None


def judge(got: Received, expected: Expected) -> Outcome:
    """What it amounts to.

    Raises:
        RuntimeError: What came fits nothing that can happen; then the comparison is wrong, not a client.
    """
    if got.waiting:
        return Outcome.WAITING
    if got.error is not None:
        return Outcome.ERROR_AFTER if got.text else Outcome.ERROR
    if expected.call is not None:
        return _judge_call(got, expected.call)
    if got.text in (expected.first, expected.second):
        return Outcome.WHOLE
    if not got.text:
        return Outcome.SILENT
    if expected.first.startswith(got.text):
        return Outcome.MARKED if got.marked else Outcome.HALF
    if got.text.endswith(expected.second) and expected.first.startswith(got.text.removesuffix(expected.second)):
        return Outcome.MIXTURE
    raise RuntimeError(f"the comparison does not understand {got.text!r}")


def _judge_call(got: Received, call: Mapping[str, Any]) -> Outcome:
    if not got.calls:
        return Outcome.MARKED if got.marked else Outcome.SILENT
    return Outcome.WHOLE if all(dict(args) == dict(call) for args in got.calls) else Outcome.HALF_CALL
