"""What a process keeps when nobody asks: no connection too long, one TLS context."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import sys
import time
from importlib import import_module
from typing import Any

import pytest

from hubmix import CallOptions, FailoverPolicy, Hub, HubConnectionError
from hubmix._compat import http
from hubmix.embedded import EmbeddedHub
from hubmix.embedded.faults import refused_url
from hubmix.transport import clients
from hubmix.transport.pool import IDLE
from tests.hub.conftest import MODEL, OTHER
from tests.support.backends import AIOHTTP, BACKENDS, choose, connections

PAYLOAD: dict[str, Any] = {"model": MODEL, "messages": [{"role": "user", "content": "hello"}]}
BURST = 40  # streams, over three pools


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    return choose(request.param, monkeypatch)


class Clock:
    """The HTTP libraries' own clock, which a test puts forward."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, backend: str) -> None:
        self.later = 0.0
        if backend == AIOHTTP:
            monkeypatch.setattr("aiohttp.connector.monotonic", self.monotonic)
        else:
            name = "httpcore2" if http().__name__ == "httpx2" else "httpcore"
            monkeypatch.setattr(import_module(f"{name}._async.http11"), "time", self)

    def monotonic(self) -> float:
        return time.monotonic() + self.later


async def settled(client: Any) -> None:
    """Return when no connection is left; the time limit of every test ends it."""
    while connections(client) != (0, 0):  # noqa: ASYNC110 - nothing tells of the end
        await asyncio.sleep(0)


async def test_idle_connections_close_without_a_call(
    backend: str, hub: Hub, server: EmbeddedHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a burst of 400 streams 257 connections were open a minute later."""
    clock = Clock(monkeypatch, backend)
    monkeypatch.setattr("hubmix.transport.idle.EVERY", 0.0)

    async def read() -> None:
        async for _ in hub.astream_chat(PAYLOAD):
            pass

    await asyncio.gather(*(read() for _ in range(BURST)))
    client = await hub.pool.current()
    busy, idle = connections(client)
    assert busy == 0
    assert idle > 0
    clock.later = IDLE + 1
    await settled(client)
    assert (await hub.achat({**PAYLOAD, "model": OTHER})).text == "hello"
    await hub.aclose()


@pytest.fixture
def contexts(monkeypatch: pytest.MonkeyPatch) -> list[type]:
    """The TLS contexts made during a test."""
    made: list[type] = []
    new = ssl.SSLContext.__new__

    def counted(cls: type, *args: Any, **options: Any) -> ssl.SSLContext:
        made.append(cls)
        return new(cls, *args, **options)

    monkeypatch.setattr(ssl.SSLContext, "__new__", staticmethod(counted))
    clients._tls_context.cache_clear()
    return made


def test_loops_of_a_plain_hub_make_no_tls_context(server: EmbeddedHub, backend: str, contexts: list[type]) -> None:
    with Hub(base_url=server.base_url, api_key=server.api_key) as hub:

        async def go() -> str:
            return (await hub.achat({**PAYLOAD, "model": OTHER})).text

        assert asyncio.run(go()) == "hello"
        first = len(contexts)  # aiohttp makes its own when it is imported
        assert first == 0 or backend == AIOHTTP
        assert {asyncio.run(go()) for _ in range(20)} == {"hello"}
        assert hub.chat({**PAYLOAD, "model": OTHER}).text == "hello"
    assert len(contexts) == first


def test_loops_of_a_hub_share_one_tls_context(backend: str, contexts: list[type]) -> None:
    once = CallOptions(policy=FailoverPolicy(max_retries=0))
    with Hub(base_url=refused_url().replace("http:", "https:"), api_key="sk-test") as hub:

        async def go() -> None:
            with pytest.raises(HubConnectionError):
                await hub.achat(PAYLOAD, once)

        asyncio.run(go())
        first = len(contexts)
        assert first > 0
        for _ in range(20):
            asyncio.run(go())
        with pytest.raises(HubConnectionError):
            hub.chat(PAYLOAD, once)
    assert len(contexts) == first


COLD = """
import asyncio, sys
import hubmix.hub.calls as calls
from hubmix import CallOptions, Hub

known = set()

def noted(run):
    def begin(*given):
        known.update(sys.modules)
        return run(*given)
    return begin

calls.run_sync, calls.run_async = noted(calls.run_sync), noted(calls.run_async)
hub = Hub(base_url=sys.argv[1], api_key=sys.argv[2])
payload = {"model": "embedded/echo", "messages": [{"role": "user", "content": "hello"}]}
if sys.argv[3] == "sync":
    hub.chat(payload)
else:
    asyncio.run(hub.achat(payload))
late = {name.partition(".")[0] for name in set(sys.modules) - known}
print(sorted(late & {"openai", "httpx", "httpx2", "httpcore", "httpcore2", "aiohttp", "httpx_aiohttp", "hubmix"}))
"""


@pytest.mark.parametrize("way", ["sync", "async"])
def test_time_of_a_call_begins_after_the_imports(server: EmbeddedHub, way: str) -> None:
    """On a busy machine importing the SDK took 5 s, which was all of `total_timeout`."""
    told = [sys.executable, "-c", COLD, server.base_url, server.api_key, way]
    done = subprocess.run(told, capture_output=True, text=True, timeout=120)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
