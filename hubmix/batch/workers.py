"""Threads that ask several models, or for several rows, at once."""

from __future__ import annotations

import contextvars
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from types import TracebackType
from typing import Any, TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")


class Workers:
    """At most so many threads, started as they are needed.

    They end with the process: after Ctrl-C nothing waits for answers that nobody will read.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._threads: list[threading.Thread] = []
        self._tasks: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = queue.SimpleQueue()
        self._idle = threading.Semaphore(0)

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        # What was not begun is not begun any more.
        while True:
            try:
                task = self._tasks.get_nowait()
            except queue.Empty:
                break
            if task is not None:
                task[0].cancel()
        for _ in self._threads:
            self._tasks.put(None)

    def submit(self, ask: Callable[[Job], Result], job: Job) -> Future[Result]:
        """Run `ask(job)` on one of the threads."""
        future: Future[Result] = Future()
        # A copy for each: spending blocks and tracing around the caller hold for the calls too.
        context = contextvars.copy_context()
        self._tasks.put((future, lambda: context.run(ask, job)))
        if not self._idle.acquire(blocking=False) and len(self._threads) < self._most:
            thread = threading.Thread(target=self._work, name=f"hubmix-worker-{len(self._threads)}", daemon=True)
            self._threads.append(thread)
            thread.start()
        return future

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            future, run = task
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(run())
                except BaseException as error:  # noqa: BLE001 - handed to the caller, who waits for this future
                    future.set_exception(error)
            self._idle.release()
