"""What processes tell each other of open breakers, and what a store may cost."""

from __future__ import annotations

import asyncio
import logging
import os
import uuid
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from hubmix import CallOptions, ConfigurationError, FailoverPolicy, Hub, ModelUnavailableError
from hubmix.embedded import EmbeddedHub
from hubmix.failover import failures
from hubmix.failover.breakers import REGISTRY, BreakerRegistry
from hubmix.failover.evidence import Evidence, Failure
from hubmix.hub import sharing
from hubmix.hub.breaker_store import KEPT, BreakerStore, RedisStore, Row, SQLiteStore
from hubmix.hub.sharing import EVERY, LEASE, REST, SharedBreakers
from tests.hub.conftest import MODEL, OTHER
from tests.support.fake_time import FakeTime
from tests.support.processes import warm

DOWN = Evidence("status", "body", status=503, code="model_not_found", request_id="r1")
UNREACHED = Evidence("refused", "connect")


class MemoryStore:
    """A store in this process, on the clock of the tests."""

    def __init__(self, time: FakeTime) -> None:
        self.time = time
        self.rows: dict[str, tuple[str, float]] = {}
        self.reads = 0
        self.trouble: Exception | None = None

    def read(self) -> Mapping[str, Row]:
        self.reads += 1
        if self.trouble is not None:
            raise self.trouble
        return {name: Row(text, until - self.time.now) for name, (text, until) in self.rows.items()}

    def write(self, name: str, row: Row) -> None:
        self.rows[name] = (row.text, self.time.now + row.seconds)

    def remove(self, name: str) -> None:
        self.rows.pop(name, None)

    def claim(self, name: str, seconds: float) -> bool:
        text, until = self.rows[name]
        if until > self.time.now:
            return False
        self.rows[name] = (text, self.time.now + seconds)
        return True


class Process:
    """The breakers of one process, and what it shares."""

    def __init__(self, time: FakeTime, store: BreakerStore, account: str = "key") -> None:
        self.registry = BreakerRegistry(time.monotonic)
        self.breakers = time.health(account=account, registry=self.registry)
        self.shared = SharedBreakers(store, self.breakers, time.monotonic)

    def fails(self, model: str = "a", failure: Failure = failures.NO_CHANNEL, evidence: Evidence = DOWN) -> None:
        self.registry.failed(self.registry.enter(self.breakers.keys(model)), failure, evidence)
        self.shared.exchange()

    def begins(self, model: str = "a") -> float:
        """Begin a call; return the seconds for which the model goes to the back."""
        self.shared.exchange(self.breakers.keys(model))
        return self.breakers.open_for(model)

    def succeeds(self, model: str = "a") -> None:
        self.registry.succeeded(self.registry.enter(self.breakers.keys(model)))
        self.shared.exchange()


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def store(time: FakeTime) -> MemoryStore:
    return MemoryStore(time)


def test_breaker_of_one_process_is_open_in_another(time: FakeTime, store: MemoryStore) -> None:
    one, other = Process(time, store), Process(time, store)
    one.fails()
    time.now += 10
    assert other.begins() == 50
    (state,) = other.breakers.snapshot()
    assert (state.kind, state.status, state.code, state.request_id) == ("no_channel", 503, "model_not_found", "r1")


def test_breaker_of_an_account_is_shared_too(time: FakeTime, store: MemoryStore) -> None:
    one, other = Process(time, store), Process(time, store)
    one.fails(failure=failures.QUOTA)
    assert other.begins("b") == 60


def test_success_closes_it_everywhere(time: FakeTime, store: MemoryStore) -> None:
    one, other, third = (Process(time, store) for _ in range(3))
    one.fails()
    assert other.begins() == third.begins() == 60
    time.now += 1
    other.succeeds()
    assert one.begins() == third.begins() == 0
    assert store.rows == {}


def test_reset_closes_it_everywhere(time: FakeTime, store: MemoryStore) -> None:
    one, other = Process(time, store), Process(time, store)
    one.fails()
    other.begins()
    other.breakers.reset()
    other.shared.exchange()
    assert one.begins() == 0


def test_base_url_and_other_keys_are_not_shared(time: FakeTime, store: MemoryStore) -> None:
    one, other = Process(time, store), Process(time, store)
    for _ in range(3):
        one.fails(failure=failures.CONNECT, evidence=UNREACHED)
    stranger = Process(time, store, account="another key")
    stranger.fails("b")
    assert store.rows.keys() == {"b"}  # the stores keep hubs and keys apart
    assert other.begins() == 0


