"""Whole answers that take too long, however their bytes come."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest

from hubmix import FailoverPolicy, Hub
from hubmix.errors import HubTimeoutError
from hubmix.failover.limits import Deadline, Limits
from hubmix.failover.options import CallOptions
from hubmix.transport.answer import Answer
from hubmix.transport.deadlines import WATCHDOG
from hubmix.transport.exchange import Attempt
from hubmix.transport.exchange_sync import read_bytes
from tests.hub.conftest import MODEL

PAYLOAD = {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}]}
SHORT = 0.15


CASES = [
    (head, stream, way)
    for head in ("200 OK", "500 Oops", "no end")
    for stream in (False, True)
    for way in ("sync", "async")
]


@pytest.fixture
def dripping(status: str) -> Iterator[str]:
    """A hub that sends a head or a part of it, then a byte now and then."""
    listener = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n"
    if status == "no end":
        head = "HTTP/1.1 200 OK\r\nX-Slow: "

    def serve() -> None:
        with listener, listener.accept()[0] as connection:
            connection.recv(65536)
            try:
                connection.sendall(head.encode())
                while not over.wait(0.01):
                    connection.sendall(b" ")
            except OSError:
                pass  # the client has gone, as it should

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    address = listener.getsockname()
    yield f"http://127.0.0.1:{address[1]}/v1"
    over.set()
    with suppress(OSError):
        socket.create_connection(address, 1).close()  # where nobody had come yet
    thread.join(10)


@pytest.mark.parametrize(("status", "stream", "way"), CASES)
@pytest.mark.parametrize("limit", ["timeout", "total_timeout"])
def test_an_answer_that_comes_byte_by_byte_is_ended(dripping: str, stream: bool, way: str, limit: str) -> None:
    asked = CallOptions(**{limit: SHORT}, policy=FailoverPolicy(max_retries=0))

    def call(hub: Hub) -> None:
        if way == "sync":
            list(hub.stream_chat(PAYLOAD, asked)) if stream else hub.chat(PAYLOAD, asked)
        else:
            asyncio.run(acall(hub))

    async def acall(hub: Hub) -> None:
        if stream:
            _ = [delta async for delta in hub.astream_chat(PAYLOAD, asked)]
        else:
            await hub.achat(PAYLOAD, asked)

    started = time.monotonic()
    with Hub(base_url=dripping, api_key="sk-test") as hub, pytest.raises(HubTimeoutError) as caught:
        call(hub)
    assert time.monotonic() - started < 60  # without an end from here it would never return
    assert caught.value.scope.value == ("model" if limit == "timeout" else "request")
    assert not WATCHDOG._watches


def test_a_silence_in_a_body_has_only_the_time_that_is_left() -> None:
    timeouts: dict[str, Any] = {"read": 10.0}
    response = SimpleNamespace(
        request=SimpleNamespace(extensions={"timeout": timeouts}),
        headers={},
        is_stream_consumed=False,
        iter_raw=lambda: iter([b"{}"]),
        close=lambda: None,
    )
    answer = Answer(response, 200, "application/json", None, {})
    attempt = Attempt(Limits(total=Deadline(time.monotonic() + 1, "total_timeout", 10)), stream=False)
    assert read_bytes(answer, attempt, 2) == b"{}"
    assert timeouts["read"] <= 1


@pytest.mark.parametrize("stream", [False, True])
def test_connecting_has_less_time_than_the_attempt(stream: bool) -> None:
    timeout = Attempt(Limits(timeout=5.0), stream=stream).http_timeout()
    assert timeout.connect < timeout.read == pytest.approx(5.0)
