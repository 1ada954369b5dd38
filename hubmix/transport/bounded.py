"""Reads that end by a moment, or when another thread says so.

The HTTP libraries limit each read by itself: a head, or the body of an error, that comes byte by byte outlasts every
timeout. What they read from is replaced here by streams that also know when the thread's request has to be over.
A blocked read is ended by shutting its socket down (see `deadlines`).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

import anyio

from hubmix.failover.limits import Stop
from hubmix.transport.deadlines import shutdown_of


class _Until(threading.local):
    at = float("inf")
    stop: Stop | None = None


_UNTIL = _Until()


class ReadingUntil:
    """Ends each read of this thread over a `bounded` client by a moment."""

    __slots__ = ("_at", "_before")

    def __init__(self, at: float) -> None:
        self._at = at

    def __enter__(self) -> None:
        self._before, _UNTIL.at = _UNTIL.at, self._at

    def __exit__(self, *_: object) -> None:
        _UNTIL.at = self._before


def stopped_by(stop: Stop) -> None:
    """Let another thread end the reads of this one, which ends with its request."""
    _UNTIL.stop = stop


def time_is_over() -> bool:
    """Return whether this thread's request has to be over."""
    return monotonic() >= _UNTIL.at


@contextmanager
def waiting_for(seconds: float) -> Iterator[None]:
    """Leave what is awaited inside after so many seconds."""
    with anyio.move_on_after(seconds):
        yield


def bounded(client: Any) -> Any:
    """Let a sync HTTP client of ours go by `ReadingUntil`.

    httpx gives no public way to the network backend of its transports. If a version of it keeps the backend elsewhere,
    the client works without this bound.
    """
    for transport in (client._transport, *client._mounts.values()):
        pool: Any = getattr(transport, "_pool", None)
        backend = getattr(pool, "_network_backend", None)
        if backend is not None and not isinstance(backend, _Backend):
            pool._network_backend = _Backend(backend)
    return client


def _bounded(timeout: float | None, stop: Stop | None = None) -> float | None:
    at = _UNTIL.at
    if stop is not None and stop.is_set:
        return 0.001  # 0 would mean: do not block
    if at == float("inf"):
        return timeout
    left = max(at - monotonic(), 0.001)
    return left if timeout is None else min(timeout, left)


class _Backend:
    """A network backend of httpcore whose streams are `_Stream`s."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend

    def connect_tcp(self, host: str, port: int, timeout: float | None = None, **options: Any) -> _Stream:
        return _Stream(self._backend.connect_tcp(host, port, timeout=_bounded(timeout, _UNTIL.stop), **options))

    def connect_unix_socket(self, path: str, timeout: float | None = None, **options: Any) -> _Stream:
        return _Stream(self._backend.connect_unix_socket(path, timeout=_bounded(timeout, _UNTIL.stop), **options))

    def sleep(self, seconds: float) -> None:
        self._backend.sleep(seconds)


class _Stream:
    """A network stream of httpcore."""

    __slots__ = ("_stream",)

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> Any:
        stop = _UNTIL.stop
        if stop is None:
            return self._stream.read(max_bytes, _bounded(timeout))
        with stop.waking(shutdown_of(self._stream.get_extra_info("socket"))):
            return self._stream.read(max_bytes, _bounded(timeout, stop))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _bounded(timeout, _UNTIL.stop))

    def close(self) -> None:
        self._stream.close()

    def start_tls(self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None) -> _Stream:
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, _bounded(timeout, _UNTIL.stop)))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
