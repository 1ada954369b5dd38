"""Circuit breakers: closed, open, half-open; shared, and never shortened."""

from __future__ import annotations

import logging
import multiprocessing
import threading
import time
from dataclasses import replace

import pytest

from hubmix.errors import Scope
from hubmix.failover import failures
from hubmix.failover.breakers import CAPACITY, REGISTRY, BreakerRegistry, Key, OpenBreaker, Permit
from hubmix.failover.evidence import Evidence, Failure
from tests.support.fake_time import Breakers, FakeTime

SERVER_ERROR = Evidence("status", "body", status=500, request_id="r")
REFUSED = Evidence("refused", "connect")


class Bench:
    """A registry on a fake clock, and short verbs for it."""

    def __init__(self) -> None:
        self.time = FakeTime()
        self.registry = BreakerRegistry(self.time.monotonic)
        self.hub = self.time.health(registry=self.registry)

    def enter(self, model: str = "a") -> Permit:
        return self.registry.enter(self.hub.keys(model))

    def block(self, model: str = "a") -> OpenBreaker | None:
        return self.registry.block(self.hub.keys(model))

    def fail(self, failure: Failure = failures.SERVER, model: str = "a", evidence: Evidence = SERVER_ERROR) -> None:
        self.registry.failed(self.enter(model), failure, evidence)

    def open_for(self, model: str = "a") -> float:
        return self.hub.open_for(model)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_three_counted_failures_in_a_row_open(bench: Bench) -> None:
    bench.fail()
    bench.fail()
    bench.registry.succeeded(bench.enter())
    bench.fail()
    bench.fail()
    assert bench.open_for() == 0
    bench.fail()
    assert bench.open_for() == 5
    assert bench.open_for("b") == 0


def test_a_failure_of_the_request_counts_for_nothing(bench: Bench) -> None:
    for _ in range(5):
        bench.fail(failures.BAD_REQUEST)
    assert bench.hub.snapshot() == []


@pytest.mark.parametrize(
    ("failure", "seconds"),
    [(failures.NO_CHANNEL, 60), (failures.CHANNEL_AUTH, 300), (failures.RATE_MODEL, 5), (failures.QUOTA, 60)],
)
def test_some_failures_open_at_once(bench: Bench, failure: Failure, seconds: float) -> None:
    bench.fail(failure)
    assert bench.open_for() == seconds
    assert bench.open_for("b") == (seconds if failure.cooldown.target is Scope.ACCOUNT else 0)


def test_a_longer_retry_after_wins_up_to_an_hour(bench: Bench) -> None:
    bench.fail(replace(failures.RATE_MODEL, retry_after=30.0))
    assert bench.open_for() == 30
    bench.fail(replace(failures.RATE_MODEL, retry_after=1e9), model="b")
    assert bench.open_for("b") == 3600


def test_half_open_is_probed_by_one_and_its_success_closes(bench: Bench) -> None:
    bench.fail(failures.NO_CHANNEL)
    assert bench.block()
    bench.time.now += 60
    assert bench.block() is None
    probe = bench.enter()
    blocks = [bench.block() for _ in range(100)]
    assert all(block and block.probing and block.seconds == 0 for block in blocks)
    bench.registry.succeeded(probe)
    assert bench.block() is None
    assert bench.hub.snapshot() == []


def test_a_success_past_an_open_breaker_closes_it(bench: Bench) -> None:
    bench.fail(failures.NO_CHANNEL)
    bench.time.now += 1
    past = bench.enter()
    assert past.probes == ()
    bench.registry.succeeded(past)
    assert bench.block() is None


def test_a_hundred_threads_get_one_probe_between_them(bench: Bench) -> None:
    bench.fail(failures.NO_CHANNEL)
    bench.time.now += 61
    gate = threading.Barrier(100)
    entered: list[Permit] = []

    def ask() -> None:
        gate.wait(timeout=10)
        entered.append(bench.enter())

    threads = [threading.Thread(target=ask) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=10)
    assert len(entered) == 100
    assert sum(bool(one.probes) for one in entered) == 1


def test_a_failed_probe_opens_again_for_longer(bench: Bench) -> None:
    for _ in range(3):
        bench.fail()
    lasted = []
    for _ in range(6):
        lasted.append(bench.open_for())
        bench.time.now += bench.open_for()
        bench.fail()
    assert lasted == [5, 10, 20, 40, 60, 60]


def test_a_cancelled_probe_gives_its_place_to_the_next(bench: Bench) -> None:
    bench.fail(failures.NO_CHANNEL)
    bench.time.now += 60
    bench.registry.released(bench.enter())
    assert bench.enter().probes
    assert bench.block()


def test_a_probe_that_fails_otherwise_leaves_its_place(bench: Bench) -> None:
    bench.fail(failures.NO_CHANNEL)
    bench.time.now += 60
    bench.fail(failures.BAD_REQUEST)
    assert bench.enter().probes


