"""An async generator inside another one."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from typing_extensions import Self

T = TypeVar("T")
Step = TypeVar("Step")


class Owned(Generic[T]):
    """A generator that is closed by the one that reads it, and not by the event loop as well.

    When a loop ends, asyncio closes all generators that it was told of, each in a task of its own. Where one reads
    another, both then close the inner one, and Python logs "aclose(): asynchronous generator is already running" for
    every pair, at the end of any program that left a stream early. So the loop is told of the outermost only. An inner
    one that is dropped is still closed by the loop, as any generator is.

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
    """Take the first step of a generator, in which Python would tell the loop of it."""
    tell = sys.get_asyncgen_hooks().firstiter
    sys.set_asyncgen_hooks(firstiter=None)
    try:
        return begin()
    finally:
        sys.set_asyncgen_hooks(firstiter=tell)
