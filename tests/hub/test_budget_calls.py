"""Budgets around real calls, in both frameworks and all modes."""

from __future__ import annotations

import asyncio
import pickle
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from hubmix import Budget, BudgetExceededError, CallOptions, ConfigurationError, FailoverPolicy, Hub, HubmixError
from hubmix.embedded import EmbeddedHub, Fault
from hubmix.hub.ledger import SQLiteLedger
from langchain_hubmix import ChatHubmix, HubmixEmbeddings, HubmixRerank
from llamaindex_hubmix import Hubmix, HubmixEmbedding
from tests.support.answers import completion
from tests.support.scripted_hub import ScriptedHub

MODEL, OTHER, DEAR, FREE = "embedded/extract", "embedded/no-tools", "embedded/echo", "embedded/think"
# USD per 1,000,000 tokens: an answer of at most 1,000 tokens costs 0.01 USD at most, and its prompt next to nothing.
PRICES = {
    MODEL: {"pricing": {"input": "1", "output": "10"}},
    OTHER: {"pricing": {"input": "1", "output": "10"}},
    DEAR: {"pricing": {"input": "100", "output": "1000"}},
    FREE: {"pricing": {"input": "0", "output": "0"}},
    "embedded/embed": {"pricing": {"input": "100"}},
    "embedded/rerank": {"pricing": {"per_call": "0.01"}},
}
QUESTION = [{"role": "user", "content": "What is the capital of France? Context: Paris is the capital of France."}]
PAYLOAD: dict[str, Any] = {"model": MODEL, "messages": QUESTION, "max_tokens": 1000}


@pytest.fixture
def hub(server: EmbeddedHub) -> Iterator[Hub]:
    with Hub(base_url=server.base_url, api_key=server.api_key, model_overrides=PRICES) as made:
        yield made


def fresh(limit: str, **rest: Any) -> Budget:
    return Budget(limit, name=uuid.uuid4().hex, **rest)


def stream(hub: Hub, payload: dict[str, Any], options: CallOptions) -> None:
    for _ in hub.stream_chat(payload, options):
        pass


async def astream(hub: Hub, payload: dict[str, Any], options: CallOptions) -> None:
    async for _ in hub.astream_chat(payload, options):
        pass


MODES: dict[str, Callable[..., Any]] = {
    "sync": lambda hub, payload, options: hub.chat(payload, options),
    "async": lambda hub, payload, options: asyncio.run(hub.achat(payload, options)),
    "streamed": stream,
    "async streamed": lambda hub, payload, options: asyncio.run(astream(hub, payload, options)),
}


@pytest.fixture(params=MODES)
def ask(request: pytest.FixtureRequest) -> Callable[..., Any]:
    return MODES[request.param]


def asked(server: EmbeddedHub) -> list[str | None]:
    return [request.model for request in server.requests if request.method == "POST"]


def test_call_settles_at_its_real_cost(hub: Hub, ask: Callable[..., Any]) -> None:
    budget = fresh("1")
    ask(hub, PAYLOAD, CallOptions(budget=budget))
    assert 0 < budget.spent < Decimal("0.001")
    assert budget.reserved == 0


def test_model_that_is_billed_is_the_one_that_counts(serve: Callable[..., ScriptedHub]) -> None:
    """AIHubMix bills the model that its router chose, and names it in a header."""
    chosen = replace(completion("hello"), headers={"X-Aihubmix-Model": MODEL})
    scripted, budget = serve(chosen), fresh("1")
    with Hub("aihubmix", base_url=scripted.base_url, api_key="sk-test", model_overrides=PRICES) as hub:
        hub.chat({**PAYLOAD, "model": OTHER}, CallOptions(budget=budget))
    assert list(budget.by_model) == [MODEL]


def test_no_room_sends_nothing(hub: Hub, server: EmbeddedHub, ask: Callable[..., Any]) -> None:
    with pytest.raises(BudgetExceededError, match="max_tokens=") as caught:
        ask(hub, PAYLOAD, CallOptions(budget=fresh("0.005"), fallbacks=(DEAR,)))
    assert asked(server) == []
    assert caught.value.max_tokens is not None
    assert caught.value.max_tokens < 500


def test_free_model_passes_a_limit_of_zero(hub: Hub, ask: Callable[..., Any]) -> None:
    ask(hub, {**PAYLOAD, "model": FREE}, CallOptions(budget=fresh("0")))


def test_dearer_fallback_is_not_tried_past_the_limit(hub: Hub, server: EmbeddedHub, ask: Callable[..., Any]) -> None:
    server.fault(MODEL, Fault.error("vendor_503"), times=None)
    with pytest.raises(BudgetExceededError) as caught:
        ask(hub, PAYLOAD, CallOptions(budget=fresh("0.1"), fallbacks=(DEAR,)))
    assert caught.value.model == DEAR
    assert DEAR not in asked(server)


def test_refused_request_releases_everything(hub: Hub, server: EmbeddedHub, ask: Callable[..., Any]) -> None:
    budget = fresh("1")
    server.fault(MODEL, Fault.error("vendor_503"), times=None)
    with pytest.raises(HubmixError):
        ask(hub, PAYLOAD, CallOptions(budget=budget))
    assert (budget.spent, budget.reserved) == (0, 0)


def test_stream_that_is_left_counts_its_prompt(hub: Hub) -> None:
    budget = fresh("1")
    deltas = hub.stream_chat(PAYLOAD, CallOptions(budget=budget))
    next(deltas)
    assert budget.reserved > Decimal("0.009")
    deltas.close()
    assert budget.reserved == 0
    assert 0 < budget.spent < Decimal("0.001")


