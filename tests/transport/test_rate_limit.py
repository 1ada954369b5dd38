"""The client-side rate limit: exact, fair, cancellable, and shared."""

from __future__ import annotations

import asyncio
import contextlib
import pickle
import random
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hubmix import CallOptions, FailoverPolicy, Hub
from hubmix.errors import ConfigurationError, HubConnectionError, RateLimitedError
from hubmix.transport import connection as module
from hubmix.transport import rate_limit_store as shared_rate_limit
from hubmix.transport.connection import limiter_for
from hubmix.transport.rate_limit import Rate, RateLimiter, SharedRateLimit, parse_rate, parse_rates
from hubmix.transport.rate_limit_store import StoredRateLimiter
from tests.support.answers import Answer, completion, error
from tests.support.catalog_fakes import FakeClock
from tests.support.forked import exit_code_of_child
from tests.support.processes import warm
from tests.support.scripted_hub import ScriptedHub


@pytest.fixture(autouse=True)
def nothing_sent() -> Iterator[None]:
    module.forget_limiters()
    yield
    module.forget_limiters()


class Watch:
    """A limiter on a clock that jumps to the end of every sleep."""

    def __init__(self, *rates: Rate) -> None:
        self.clock = FakeClock(0.0)
        self.sent: list[float] = []
        self.limiter = RateLimiter(*rates, clock=self.clock, sleep=self.clock.pass_, asleep=self.asleep)

    async def asleep(self, seconds: float) -> None:
        self.clock.pass_(seconds)

    def send(self) -> None:
        self.limiter.acquire()
        self.sent.append(self.clock.now)


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("180/min", Rate(180, 60)),
        ("3/s", Rate(3, 1)),
        ("3 / sec", Rate(3, 1)),
        ("3/second", Rate(3, 1)),
        ("10 per second", Rate(10, 1)),
        ("180/m", Rate(180, 60)),
        ("180 / minute", Rate(180, 60)),
        ("1000/hour", Rate(1000, 3600)),
        ("1000/h", Rate(1000, 3600)),
        ("5/day", Rate(5, 86400)),
        ("50 per 10 s", Rate(50, 10)),
        ("50/10s", Rate(50, 10)),
        ("  7/MIN ", Rate(7, 60)),
    ],
)
def test_a_rate_in_words(text: str, rate: Rate) -> None:
    assert parse_rate(text) == rate
    assert parse_rate(str(rate)) == rate


@pytest.mark.parametrize(
    "text",
    ["", "fast", "180", "180/", "/min", "0/min", "-1/min", "1.5/s", "5/0 s", "5/fortnight", "180/min!", 180, None],
)
def test_what_is_no_rate_says_how_to_write_one(text: object) -> None:
    with pytest.raises(ConfigurationError, match="'180/min'"):
        parse_rates(text)  # type: ignore[arg-type]  # whatever a user writes


def test_several_rates_all_hold() -> None:
    assert parse_rates("10/s, 180/min") == (Rate(10, 1), Rate(180, 60))
    watch = Watch(Rate(2, 1), Rate(3, 10))
    for _ in range(5):
        watch.send()
    assert watch.sent == [0, 0, 1, 10, 10]


def test_no_span_of_time_ever_sees_more_than_the_rate() -> None:
    rate = Rate(7, 10.0)
    watch = Watch(rate)
    chance = random.Random(7)
    for _ in range(500):
        watch.clock.pass_(chance.choice([0, 0, 0, 0.1, 3, 25]))
        watch.send()
    assert watch.sent == sorted(watch.sent)
    for position in range(len(watch.sent) - rate.count):
        assert watch.sent[position + rate.count] - watch.sent[position] > rate.seconds - 1e-6
    assert len(watch.limiter._turns) < 200


def test_an_unused_limit_makes_nobody_wait() -> None:
    watch = Watch(Rate(180, 60))
    for _ in range(180):
        watch.send()
    assert watch.clock.now == 0
    watch.send()
    assert watch.clock.now == 60


def test_permit_that_comes_too_late_is_refused_at_once() -> None:
    watch = Watch(Rate(1, 60))
    watch.limiter.acquire(timeout=0)
    for _ in range(3):
        with pytest.raises(RateLimitedError, match="leaves no room for 60 s") as error:
            watch.limiter.acquire(timeout=5)
    assert error.value.retry_after == 60
    assert "total_timeout" in str(error.value)
    assert watch.clock.now == 0
    watch.limiter.acquire(timeout=60)
    assert watch.clock.now == 60


