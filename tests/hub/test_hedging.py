"""`hedge_after` around real calls, in both frameworks and all modes."""

from __future__ import annotations

import asyncio
import socket
import threading
import uuid
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest

from hubmix import Budget, CallOptions, FailoverPolicy, Hub
from hubmix.failover.hedging import TOKENS
from hubmix.wire.apis import CHAT
from tests.failover.ways import EVERY, QUESTION, Way
from tests.support.answers import Answer, whole_or_stream
from tests.support.scripted_hub import Request, ScriptedHub

SLOW, QUICK = "slow", "quick"
PATIENCE = 30.0
SOON = FailoverPolicy(hedge_after=0.02)
PRICES = {
    SLOW: {"pricing": {"input": "1000", "output": "1000"}},
    QUICK: {"pricing": {"input": "1000", "output": "1000"}},
}
PAYLOAD: dict[str, Any] = {"model": SLOW, "messages": [{"role": "user", "content": QUESTION}], "max_tokens": 10}


class Stalling:
    """A server that reads a request, says nothing, and sees whether its client left."""

    def __init__(self, *, head: bool) -> None:
        self.head = head
        self.asked, self.left = threading.Event(), threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.base_url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/v1"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:  # closed before anybody came
            return
        with connection:
            connection.settimeout(PATIENCE)
            said = connection.recv(100_000)
            while b"}" not in said.partition(b"\r\n\r\n")[2]:
                said += connection.recv(100_000)
            if self.head:
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n: wait\n\n")
            self.asked.set()
            try:
                if not connection.recv(1):
                    self.left.set()
            except ConnectionResetError:
                self.left.set()

    def close(self) -> None:
        self._listener.close()
        self._thread.join(PATIENCE)


@pytest.fixture(autouse=True)
def full_buckets() -> None:
    TOKENS.clear()


@pytest.fixture(params=[False, True], ids=["no-head", "head"])
def stalling(request: pytest.FixtureRequest) -> Iterator[Stalling]:
    server = Stalling(head=request.param)
    yield server
    server.close()


def spoken(request: Request) -> Answer:
    return whole_or_stream("hello", stream=request.stream)


@pytest.mark.parametrize("way", EVERY, ids=str)
async def test_silent_hub_loses_and_is_closed(way: Way, stalling: Stalling, serve: Callable[..., ScriptedHub]) -> None:
    def answer(request: Request) -> Answer:
        assert stalling.asked.wait(PATIENCE)
        return spoken(request)

    scripted = serve(answer)
    with (
        Hub(base_url=stalling.base_url, api_key="sk-test") as slow,
        Hub(base_url=scripted.base_url, api_key="sk-test") as quick,
    ):
        said = await way.ask(slow, SLOW, quick.model(QUICK), failover=SOON)
        assert said.text == "hello"
        lost, won = said.trace["attempts"]
        assert (lost["model"], lost["outcome"], won["model"], won["outcome"]) == (SLOW, "hedged", QUICK, "ok")
        assert "cost" in lost["reason"]
        assert await asyncio.to_thread(stalling.left.wait, PATIENCE)
        await slow.aclose()
        await quick.aclose()


def stream(hub: Hub, options: CallOptions) -> None:
    for _ in hub.stream_chat(PAYLOAD, options):
        pass


async def astream(hub: Hub, options: CallOptions) -> None:
    async for _ in hub.astream_chat(PAYLOAD, options):
        pass


MODES: dict[str, Callable[..., Any]] = {
    "sync": lambda hub, options: hub.chat(PAYLOAD, options),
    "async": lambda hub, options: asyncio.run(hub.achat(PAYLOAD, options)),
    "streamed": stream,
    "async streamed": lambda hub, options: asyncio.run(astream(hub, options)),
}


class Pair:
    """A hub of which one model waits until the other one has answered."""

    def __init__(self, serve: Callable[..., ScriptedHub]) -> None:
        self.slow_asked, self.over = threading.Event(), threading.Event()
        self.reserved: Callable[[], Decimal] = lambda: Decimal(0)
        self.most = Decimal(0)
        self.server = serve(self._answer)

    def _answer(self, request: Request) -> Answer:
        if request.model == SLOW:
            self.slow_asked.set()
            self.over.wait(PATIENCE)
            return spoken(request)
        assert self.slow_asked.wait(PATIENCE)
        self.most = self.reserved()
        return spoken(request)


@pytest.fixture
def pair(serve: Callable[..., ScriptedHub]) -> Iterator[Pair]:
    made = Pair(serve)
    yield made
    made.over.set()


@pytest.mark.parametrize("ask", MODES.values(), ids=MODES)
def test_budget_reserves_both_and_counts_the_prompt_of_the_loser(ask: Callable[..., Any], pair: Pair) -> None:
    budget = Budget("10", name=uuid.uuid4().hex)
    pair.reserved = lambda: budget.reserved
    with Hub(base_url=pair.server.base_url, api_key="sk-test", model_overrides=PRICES) as hub:
        with hub.spending() as spent:
            ask(hub, CallOptions(fallbacks=(QUICK,), policy=SOON, budget=budget))
        pair.over.set()
    assert pair.most >= Decimal("0.02")  # twice ten tokens of output
    assert budget.reserved == 0
    assert set(budget.by_model) == {SLOW, QUICK}
    assert 0 < budget.by_model[SLOW] < budget.by_model[QUICK] + Decimal("0.1")
    assert (spent.calls, spent.complete) == (2, False)


def test_no_room_for_a_hedge_leaves_the_call_alone(pair: Pair) -> None:
    """The budget has room for one request; the hedge is refused, and the call is not."""
    budget = Budget("0.2", name=uuid.uuid4().hex)
    skipped = threading.Event()
    original = budget.ledger.reserve

    def reserve(*args: Any) -> str | None:
        token = original(*args)
        if token is None:
            pair.over.set()
            skipped.set()
        return token

    budget.ledger.reserve = reserve  # type: ignore[method-assign]
    with Hub(base_url=pair.server.base_url, api_key="sk-test", model_overrides=PRICES) as hub:
        reply = hub.chat({**PAYLOAD, "max_tokens": 100}, CallOptions(fallbacks=(QUICK,), policy=SOON, budget=budget))
    assert skipped.is_set()
    assert reply.served == SLOW
    assert pair.server.models == [SLOW]


@pytest.mark.parametrize(
    ("payload", "extra_body", "hedges"),
    [({}, None, True), ({"n": 1}, None, True), ({"n": 2}, None, False), ({}, {"n": 2}, False)],
)
def test_several_choices_are_never_hedged(payload: dict[str, Any], extra_body: Any, hedges: bool) -> None:
    with Hub(base_url="http://127.0.0.1:9/v1", api_key="sk-test") as hub:
        options = CallOptions(fallbacks=(QUICK,), policy=SOON, extra_body=extra_body)
        plan = hub._connected.plan(CHAT, {**PAYLOAD, **payload}, options)
    assert (plan.hedging is not None) is hedges


def test_hedging_is_off_by_default() -> None:
    with Hub(base_url="http://127.0.0.1:9/v1", api_key="sk-test") as hub:
        assert hub._connected.plan(CHAT, PAYLOAD, CallOptions(fallbacks=(QUICK,))).hedging is None
