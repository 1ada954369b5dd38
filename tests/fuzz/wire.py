"""Answers as bytes on the wire, cut anywhere, without a socket.

The HTTP library reads them from a network backend of ours, so its own parser sees each cut.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from hubmix._compat import http


class Wire:
    """What the next connection of a client brings.

    `data` is all bytes of the answer. With `resets`, the connection breaks at their end, in place of an orderly close.
    """

    def __init__(self) -> None:
        self.data = b""
        self.resets = False
        self.opened = 0
        self.closed = 0

    def client(self) -> Any:
        """Return a sync client that reads from here."""
        transport = http().HTTPTransport(verify=False)
        transport._pool._network_backend = _Backend(self)
        return http().Client(transport=transport)

    def async_client(self) -> Any:
        """`client`, for asyncio."""
        transport = http().AsyncHTTPTransport(verify=False)
        transport._pool._network_backend = _AsyncBackend(self)
        return http().AsyncClient(transport=transport)


class _Stream:
    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._rest = wire.data
        self._is_open = True
        wire.opened += 1

    def _read(self, max_bytes: int) -> bytes:
        piece, self._rest = self._rest[:max_bytes], self._rest[max_bytes:]
        if not piece and self._wire.resets:
            raise _core().ReadError("Connection reset by peer")
        return piece

    def _close(self) -> None:
        self._wire.closed += self._is_open
        self._is_open = False

    def get_extra_info(self, info: str) -> Any:
        return None


class _SyncStream(_Stream):
    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._read(max_bytes)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        pass

    def close(self) -> None:
        self._close()


class _AsyncStream(_Stream):
    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._read(max_bytes)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        pass

    async def aclose(self) -> None:
        self._close()


class _Backend:
    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def connect_tcp(self, *_: Any, **__: Any) -> _SyncStream:
        return _SyncStream(self._wire)


class _AsyncBackend:
    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def connect_tcp(self, *_: Any, **__: Any) -> _AsyncStream:
        return _AsyncStream(self._wire)


def _core() -> Any:
    """Return the module whose errors the HTTP library translates."""
    return sys.modules["httpcore2" if http().__name__ == "httpx2" else "httpcore"]


def _with_length(body: bytes) -> tuple[str, bytes]:
    return f"Content-Length: {len(body)}\r\n", body


def _chunked(body: bytes) -> tuple[str, bytes]:
    pieces = [body[at : at + 50] for at in range(0, len(body), 50)]
    return "Transfer-Encoding: chunked\r\n", b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces) + b"0\r\n\r\n"


def _until_closed(body: bytes) -> tuple[str, bytes]:
    return "Connection: close\r\n", body


FRAMINGS: Mapping[str, Any] = {"length": _with_length, "chunked": _chunked, "until closed": _until_closed}


def framed(body: bytes, framing: str, content_type: str, status: int = 200) -> bytes:
    """Return a whole answer as bytes."""
    header, sent = FRAMINGS[framing](body)
    return f"HTTP/1.1 {status} X\r\nContent-Type: {content_type}\r\n{header}\r\n".encode() + sent