async def test_awaiting_is_the_same() -> None:
    watch = Watch(Rate(1, 60))
    await watch.limiter.aacquire()
    with pytest.raises(RateLimitedError):
        await watch.limiter.aacquire(timeout=5)
    await watch.limiter.aacquire()
    assert watch.clock.now == 60


async def test_first_come_first_served_across_tasks() -> None:
    clock = FakeClock(0.0)
    order: list[tuple[int, float]] = []
    waiting: list[tuple[float, asyncio.Event]] = []

    async def asleep(seconds: float) -> None:
        woken = asyncio.Event()
        waiting.append((clock.now + seconds, woken))
        await woken.wait()

    limiter = RateLimiter(Rate(1, 10), clock=clock, asleep=asleep)

    async def work(number: int) -> None:
        await limiter.aacquire()
        order.append((number, clock.now))

    tasks = [asyncio.create_task(work(number)) for number in range(4)]
    await asyncio.sleep(0)
    for _ in range(3):
        waiting.sort(key=lambda item: item[0])
        clock.now, woken = waiting.pop(0)
        woken.set()
        await asyncio.sleep(0.001)
    await asyncio.gather(*tasks)
    assert order == [(0, 0), (1, 10), (2, 20), (3, 30)]


async def test_a_cancelled_waiter_gives_its_turn_back() -> None:
    clock = FakeClock(0.0)
    limiter = RateLimiter(Rate(1, 10), clock=clock)
    await limiter.aacquire()
    waiter = asyncio.create_task(limiter.aacquire())
    await asyncio.sleep(0)
    assert limiter._turns == [0, 10]
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    assert limiter._turns == [0]


def test_an_interrupted_thread_gives_its_turn_back() -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    clock = FakeClock(0.0)
    limiter = RateLimiter(Rate(1, 10), clock=clock, sleep=interrupt)
    limiter.acquire()
    with pytest.raises(KeyboardInterrupt):
        limiter.acquire()
    assert limiter._turns == [0]


def test_threads_and_loops_share_one_limiter() -> None:
    limiter = RateLimiter(Rate(5, 0.02))
    sent: list[float] = []

    def block() -> None:
        limiter.acquire()
        sent.append(time.monotonic())

    async def wait() -> None:
        await limiter.aacquire()
        sent.append(time.monotonic())

    async def many() -> None:
        await asyncio.gather(*(wait() for _ in range(4)))

    with ThreadPoolExecutor(6) as pool:
        jobs = [pool.submit(block) for _ in range(8)] + [pool.submit(asyncio.run, many()) for _ in range(2)]
        for job in jobs:
            job.result(5)
    assert len(sent) == 16
    turns = limiter._turns
    assert all(later - earlier >= 0.02 - 1e-9 for earlier, later in zip(turns, turns[5:], strict=False))


def test_one_limiter_for_each_key_and_hub() -> None:
    first = limiter_for("180/min", fingerprint="k", base_url="http://h/v1")
    assert first is limiter_for("180/min", fingerprint="k", base_url="http://h/v1/")
    assert first is not limiter_for("180/min", fingerprint="other", base_url="http://h/v1")
    assert first is not limiter_for("180/min", fingerprint="k", base_url="http://other/v1")
    assert limiter_for(None, fingerprint="k", base_url="http://h/v1") is None
    with pytest.raises(ConfigurationError):
        limiter_for("quickly", fingerprint="new", base_url="http://h/v1")
    assert ("new", "http://h/v1") not in module._limiters


def test_two_limits_for_one_key_both_hold() -> None:
    limiter_for("180/min", fingerprint="k", base_url="http://h/v1")
    limiter = limiter_for("3/s", fingerprint="k", base_url="http://h/v1")
    assert isinstance(limiter, RateLimiter)
    assert limiter.rates == (Rate(180, 60), Rate(3, 1))


def test_a_child_process_is_not_blocked_by_a_lock_of_its_parent() -> None:
    limiter = limiter_for("180/min", fingerprint="k", base_url="http://h/v1")
    assert isinstance(limiter, RateLimiter)
    with limiter._lock:
        assert exit_code_of_child(limiter.acquire) == 0


