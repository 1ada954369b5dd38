"""What an attempt says of a request that never reached the hub."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import openai
import pytest

from hubmix._compat import http
from hubmix.failover.evidence import Evidence
from hubmix.failover.limits import CONNECT_TIMEOUT, Limits
from hubmix.failover.plan import AttemptFailed
from hubmix.transport.exchange import Attempt

LONG, SHORT = 600.0, 5.0
Now = Callable[[float], None]


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Now:
    """The clock: seconds since the attempt began."""
    now = [0.0]
    monkeypatch.setattr("hubmix.transport.exchange.monotonic", lambda: 1_000.0 + now[0])
    return lambda seconds: now.__setitem__(0, seconds)


def failed(attempt: Attempt, cause: BaseException) -> Evidence:
    error = openai.APIConnectionError(request=http().Request("POST", "https://hub.example"))
    error.__cause__ = cause
    failure = attempt.opening_failure(error, {})
    assert isinstance(failure, AttemptFailed)
    return failure.evidence


@pytest.mark.parametrize(
    ("timeout", "seconds", "cause"),
    [
        (LONG, CONNECT_TIMEOUT, "connect_timeout"),
        (LONG, 2.5 * CONNECT_TIMEOUT, "own_delay"),
        (SHORT, 0.8 * SHORT, "own_delay"),
    ],
    ids=["punctual", "late", "short"],
)
def test_connect_timeout_of_this_process_is_its_own(at: Now, timeout: float, seconds: float, cause: str) -> None:
    attempt = Attempt(Limits(timeout=timeout), stream=False)
    at(seconds)
    evidence = failed(attempt, http().ConnectTimeout("late"))
    assert (evidence.cause, evidence.phase, evidence.own) == (cause, "connect", cause == "own_delay")


@pytest.mark.parametrize("timeout", [LONG, SHORT])
@pytest.mark.parametrize("late", [1.0, 10.0])
def test_full_pool_keeps_its_words_however_late(at: Now, timeout: float, late: float) -> None:
    attempt = Attempt(Limits(timeout=timeout), stream=True)
    at(late * timeout)
    evidence = failed(attempt, http().PoolTimeout("full"))
    assert (evidence.cause, evidence.phase, evidence.own) == ("pool_timeout", "connect", True)


async def cancelled_in(wait: Callable[[asyncio.Event], Any]) -> BaseException:
    seen: list[BaseException] = []

    async def ask() -> None:
        try:
            await wait(asyncio.Event())
        except asyncio.CancelledError as error:
            seen.append(error)

    task = asyncio.ensure_future(ask())
    await asyncio.sleep(0)
    task.cancel()
    await task
    return seen[0]


async def wait_for_connection(event: asyncio.Event) -> None:  # httpcore's name
    await event.wait()


async def connect_tcp(event: asyncio.Event) -> None:  # httpcore's name
    await event.wait()


async def receive(event: asyncio.Event) -> None:
    await event.wait()


@pytest.mark.parametrize(
    ("wait", "cause"), [(wait_for_connection, "pool_timeout"), (connect_tcp, "own_delay"), (receive, "read_timeout")]
)
async def test_end_of_the_time_tells_what_was_waited_for(at: Now, wait: Any, cause: str) -> None:
    """A busy loop sees two limits pass at once, and the answer's may come first."""
    attempt = Attempt(Limits(timeout=SHORT), stream=False)
    at(SHORT)
    failure = attempt.overdue(await cancelled_in(wait))
    assert failure.evidence.cause == cause
    assert failure.evidence.own
    assert "5 s" in failure.evidence.message


async def test_cancellation_is_read_without_what_came_before_it(at: Now) -> None:
    """The failure of an earlier attempt hangs on it as its context."""
    earlier = await cancelled_in(wait_for_connection)
    later = await cancelled_in(receive)
    later.__context__ = earlier
    at(SHORT)
    assert Attempt(Limits(timeout=SHORT), stream=False).overdue(later).evidence.cause == "read_timeout"


@pytest.mark.parametrize("stream", [False, True])
def test_call_waits_for_a_connection_as_the_sdk_does(at: Now, stream: bool) -> None:
    """Of 1,100 calls at once the last 76 wait for the others to end."""
    timeout = Attempt(Limits(timeout=LONG), stream=stream).http_timeout()
    assert (timeout.connect, timeout.pool) == (CONNECT_TIMEOUT, LONG)
