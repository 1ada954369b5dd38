"""A limit on requests that the client keeps by itself: `rate_limit="180/min"`.

A permit is taken for each attempt at a chat, embeddings or rerank call, retries and fallbacks included. The GETs for
the model list and the balance take none. All objects of a process that use the same key at the same base URL share one
limiter, whether they block or await. `SharedRateLimit` counts over processes (a SQLite file) and machines (Redis).
"""

from __future__ import annotations

import asyncio
import bisect
import os
import re
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from hubmix.errors import ConfigurationError, RateLimitedError, Scope
from hubmix.failover.rate_fields import read_rate_fields

_LONGEST_HOLD = 60.0  # seconds for which a hub's word holds requests back
_FORM = re.compile(r"(\d+)\s*(?:/|per)\s*(\d+)?\s*([a-z]+)", re.IGNORECASE)
_SECONDS = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hour", "hours"), 3_600.0),
    **dict.fromkeys(("d", "day", "days"), 86_400.0),
}


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `count` requests in any `seconds` seconds."""

    count: int
    seconds: float

    def __str__(self) -> str:
        unit = {1.0: "s", 60.0: "min", 3_600.0: "hour", 86_400.0: "day"}.get(self.seconds)
        return f"{self.count}/{unit}" if unit else f"{self.count} per {self.seconds:g} s"


@dataclass(frozen=True, slots=True)
class SharedRateLimit:
    """A limit that several processes or machines keep together.

    Needs the `ratelimit` extra.

    Args:
        rate: as for `rate_limit`, such as "180/min".
        sqlite: a file on a local disk, for the processes of one machine.
        redis: a Redis URL (Redis 5 or newer), for several machines; the clock is the server's.

    Example:
        ```python
        from hubmix import Hub, SharedRateLimit

        hub = Hub(rate_limit=SharedRateLimit("180/min", redis="redis://127.0.0.1:6379/0"))
        ```
    """

    rate: str
    sqlite: str | os.PathLike[str] | None = None
    redis: str | None = None

    def __post_init__(self) -> None:
        parse_rates(self.rate)
        if (self.sqlite is None) == (self.redis is None):
            raise ConfigurationError("SharedRateLimit takes either sqlite=<file> or redis=<URL>, and one of them.")

    def __repr__(self) -> str:
        # A Redis URL may hold a password.
        return f"SharedRateLimit({self.rate!r}, {'sqlite' if self.redis is None else 'redis'}=...)"


class Limiter(Protocol):
    """What a transport asks before each request."""

    def acquire(self, timeout: float | None = None) -> None:
        """Wait for a permit.

        Raises:
            RateLimitedError: at once, if none will be free within `timeout` seconds.
        """

    async def aacquire(self, timeout: float | None = None) -> None:
        """`acquire`, for asyncio."""

    def heard(self, headers: Mapping[str, str]) -> None:
        """Take in what an answer says of the hub's own limit; `headers` are in lower case."""


def parse_rate(text: str) -> Rate:
    """Return a rate from text: "180/min", "3/s", "10 per second", "50 per 10 s".

    Raises:
        ConfigurationError: the text is no rate.
    """
    found = _FORM.fullmatch(text.strip()) if isinstance(text, str) else None
    unit = _SECONDS.get(found.group(3).lower()) if found else None
    if found is None or unit is None or int(found.group(1)) == 0 or found.group(2) == "0":
        raise ConfigurationError(
            f"{text!r} is not a rate. Write a number of requests and a time: '180/min', '3/s', "
            "'1000/hour', '50 per 10 s'."
        )
    return Rate(int(found.group(1)), unit * int(found.group(2) or 1))


def parse_rates(text: str) -> tuple[Rate, ...]:
    """Return one rate, or several with commas between: "10/s, 180/min"."""
    return tuple(parse_rate(part) for part in text.split(",")) if isinstance(text, str) else (parse_rate(text),)


