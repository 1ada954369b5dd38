"""The SDK's clients: one a loop, none that outlives it or crosses a fork."""

from __future__ import annotations

import asyncio
import copy
import gc
import multiprocessing
import os
import pickle
import threading
import weakref
from importlib.util import find_spec
from typing import Any

import pytest

from hubmix import CallOptions, ConfigurationError, FailoverPolicy, Hub, HubConnectionError
from hubmix._compat import http
from hubmix.embedded import EmbeddedHub, refused_url
from hubmix.transport.endpoint import Endpoint
from tests.hub.conftest import OTHER

PAYLOAD: dict[str, Any] = {"model": OTHER, "messages": [{"role": "user", "content": "hello"}]}


def test_a_hundred_loops_in_a_row(hub: Hub) -> None:
    async def go() -> str:
        return (await hub.achat(PAYLOAD)).text

    assert {asyncio.run(go()) for _ in range(100)} == {"hello"}


def test_a_loop_is_not_kept_alive_and_its_client_is_closed(hub: Hub) -> None:
    seen: list[Any] = []

    async def go() -> None:
        await hub.achat(PAYLOAD)
        client = await hub.pool.current()
        inner = client._client
        seen.append(weakref.ref(asyncio.get_running_loop()))
        # The client itself would keep its loop alive in this test; whether it was closed is seen without it.
        weakref.finalize(inner, seen.append, "gone")
        close = inner.aclose
        inner.aclose = lambda: (seen.append("closed"), close())[1]
        assert client is await hub.pool.current()

    asyncio.run(go())
    gc.collect()
    assert seen[0]() is None
    assert seen[1:] == ["closed", "gone"]


def test_loops_in_threads(hub: Hub) -> None:
    answers: list[str] = []

    async def go() -> None:
        replies = await asyncio.gather(*(hub.achat(PAYLOAD) for _ in range(5)))
        answers.extend(reply.text for reply in replies)

    threads = [threading.Thread(target=lambda: asyncio.run(go())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == ["hello"] * 40


def test_one_sync_client_for_all_threads(hub: Hub) -> None:
    found: set[int] = set()
    threads = [threading.Thread(target=lambda: found.add(id(hub.pool.sync()))) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 1


def test_copies_start_without_connections(hub: Hub) -> None:
    hub.chat(PAYLOAD)
    for twin in (pickle.loads(pickle.dumps(hub)), copy.deepcopy(hub), copy.copy(hub)):
        assert twin._connection._pool is None
        assert twin.chat(PAYLOAD).text == "hello"
        twin.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_opens_its_own_connections(hub: Hub) -> None:
    hub.chat(PAYLOAD)
    parents = id(hub.pool.sync())
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_in_child, args=(hub, queue, parents))
    child.start()
    assert queue.get(timeout=20) == ("hello", True)
    child.join(20)
    assert hub.chat(PAYLOAD).text == "hello"


def _in_child(hub: Hub, queue: Any, parents: int) -> None:
    queue.put((hub.chat(PAYLOAD).text, id(hub.pool.sync()) != parents))


async def test_clients_of_the_users_are_used_and_left_open(server: EmbeddedHub) -> None:
    library = http()
    with library.Client(trust_env=False) as client:
        async with library.AsyncClient(trust_env=False) as async_client:
            made = Hub(
                base_url=server.base_url, api_key=server.api_key, http_client=client, http_async_client=async_client
            )
            assert made.pool.sync()._client is client
            assert made.chat(PAYLOAD).text == "hello"
            assert (await made.achat(PAYLOAD)).text == "hello"
            await made.aclose()
            assert not client.is_closed
            assert not async_client.is_closed


def test_what_is_sent_and_what_is_not(server: EmbeddedHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org-secret")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-secret")
    given = {"base_url": server.base_url, "api_key": server.api_key}
    for made in (Hub(**given), Hub(**given, app_code="abc", default_headers={"accept-language": "zh", "X-Mine": "1"})):
        made.chat(PAYLOAD, CallOptions(headers={"X-Call": "2"}))
        made.close()
    plain, own = (({k.lower(): v for k, v in r.headers.items()}) for r in server.requests)
    assert "secret" not in str(plain)
    assert "app-code" not in plain
    assert plain["accept-language"] == "en"
    assert own["app-code"] == "abc"
    assert own["accept-language"] == "zh"
    assert own["x-mine"] == "1"
    assert own["x-call"] == "2"


@pytest.mark.parametrize("way", ["sync", "async"])
def test_the_mirror_takes_over_where_nobody_listens(server: EmbeddedHub, hub: Hub, way: str) -> None:
    from dataclasses import replace

    gone = refused_url()
    preset = replace(hub.endpoint.preset, base_url=gone, mirrors=(server.base_url,))
    hub._connection.endpoint = Endpoint(preset, gone, ())
    asked = CallOptions(policy=replace(CallOptions().policy, max_retries=0))
    reply = hub.chat(PAYLOAD, asked) if way == "sync" else asyncio.run(hub.achat(PAYLOAD, asked))
    assert reply.text == "hello"
    assert reply.trace is not None
    assert [a.kind for a in reply.trace.attempts] == ["connect", None]


def test_nobody_listens_anywhere(server: EmbeddedHub) -> None:
    made = Hub(base_url=refused_url(), api_key="sk-test")
    with pytest.raises(HubConnectionError):
        made.chat(PAYLOAD, CallOptions(policy=CallOptions().policy.__class__(max_retries=0)))
    made.close()


@pytest.mark.skipif(find_spec("httpx_aiohttp") is None, reason="the extra `fast` is not installed")
async def test_the_fast_extra_uses_aiohttp(hub: Hub) -> None:
    assert "aiohttp" in type((await hub.pool.current())._client).__mro__[1].__name__.lower()
    assert (await hub.achat(PAYLOAD)).text == "hello"
    await hub.aclose()


def test_a_hub_on_this_machine_is_not_asked_through_a_proxy(
    server: EmbeddedHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # where nobody listens
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with Hub(base_url=server.base_url, api_key=server.api_key) as made:
        assert made.chat(PAYLOAD).text == "hello"
        assert asyncio.run(made.achat(PAYLOAD)).text == "hello"


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "ALL_PROXY"])
async def test_a_hub_elsewhere_is_asked_through_the_proxy(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    asked: list[bytes] = []

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readline())
        writer.write(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n")
        writer.close()

    proxy = await asyncio.start_server(refuse, "127.0.0.1", 0)
    host, port = proxy.sockets[0].getsockname()
    monkeypatch.setenv(variable, f"http://{host}:{port}")
    with Hub(base_url="https://hub.example/v1", api_key="sk-test") as made:
        with pytest.raises(HubConnectionError):
            await made.achat(PAYLOAD, CallOptions(policy=FailoverPolicy(max_retries=0)))
        await made.aclose()
    assert asked == [b"CONNECT hub.example:443 HTTP/1.1\r\n"]
    proxy.close()


@pytest.mark.parametrize("wrong", [{"fallbacks": "gpt-4o"}, {"timeout": 0}, {"total_timeout": -1.0}])
def test_options_that_cannot_be_meant_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        CallOptions(**wrong)


def test_dropped_hub_frees_its_clients_at_once(server: EmbeddedHub) -> None:
    hub = Hub(base_url=server.base_url, api_key=server.api_key)
    hub.chat({"model": "embedded/echo", "messages": [{"role": "user", "content": "hi"}]})
    client = weakref.ref(hub.pool.sync())
    gc.disable()  # a circle of references would keep connections open until the next collection
    try:
        del hub
        assert client() is None
    finally:
        gc.enable()