class TestShared:
    def test_it_names_one_store_and_hides_it(self) -> None:
        for settings in ({}, {"sqlite": "a", "redis": "redis://h"}):
            with pytest.raises(ConfigurationError, match="one of them"):
                SharedRateLimit("1/s", **settings)
        with pytest.raises(ConfigurationError, match="not a rate"):
            SharedRateLimit("quick", sqlite="a")
        limit = SharedRateLimit("1/s", redis="redis://:password@h")
        assert "password" not in repr(limit)
        assert pickle.loads(pickle.dumps(limit)) == limit

    def test_a_missing_extra_says_what_to_install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def missing(name: str) -> None:
            raise ImportError(name)

        monkeypatch.setattr("hubmix.transport.stores.import_module", missing)
        with pytest.raises(ConfigurationError, match=r"hubmix\[ratelimit\]"):
            limiter_for(SharedRateLimit("1/s", sqlite="a"), fingerprint="k", base_url="http://h/v1")


def check_a_store(limit: SharedRateLimit) -> None:
    """Two limiters count together, as in two processes; another key counts alone."""
    naps: list[float] = []
    first = StoredRateLimiter(limit, "key", "http://h/v1", sleep=naps.append)
    second = StoredRateLimiter(limit, "key", "http://h/v1", sleep=naps.append)
    other = StoredRateLimiter(limit, "other", "http://h/v1", sleep=naps.append)
    first.acquire()
    second.acquire()
    first.acquire()
    for limiter in (first, second):
        with pytest.raises(RateLimitedError) as error:
            limiter.acquire(timeout=1)
        assert 3_500 < (error.value.retry_after or 0) <= 3_601
    other.acquire(timeout=0)
    assert naps == []


async def check_a_store_awaiting(limit: SharedRateLimit) -> None:
    limiter = StoredRateLimiter(limit, "async", "http://h/v1")
    await asyncio.gather(*(limiter.aacquire(timeout=0) for _ in range(3)))
    with pytest.raises(RateLimitedError):
        await limiter.aacquire(timeout=1)
    waiter = asyncio.create_task(limiter.aacquire())
    await asyncio.sleep(0.02)
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter


def acquired_of_twelve(where: dict[str, str]) -> int:
    """Return how many of twelve calls at once the shared limit of 20 lets through."""
    limiter = limiter_for(SharedRateLimit("20/hour", **where), fingerprint="k", base_url="http://h/v1")
    got = 0
    for _ in range(12):
        with contextlib.suppress(RateLimitedError):
            limiter.acquire(timeout=0)
            got += 1
    return got


def check_a_fork(limiter: StoredRateLimiter) -> None:
    """A child counts on, though a thread of its parent was counting when it was made."""

    def count_on() -> None:
        limiter.acquire(timeout=0)
        with pytest.raises(RateLimitedError):
            limiter.acquire(timeout=0)

    limiter.acquire()
    store = limiter._store
    with getattr(store, "_lock", contextlib.nullcontext()):
        assert exit_code_of_child(count_on) == 0
    assert limiter._store is store
    with pytest.raises(RateLimitedError):
        limiter.acquire(timeout=0)


def check_processes(**where: str) -> None:
    """Four processes that want 12 each get 20 together."""
    with warm().Pool(4) as pool:
        assert sum(pool.map(acquired_of_twelve, [where] * 4, chunksize=1)) == 20


class TestHeard:
    """What the hub says of its own limit counts, if a limit was asked for."""

    def test_limit_that_is_used_up_holds_requests_back(self) -> None:
        clock = FakeClock()
        limiter = RateLimiter(Rate(100, 60.0), clock=clock, sleep=clock.pass_)
        limiter.heard({"ratelimit": '"default";r=0;t=20'})
        start = clock.now
        limiter.acquire()
        assert clock.now - start == 20
        limiter.acquire()
        assert clock.now - start == 20

    def test_word_of_the_hub_holds_for_a_minute_at_most(self) -> None:
        clock = FakeClock()
        limiter = RateLimiter(Rate(100, 60.0), clock=clock, sleep=clock.pass_)
        limiter.heard({"ratelimit": '"default";r=0;t=86400'})
        start = clock.now
        limiter.acquire()
        assert clock.now - start == 60

    def test_policy_of_the_hub_is_kept_too(self) -> None:
        clock = FakeClock()
        limiter = RateLimiter(Rate(100, 60.0), clock=clock, sleep=clock.pass_)
        limiter.heard({"ratelimit-policy": '"burst";q=2;w=10'})
        start = clock.now
        for _ in range(3):
            limiter.acquire()
        assert clock.now - start == 10
        assert limiter.rates == (Rate(100, 60.0),)

    @pytest.mark.parametrize("waits", [True, False])
    @pytest.mark.parametrize("status", [200, 429])
    async def test_every_answer_is_heard(self, waits: bool, status: int, serve: Callable[..., ScriptedHub]) -> None:
        fields = {"RateLimit": '"default";r=0;t=20', "RateLimit-Policy": '"default";q=7;w=60'}
        answer = completion("hi") if status == 200 else error(429, "Too many requests", type="x")
        server = serve(Answer(answer.body, status, headers=fields))
        payload = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
        once = CallOptions(policy=FailoverPolicy(max_retries=0))
        hub = Hub(base_url=server.base_url, api_key="sk-test", rate_limit="1000/s", catalog_refresh=False)
        with contextlib.suppress(RateLimitedError):
            hub.chat(payload, once) if waits else await hub.achat(payload, once)
        limiter = hub._connection.limiter()
        assert isinstance(limiter, RateLimiter)
        assert limiter._of_the_hub == (Rate(7, 60.0),)
        with pytest.raises(RateLimitedError, match="leaves no room"):
            limiter.acquire(timeout=0)
        await hub.aclose()


