"""Budgets: reserve before, settle after, never past the limit."""

from __future__ import annotations

import pickle
import random
import sqlite3
import threading
import uuid
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from hubmix.errors import BudgetExceededError, ConfigurationError, HubConnectionError, HubmixError
from hubmix.hub import budget as module
from hubmix.hub import ledger
from hubmix.hub.budget import Budget, Estimate, reserve
from hubmix.hub.ledger import MemoryLedger, SQLiteLedger
from tests.support.processes import warm

CALL = Estimate("a", Decimal("0.01"), Decimal("0.04"), Decimal(10))


@pytest.fixture(params=["memory", "sqlite", "redis"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., Budget]:
    """A maker of budgets that share one ledger of their own."""
    name = uuid.uuid4().hex
    store = {"memory": None, "sqlite": f"sqlite:///{tmp_path}/budget.db"}.get(request.param, "")
    if store == "":
        store = request.getfixturevalue("redis_url")
    return lambda limit, **rest: Budget(limit, store=store, name=name, **rest)


def test_settled_call_counts_its_real_cost(make: Callable[..., Budget]) -> None:
    budget = make("1")
    held = reserve([budget], CALL, seconds=60)
    assert (budget.spent, budget.reserved, budget.left) == (0, Decimal("0.05"), Decimal("0.95"))
    held.settle(Decimal("0.0123"), "b")
    held.settle(Decimal("9"), "b")
    assert (budget.spent, budget.reserved, budget.left) == (Decimal("0.0123"), 0, Decimal("0.9877"))
    assert budget.by_model == {"b": Decimal("0.0123")}


def test_call_without_usage_counts_what_was_reserved(make: Callable[..., Budget]) -> None:
    budget = make("1")
    reserve([budget], CALL, seconds=60).settle(None, "a")
    assert budget.spent == Decimal("0.05")


def test_released_and_broken_calls_count_nothing_and_the_input(make: Callable[..., Budget]) -> None:
    budget = make("1")
    reserve([budget], CALL, seconds=60).release()
    assert (budget.spent, budget.reserved) == (0, 0)
    reserve([budget], CALL, seconds=60).keep_input()
    assert (budget.spent, budget.reserved) == (Decimal("0.01"), 0)


def test_no_room_says_what_would_fit(make: Callable[..., Budget]) -> None:
    budget = make("0.03")
    with pytest.raises(BudgetExceededError) as caught:
        reserve([budget], CALL, seconds=60)
    error = caught.value
    assert (error.spent, error.left, error.could_cost, error.max_tokens) == (0, Decimal("0.03"), Decimal("0.05"), 2000)
    assert "max_tokens=2000 would fit" in str(error)
    assert budget.reserved == 0
    assert pickle.loads(pickle.dumps(error)).left == error.left


@pytest.mark.parametrize(
    ("limit", "said"),
    [("0.0000001", "has 0.0000001 USD left"), ("0.01234567", "has 0.012345 USD left"), ("0", "has 0 USD left")],
)
def test_small_amounts_are_said_as_they_are(limit: str, said: str) -> None:
    with pytest.raises(BudgetExceededError, match=said):
        reserve([Budget.private(limit)], CALL, seconds=60)


def test_tightest_of_several_budgets_decides_and_holds_nothing(make: Callable[..., Budget]) -> None:
    wide, tight = make("1", per="day"), make("0.01")
    with pytest.raises(BudgetExceededError):
        reserve([wide, tight], CALL, seconds=60)
    assert (wide.reserved, tight.reserved) == (0, 0)


def test_limit_zero_lets_free_models_through(make: Callable[..., Budget]) -> None:
    reserve([make("0")], Estimate("free", Decimal(0)), seconds=60).settle(Decimal(0), "free")
    with pytest.raises(BudgetExceededError):
        reserve([make("0")], CALL, seconds=60)


def test_unknown_price_is_refused_unless_allowed(make: Callable[..., Budget]) -> None:
    with pytest.raises(BudgetExceededError, match="model_overrides"):
        reserve([make("1")], Estimate("a", None), seconds=60)
    reserve([make("1", unknown_price="allow")], Estimate("a", None), seconds=60).settle(None, "a")
    assert make("1").spent == 0


def test_equal_budgets_share_a_ledger(make: Callable[..., Budget]) -> None:
    reserve([make("1")], CALL, seconds=60).settle(Decimal("0.5"), "a")
    assert make("2").spent == Decimal("0.5")
    assert make("2", per="day").spent == 0


def test_one_budget_given_twice_reserves_once(make: Callable[..., Budget]) -> None:
    held = reserve([make("1"), make("1")], CALL, seconds=60)
    assert make("1").reserved == Decimal("0.05")
    held.release()


def test_dropped_reservation_counts_the_input(make: Callable[..., Budget]) -> None:
    reserve([make("1")], CALL, seconds=60)
    assert (make("1").spent, make("1").reserved) == (Decimal("0.01"), 0)


@pytest.mark.parametrize("seed", [0, 1, 2, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(3, 10))])
def test_limit_holds_under_threads_in_any_order(
    make: Callable[..., Budget], seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "STORE_TIMEOUT", 60)  # 64 threads at one file wait long on a busy machine
    budget, dice = make("1"), random.Random(seed)
    costs = [Decimal(dice.randrange(0, 51)) / 1000 for _ in range(64)]
    refused: list[BudgetExceededError] = []
    highest: list[Decimal] = []

    def call(cost: Decimal) -> None:
        try:
            held = reserve([budget], CALL, seconds=60)
        except BudgetExceededError as error:
            refused.append(error)
            return
        highest.append(budget.spent + budget.reserved)
        held.settle(cost, "a")

    threads = [threading.Thread(target=call, args=(cost,)) for cost in costs]
    dice.shuffle(threads)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(highest) <= Decimal("1.05")  # read in two steps, between which a call may settle
    assert budget.spent <= 1
    assert budget.reserved == 0
    assert len(refused) + len(highest) == 64