def test_a_new_deadline_never_shortens_an_older_one(bench: Bench) -> None:
    bench.fail(failures.CHANNEL_AUTH)
    bench.time.now += 10
    bench.fail(failures.RATE_MODEL)
    assert bench.open_for() == 290


def test_a_counted_failure_changes_no_open_breaker(bench: Bench) -> None:
    unfinished = Evidence("no_finish", "committed", 200)
    bench.fail(replace(failures.RATE_MODEL, retry_after=30.0))
    for _ in range(4):  # streams that were under way when the hub said that the model is busy
        bench.hub.record("a", failures.INTERRUPTED, unfinished)
    block = bench.block()
    assert block
    assert (block.failure.kind, block.seconds, block.soft) == ("rate_model", 30, False)
    for _ in range(3):
        bench.hub.record("b", failures.INTERRUPTED, unfinished)
    bench.time.now += 1
    bench.hub.record("b", failures.SERVER, SERVER_ERROR)
    block = bench.block("b")
    assert block
    assert (block.seconds, block.soft) == (4, True)
    # Its probe decides, and so does what opens it at once.
    bench.time.now += 4
    bench.fail(model="b")
    block = bench.block("b")
    assert block
    assert (block.failure.kind, block.soft) == ("server", False)


def test_a_retry_after_lengthens_even_what_is_only_counted(bench: Bench) -> None:
    for _ in range(3):
        bench.hub.record("a", failures.INTERRUPTED, Evidence("no_finish", "committed", 200))
    bench.hub.record("a", replace(failures.SERVER, retry_after=30.0), SERVER_ERROR)
    block = bench.block()
    assert block
    assert (block.seconds, block.soft) == (30, False)


def test_an_answer_to_an_earlier_request_closes_no_breaker(bench: Bench) -> None:
    early = bench.enter()
    bench.time.now += 1
    bench.fail(replace(failures.RATE_MODEL, retry_after=30.0))
    bench.registry.succeeded(early)
    assert bench.open_for() == 30


def test_failures_of_one_moment_lengthen_the_cooldown_once(bench: Bench) -> None:
    early = [bench.enter() for _ in range(50)]
    for permit in early:
        bench.registry.failed(permit, failures.RATE_MODEL, SERVER_ERROR)
    assert bench.open_for() == 5


def test_a_committed_stream_is_forgiven_only_at_its_end(bench: Bench) -> None:
    for _ in range(3):
        bench.fail()
    bench.time.now += 5
    probe = bench.enter()
    bench.registry.committed(probe)
    assert bench.block() is None
    bench.hub.record("a", failures.INTERRUPTED, Evidence("cut", "committed"))
    assert bench.open_for() == 10


def test_streams_that_always_break_open_the_breaker(bench: Bench) -> None:
    for _ in range(3):
        bench.registry.committed(bench.enter())
        bench.hub.record("a", failures.INTERRUPTED, Evidence("cut", "committed"))
    assert bench.open_for() == 5


def test_a_stream_that_ends_well_wipes_out_what_was_counted(bench: Bench) -> None:
    bench.fail()
    bench.fail()
    bench.hub.record("a")
    assert bench.hub.snapshot() == []


def test_the_endpoint_is_alive_when_anything_comes_back(bench: Bench) -> None:
    for _ in range(2):
        bench.fail(failures.CONNECT, evidence=REFUSED)
    bench.fail(failures.SERVER)
    bench.fail(failures.CONNECT, evidence=REFUSED)
    assert bench.open_for("b") == 0
    for _ in range(2):
        bench.fail(failures.CONNECT, evidence=REFUSED)
    assert bench.open_for("b") == 5


def test_accounts_and_hubs_are_kept_apart(bench: Bench) -> None:
    bench.fail(failures.QUOTA)
    other_key = bench.time.health(account="other", registry=bench.registry)
    other_hub = bench.time.health("https://else.example/v1", registry=bench.registry)
    assert bench.registry.block(other_key.keys("a")) is None
    assert bench.registry.block(other_hub.keys("a")) is None
    assert other_key.snapshot() == []
    assert [state.target for state in bench.hub.snapshot()] == ["account"]


def test_the_snapshot_tells_what_is_wrong_and_for_how_long(bench: Bench) -> None:
    bench.fail()
    bench.fail(failures.NO_CHANNEL, model="b")
    closed, opened = sorted(bench.hub.snapshot(), key=lambda state: state.model or "")
    assert (closed.state, closed.failures, closed.kind, closed.retry_in) == ("closed", 1, "server", 0)
    assert (opened.state, opened.retry_in, opened.kind, opened.status) == ("open", 60, "no_channel", 500)
    assert opened.request_id == "r"
    bench.time.now += 60
    assert {state.state for state in bench.hub.snapshot()} == {"closed", "half_open"}