class TestSQLite:
    @pytest.fixture(autouse=True)
    def extra(self) -> None:
        pytest.importorskip("pyrate_limiter")
        pytest.importorskip("filelock")

    async def test_it_counts_together(self, tmp_path: Path) -> None:
        limit = SharedRateLimit("3/hour", sqlite=tmp_path / "deep" / "limits.sqlite")
        check_a_store(limit)
        await check_a_store_awaiting(limit)

    def test_waiting_ends(self, tmp_path: Path) -> None:
        limiter = StoredRateLimiter(SharedRateLimit("1 per 1 s", sqlite=tmp_path / "l"), "k", "http://h/v1")
        limiter.acquire()
        naps: list[float] = []

        def nap(seconds: float) -> None:
            naps.append(seconds)
            limiter._store._bucket.flush()

        limiter._sleep = nap
        limiter.acquire(timeout=2)
        assert len(naps) == 1
        assert 0.5 < naps[0] <= 1.001

    def test_threads(self, tmp_path: Path) -> None:
        limiter = StoredRateLimiter(SharedRateLimit("10/hour", sqlite=tmp_path / "l"), "k", "http://h/v1")
        refused = threading.Semaphore(0)

        def work() -> None:
            try:
                limiter.acquire(timeout=0)
            except RateLimitedError:
                refused.release()

        with ThreadPoolExecutor(8) as pool:
            for job in [pool.submit(work) for _ in range(16)]:
                job.result(10)
        assert [refused.acquire(blocking=False) for _ in range(7)] == [True] * 6 + [False]

    def test_a_child_process_counts_on(self, tmp_path: Path) -> None:
        check_a_fork(StoredRateLimiter(SharedRateLimit("2/hour", sqlite=tmp_path / "l"), "k", "http://h/v1"))

    def test_processes(self, tmp_path: Path) -> None:
        check_processes(sqlite=str(tmp_path / "limits.sqlite"))

    def test_stamps_of_the_future_do_not_lock_out(self, tmp_path: Path) -> None:
        """A clock that was an hour ahead stamped the permits (case 507)."""
        limiter = StoredRateLimiter(SharedRateLimit("2/hour", sqlite=tmp_path / "l"), "k", "http://h/v1")
        for _ in range(2):
            limiter.acquire(timeout=0)
        kept = sqlite3.connect(tmp_path / "l")
        kept.execute(f'UPDATE "{limiter._key}" SET item_timestamp = item_timestamp + 7200000')
        kept.commit()
        kept.close()
        with pytest.raises(RateLimitedError) as refused:
            limiter.acquire(timeout=0)
        assert refused.value.retry_after < 3_601  # counted as given now, not in two hours

    def test_locked_file_is_waited_for_no_longer_than_the_limit(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from filelock import FileLock

        monkeypatch.setattr(shared_rate_limit, "STORE_TIMEOUT", 0.01)
        waiting = StoredRateLimiter(SharedRateLimit("9/s", sqlite=tmp_path / "l"), "k", "http://h/v1")
        opened = StoredRateLimiter(SharedRateLimit("9/s", sqlite=tmp_path / "l"), "k", "http://h/v1")
        opened.acquire()
        with FileLock(tmp_path / "l.lock"):
            for limiter in (waiting, opened):
                with pytest.raises(HubConnectionError, match="Nothing was sent"):
                    limiter.acquire()
        waiting.acquire()

    def test_a_file_that_cannot_be_written_sends_nothing(self, tmp_path: Path) -> None:
        blocked = tmp_path / "file"
        blocked.write_text("")
        limiter = StoredRateLimiter(SharedRateLimit("3/s", sqlite=blocked / "l"), "k", "http://h/v1")
        with pytest.raises(HubConnectionError, match=r"Nothing was sent.*SQLite file"):
            limiter.acquire()


class TestRedis:
    async def test_it_counts_together(self, redis_url: str) -> None:
        limit = SharedRateLimit("3/hour", redis=redis_url)
        check_a_store(limit)
        await check_a_store_awaiting(limit)

    def test_processes(self, redis_url: str) -> None:
        check_processes(redis=redis_url)

    def test_clocks_that_differ_give_no_permit_more(self, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        limiter = StoredRateLimiter(SharedRateLimit("3/hour", redis=redis_url), "clocks", "http://h/v1")
        for ahead in (50_000_000, 20_000_000, 30_000_000):
            nanoseconds = time.time_ns() + ahead
            monkeypatch.setattr("pyrate_limiter.buckets.redis_bucket.time_ns", lambda at=nanoseconds: at)
            limiter.acquire(timeout=0)
        monkeypatch.undo()
        with pytest.raises(RateLimitedError):
            limiter.acquire(timeout=0)

    def test_waiting_ends_when_the_oldest_permit_is_old_enough(self, redis_url: str) -> None:
        limiter = StoredRateLimiter(SharedRateLimit("2 per 1 s, 9/hour", redis=redis_url), "wait", "http://h/v1")
        naps: list[float] = []
        limiter._sleep = naps.append
        limiter.acquire()
        limiter.acquire()
        with pytest.raises(RateLimitedError) as error:
            limiter.acquire(timeout=0.1)
        assert 0.5 < (error.value.retry_after or 0) <= 1

    def test_a_slow_answer_holds_up_nobody_else(self, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        limiter = StoredRateLimiter(SharedRateLimit("9/hour", redis=redis_url), "slow", "http://h/v1")
        both = threading.Barrier(2, timeout=5)
        store = limiter._store
        assert isinstance(store, shared_rate_limit._RedisStore)
        script = store._script

        def slow(**given: object) -> object:
            both.wait()  # each waits until the other asks too
            return script(**given)

        monkeypatch.setattr(store, "_script", slow)
        with ThreadPoolExecutor(2) as pool:
            for job in [pool.submit(limiter.acquire, 0) for _ in range(2)]:
                job.result(10)

    def test_a_child_process_counts_on(self, redis_url: str) -> None:
        check_a_fork(StoredRateLimiter(SharedRateLimit("2/hour", redis=redis_url), "fork", "http://h/v1"))

    def test_the_server_forgets_what_is_over(self, redis_url: str) -> None:
        import redis

        limiter = StoredRateLimiter(SharedRateLimit("3/min", redis=redis_url), "forget", "http://h/v1")
        limiter.acquire()
        assert 0 < redis.Redis.from_url(redis_url).pttl(limiter._key) <= 60_000

    def test_what_is_no_url_says_so(self) -> None:
        with pytest.raises(ConfigurationError, match="no Redis URL"):
            limiter_for(SharedRateLimit("1/s", redis="127.0.0.1:6379"), fingerprint="k", base_url="http://h/v1")

    def test_a_server_that_forgot_its_scripts_is_served_again(self, redis_url: str) -> None:
        import redis

        limiter = StoredRateLimiter(SharedRateLimit("3/hour", redis=redis_url), "scripts", "http://h/v1")
        server = redis.Redis.from_url(redis_url)
        limiter.acquire()
        server.script_flush()
        limiter.acquire()
        assert server.zcard(limiter._key) == 2

    def test_hanging_server_is_waited_for_no_longer_than_the_limit(self, monkeypatch: pytest.MonkeyPatch) -> None:
        pytest.importorskip("redis")
        monkeypatch.setattr(shared_rate_limit, "STORE_TIMEOUT", 0.05)
        with socket.create_server(("127.0.0.1", 0)) as silent:
            limit = SharedRateLimit("3/s", redis=f"redis://127.0.0.1:{silent.getsockname()[1]}/0")
            with pytest.raises(HubConnectionError, match="Nothing was sent"):
                StoredRateLimiter(limit, "k", "http://h/v1").acquire()
            silent.setblocking(False)
            silent.accept()[0].close()
            with pytest.raises(BlockingIOError):  # asked once, and not again and again
                silent.accept()

    def test_server_that_is_away_hides_the_password(self) -> None:
        pytest.importorskip("redis")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        limit = SharedRateLimit("3/s", redis=f"redis://:password@127.0.0.1:{port}/0")
        with pytest.raises(HubConnectionError, match=r"[^.]\. Nothing was sent.*Redis server") as error:
            StoredRateLimiter(limit, "k", "http://h/v1").acquire()
        assert "password" not in str(error.value)
