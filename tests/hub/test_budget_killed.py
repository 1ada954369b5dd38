"""A process killed in mid-call leaves at most its reservation, which expires."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from hubmix import Budget, CallOptions, Hub
from hubmix.hub.ledger import RedisLedger, SQLiteLedger
from tests.support.answers import Answer, completion
from tests.support.processes import Child
from tests.support.scripted_hub import Request, ScriptedHub

PATIENCE = 60.0
TIMEOUT, GRACE = 30.0, 60.0  # seconds: of the call, and what a reservation outlives it
# Ten tokens of output cost 0.01 USD; the prompt is free.
PRICES = {"slow": {"pricing": {"input": "0", "output": "1000"}}}
PAYLOAD: dict[str, Any] = {"model": "slow", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 10}
RESERVE = Decimal("0.01")


def _ask(base_url: str, store: str, name: str) -> None:
    with Hub(base_url=base_url, api_key="sk-test", model_overrides=PRICES) as hub:
        hub.chat(PAYLOAD, CallOptions(budget=Budget("1", store=store, name=name), timeout=TIMEOUT))


@pytest.fixture
def killed(serve: Callable[..., ScriptedHub]) -> Iterator[Callable[[str, str], None]]:
    """Kill a process that is waiting for an answer."""
    asked, over = Event(), Event()

    def answer(request: Request) -> Answer:
        asked.set()
        over.wait(PATIENCE)
        return completion("too late")

    server = serve(answer)

    def kill(store: str, name: str) -> None:
        child = Child(_ask, server.base_url, store, name)
        try:
            assert asked.wait(PATIENCE)
        finally:
            child.kill()
            child.communicate(timeout=PATIENCE)

    yield kill
    over.set()


def test_killed_process_leaves_its_reservation_in_sqlite(killed: Callable[[str, str], None], tmp_path: Path) -> None:
    path, name = tmp_path / "budget.db", uuid.uuid4().hex
    store = f"sqlite:///{path}"
    began = time.time()
    killed(store, name)
    ended = time.time()
    budget = Budget("1", store=store, name=name)
    assert (budget.spent, budget.left) == (0, 1 - RESERVE)
    assert isinstance(budget.ledger, SQLiteLedger)

    def left_at(now: float) -> int:
        assert isinstance(budget.ledger, SQLiteLedger)
        return SQLiteLedger(str(path), budget.ledger._key, lambda: now).balance("always").reserved

    assert left_at(began + TIMEOUT + GRACE - 1) > 0
    assert left_at(ended + TIMEOUT + GRACE) == 0


def test_killed_process_leaves_its_reservation_in_redis(killed: Callable[[str, str], None], redis_url: str) -> None:
    name = uuid.uuid4().hex
    killed(redis_url, name)
    budget = Budget("1", store=redis_url, name=name)
    assert (budget.spent, budget.left) == (0, 1 - RESERVE)
    ledger = budget.ledger
    assert isinstance(ledger, RedisLedger)
    (entry,) = ledger._client.hvals(f"{ledger._key}:always:reserved")
    assert float(entry.split()[1]) <= ledger.now() + TIMEOUT + GRACE


def test_reservation_in_redis_expires(redis_url: str) -> None:
    ledger = RedisLedger(redis_url, uuid.uuid4().hex)
    assert ledger.reserve("always", 60, 100, 0.001)
    end = time.monotonic() + PATIENCE
    while ledger.balance("always").reserved:
        assert time.monotonic() < end
    assert ledger.reserve("always", 60, 100, PATIENCE)