def test_reset_closes_those_of_this_hub_and_key_alone(bench: Bench) -> None:
    other = bench.time.health("https://else.example/v1", registry=bench.registry)
    bench.fail(failures.NO_CHANNEL)
    bench.registry.failed(bench.registry.enter(other.keys("a")), failures.NO_CHANNEL, SERVER_ERROR)
    bench.hub.reset()
    assert bench.open_for() == 0
    assert len(other.snapshot()) == 1
    bench.registry.reset()
    assert other.snapshot() == []


def test_opening_is_logged_and_names_no_key(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="hubmix.failover.breakers"):
        bench.fail(failures.NO_CHANNEL)
        early = Permit(bench.hub.keys("a"), bench.time.now)
        bench.registry.failed(early, failures.NO_CHANNEL, SERVER_ERROR)
    assert len(caplog.records) == 1
    assert caplog.records[0].levelno == logging.INFO
    told = caplog.records[0].getMessage()
    assert "'a' at hub.example opened for 60 s: no_channel (HTTP 500, r)" in told
    assert "key" not in told


def test_a_full_registry_drops_the_oldest_closed_breaker_first() -> None:
    time = FakeTime()
    registry = BreakerRegistry(time.monotonic, capacity=3)
    hub = time.health(registry=registry)
    for model, failure in (("open", failures.NO_CHANNEL), ("a", failures.SERVER), ("b", failures.SERVER)):
        hub.record(model, failure, SERVER_ERROR)
    hub.record("c", failures.SERVER, SERVER_ERROR)
    assert [state.model for state in hub.snapshot()] == ["open", "b", "c"]
    for model in "xyz":
        hub.record(model, failures.NO_CHANNEL, SERVER_ERROR)
    assert [state.model for state in hub.snapshot()] == ["x", "y", "z"]


def test_a_registry_of_a_hundred_thousand_models_is_bounded(bench: Bench) -> None:
    permits = [Permit(bench.hub.keys(f"m{number}"), bench.time.now) for number in range(100_000)]
    started = time.process_time()
    for permit in permits:
        bench.registry.failed(permit, failures.SERVER, SERVER_ERROR)
    each = (time.process_time() - started) / len(permits)
    assert len(bench.hub.snapshot()) == CAPACITY
    assert each < 50e-6  # measured: 10 µs


def test_an_earlier_request_counts_for_nothing(bench: Bench) -> None:
    stale = [bench.enter() for _ in range(10)]
    bench.time.now += 1
    for _ in range(3):
        bench.fail()
    bench.time.now += 5
    bench.registry.succeeded(bench.enter())
    for permit in stale:
        bench.registry.failed(permit, failures.SERVER, SERVER_ERROR)
    assert bench.hub.snapshot() == []


def test_what_this_process_caused_counts_for_nothing(bench: Bench) -> None:
    own = Evidence("read_timeout", "open", own=True)
    for _ in range(10):
        bench.fail(failures.TIMEOUT, evidence=own)
    assert bench.hub.snapshot() == []
    bench.fail(failures.NO_CHANNEL)
    bench.time.now += 60
    bench.fail(failures.TIMEOUT, evidence=own)
    assert bench.enter().probes  # the next request is the probe


def test_an_own_client_closes_the_endpoint_for_itself_alone(bench: Bench) -> None:
    proxied = replace(bench.hub, way="own proxy")
    for _ in range(3):
        bench.registry.failed(bench.registry.enter(proxied.keys("a")), failures.CONNECT, REFUSED)
    assert proxied.open_for("a") == 5
    assert bench.open_for() == 0
    assert bench.hub.snapshot() == []
    assert [state.target for state in proxied.snapshot()] == ["endpoint"]


def test_a_key_knows_what_it_stands_for() -> None:
    assert [Key("u").target, Key("u", "a").target, Key("u", "a", "m").target] == [
        Scope.ENDPOINT,
        Scope.ACCOUNT,
        Scope.MODEL,
    ]


def _look_in_child(queue: multiprocessing.Queue[bool]) -> None:
    hub = Breakers(("https://fork.example/v1",), "key")
    queue.put(hub.snapshot() == [] and REGISTRY.block(hub.keys("a")) is None)


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_starts_anew_even_if_the_lock_was_held() -> None:
    hub = Breakers(("https://fork.example/v1",), "key")
    hub.record("a", failures.NO_CHANNEL, SERVER_ERROR)
    assert hub.snapshot() != []
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    try:
        with REGISTRY._lock:
            child = context.Process(target=_look_in_child, args=(queue,))
            child.start()
        assert queue.get(timeout=10)
        child.join(timeout=10)
    finally:
        hub.reset()
