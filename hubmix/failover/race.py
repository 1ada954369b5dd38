"""Two requests of one call at the same time, of which the first content wins.

Sync: each request runs in a thread of its own, so that the answer of one can be used while the other still blocks. A
request that lost is ended by shutting its socket down. Async: each is a task, and the one that lost is cancelled.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Generic, TypeVar, cast

from hubmix.failover.limits import Limits, Stop
from hubmix.failover.requests import Send
from hubmix.failover.route import Route
from hubmix.failover.run import FailoverRun

T = TypeVar("T")


def race_sync(
    run: FailoverRun, step: Send, after: float, send: Callable[[Route, Limits], T], drop: Callable[[Route, Any], None]
) -> T:
    """Send a request and, if it is silent for `after` seconds, a second one.

    Returns the first answer. `run.current` is the request that answered, or whose error is raised.
    """
    threads = _Threads(send, drop)
    try:
        threads.start(step)
        ended = threads.wait_for(after)
        if ended is None and (hedge := run.hedge(step)) is not None:
            threads.start(hedge)
        ended = ended or threads.wait()
        while run.goes_on_without(ended.step, ended.error):
            ended = threads.wait()
    finally:
        threads.close()
    run.current = ended.step
    try:
        return ended.result()
    finally:
        del ended  # an error, its traceback and this frame would keep each other


async def race_async(
    run: FailoverRun,
    step: Send,
    after: float,
    send: Callable[[Route, Limits], Coroutine[Any, Any, T]],
    drop: Callable[[Route, Any], None],
) -> T:
    """`race_sync`, for asyncio."""
    tasks = _Tasks(send, drop)
    try:
        tasks.start(step)
        ended = await tasks.wait_for(after)
        if ended is None and (hedge := run.hedge(step)) is not None:
            tasks.start(hedge)
        ended = ended or await tasks.wait()
        while run.goes_on_without(ended.step, ended.error):
            ended = await tasks.wait()
    finally:
        tasks.close()
    run.current = ended.step
    try:
        return ended.result()
    finally:
        del ended  # an error, its traceback and this frame would keep each other


@dataclass(frozen=True, slots=True)
class _Ended(Generic[T]):
    """How a request ended: with a value or with an error."""

    step: Send
    value: T | None = None
    error: BaseException | None = None

    def result(self) -> T:
        """Return the value, or raise the error."""
        try:
            if self.error is not None:
                raise self.error
            return cast("T", self.value)
        finally:
            del self


class _Threads(Generic[T]):
    """Requests in threads of their own.

    Not of a pool: a request that lost may block for long if the user's own HTTP client sends it.
    """

    def __init__(self, send: Callable[[Route, Limits], T], drop: Callable[[Route, Any], None]) -> None:
        self._send = send
        self._drop = drop
        self._under_way: list[tuple[Send, Stop]] = []
        self._ended: queue.SimpleQueue[_Ended[T]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._closed = False

    def start(self, step: Send) -> None:
        """Begin a request, in the caller's context."""
        stop = Stop()
        self._under_way.append((step, stop))
        run = copy_context().run
        threading.Thread(target=run, args=(self._ask, step, stop), name="hubmix-request", daemon=True).start()

    def wait(self) -> _Ended[T]:
        """Wait for the next request that ends."""
        return self._took(self._ended.get())

    def wait_for(self, seconds: float) -> _Ended[T] | None:
        """`wait`, for so many seconds; None if none has ended by then."""
        try:
            return self._took(self._ended.get(timeout=seconds))
        except queue.Empty:
            return None

    def close(self) -> None:
        """End what is under way."""
        with self._lock:
            self._closed = True
        for step, stop in self._under_way:
            stop.set()
            self._drop(step.route, None)
        while not self._ended.empty():
            late = self._ended.get()
            self._drop(late.step.route, late.value)

    def _took(self, ended: _Ended[T]) -> _Ended[T]:
        self._under_way = [(step, stop) for step, stop in self._under_way if step is not ended.step]
        return ended

    def _ask(self, step: Send, stop: Stop) -> None:
        try:
            ended = _Ended(step, self._send(step.route, replace(step.limits, stop=stop)))
        except BaseException as error:  # noqa: BLE001  # raised again in the caller's thread
            ended = _Ended(step, error=error)
        with self._lock:
            late = self._closed
            if not late:
                self._ended.put(ended)
        if late:
            self._drop(step.route, ended.value)
        del ended


class _Tasks(Generic[T]):
    """Requests in tasks of their own."""

    def __init__(
        self, send: Callable[[Route, Limits], Coroutine[Any, Any, T]], drop: Callable[[Route, Any], None]
    ) -> None:
        self._send = send
        self._drop = drop
        self._under_way: dict[asyncio.Task[T], Send] = {}

    def start(self, step: Send) -> None:
        """Begin a request."""
        self._under_way[asyncio.create_task(self._send(step.route, step.limits))] = step

    async def wait(self) -> _Ended[T]:
        """Wait for the next request that ends."""
        await asyncio.wait(self._under_way, return_when=asyncio.FIRST_COMPLETED)
        return self._take()

    async def wait_for(self, seconds: float) -> _Ended[T] | None:
        """`wait`, for so many seconds; None if none has ended by then."""
        done, _ = await asyncio.wait(self._under_way, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        return self._take() if done else None

    def close(self) -> None:
        """Cancel what is under way."""
        for task, step in self._under_way.items():
            task.cancel()
            self._drop(step.route, None)
            _CLOSING.add(task)
            task.add_done_callback(partial(self._closed, step))

    def _take(self) -> _Ended[T]:
        task = next(task for task in self._under_way if task.done())
        step = self._under_way.pop(task)
        if task.cancelled():  # by nobody here: the loop is ending
            return _Ended(step, error=asyncio.CancelledError())
        error = task.exception()
        return _Ended(step, error=error) if error is not None else _Ended(step, task.result())

    def _closed(self, step: Send, task: asyncio.Task[T]) -> None:
        _CLOSING.discard(task)
        if not task.cancelled() and task.exception() is None:  # it had answered before it could be cancelled
            self._drop(step.route, task.result())


_CLOSING: set[asyncio.Task[Any]] = set()  # asyncio itself keeps a task by a weak reference only
