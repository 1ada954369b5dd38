"""A dropped stream gives its connection back, even if its thread holds the lock."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from hubmix.transport.closing import release_elsewhere


class Response:
    """Closes under a lock that is not reentrant, as the HTTP library's pool has one."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.closed = threading.Event()

    def close(self) -> None:
        with self.lock:
            self.closed.set()


def pieces() -> Iterator[bytes]:
    yield b"a"
    yield b"b"


def test_it_is_closed_when_the_call_returns() -> None:
    response, body = Response(), pieces()
    next(body)
    release_elsewhere(response, body)
    assert response.closed.is_set()
    assert next(body, None) is None


def test_a_thread_that_holds_the_lock_goes_on() -> None:
    response = Response()
    with response.lock:
        release_elsewhere(response, pieces())
        assert not response.closed.is_set()
    assert response.closed.wait(10)


def test_pieces_that_cannot_be_closed_are_left() -> None:
    response = Response()
    release_elsewhere(response, iter((b"a",)))
    assert response.closed.is_set()
