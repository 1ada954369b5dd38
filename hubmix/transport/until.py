"""A deadline in an event loop that may be busy with something else."""

from __future__ import annotations

import asyncio
import math
from types import TracebackType

import anyio

from hubmix.failover.limits import Deadline
from hubmix.transport.answer import monotonic

_MOST_MOVES = 3  # a loop that is late again and again does not keep a call for good


class Until:
    """Leave what is awaited inside at a deadline, or later if the loop was late.

    A timer that rings late by more than a tenth of its limit says that this process was busy. What the hub has sent
    meanwhile is not read yet, and a plain client would read it: its limits begin anew with each read. So the deadline
    moves by what was lost, by its limit at most, and a few times at most.

    Args:
        deadline: when to leave. Afterwards the attribute is the moved one.
        total: the deadline of the whole call, which does not move.
    """

    __slots__ = ("_loop", "_moves", "_scope", "_timer", "_total", "deadline")

    def __init__(self, deadline: Deadline, total: Deadline | None) -> None:
        self.deadline = deadline
        self._total = total
        self._moves = 0
        self._scope = anyio.CancelScope()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def over(self) -> bool:
        """Whether the time was over before the work."""
        return self._scope.cancelled_caught

    def __enter__(self) -> None:
        self._loop = asyncio.get_running_loop()
        if math.isfinite(self.deadline.at):
            self._timer = self._loop.call_later(self.deadline.left(monotonic()), self._ring)
        self._scope.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if self._timer is not None:
            self._timer.cancel()
        return self._scope.__exit__(kind, value, trace)

    def _ring(self) -> None:
        now = monotonic()
        more = 0.0 if self._moves >= _MOST_MOVES else self.deadline.lost(now)
        moved = self.deadline.moved(now + more).earlier(self._total)
        if not more or moved.at <= now:
            self._scope.cancel()
            return
        self.deadline = moved
        self._moves += 1
        self._timer = self._loop.call_later(moved.left(now), self._ring)
