"""What breaks on the way means the same on every HTTP backend of async calls."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from time import monotonic
from typing import Any

import openai
import pytest

from hubmix import CallOptions, FailoverPolicy, Hub, errors
from hubmix._compat import http
from hubmix.embedded import EmbeddedHub, Fault
from hubmix.embedded.faults import refused_url
from hubmix.failover.breakers import BreakerState
from hubmix.transport.clients import async_http_client
from hubmix.transport.evidence import failure_evidence
from hubmix.transport.exchange import Attempt
from tests.failover.ways import EVERY, FIRST, SECOND, Way
from tests.support.backends import BACKENDS, choose, client_of
from tests.support.raw_hub import Play, RawHub, head, resets, says

QUESTION = [{"role": "user", "content": "hello"}]
TO_B = CallOptions(fallbacks=("b",), policy=FailoverPolicy(max_retries=1))
HALF = b'{"id": "x"'


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    return choose(request.param, monkeypatch)


def marks(hub: Hub) -> list[tuple[str, str | None]]:
    """What is held against whom: no endpoint may be among it."""
    states: list[BreakerState] = hub.health()
    return [(state.target, state.model) for state in states]


BROKEN: dict[str, tuple[Play, str]] = {
    "closed before the head": (says(b""), "reset"),
    "reset before the head": (resets(), "reset"),
    "closed in the head": (says(b"HTTP/1.1 200 OK\r\ncontent-type: app"), "reset"),
    "another protocol": (says(b"SSH-2.0-OpenSSH_9\r\n"), "reset"),
    "a status that is no number": (says(b"HTTP/1.1 abc OK\r\n\r\n"), "reset"),
    "closed in the body": (says(head(HALF * 50) + HALF), "reset"),
    "no compressed body": (says(head(b"{}", "content-encoding: gzip") + b"{}"), "garbled"),
}


@pytest.mark.parametrize(("play", "kind"), BROKEN.values(), ids=BROKEN)
async def test_broken_answer_goes_to_the_fallback(backend: str, play: Play, kind: str) -> None:
    """A request that was sent may have been billed: it is sent twice, not three times."""
    with RawHub(a=play) as raw:
        hub = Hub(base_url=raw.base_url, api_key="sk-test")
        reply = await hub.achat({"model": "a", "messages": QUESTION}, TO_B)
        await hub.aclose()
    assert reply.text == "hello"
    assert reply.trace is not None
    assert [(a.model, a.kind) for a in reply.trace.attempts] == [("a", kind), ("a", kind), ("b", None)]
    assert raw.models == ["a", "a", "b"]
    assert marks(hub) == [("model", "a")]


@pytest.mark.parametrize(
    ("url", "cause"),
    [(refused_url, "refused"), (lambda: refused_url().replace("http:", "https:"), "refused")],
    ids=["plain", "TLS"],
)
async def test_refused_connection_is_named(backend: str, url: Any, cause: str) -> None:
    async with client_of(backend) as client:
        with pytest.raises(http().RequestError) as caught:
            await client.get(url())
    evidence = failure_evidence(caught.value, "open")
    assert evidence is not None
    assert (evidence.cause, evidence.phase) == (cause, "connect")


async def test_plain_answer_to_a_handshake_is_a_fault_of_tls(backend: str) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with client_of(backend) as client:
        with pytest.raises(http().RequestError) as caught:
            await client.get(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
    server.close()
    evidence = failure_evidence(caught.value, "open")
    assert evidence is not None
    assert (evidence.cause, evidence.phase) == ("tls", "connect")


LIMITS = {"connection": (0.01, 600.0), "answer": (600.0, 0.01)}


@pytest.mark.parametrize("first", LIMITS)
async def test_full_pool_is_the_callers_own(
    backend: str, first: str, server: EmbeddedHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever limit ends the wait, it is none of the vendor's and asks no fallback."""
    pool, read = LIMITS[first]
    busy = {"model": "embedded/lorem:40", "messages": QUESTION}
    server.fault(busy["model"], Fault.stall(4))  # aiohttp takes a connection back when the answer has come, read or not
    async with client_of(backend, limits=http().Limits(max_connections=1)) as client:
        hub = Hub(base_url=server.base_url, api_key=server.api_key, http_async_client=client)
        async with aclosing(hub.astream_chat(busy)) as held:
            await held.__anext__()

            def short(attempt: Attempt) -> Any:
                attempt.deadline = replace(attempt.deadline, at=monotonic() + read)
                return http().Timeout(600.0, pool=pool, read=read)

            monkeypatch.setattr(Attempt, "http_timeout", short)
            with pytest.raises(errors.HubConnectionError, match="connections to the hub were in use") as caught:
                await hub.achat({"model": "a", "messages": QUESTION}, TO_B)
    assert {(attempt.model, attempt.kind) for attempt in caught.value.attempts} == {("a", "connect")}
    assert [request.model for request in server.requests] == [busy["model"]]
    assert hub.health() == []


@pytest.mark.parametrize("way", EVERY, ids=str)
async def test_frameworks_are_answered_over_the_backend(
    backend: str, way: Way, server: EmbeddedHub, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sync calls go the same way with the extra and without it."""
    used: list[str] = []

    def noted(kind: str, make: Any, **options: Any) -> Any:
        client = make(**options)
        transport = getattr(client._transport, "inner", client._transport)
        used.append(f"{kind} {'aiohttp' if 'aiohttp' in type(transport).__module__ else 'own'}")
        return client

    clients = "hubmix.transport.clients"
    monkeypatch.setattr(f"{clients}.async_http_client", partial(noted, "async", async_http_client))
    monkeypatch.setattr("openai.DefaultHttpxClient", partial(noted, "sync", openai.DefaultHttpxClient))
    server.fault(FIRST, Fault.reset(), times=None)
    pieces: list[str] = []
    said = await way.ask(hub, FIRST, SECOND, pieces=pieces)
    assert "sky" in said.text
    assert said.asked == [(FIRST, "reset"), (FIRST, "reset"), (SECOND, None)]
    assert "".join(pieces) == (said.text if way.stream else "")
    assert used == ["sync own" if way.waits else f"async {backend}"]