def test_one_process_finds_out_whether_it_is_over(time: FakeTime, store: MemoryStore) -> None:
    one, other = Process(time, store), Process(time, store)
    one.fails()
    other.begins()
    time.now += 61
    assert one.begins() == 0
    assert other.begins() == LEASE
    time.now += LEASE + 1  # the first was cancelled, or killed
    assert other.begins() == 0


def test_call_that_does_not_ask_it_first_takes_no_turn(time: FakeTime, store: MemoryStore) -> None:
    one, other = Process(time, store), Process(time, store)
    one.fails()
    time.now += 61
    assert other.begins("b") == 0
    assert one.begins() == 0


@pytest.mark.parametrize("text", ["", "null", "[]", "{}", '{"kind": "of a later version", "openings": 1}'])
def test_row_that_cannot_be_read_is_passed_over(time: FakeTime, store: MemoryStore, text: str) -> None:
    store.write("a", Row(text, 60))
    assert Process(time, store).begins() == 0


def test_clock_ahead_opens_for_an_hour_at_most(time: FakeTime, store: MemoryStore) -> None:
    Process(time, store).fails()
    store.write("a", Row(store.rows["a"][0], 1e9))
    assert Process(time, store).begins() == 3600


def test_store_that_fails_is_left_alone_for_a_while(
    time: FakeTime, store: MemoryStore, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharing, "WAIT", 60.0)
    one = Process(time, store)
    store.trouble = OSError("disk sk-abcdefghijklmnop")
    with caplog.at_level(logging.WARNING, "hubmix"):
        one.shared.share()
        time.now += REST - 1
        one.shared.share()
        assert store.reads == 1
        time.now += 2
        monkeypatch.setattr(sharing, "WAIT", -1.0)  # nobody waits for a store that failed
        one.shared.share()
        settled(one.shared)
    assert store.reads == 2
    (record,) = caplog.records
    assert "disk" in record.message
    assert "abcdefghijklmnop" not in record.message
    store.trouble = None
    one.registry.failed(one.registry.enter(one.breakers.keys("a")), failures.NO_CHANNEL, DOWN)
    time.now += REST + 1
    one.shared.share()
    settled(one.shared)
    assert store.rows.keys() == {"a"}


def settled(shared: SharedBreakers) -> None:
    """Return when no exchange is under way; the time limit of every test ends it."""
    while shared._busy:
        pass


def test_store_is_read_again_only_after_a_while(
    time: FakeTime, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharing, "WAIT", 60.0)
    one = Process(time, store)
    for _ in range(10):
        one.shared.share()
    assert store.reads == 1
    time.now += EVERY
    asyncio.run(one.shared.ashare())
    assert store.reads == 2


# -- the stores ------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["sqlite", "redis"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/deep/breakers.db"
    url = request.getfixturevalue("redis_url").removesuffix("/0") + "/1"
    import_module("redis").Redis.from_url(url).flushdb()
    return str(url)


@pytest.fixture
def opened(where: str) -> Callable[[str], BreakerStore]:
    run = uuid.uuid4().hex
    return lambda group: sharing.open_store(where, f"{run} {group}")


def test_store_keeps_what_was_written(opened: Callable[[str], BreakerStore]) -> None:
    one, same, other = opened("one"), opened("one"), opened("other")
    assert one.read() == {}
    one.write("", Row("text of the account", 60))
    one.write("vendor/model: ü", Row("first", 5))
    one.write("vendor/model: ü", Row("second {1: 2}", 0))
    rows = same.read()
    assert {name: row.text for name, row in rows.items()} == {
        "": "text of the account",
        "vendor/model: ü": "second {1: 2}",
    }
    assert rows["vendor/model: ü"].seconds <= 0 < rows[""].seconds <= 60
    assert other.read() == {}
    same.remove("")
    assert one.read().keys() == {"vendor/model: ü"}


def test_store_lets_one_find_out(opened: Callable[[str], BreakerStore]) -> None:
    one, other = opened("one"), opened("one")
    one.write("a", Row("x", 0))
    assert [each.claim("a", 600) for each in (one, other, one)] == [True, False, False]


def test_sqlite_forgets_rows_that_are_long_over(tmp_path: Path) -> None:
    now = [1000.0]
    one = SQLiteStore(str(tmp_path / "b.db"), "one", lambda: now[0])
    one.write("a", Row("x", 10))
    now[0] += 10 + KEPT
    assert one.read() == {}


