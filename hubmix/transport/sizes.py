"""How large an answer may be, and its bytes, unpacked piece by piece.

A packed answer of some kilobytes can hold gigabytes, and the HTTP libraries unpack what they have received at once
(httpx 0.28, `zlib` without `max_length`). So the bytes are unpacked here, a megabyte at a time, and counted.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import anyio

from hubmix._compat import http
from hubmix.errors import ConfigurationError
from hubmix.transport.bounded import time_is_over

ACCEPTED = "gzip, deflate"
"""The codings that a hub is asked for, and those that are unpacked here."""

ERROR_BODY = 1_000_000
"""Bytes of the body of an error; its message is a few hundred."""

PIECE = 1 << 20
"""Bytes that are unpacked or read at once."""


NO_MEMORY = "There is not enough memory for the answer."


class BodyError(Exception):
    """The body of an answer cannot be taken: it is too large, or badly packed.

    `status` is the HTTP status of an error whose body it is.
    """

    status: int | None = None


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many bytes a hub may send, counted after decompression.

    Args:
        body: of a whole answer, or of a page such as the list of models.

    Raises:
        ConfigurationError: If it is no positive number of bytes.
    """

    body: int = 64_000_000

    def __post_init__(self) -> None:
        if not isinstance(self.body, int) or isinstance(self.body, bool) or self.body < 1:
            raise ConfigurationError(f"max_body must be a positive number of bytes, not {self.body!r}.")

    @property
    def stream(self) -> int:
        """Bytes of a whole stream: each token comes with 200 of its own."""
        return 4 * self.body

    @property
    def event(self) -> int:
        """Bytes of one event of a stream, which is held until it has ended."""
        return max(self.body // 4, 1)


SIZES = Sizes()
"""The sizes of a hub that names none."""


def too_large(what: str, largest: int) -> BodyError:
    """Return the error for more bytes than are allowed."""
    size = f"{largest / 1_000_000:g} MB" if largest >= 1_000_000 else f"{largest} bytes"
    hint = "." if largest == ERROR_BODY else "; Hub(max_body=…) sets how much is read."
    return BodyError(f"{what} is larger than {size}{hint}")


class Body:
    """A body as far as it has come.

    Args:
        largest: the bytes that it may have.
        what: its name in an error.
    """

    __slots__ = ("_bytes", "_largest", "_what")

    def __init__(self, largest: int, what: str = "The answer") -> None:
        self._bytes = BytesIO()  # a list of pieces would cost more than their bytes if each has one or two
        self._largest = largest
        self._what = what

    def take(self, piece: bytes) -> None:
        """Take the next bytes.

        Raises:
            BodyError: If there are too many of them.
        """
        if self._bytes.tell() + len(piece) > self._largest:
            raise too_large(self._what, self._largest)
        try:
            self._bytes.write(piece)
        except MemoryError as error:
            raise BodyError(NO_MEMORY) from error

    @property
    def value(self) -> bytes:
        """All bytes."""
        return self._bytes.getvalue()


def read_all(response: Any, largest: int, what: str = "The answer") -> bytes:
    """Read an open response to its end, and close it.

    Args:
        response: the HTTP library's response.
        largest: the bytes that it may have.
        what: its name in an error.

    Raises:
        BodyError: If it is too large or badly packed.
    """
    body = Body(largest, what)
    try:
        for piece in pieces_of(response):
            body.take(piece)
            # A client of the user's limits each read by itself.
            if time_is_over():
                raise http().ReadTimeout("The time of the request was over.")
    finally:
        response.close()
    return body.value


async def aread_all(response: Any, largest: int, what: str = "The answer") -> bytes:
    """`read_all`, for asyncio."""
    body = Body(largest, what)
    try:
        async for piece in apieces_of(response):
            body.take(piece)
    finally:
        with anyio.CancelScope(shield=True):
            await response.aclose()
    return body.value


def pieces_of(response: Any) -> Iterator[bytes]:
    """Return the unpacked bytes of a response, as they come.

    Its iterator raises `BodyError` if they are badly packed.
    """
    if response.is_stream_consumed:  # made with its content, as by a transport that answers in tests
        return iter((response.content,))
    unpack = _unpacker(response)
    return response.iter_raw() if unpack is None else _unpacked(response.iter_raw(), unpack)


def apieces_of(response: Any) -> AsyncIterator[bytes]:
    """`pieces_of`, for asyncio."""
    if response.is_stream_consumed:
        return _once(response.content)
    unpack = _unpacker(response)
    return response.aiter_raw() if unpack is None else _aunpacked(response.aiter_raw(), unpack)


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content


def _unpacked(pieces: Iterator[bytes], unpack: Callable[[bytes], Iterator[bytes]]) -> Iterator[bytes]:
    for piece in pieces:
        yield from unpack(piece)


async def _aunpacked(pieces: AsyncIterator[bytes], unpack: Callable[[bytes], Iterator[bytes]]) -> AsyncIterator[bytes]:
    async for piece in pieces:
        for unpacked in unpack(piece):
            yield unpacked


def _unpacker(response: Any) -> Callable[[bytes], Iterator[bytes]] | None:
    coding = response.headers.get("content-encoding", "").strip().lower()
    if coding in ("", "identity"):
        return None
    if coding in ("gzip", "x-gzip"):
        return _Zlib(zlib.MAX_WBITS | 16).unpack
    if coding == "deflate":
        return _Deflate().unpack

    def refuse(_: bytes) -> Iterator[bytes]:
        # Also a body that is packed twice: each layer multiplies the size by a thousand.
        raise BodyError(f"The answer is packed as {coding[:40]!r}, which was not asked for.")

    return refuse


class _Zlib:
    __slots__ = ("_unpack",)

    def __init__(self, bits: int) -> None:
        self._unpack = zlib.decompressobj(bits)

    def unpack(self, data: bytes) -> Iterator[bytes]:
        try:
            while piece := self._unpack.decompress(data, PIECE):
                yield piece
                data = self._unpack.unconsumed_tail
        except zlib.error as error:
            raise BodyError(f"The answer is badly packed: {error}.") from error


class _Deflate:
    """`deflate` with the header of zlib, or without, as some servers send it."""

    __slots__ = ("_inner",)

    def __init__(self) -> None:
        self._inner: _Zlib | None = None

    def unpack(self, data: bytes) -> Iterator[bytes]:
        if self._inner is None:
            # The first byte of zlib's header names method 8; no block of deflate begins so.
            zlib_header = bool(data) and data[0] & 0x0F == 8
            self._inner = _Zlib(zlib.MAX_WBITS if zlib_header else -zlib.MAX_WBITS)
        return self._inner.unpack(data)
