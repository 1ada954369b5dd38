"""Kind: `timeout` holds in every phase of a request, whatever drips or stalls."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from hubmix import CallOptions, FailoverPolicy, Hub, HubmixError
from hubmix.errors import HubTimeoutError
from hubmix.failover.breakers import REGISTRY

PAYLOAD = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
SHORT = 0.3  # seconds
EVERY = 0.02  # seconds between two pieces; each is far within `timeout`
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
ERROR = b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\n"
LONG, CHUNKED = b"Content-Length: 1000000\r\n\r\n{", b"Transfer-Encoding: chunked\r\n\r\n"
ROLE = b'data: {"choices": [{"delta": {"role": "assistant"}}]}\n\n'

# What is sent at once, and what follows again and again.
PHASES: Mapping[str, tuple[bytes, bytes]] = {
    "nothing comes": (b"", b""),
    "status line drips": (b"HTTP/1.1 200 O", b"K"),
    "headers drip": (OK, b"X-A: b\r\n"),
    "endless 103": (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
    "body stalls": (OK + LONG, b""),
    "body drips": (OK + LONG, b" "),
    "body without a length drips": (OK + b"\r\n", b" "),
    "chunks drip": (OK + CHUNKED, b"1\r\n \r\n"),
    "length of a chunk drips": (OK + CHUNKED, b"0"),
    "packed body drips": (OK + b"Content-Encoding: gzip\r\n\r\n\x1f\x8b\x08\x08", b"a"),
    "error stalls": (ERROR + LONG, b""),
    "error drips": (ERROR + LONG, b" "),
    "chunks of an error drip": (ERROR + CHUNKED, b"1\r\n \r\n"),
    "stream stalls": (EVENTS, b""),
    "endless comments": (EVENTS, b": ping\n\n"),
    "endless role chunks": (EVENTS, ROLE),
}


@contextmanager
def serving(first: bytes, again: bytes, *, reads: bool = True) -> Iterator[str]:
    """A server that goes on until its clients have left, or the test is over."""
    over, listener = threading.Event(), socket.create_server(("127.0.0.1", 0))

    def serve(client: socket.socket) -> None:
        with client, suppress(OSError):
            if reads:
                client.recv(65_536)
                client.sendall(first)
            while not over.wait(EVERY):
                client.sendall(again)

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    finally:
        over.set()
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()


async def collected(hub: Hub, payload: dict[str, Any], options: CallOptions) -> list[Any]:
    return [delta async for delta in hub.astream_chat(payload, options)]


ASKS: Mapping[str, Callable[[Hub, dict[str, Any], CallOptions], Any]] = {
    "whole": lambda hub, payload, options: hub.chat(payload, options),
    "stream": lambda hub, payload, options: list(hub.stream_chat(payload, options)),
    "async whole": lambda hub, payload, options: asyncio.run(hub.achat(payload, options)),
    "async stream": lambda hub, payload, options: asyncio.run(collected(hub, payload, options)),
}
# Seconds for each request of a page means the request, not each read.
PAGES: Mapping[str, Callable[[Hub, dict[str, Any], CallOptions], Any]] = {
    "page": lambda hub, payload, options: hub.get("/models", timeout=options.timeout),
    "async page": lambda hub, payload, options: asyncio.run(hub.aget("/models", timeout=options.timeout)),
}


def outcome(ask: Callable[[], Any]) -> HubmixError | None:
    """Return the error of a call."""
    try:
        ask()
    except HubmixError as error:
        return error
    return None


def asked(
    asks: Mapping[str, Callable[[Hub, dict[str, Any], CallOptions], Any]],
    base_url: str,
    payload: dict[str, Any],
    **limits: float,
) -> dict[str, HubmixError | None]:
    """Ask in all these ways at once. Without an end from here, none would return."""
    REGISTRY.reset()
    options = CallOptions(policy=FailoverPolicy(max_retries=0), **limits)

    def ask(way: str) -> HubmixError | None:
        hub = Hub(base_url=base_url, api_key="sk-test")
        return outcome(lambda: asks[way](hub, payload, options))

    with ThreadPoolExecutor(len(asks)) as pool:
        return dict(zip(asks, pool.map(ask, asks), strict=True))


@pytest.mark.parametrize("limit", ["timeout", pytest.param("total_timeout", marks=pytest.mark.slow)])
@pytest.mark.parametrize("phase", PHASES)
def test_call_ends_by_its_limit_in_every_phase(phase: str, limit: str) -> None:
    first, again = PHASES[phase]
    asks = ASKS if limit == "total_timeout" or first.startswith(EVENTS) else {**ASKS, **PAGES}
    with serving(first, again) as base_url:
        found = asked(asks, base_url, PAYLOAD, **{limit: SHORT})
    assert {way: type(error) for way, error in found.items()} == dict.fromkeys(asks, HubTimeoutError)


def test_hub_that_never_reads_is_left_in_time() -> None:
    long = {"model": "m", "messages": [{"role": "user", "content": "x" * 20_000_000}]}
    with serving(b"", b"", reads=False) as base_url:
        found = asked(ASKS, base_url, long, timeout=SHORT)
    assert None not in found.values()
