"""A map with a budget: it uses all of it, stops cleanly, and goes on with more."""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hubmix import Budget, BudgetExceededError, Hub
from hubmix.batch import Rows
from hubmix.batch.room import Room
from hubmix.embedded import EmbeddedHub

ECHO = "embedded/echo"
# USD per 1,000,000 tokens: ten tokens of output cost 0.01 USD.
PRICES = {ECHO: {"pricing": {"input": "0", "output": "1000"}}}
ROWS = list("abcdefghijklmnopqrst")


@pytest.fixture(scope="module")
def running() -> Iterator[EmbeddedHub]:
    with EmbeddedHub() as server:
        yield server


@pytest.fixture
def server(running: EmbeddedHub) -> EmbeddedHub:
    running.clear()
    return running


@pytest.fixture
def hub(server: EmbeddedHub) -> Iterator[Hub]:
    with Hub(base_url=server.base_url, api_key=server.api_key, model_overrides=PRICES) as made:
        yield made


Mapper = Callable[..., Rows]


@pytest.fixture(params=["sync", "async"])
def run(request: pytest.FixtureRequest, hub: Hub) -> Mapper:
    verb: Mapper = hub.map if request.param == "sync" else lambda *a, **k: asyncio.run(hub.amap(*a, **k))
    return lambda rows, **more: verb(rows, "Say {}.", model=ECHO, **more)


def fresh(limit: str) -> Budget:
    return Budget(limit, name=uuid.uuid4().hex)


def sent(server: EmbeddedHub) -> int:
    return sum(request.path.endswith("/chat/completions") for request in server.requests)


def test_rows_wait_for_the_room_that_others_free(run: Mapper) -> None:
    """The budget has room for two reservations at once, and for what all calls cost."""
    rows = run(ROWS, concurrency=8, max_tokens=100, budget=fresh("0.25"))
    assert [row.ok for row in rows] == [True] * len(ROWS)


def test_map_without_room_stops_and_sends_no_more(run: Mapper, server: EmbeddedHub) -> None:
    budget = fresh("0.02")
    rows = run(ROWS, concurrency=4, max_tokens=10, budget=budget)
    answered = [row for row in rows if row.ok]
    assert 0 < len(answered) < len(ROWS)
    assert sent(server) == len(answered)
    assert {type(row.error) for row in rows if not row.ok} == {BudgetExceededError}
    assert budget.reserved == 0
    assert budget.spent <= budget.limit


def test_map_goes_on_with_a_higher_limit(run: Mapper, server: EmbeddedHub, tmp_path: Path) -> None:
    file, name = tmp_path / "rows.jsonl", uuid.uuid4().hex
    first = run(ROWS, concurrency=4, max_tokens=10, budget=Budget("0.02", name=name), resume=file)
    done = sum(row.ok for row in first)
    again = run(ROWS, concurrency=4, max_tokens=10, budget=Budget("5", name=name), resume=file)
    assert [row.ok for row in again] == [True] * len(ROWS)
    assert sum(row.resumed for row in again) == done
    assert sent(server) == len(ROWS)


def test_unknown_price_fails_its_row_alone(hub: Hub) -> None:
    requests: list[Any] = [
        {"model": model, "messages": [{"role": "user", "content": "Hello"}]} for model in ("embedded/lorem:40", ECHO)
    ]
    unpriced, answered = hub.map(requests, model=ECHO, concurrency=1, max_tokens=10, budget=fresh("1"))
    assert isinstance(unpriced.error, BudgetExceededError)
    assert answered.ok


def test_call_that_ended_since_the_refusal_means_trying_again() -> None:
    room, error = Room(), BudgetExceededError("no room")
    seen = room.begin()
    room.begin()
    room.leave(sent=True)
    room.leave(sent=False)
    room.wait(seen, error)
    assert room.refused is None


def test_last_of_the_waiting_ends_the_map() -> None:
    room, error = Room(), BudgetExceededError("no room")
    calls = [room.begin() for _ in range(3)]

    def refused(seen: int) -> None:
        room.leave(sent=False)
        room.wait(seen, error)

    threads = [threading.Thread(target=refused, args=(seen,)) for seen in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)
    assert room.refused is error
