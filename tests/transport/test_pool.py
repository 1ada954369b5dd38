"""Async calls are spread over small pools, which close after a burst."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from hubmix._compat import http
from hubmix.transport.pool import IDLE, KEPT, MOST, WIDTH, SmallPools
from tests.support.fake_time import FakeTime

REQUEST = http().Request("POST", "https://hub.example/v1/chat/completions")


class Bytes(http().AsyncByteStream):  # type: ignore[misc]  # the class is httpx's or httpx2's
    def __init__(self) -> None:
        self.closed = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"one"
        yield b"two"

    async def aclose(self) -> None:
        self.closed += 1


class Pool(http().AsyncBaseTransport):  # type: ignore[misc]  # as above
    """A transport that answers at once, or does what it was told to."""

    def __init__(self) -> None:
        self.requests = 0
        self.closed = False
        self.trouble: BaseException | None = None

    async def handle_async_request(self, request: Any) -> Any:
        assert not self.closed
        self.requests += 1
        if self.trouble is not None:
            raise self.trouble
        return http().Response(200, stream=Bytes())

    async def aclose(self) -> None:
        self.closed = True


class Road:
    """What is under test and the pools that it made."""

    def __init__(self) -> None:
        self.time = FakeTime()
        self.pools: list[Pool] = []
        self.small = SmallPools(self._make, clock=self.time.monotonic)

    def _make(self) -> Pool:
        self.pools.append(Pool())
        return self.pools[-1]

    async def open(self, count: int) -> list[Any]:
        return [await self.small.handle_async_request(REQUEST) for _ in range(count)]

    async def call(self) -> None:
        for response in await self.open(1):
            assert await response.aread() == b"onetwo"
            await response.aclose()

    async def look(self) -> None:
        """What the timer does, and the closing that it begins."""
        self.small._sweeper._look()
        await asyncio.sleep(0)

    @property
    def requests(self) -> list[int]:
        return [pool.requests for pool in self.pools]


@pytest.fixture
def road() -> Road:
    return Road()


async def test_calls_one_after_the_other_share_one_pool(road: Road) -> None:
    for _ in range(3 * WIDTH):
        await road.call()
    assert road.requests == [3 * WIDTH]


async def test_a_burst_opens_more_and_its_end_makes_room(road: Road) -> None:
    answers = await road.open(2 * WIDTH + 1)
    assert road.requests == [WIDTH, WIDTH, 1]
    for answer in answers[:3]:
        await answer.aclose()
        await answer.aclose()  # closed twice is room for one
    await road.open(3)
    assert road.requests == [WIDTH + 3, WIDTH, 1]
    await road.open(1)
    assert road.requests == [WIDTH + 3, WIDTH, 2]


async def test_the_body_that_is_closed_is_the_pool_s(road: Road) -> None:
    (answer,) = await road.open(1)
    inner = answer.stream._body
    await answer.aclose()
    assert inner.closed == 1


@pytest.mark.parametrize("trouble", [OSError("refused"), asyncio.CancelledError()])
async def test_a_failed_request_leaves_its_pool(road: Road, trouble: BaseException) -> None:
    await road.call()
    road.pools[0].trouble = trouble
    for _ in range(2 * WIDTH):
        with pytest.raises(type(trouble)):
            await road.open(1)
    assert len(road.pools) == 1


async def test_beyond_the_last_pool_the_emptiest_takes_it(road: Road) -> None:
    answers = await road.open(MOST * WIDTH)
    await answers[5 * WIDTH].aclose()
    await road.open(3)
    assert len(road.pools) == MOST
    assert road.requests[5] == WIDTH + 1
    assert sum(road.requests) == MOST * WIDTH + 3


async def test_pools_are_closed_when_they_were_idle(road: Road) -> None:
    for answer in await road.open(3 * WIDTH):
        await answer.aclose()
    road.time.now += IDLE - 1
    await road.call()
    await road.look()
    assert [pool.closed for pool in road.pools] == [False, False, False]
    road.time.now += 2
    await road.look()
    assert [pool.closed for pool in road.pools] == [False, True, True]
    road.time.now += IDLE
    await road.look()
    assert [pool.closed for pool in road.pools] == [True, True, True]
    await road.call()
    assert len(road.pools) == 4


async def test_pools_of_a_large_burst_are_closed_sooner(road: Road) -> None:
    for answer in await road.open((KEPT + 2) * WIDTH):
        await answer.aclose()
    road.time.now += 1
    await road.look()
    assert [pool.closed for pool in road.pools] == [False] * KEPT + [True] * 2


async def test_a_pool_in_use_is_not_closed(road: Road) -> None:
    await road.open(WIDTH + 1)
    road.time.now += 10 * IDLE
    await road.look()
    assert [pool.closed for pool in road.pools] == [False, False]


async def test_no_look_is_due_once_all_is_closed(road: Road) -> None:
    await road.call()
    assert road.small._sweeper._timer is not None
    road.time.now += 2 * IDLE
    await road.look()
    assert road.small._sweeper._timer is None


async def test_closing_closes_every_pool(road: Road) -> None:
    for answer in await road.open(3 * WIDTH):
        await answer.aclose()
    await road.small.aclose()
    assert [pool.closed for pool in road.pools] == [True, True, True]
