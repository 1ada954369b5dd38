"""A deadline moves by what a busy event loop lost, and not for good."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from hubmix.failover.limits import Deadline
from hubmix.transport.until import Until

Now = Callable[[float], None]


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Now:
    """The clock; a timer rings when a test says so."""
    now = [100.0]
    monkeypatch.setattr("hubmix.transport.until.monotonic", lambda: now[0])
    return lambda moment: now.__setitem__(0, moment)


def limit(cause: str = "read_timeout") -> Deadline:
    return Deadline(110.0, cause, 10.0)


async def ring(wait: Until) -> None:
    """Let the timer ring, and a cancellation arrive."""
    wait._ring()
    await asyncio.sleep(0)


async def test_punctual_timer_ends_the_wait(at: Now) -> None:
    wait = Until(limit(), None)
    with wait:
        at(110.5)
        await ring(wait)
        pytest.fail("the wait went on")
    assert wait.over
    assert wait.deadline == limit()


async def test_late_timer_moves_the_deadline_by_what_was_lost(at: Now) -> None:
    wait = Until(limit(), None)
    with wait:
        at(114.0)
        await ring(wait)
    assert not wait.over
    assert wait.deadline == Deadline(118.0, "read_timeout", 10.0, late=True)
    assert wait.deadline.is_own(118.0)


async def test_deadline_moves_by_its_limit_at_most(at: Now) -> None:
    wait = Until(limit(), None)
    with wait:
        at(1000.0)
        await ring(wait)
    assert wait.deadline.at == 1010.0


async def test_loop_that_is_always_late_ends_the_wait(at: Now) -> None:
    wait, rung = Until(limit(), None), 0
    with wait:
        for rung in range(1, 10):
            at(100.0 + 100 * rung)
            await ring(wait)
    assert wait.over
    assert rung == 4


@pytest.mark.parametrize("total", [111.0, 116.0])
async def test_deadline_of_the_call_does_not_move(at: Now, total: float) -> None:
    whole = Deadline(total, "total_timeout", 16.0)
    wait = Until(limit().earlier(whole), whole)
    with wait:
        at(114.0)
        await ring(wait)
        at(total)
        await ring(wait)
        pytest.fail("the wait went on")
    assert wait.over
    assert wait.deadline.at == min(total, 118.0) if total > 114 else 110.0


async def test_no_limit_sets_no_timer() -> None:
    wait = Until(Deadline(), None)
    with wait:
        await asyncio.sleep(0)
    assert wait._timer is None
    assert not wait.over


async def test_cancellation_from_outside_is_not_the_deadline(at: Now) -> None:
    wait = Until(limit(), None)

    async def work() -> None:
        with wait:
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not wait.over
