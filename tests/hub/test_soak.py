"""A thousand streams at once, a fifth of them broken: nothing stays open."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, closing
from pathlib import Path
from typing import Any

import pytest

from hubmix import CallOptions, FailoverPolicy, Hub, HubmixError
from hubmix.embedded import EmbeddedHub, Fault
from hubmix.transport.deadlines import WATCHDOG
from tests.hub.conftest import OTHER
from tests.support.backends import BACKENDS, choose

pytestmark = pytest.mark.slow

STREAMS, ROUNDS, THREADS = 1_000, 3, 32
DESCRIPTORS = Path("/proc/self/fd")
FAULTS = {
    "embedded/lorem:11": Fault.reset(),
    "embedded/lorem:12": Fault.cut(4, polite=False),
    "embedded/lorem:13": Fault.error_event(4),
    "embedded/lorem:14": Fault.html(502),
    "embedded/lorem:15": Fault.garbled(),
}
LEFT = 10  # every stream of so many is left in the middle


OPTIONS = CallOptions(fallbacks=(OTHER,), policy=FailoverPolicy(max_retries=0))


@pytest.fixture
def room() -> int:
    """How many streams may be open at once, with two descriptors each."""
    if not DESCRIPTORS.exists():
        pytest.skip("descriptors are counted in /proc")
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * STREAMS + 500
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return STREAMS if soft == resource.RLIM_INFINITY else min(STREAMS, (soft - 500) // 2)


@pytest.fixture
def broken(server: EmbeddedHub, monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddedHub]:
    # An open breaker would pass over what is to fail.
    monkeypatch.setattr("hubmix.failover.breakers.THRESHOLD", 10 * STREAMS)
    for model, fault in FAULTS.items():
        server.fault(model, fault, times=None)
    yield server
    server.clear()


def descriptors() -> int:
    return len(list(DESCRIPTORS.iterdir()))


def payload(number: int) -> dict[str, Any]:
    """One stream in five asks a model that fails, each in its own way."""
    model = [*FAULTS][number // 5 % len(FAULTS)] if number % 5 == 0 else OTHER
    return {"model": model, "messages": [{"role": "user", "content": "hello"}]}


async def settled(before: int) -> None:
    """Return when the server has closed its ends too."""
    while descriptors() > before:  # noqa: ASYNC110 - nothing tells of the end
        await asyncio.sleep(0.01)


async def ended(tasks: int) -> None:
    """Return when no further task runs: replaced clients close in the background."""
    while len(asyncio.all_tasks()) > tasks:  # noqa: ASYNC110 - nothing tells of the end
        await asyncio.sleep(0.01)


def expected(said: Counter[str]) -> None:
    """Three of five faults come after the first word, too late for a fallback.

    A busy machine may reach its own server too late; such a stream never began.
    """
    late, interrupted = said["connect"], 3 * STREAMS // 25
    assert interrupted - late <= said["interrupted"] <= interrupted
    assert said["answered"] + said["left"] + said["interrupted"] + late == STREAMS


@pytest.mark.parametrize("backend", BACKENDS)
async def test_async_streams_leave_nothing_open(
    backend: str, room: int, broken: EmbeddedHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    choose(backend, monkeypatch)
    at_once = asyncio.Semaphore(room)
    hub = Hub(base_url=broken.base_url, api_key=broken.api_key)

    async def ask(number: int) -> str:
        async with at_once, aclosing(hub.astream_chat(payload(number), OPTIONS)) as deltas:
            try:
                async for delta in deltas:
                    if number % LEFT == 1 and delta.text:
                        return "left"
            except HubmixError as error:
                return error.kind or ""
        return "answered"

    await ask(2)
    await hub.aclose()
    before, tasks = descriptors(), len(asyncio.all_tasks())
    for _ in range(ROUNDS):
        expected(Counter(await asyncio.gather(*(ask(number) for number in range(STREAMS)))))
        await ended(tasks)
    await hub.aclose()
    await settled(before)


async def test_sync_streams_leave_nothing_open(room: int, broken: EmbeddedHub) -> None:
    hub = Hub(base_url=broken.base_url, api_key=broken.api_key)

    def ask(number: int) -> str:
        with closing(hub.stream_chat(payload(number), OPTIONS)) as deltas:
            try:
                for delta in deltas:
                    if number % LEFT == 1 and delta.text:
                        return "left"
            except HubmixError as error:
                return error.kind or ""
        return "answered"

    ask(2)
    hub.close()
    before, threads = descriptors(), threading.active_count()
    for _ in range(ROUNDS):
        with ThreadPoolExecutor(THREADS) as pool:
            expected(Counter(pool.map(ask, range(STREAMS))))
    hub.close()
    await settled(before)
    assert threading.active_count() <= threads
    assert not WATCHDOG._watches