@pytest.mark.parametrize("wrong", ["breakers.db", "sqlite://", "sqlite:///", "http://x", "redis:/x"])
def test_text_that_names_no_store_is_refused(wrong: str) -> None:
    with pytest.raises(ConfigurationError, match="breaker_store"):
        Hub(base_url="https://hub.example", api_key="sk-test", breaker_store=wrong)


def test_key_of_a_function_is_refused(tmp_path: Path) -> None:
    """It is told from others by its place in this process's memory."""
    with pytest.raises(ConfigurationError, match="function"):
        Hub(base_url="https://hub.example", api_key=lambda: "sk", breaker_store=f"sqlite:///{tmp_path}/b.db")


def test_redis_that_is_away_raises_at_the_exchange_alone() -> None:
    store = RedisStore("redis://127.0.0.1:1/0", "one")
    with pytest.raises(Exception, match=r"127\.0\.0\.1"):
        store.read()


# -- calls -----------------------------------------------------------------------------------------------------------

PAYLOAD: dict[str, Any] = {"model": MODEL, "messages": [{"role": "user", "content": "hello"}]}
TO_OTHER = CallOptions(fallbacks=(OTHER,), policy=FailoverPolicy(max_retries=0))


def ask(base_url: str, api_key: str, where: str, stream: bool) -> int:
    """Ask in a process of its own; return its number."""
    sharing.WAIT = 60.0
    with Hub(base_url=base_url, api_key=api_key, breaker_store=where, catalog_refresh=False) as hub:
        if stream:
            assert [delta.final.served for delta in hub.stream_chat(PAYLOAD, TO_OTHER) if delta.final] == [OTHER]
        else:
            assert hub.chat(PAYLOAD, TO_OTHER).served == OTHER
    return os.getpid()


@pytest.mark.parametrize("stream", [False, True])
def test_dead_model_costs_a_machine_one_request(server: EmbeddedHub, where: str, stream: bool) -> None:
    server.fault(MODEL, "model_unknown", times=None)
    with warm().Pool(1, maxtasksperchild=1) as pool:
        told = (server.base_url, server.api_key, where, stream)
        processes = {pool.apply(ask, told) for _ in range(3)}
    assert len(processes) == 3
    assert [request.model for request in server.requests] == [MODEL, OTHER, OTHER, OTHER]


async def test_dead_model_is_known_to_async_calls(
    server: EmbeddedHub, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharing, "WAIT", 60.0)
    server.fault(MODEL, "model_unknown", times=None)
    for _ in range(2):
        hub = Hub(base_url=server.base_url, api_key=server.api_key, breaker_store=where)
        assert (await hub.achat(PAYLOAD, TO_OTHER)).served == OTHER
        REGISTRY.reset()  # as a process that has just begun
        await hub.aclose()
    assert [request.model for request in server.requests] == [MODEL, OTHER, OTHER]


def test_sole_model_is_asked_although_it_is_known_to_be_dead(
    server: EmbeddedHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A breaker is a memory, not a gate."""
    monkeypatch.setattr(sharing, "WAIT", 60.0)
    server.fault(MODEL, "model_unknown", times=1)
    given = {"api_key": server.api_key, "breaker_store": f"sqlite:///{tmp_path}/b.db"}
    with Hub(base_url=server.base_url, **given) as one, Hub(base_url=server.base_url, **given) as other:
        with pytest.raises(ModelUnavailableError):
            one.chat(PAYLOAD, CallOptions(policy=FailoverPolicy(max_retries=0)))
        REGISTRY.reset()
        assert [state.state for state in other.health()] == ["open"]
        assert other.chat(PAYLOAD).served == MODEL
        assert other.health() == []


@pytest.mark.parametrize("where", ["sqlite:////proc/nowhere/b.db", "redis://127.0.0.1:1/0"])
def test_store_that_is_down_changes_no_answer(server: EmbeddedHub, where: str) -> None:
    pytest.importorskip("redis")
    with Hub(base_url=server.base_url, api_key=server.api_key, breaker_store=where) as hub:
        assert hub.chat({**PAYLOAD, "model": OTHER}).text == "hello"
        assert asyncio.run(hub.achat({**PAYLOAD, "model": OTHER})).text == "hello"
        assert hub.health() == []
