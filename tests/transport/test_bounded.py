"""Reads that end by a moment, with streams made by hand."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from hubmix._compat import http
from hubmix.transport import bounded as module
from hubmix.transport.bounded import ReadingUntil, bounded


class Stream:
    """A network stream that remembers the timeouts it was read with."""

    def __init__(self) -> None:
        self.timeouts: list[float | None] = []

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self.timeouts.append(timeout)
        return b""

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self.timeouts.append(timeout)

    def start_tls(self, context: Any, host: str | None = None, timeout: float | None = None) -> Stream:
        self.timeouts.append(timeout)
        return self


class Backend:
    """A network backend that gives one stream."""

    def __init__(self) -> None:
        self.stream = Stream()

    def connect_tcp(self, host: str, port: int, timeout: float | None = None, **options: Any) -> Stream:
        self.stream.timeouts.append(timeout)
        return self.stream


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    at = [100.0]
    monkeypatch.setattr(module, "monotonic", lambda: at[0])
    return at


def test_each_read_has_only_what_is_left(now: list[float]) -> None:
    backend = Backend()
    stream = module._Backend(backend).connect_tcp("hub.example", 443, timeout=10.0)
    with ReadingUntil(105.0):
        stream.read(1, 10.0)
        now[0] = 104.0
        stream.write(b"x", 10.0)
        stream.start_tls(None, "hub.example", 0.5).read(1)
        now[0] = 200.0
        stream.read(1, 10.0)
    stream.read(1, 10.0)
    assert backend.stream.timeouts == [10.0, 5.0, 1.0, 0.5, 1.0, 0.001, 10.0]


def test_a_moment_holds_in_its_own_thread_alone(now: list[float]) -> None:
    backend = Backend()
    stream = module._Backend(backend).connect_tcp("hub.example", 443)
    with ReadingUntil(105.0):
        thread = threading.Thread(target=stream.read, args=(1, 7.0))
        thread.start()
        thread.join()
    assert backend.stream.timeouts == [None, 7.0]


def test_a_client_of_ours_goes_by_it() -> None:
    """If this fails, httpx keeps its network backend elsewhere."""
    with http().Client() as client:
        assert isinstance(bounded(client)._transport._pool._network_backend, module._Backend)
        assert bounded(client) is client
