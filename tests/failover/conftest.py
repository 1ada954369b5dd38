"""The embedded hub for all tests of a session, and time that is skipped."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from time import monotonic

import pytest
from tenacity import wait_exponential

from hubmix import Hub
from hubmix.embedded import EmbeddedHub
from hubmix.failover.breakers import REGISTRY
from hubmix.failover.plan import Plan
from tests.support.failover_scripts import WALKERS, Walker
from tests.support.fake_time import FakeTime


class SkippedTime:
    """The monotonic clock, put forward by every wait of a run."""

    def __init__(self) -> None:
        self.skipped = 0.0
        self.waits: list[float] = []

    def monotonic(self) -> float:
        return monotonic() + self.skipped

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.skipped += seconds

    async def async_sleep(self, seconds: float) -> None:
        self.sleep(seconds)


@pytest.fixture(params=["sync", "async"])
def walk(request: pytest.FixtureRequest) -> Walker:
    return WALKERS[request.param]


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


@pytest.fixture(autouse=True)
def skipped_time(monkeypatch: pytest.MonkeyPatch) -> SkippedTime:
    skip = SkippedTime()
    monkeypatch.setattr("hubmix.hub.planning.Plan", partial(Plan, clock=skip))
    monkeypatch.setattr(REGISTRY, "clock", skip.monotonic)
    monkeypatch.setattr("hubmix.failover.policy._sdk_backoff", lambda: wait_exponential(multiplier=0.5, max=8))
    return skip


@pytest.fixture(scope="session")
def session_server() -> Iterator[EmbeddedHub]:
    with EmbeddedHub() as server:
        # The first call of a process loads the SDK, which takes longer than the limits that are tested.
        with Hub(base_url=server.base_url, api_key=server.api_key) as hub:
            hub.chat({"model": "embedded/echo", "messages": [{"role": "user", "content": "hello"}]})
        yield server


@pytest.fixture
def server(session_server: EmbeddedHub) -> EmbeddedHub:
    session_server.clear()
    return session_server


@pytest.fixture
async def hub(server: EmbeddedHub):
    hub = Hub(base_url=server.base_url, api_key=server.api_key)
    yield hub
    hub.close()
    await hub.aclose()