class RateLimiter:
    """A limiter for one process, exact and first come, first served.

    No span of time ever sees more requests than its rate allows.

    Each caller is told at once when its turn is and sleeps until then; nothing is held while it sleeps, so threads and
    event loops share one limiter freely. A caller that is cancelled while it waits gives its turn back.

    Args:
        name: what is limited, for the error message.
        clock, sleep, asleep: the time; for tests.
    """

    def __init__(
        self,
        *rates: Rate,
        name: str = "the hub",
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        asleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.rates: tuple[Rate, ...] = ()
        self._name = name
        self._clock = clock
        self._sleep = sleep
        self._asleep = asleep
        self._turns: list[float] = []  # when each request was or will be sent, ascending
        self._of_the_hub: tuple[Rate, ...] = ()
        self._full_until = float("-inf")
        self._lock = threading.Lock()
        self.also(*rates)

    def also(self, *rates: Rate) -> None:
        """Keep these rates too: objects of one key with different limits get all of them."""
        self.rates = tuple(dict.fromkeys((*self.rates, *rates)))

    def acquire(self, timeout: float | None = None) -> None:
        """Wait for a permit.

        Raises:
            RateLimitedError: at once, if none will be free within `timeout` seconds.
        """
        turn, wait = self._take_turn(timeout)
        if wait <= 0:
            return
        try:
            self._sleep(wait)
        except BaseException:
            self._give_back(turn)
            raise

    async def aacquire(self, timeout: float | None = None) -> None:
        """`acquire`, for asyncio."""
        turn, wait = self._take_turn(timeout)
        if wait <= 0:
            return
        try:
            await self._asleep(wait)
        except BaseException:
            self._give_back(turn)
            raise

    def heard(self, headers: Mapping[str, str]) -> None:
        """Keep the hub's own limits too, as its `RateLimit` fields give them."""
        said = read_rate_fields(headers)
        if said.policies:
            self._of_the_hub = tuple(Rate(count, seconds) for count, seconds in said.policies)
        if said.wait is not None:
            self._full_until = max(self._full_until, self._clock() + min(said.wait, _LONGEST_HOLD))

    def _take_turn(self, timeout: float | None) -> tuple[float, float]:
        with self._lock:
            now = self._clock()
            self._forget(now)
            rates = (*self.rates, *self._of_the_hub)
            turn = max([now, self._full_until, *self._turns[-1:], *(self._free_at(rate) for rate in rates)])
            wait = turn - now
            if timeout is not None and wait > max(timeout, 0.0):
                raise too_many(self._name, self.rates, wait, timeout)
            self._turns.append(turn)
        return turn, wait

    def _free_at(self, rate: Rate) -> float:
        return self._turns[-rate.count] + rate.seconds if len(self._turns) >= rate.count else float("-inf")

    def _forget(self, now: float) -> None:
        horizon = now - max((rate.seconds for rate in (*self.rates, *self._of_the_hub)), default=0.0)
        old = bisect.bisect_right(self._turns, horizon)
        # Taken off in larger pieces: each removal moves the rest.
        if old > 64 or old == len(self._turns):
            del self._turns[:old]

    def _give_back(self, turn: float) -> None:
        with self._lock:
            at = bisect.bisect_left(self._turns, turn)
            if at < len(self._turns) and self._turns[at] == turn and turn > self._clock():
                del self._turns[at]

    def after_fork(self) -> None:
        """Make a new lock: one that a thread held in the parent is never released."""
        self._lock = threading.Lock()


def too_many(name: str, rates: tuple[Rate, ...], wait: float, timeout: float) -> RateLimitedError:
    """The error for a permit that will not come in time."""
    limit = ", ".join(str(rate) for rate in rates)
    return RateLimitedError(
        f"Your own rate limit for {name} ({limit}) leaves no room for {wait:.3g} s, and this call may wait only "
        f"{max(timeout, 0.0):.3g} s. Nothing was sent. Allow more time (total_timeout), a higher rate_limit, or send "
        "less.",
        kind="client_rate_limit",
        scope=Scope.ACCOUNT,
        retry_after=wait,
    )
