"""What depends on the catalog: cost, spending, balance, limits, failures."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from contextvars import copy_context
from decimal import Decimal
from typing import Any

import pytest

from hubmix import (
    CallOptions,
    FailoverPolicy,
    Hub,
    HubmixError,
    ModelUnavailableError,
    RateLimitedError,
    StreamInterruptedError,
)
from hubmix.embedded import EmbeddedHub, Fault, refused_url
from langchain_hubmix import ChatHubmix
from llamaindex_hubmix import Hubmix

PRICED = "embedded/extract"
PAYLOAD: dict[str, Any] = {"model": PRICED, "messages": [{"role": "user", "content": "hello"}]}


def test_cost_is_on_every_answer_of_both_frameworks(hub: Hub) -> None:
    hub.models.refresh()
    chat, llm = ChatHubmix(model=PRICED, hub=hub), Hubmix(model=PRICED, hub=hub)
    streamed = None
    for chunk in chat.stream("hello"):
        streamed = chunk if streamed is None else streamed + chunk
    assert streamed is not None
    costs = [
        chat.invoke("hello").response_metadata["cost"],
        streamed.response_metadata["cost"],
        llm.complete("hello").additional_kwargs["cost"],
        list(llm.stream_complete("hello"))[-1].additional_kwargs["cost"],
    ]
    assert all(cost["complete"] and cost["total"] > 0 and cost["model"] == PRICED for cost in costs)


def test_an_unknown_price_is_never_zero(hub: Hub) -> None:
    cost = ChatHubmix(model=PRICED, hub=hub).invoke("hello").response_metadata["cost"]
    assert (cost["complete"], cost["total"]) == (False, None)


def test_a_price_by_the_call_needs_no_usage(server: EmbeddedHub) -> None:
    prices = {PRICED: {"pricing": {"per_call": 0.04}}, "embedded/rerank": {"pricing": {"per_call": 0.01}}}
    bare = {"choices": [{"message": {"content": "Hello."}, "finish_reason": "stop"}]}
    server.fault(PRICED, Fault.answer(200, bare), times=2)
    server.fault("/v1/rerank", Fault.answer(200, {"results": [{"index": 0, "relevance_score": 0.5}]}))
    made = Hub(base_url=server.base_url, api_key=server.api_key, model_overrides=prices)
    with made as hub, hub.spending() as spent:
        replies = [hub.chat(PAYLOAD), asyncio.run(hub.achat(PAYLOAD))]
        hub.rerank({"model": "embedded/rerank", "query": "a", "documents": ["b"]})
    for reply in replies:
        assert reply.usage is None
        assert reply.cost is not None
        assert reply.cost.total == Decimal("0.04")
    assert (spent.calls, spent.total, spent.complete) == (3, Decimal("0.09"), True)


def test_spending_counts_what_was_called_inside(hub: Hub) -> None:
    hub.models.refresh()
    chat, llm = ChatHubmix(model=PRICED, hub=hub), Hubmix(model=PRICED, hub=hub)
    with hub.spending() as spent:
        chat.batch(["one", "two"])
        llm.complete("three")
        asyncio.run(chat.ainvoke("four"))
        with ThreadPoolExecutor() as threads:
            threads.submit(copy_context().run, hub.chat, PAYLOAD).result()
    hub.chat(PAYLOAD)
    assert spent.calls == 5
    assert spent.complete
    assert spent.total > 0
    assert set(spent.by_model) == {PRICED}
    assert hub.spending().calls >= 6


def test_a_stream_that_does_not_end_is_a_call_of_unknown_cost(hub: Hub, server: EmbeddedHub) -> None:
    hub.models.refresh()
    chat = ChatHubmix(model="embedded/lorem", hub=hub)

    async def leave() -> None:
        async with aclosing(hub.astream_chat({**PAYLOAD, "model": "embedded/lorem"})) as deltas:
            async for _ in deltas:
                break

    with hub.spending() as left:
        for _ in chat.stream("hello"):
            break
        asyncio.run(leave())
    with hub.spending() as cut:
        server.fault("embedded/lorem", Fault.cut(after=3, polite=False))
        with pytest.raises(StreamInterruptedError):
            list(chat.stream("hello"))
    with hub.spending() as whole:
        list(chat.stream("hello"))
    assert (left.calls, left.complete, left.total, left.known) == (2, False, None, 0)
    assert (cut.calls, cut.complete) == (1, False)
    assert (whole.calls, whole.complete) == (1, True)


def test_what_is_left_on_the_key() -> None:
    with EmbeddedHub(keys={"sk-test-metered": Decimal("1.5")}) as server:
        with Hub(base_url=server.base_url, api_key="sk-test-metered") as hub:
            assert hub.balance().remaining == Decimal("1.5")
            assert asyncio.run(hub.abalance()).remaining == Decimal("1.5")
        with Hub(base_url=server.base_url, api_key=server.api_key) as hub:
            assert hub.balance().unlimited
            assert "not visible" in str(hub.balance())


def test_a_page_that_cannot_be_fetched_is_about_no_model() -> None:
    with Hub(base_url=refused_url(), api_key="sk-test") as hub:
        for ask in (hub.models.list, hub.balance):
            with pytest.raises(HubmixError) as caught:
                ask()
            assert "The hub could not be reached (127.0.0.1" in str(caught.value)
            assert str(caught.value).count("Check the base URL, the network") == 1


def test_a_limit_is_shared_by_all_hubs_of_a_key(server: EmbeddedHub) -> None:
    made = [Hub(base_url=server.base_url, api_key=server.api_key, rate_limit="3/hour") for _ in range(2)]
    quick = CallOptions(total_timeout=5.0)
    for hub in (*made, made[0]):
        hub.chat(PAYLOAD, quick)
    with pytest.raises(RateLimitedError):
        made[1].chat(PAYLOAD, quick)
    with pytest.raises(RateLimitedError):
        asyncio.run(made[0].achat(PAYLOAD, quick))
    assert len(server.requests) == 3
    for hub in made:
        hub.close()


LISTS = ("/v1/models", "/api/pricing")


@pytest.mark.parametrize("fault", [Fault.answer(503), Fault.stall(), Fault.html(), Fault.answer(200, {"data": []})],
                         ids=["down", "slow", "a web page", "empty"])  # fmt: skip
def test_a_call_neither_waits_for_the_catalog_nor_fails_with_it(fault: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUBMIX_CATALOG_REFRESH", "1")
    with EmbeddedHub() as server:
        for path in LISTS:
            server.fault(path, fault, times=None)
        with Hub(base_url=server.base_url, api_key=server.api_key) as hub:
            for _ in range(3):
                assert hub.chat(PAYLOAD, CallOptions(fallbacks=("embedded/echo",))).served == PRICED
                assert asyncio.run(hub.achat(PAYLOAD)).served == PRICED


def test_a_call_is_followed_by_one_look_at_the_catalog(server: EmbeddedHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUBMIX_CATALOG_REFRESH", "1")
    with Hub(base_url=server.base_url, api_key=server.api_key) as hub:
        for _ in range(5):
            hub.chat(PAYLOAD)
        deadline = time.monotonic() + 30
        while hub.models.info().count == 0 and time.monotonic() < deadline:
            time.sleep(0.01)
        cost = hub.chat(PAYLOAD).cost
    assert cost is not None
    assert cost.complete
    assert sorted(r.path for r in server.requests if r.method == "GET") == sorted(LISTS)


def test_vectors_alone_come_to_know_their_price(server: EmbeddedHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUBMIX_CATALOG_REFRESH", "1")
    payload = {"model": "embedded/embed", "input": ["a word"]}
    with Hub(base_url=server.base_url, api_key=server.api_key) as hub:
        hub.embed(payload)
        deadline = time.monotonic() + 30
        while hub.models.info().count == 0 and time.monotonic() < deadline:
            time.sleep(0.01)
        with hub.spending() as spent:
            hub.embed(payload)
            hub.rerank({"model": "embedded/rerank", "query": "a", "documents": ["b"]})
    assert spent.complete
    assert spent.total > 0


def test_auto_chooses_from_the_catalog_and_does_without_one(hub: Hub, server: EmbeddedHub) -> None:
    auto = CallOptions(fallbacks="auto")
    assert len(hub.candidates(PRICED, auto)) > 1
    with Hub(base_url=server.base_url, api_key=server.api_key) as blind:
        for path in LISTS:
            server.fault(path, Fault.answer(503), times=None)
        assert blind.candidates(PRICED, auto) == [PRICED]
        assert blind.chat(PAYLOAD, auto).served == PRICED


def ask(hub: Hub, way: str, options: CallOptions) -> Any:
    async def streamed() -> Any:
        async with aclosing(hub.astream_chat(PAYLOAD, options)) as deltas:
            return [delta async for delta in deltas][-1].final

    if way == "whole":
        return hub.chat(PAYLOAD, options)
    if way == "stream":
        return list(hub.stream_chat(PAYLOAD, options))[-1].final
    return asyncio.run(hub.achat(PAYLOAD, options) if way == "async" else streamed())


WAYS = ["whole", "stream", "async", "async stream"]


@pytest.mark.parametrize("way", WAYS)
def test_auto_asks_for_the_list_when_the_first_model_has_failed(way: str) -> None:
    with EmbeddedHub() as server, Hub(base_url=server.base_url, api_key=server.api_key) as hub:
        server.fault(PRICED, "model_not_found")
        reply = ask(hub, way, CallOptions(fallbacks="auto"))
        assert reply.served != PRICED
        assert [attempt.model for attempt in reply.trace.attempts] == [PRICED, reply.served]


@pytest.mark.parametrize("way", WAYS)
def test_auto_waits_for_a_slow_list_briefly_once_after_a_failure(monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    auto = CallOptions(fallbacks="auto", policy=FailoverPolicy(max_retries=0))
    with EmbeddedHub() as server, Hub(base_url=server.base_url, api_key=server.api_key) as hub:
        for path in LISTS:
            server.fault(path, Fault.stall(), times=None)
        began = time.monotonic()
        assert ask(hub, way, auto).served == PRICED
        assert [request.path for request in server.requests if request.path in LISTS] == []
        for patience in (0.02, 60.0):  # nobody waits a second time
            monkeypatch.setattr("hubmix.failover.run._DISCOVERY", patience)
            server.fault(PRICED, "model_not_found")
            with pytest.raises(ModelUnavailableError):
                ask(hub, way, auto)
            hub.reset_health()
        assert time.monotonic() - began < 9  # a list is given up after 10 s


def test_auto_asks_nobody_about_a_model_that_the_user_described(server: EmbeddedHub) -> None:
    known = {PRICED: {"pricing": {"input": 1, "output": 1}}, "embedded/echo": {"pricing": {"input": 1, "output": 1}}}
    auto = CallOptions(fallbacks="auto")
    with Hub(base_url=server.base_url, api_key=server.api_key, model_overrides=known) as hub:
        assert hub.candidates(PRICED, auto) == [PRICED, "embedded/echo"]
        assert hub.chat(PAYLOAD, auto).served == PRICED
        assert asyncio.run(hub.achat(PAYLOAD, auto)).served == PRICED
    assert not [request for request in server.requests if request.method == "GET"]
