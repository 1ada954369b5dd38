"""Give back the connection of a stream that its reader dropped.

Sync: garbage collection may run at any line of this thread, also inside the HTTP library's pool, whose lock is then
held and is not reentrant: closing a response there never returns (seen with a stream in a reference cycle). So the
closing is done by another thread, and waited for only as long as it can take where nothing is in its way.

Async: a loop closes the generators that are dropped, in a task. The loops of nest_asyncio do not (a script that begins
with `nest_asyncio.apply()`, as many for LlamaIndex do); nothing can be awaited then, so a task is begun here.
"""

from __future__ import annotations

import _thread
import asyncio
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from typing_extensions import Self

_PATIENCE = 0.05  # seconds; a thread that holds the pool's lock goes on after it, and the closing is done then


def release_elsewhere(response: Any, pieces: Iterator[bytes]) -> None:
    """Close a response in a thread of its own.

    The caller must have kept ``pieces`` reachable until now: the HTTP library's iterator closes the response too when
    it is collected, in whatever thread that happens.

    Args:
        response: The HTTP library's response.
        pieces: The iterator over its body.
    """
    done = _thread.allocate_lock()
    done.acquire()

    def close() -> None:
        try:
            response.close()
            # A user's stand-in for a response may give pieces that cannot be closed.
            end = getattr(pieces, "close", None)
            if end is not None:
                end()
        finally:
            done.release()

    try:
        # Not threading.Thread: its start takes a lock of the module that this thread, too, may hold.
        _thread.start_new_thread(close, ())
    except RuntimeError:  # the interpreter is ending and starts no more threads
        response.close()
        return
    done.acquire(timeout=_PATIENCE)


_RUNNING: set[asyncio.Future[None]] = set()  # asyncio itself keeps a task by a weak reference only


def release_in_loop(loop: asyncio.AbstractEventLoop, response: Any, pieces: AsyncIterator[bytes]) -> None:
    """Close a response in a task of its loop, where nothing may be awaited.

    Args:
        loop: The loop that the response belongs to.
        response: The HTTP library's response.
        pieces: The iterator over its body, which closes the response too when it is collected.
    """

    async def close() -> None:
        await response.aclose()
        end = getattr(pieces, "aclose", None)
        if end is not None:
            await end()

    with suppress(RuntimeError):  # the loop is closed, and its connections with it
        loop.call_soon_threadsafe(lambda: finish_in_loop(loop, close()))


def finish_in_loop(loop: asyncio.AbstractEventLoop, closing: Awaitable[None]) -> None:
    """Close something in a task of its own, which the loop keeps until it is done."""
    task = asyncio.ensure_future(closing, loop=loop)
    _RUNNING.add(task)
    task.add_done_callback(_RUNNING.discard)


T = TypeVar("T")
Step = TypeVar("Step")


class Owned(Generic[T]):
    """A generator that its reader closes, and not the event loop as well.

    When a loop ends, asyncio closes all generators that it knows, each in a task of its own. If one reads another, both
    then close the inner one, and Python logs "aclose(): asynchronous generator is already running" for every pair. So
    the loop knows the outermost only. An inner one that is dropped is still closed by the loop, as any generator is.

    Args:
        generator: One that has not begun.
    """

    __slots__ = ("_begun", "_generator")

    def __init__(self, generator: AsyncGenerator[T, None]) -> None:
        self._generator = generator
        self._begun = False

    def __aiter__(self) -> Self:
        return self

    def __anext__(self) -> Awaitable[T]:
        if self._begun:
            return self._generator.__anext__()
        self._begun = True
        return _untold(self._generator.__anext__)

    def aclose(self) -> Awaitable[None]:
        """Close it; nothing happens where it is closed."""
        self._begun = True
        return _untold(self._generator.aclose)


def _untold(begin: Callable[[], Step]) -> Step:
    """Take the first step of a generator without telling the event loop."""
    tell = sys.get_asyncgen_hooks().firstiter
    sys.set_asyncgen_hooks(firstiter=None)
    try:
        return begin()
    finally:
        sys.set_asyncgen_hooks(firstiter=tell)