@pytest.mark.parametrize("seed", range(100))
def test_limit_holds_after_every_step_in_any_order(seed: int) -> None:
    """64 calls begin and end in a random order, and cost at most what they reserved."""
    budget, dice = Budget.private("1"), random.Random(seed)
    begun, under_way, refused = 0, [], 0
    while begun < 64 or under_way:
        if begun < 64 and (not under_way or dice.random() < 0.6):
            begun += 1
            try:
                under_way.append(reserve([budget], CALL, seconds=60))
            except BudgetExceededError:
                refused += 1
        else:
            held = under_way.pop(dice.randrange(len(under_way)))
            cost = dice.choice((None, Decimal(0), CALL.total / 2, CALL.total))
            dice.choice((held.release, held.keep_input, partial(held.settle, cost, "a")))()
        assert budget.spent + budget.reserved <= 1
    assert budget.reserved == 0
    assert refused or budget.spent < 1


def _spend(store: str, name: str, calls: int) -> int:
    done = 0
    ledger.STORE_TIMEOUT = 60  # in this worker process
    for _ in range(calls):
        try:
            held = reserve([Budget("0.5", store=store, name=name)], CALL, seconds=60)
        except BudgetExceededError:
            continue
        held.settle(Decimal("0.05"), "a")
        done += 1
    return done


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
def test_limit_holds_across_processes(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    store = f"sqlite:///{tmp_path}/budget.db" if kind == "sqlite" else request.getfixturevalue("redis_url")
    name = uuid.uuid4().hex
    with warm().Pool(8) as pool:
        done = pool.starmap(_spend, [(store, name, 5)] * 8)
    assert sum(done) == 10
    assert Budget("0.5", store=store, name=name).left == 0


def test_reservation_of_a_killed_process_expires() -> None:
    now = [1000.0]
    ledger = MemoryLedger(lambda: now[0])
    assert ledger.reserve("always", 60, 100, 10)
    assert ledger.reserve("always", 60, 100, 10) is None
    now[0] += 10
    assert ledger.reserve("always", 60, 100, 10)


def test_reservation_in_sqlite_expires(tmp_path: Path) -> None:
    now = [1000.0]
    ledger = SQLiteLedger(str(tmp_path / "budget.db"), "key", lambda: now[0])
    assert ledger.reserve("always", 60, 100, 10)
    assert ledger.reserve("always", 60, 100, 10) is None
    now[0] += 10
    assert ledger.balance("always").reserved == 0
    assert ledger.reserve("always", 60, 100, 10)


@pytest.mark.parametrize(
    ("per", "period", "resets"),
    [
        ("hour", "2026-12-31T23", "2027-01-01T00:00:00+00:00"),
        ("day", "2026-12-31", "2027-01-01T00:00:00+00:00"),
        ("month", "2026-12", "2027-01-01T00:00:00+00:00"),
    ],
)
def test_periods_are_those_of_utc(per: module.Period, period: str, resets: str) -> None:
    budget = Budget.private("1")
    budget.per, budget._private = per, MemoryLedger(lambda: 1798760000.0)
    assert budget.period == period
    assert budget.resets_at is not None
    assert budget.resets_at.isoformat() == resets


def test_new_period_starts_with_nothing_spent() -> None:
    now = [1798760000.0]
    budget = Budget.private("1")
    budget.per, budget._private = "day", MemoryLedger(lambda: now[0])
    reserve([budget], CALL, seconds=60).settle(Decimal(1), "a")
    assert budget.left == 0
    now[0] += 86_400
    assert budget.left == 1


@pytest.mark.parametrize("limit", ["much", -1, "nan", True, None])
def test_limit_that_is_no_amount_is_refused(limit: object) -> None:
    with pytest.raises(ConfigurationError, match="USD"):
        Budget(limit)  # type: ignore[arg-type]


def test_unusable_store_is_refused_when_first_used() -> None:
    with pytest.raises(ConfigurationError, match="sqlite:///path"):
        _ = Budget("1", store="postgres://localhost").spent


@pytest.mark.parametrize("store", ["sqlite:////proc/no/budget.db", "redis://127.0.0.1:1/0"])
def test_store_that_is_down_refuses_the_call(store: str) -> None:
    with pytest.raises(HubConnectionError, match="Nothing was sent"):
        reserve([Budget("1", store=store)], CALL, seconds=60)


@pytest.mark.parametrize(("patience", "waited"), [(None, 2.0), (0.5, 0.5), (60.0, 2.0)])
def test_store_has_the_time_of_the_call_and_two_seconds_at_most(
    patience: float | None, waited: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[float] = []
    connect = sqlite3.connect

    def watched(path: Any, *, timeout: float, **more: Any) -> Any:
        seen.append(timeout)
        return connect(path, timeout=timeout, **more)

    monkeypatch.setattr("hubmix.hub.ledger.sqlite3.connect", watched)
    budget = Budget("1", store=f"sqlite:///{tmp_path}/budget.db", name=uuid.uuid4().hex)
    held = reserve([budget], CALL, seconds=60, patience=patience)
    assert seen == [waited]
    held.release()


def test_hasty_call_reserves_in_redis(redis_url: str) -> None:
    budget = Budget("1", store=redis_url, name=uuid.uuid4().hex)
    held = reserve([budget], CALL, seconds=60, patience=1.9)
    assert budget.reserved == Decimal("0.05")
    held.release()


def test_repr_shows_no_password_of_the_store() -> None:
    assert "secret" not in repr(Budget("1", store="redis://:secret@127.0.0.1:1/0"))


def test_budget_pickles_and_copies_as_one() -> None:
    budget = Budget("1", name=uuid.uuid4().hex)
    assert pickle.loads(pickle.dumps(budget)) == budget
    assert issubclass(BudgetExceededError, HubmixError)


def test_notebook_bar_shows_spent_and_limit() -> None:
    budget = Budget.private("1")
    reserve([budget], CALL, seconds=60).settle(Decimal("0.5"), "a")
    assert "██████████░░░░░░░░░░ 0.5 of 1 USD" in budget._repr_html_()
