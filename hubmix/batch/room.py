"""When a budget ends a map: it has no room, and no other call can free any.

A call reserves far more than it costs. So a row that finds no room waits until another call of the map has ended, and
the map is over only if none is under way.
"""

from __future__ import annotations

import asyncio
import threading

from hubmix.errors import BudgetExceededError


class Room:
    """The calls of one map, and the error that ended it.

    For the threads of one map, or for the tasks of one.
    """

    def __init__(self) -> None:
        self.refused: BudgetExceededError | None = None
        """Why no further row is asked, or None."""
        self._changed = threading.Condition()
        self._under_way = 0
        self._ended = 0
        self._waiting: list[asyncio.Future[None]] = []

    def begin(self) -> int:
        """Count a call, and return what `wait` takes."""
        with self._changed:
            self._under_way += 1
            return self._ended

    def leave(self, *, sent: bool) -> None:
        """Count the end of a call; one that was not sent has freed nothing."""
        with self._changed:
            self._under_way -= 1
            self._ended += sent
            self._wake()

    def wait(self, seen: int, error: BudgetExceededError) -> None:
        """Wait, after `leave`, until the call may be tried again or the map is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_decided(seen, error))

    async def wait_in_loop(self, seen: int, error: BudgetExceededError) -> None:
        """`wait`, for asyncio."""
        while True:
            with self._changed:
                if self._is_decided(seen, error):
                    return
                future = asyncio.get_running_loop().create_future()
                self._waiting.append(future)
            await future

    def _is_decided(self, seen: int, error: BudgetExceededError) -> bool:
        if self.refused is None and self._ended == seen:
            if self._under_way:
                return False
            self.refused = error
            self._wake()
        return True

    def _wake(self) -> None:
        self._changed.notify_all()
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)
