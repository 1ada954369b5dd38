"""The ways to ask a chat model: framework, sync or async, whole or streamed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any


@dataclass(frozen=True, slots=True)
class Way:
    """One way to ask; a subclass says how."""

    framework: str
    waits: bool
    stream: bool

    def __str__(self) -> str:
        return f"{self.framework}-{'sync' if self.waits else 'async'}-{'stream' if self.stream else 'whole'}"

    @classmethod
    def every(cls) -> list[Any]:
        """Return all eight ways."""
        flags = [(waits, stream) for waits in (True, False) for stream in (False, True)]
        return [cls(name, *each) for name in ("langchain", "llamaindex") for each in flags]


async def collected(stream: Any) -> list[Any]:
    """Return the pieces of an async stream."""
    return [piece async for piece in stream]


async def opened(given: Any) -> list[Any]:
    """Return the pieces of a stream that has to be awaited first."""
    return await collected(await given)


def whole_of(chunks: list[Any]) -> Any:
    """Return the sum of LangChain's chunks."""
    return reduce(add, chunks)