def test_cut_stream_counts_its_prompt(hub: Hub, server: EmbeddedHub) -> None:
    budget = fresh("1")
    server.fault(MODEL, Fault.cut(after=1, polite=False), times=None)
    with pytest.raises(HubmixError):
        stream(hub, PAYLOAD, CallOptions(budget=budget))
    assert budget.reserved == 0
    assert 0 < budget.spent < Decimal("0.001")


def test_unknown_price_is_refused_with_advice(hub: Hub, server: EmbeddedHub, ask: Callable[..., Any]) -> None:
    with pytest.raises(BudgetExceededError, match="model_overrides"):
        ask(hub, {**PAYLOAD, "model": "embedded/lorem:40"}, CallOptions(budget=fresh("1")))
    assert asked(server) == []
    ask(hub, {**PAYLOAD, "model": "embedded/lorem:40"}, CallOptions(budget=fresh("1", unknown_price="allow")))


def test_prices_are_asked_for_if_none_are_known(server: EmbeddedHub, ask: Callable[..., Any]) -> None:
    with Hub(base_url=server.base_url, api_key=server.api_key) as hub:
        budget = fresh("1")
        ask(hub, PAYLOAD, CallOptions(budget=budget))
    assert budget.spent > 0


def test_block_with_a_limit_holds_what_is_called_inside(hub: Hub, server: EmbeddedHub) -> None:
    with hub.spending(limit="0.015") as spent:
        hub.chat(PAYLOAD)
        with hub.spending(limit="0.005"), pytest.raises(BudgetExceededError):
            hub.chat(PAYLOAD)
        hub.chat(PAYLOAD)
    hub.chat(PAYLOAD)
    assert spent.calls == 2
    assert len(asked(server)) == 3


def test_each_use_of_a_block_has_the_whole_limit(hub: Hub) -> None:
    block = hub.spending(limit="0.011")
    for _ in range(2):
        with block as spent:
            hub.chat(PAYLOAD)
        assert spent.calls == 1


def test_hubs_own_budget_holds_every_call(server: EmbeddedHub) -> None:
    budget = fresh("0.005")
    made = Hub(base_url=server.base_url, api_key=server.api_key, model_overrides=PRICES, budget=budget)
    with pickle.loads(pickle.dumps(made)) as hub, pytest.raises(BudgetExceededError):
        hub.chat(PAYLOAD)


@pytest.mark.parametrize("make", [ChatHubmix, Hubmix])
def test_chat_classes_take_a_budget(hub: Hub, make: Any) -> None:
    budget = fresh("0.005")
    llm = make(model=MODEL, hub=hub, max_tokens=1000, budget=budget)
    ask = llm.invoke if make is ChatHubmix else llm.complete
    with pytest.raises(BudgetExceededError):
        ask("Hello")
    ask("Hello", budget=fresh("1"))
    with pytest.raises(ConfigurationError):
        make(model=MODEL, hub=hub, budget="5.00")


def test_embeddings_and_rerank_take_a_budget(hub: Hub) -> None:
    for embedder, verb in ((HubmixEmbeddings, "embed_query"), (HubmixEmbedding, "get_text_embedding")):
        budget = fresh("1")
        getattr(embedder(model="embedded/embed", hub=hub, budget=budget), verb)("a text of some words")
        assert 0 < budget.spent < Decimal("0.01")
        with pytest.raises(BudgetExceededError):
            getattr(embedder(model="embedded/embed", hub=hub, budget=fresh("0.00001")), verb)("a text of some words")
    with pytest.raises(BudgetExceededError):
        HubmixRerank(model="embedded/rerank", hub=hub, budget=fresh("0.005")).rerank(["a"], "b")


def test_slow_store_does_not_hold_up_the_event_loop(
    hub: Hub, server: EmbeddedHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a refused attempt gives back is given back before the next one reserves."""
    budget = fresh("0.015", store=f"sqlite:///{tmp_path}/budget.db")
    settle, threads = SQLiteLedger.settle, []

    def watched(*args: Any) -> None:
        threads.append(threading.current_thread())
        settle(*args)

    monkeypatch.setattr(SQLiteLedger, "settle", watched)
    server.fault(MODEL, Fault.error("vendor_503"), times=None)
    options = CallOptions(budget=budget, fallbacks=(OTHER,), policy=FailoverPolicy(max_retries=0))
    reply = asyncio.run(hub.achat(PAYLOAD, options))
    assert reply.served == OTHER
    assert len(threads) == 2
    assert threading.main_thread() not in threads
    assert budget.reserved == 0


def test_64_calls_at_once_never_pass_the_limit(hub: Hub) -> None:
    budget = fresh("0.1")

    def call(_: int) -> int:
        try:
            hub.chat(PAYLOAD, CallOptions(budget=budget))
        except BudgetExceededError:
            return 0
        return 1

    with ThreadPoolExecutor(64) as threads:
        answered = sum(threads.map(call, range(64)))
    assert answered >= 9
    assert budget.spent <= Decimal("0.1")
    assert budget.reserved == 0


def test_map_stops_at_the_budget(hub: Hub, server: EmbeddedHub) -> None:
    options = CallOptions(budget=fresh("0.0105"))
    rows = hub.map(["a", "b"], "Say {}.", model=DEAR, options=options, max_tokens=10, concurrency=1)
    assert [type(row.error) for row in rows][-1] is BudgetExceededError
