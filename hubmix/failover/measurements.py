"""How fast each route answered in this process, and the order that follows.

A route is measured apart for streams (time to the first content) and for whole answers (time to the answer). Means are
exponentially weighted, and what is known loses half its weight every five minutes.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

Prefer = Literal["order", "price", "latency", "throughput"]
PREFERENCES: tuple[Prefer, ...] = ("order", "price", "latency", "throughput")

WEIGHT = 0.3  # of the newest call
SURPRISED_WEIGHT = 0.6  # of a call far outside of what was seen so far: the route has changed
HALF_LIFE = 300.0  # seconds
EXPLORE_EVERY = 20  # calls
EXPLORE_WITHIN = 3.0  # times the best


class RouteKey(NamedTuple):
    """What a route is measured under.

    Args:
        hub: the hub's host.
        account: the salted hash of the key.
        model: the model ID.
        api: the API's name.
        streamed: whether the answer was streamed.
    """

    hub: str
    account: str
    model: str
    api: str
    streamed: bool


class Mean(NamedTuple):
    """An exponentially weighted mean with its mean deviation.

    Args:
        value: the mean.
        deviation: the mean distance of a call from it.
        weight: how many calls it stands for; halves every five minutes.
        at: when the last call was added, on a monotonic clock.
        jump: how far the last call was above (or, negative, below) the mean, if that was far outside of what was seen.
    """

    value: float = 0.0
    deviation: float = 0.0
    weight: float = 0.0
    at: float = 0.0
    jump: float = 0.0

    def plus(self, sample: float, now: float) -> Mean:
        """The mean after one more call."""
        weight = self.weight * 0.5 ** (max(now - self.at, 0.0) / HALF_LIFE)
        off = abs(sample - self.value)
        surprised = weight >= 1 and off > 3 * self.deviation + self.value / 2
        share = max(SURPRISED_WEIGHT if surprised else WEIGHT, 1 / (weight + 1))
        deviation = 0.0 if not weight else self.deviation + share * (off - self.deviation)
        jump = sample - self.value if surprised else 0.0
        return Mean(self.value + share * (sample - self.value), deviation, weight + 1, now, jump)


class Measured(NamedTuple):
    """What is known of one route.

    Args:
        calls: requests that were answered.
        failures: requests that failed.
        latency: seconds to the first content of a stream, or to a whole answer.
        throughput: output tokens a second.
    """

    calls: int = 0
    failures: int = 0
    latency: Mean = Mean()
    throughput: Mean = Mean()


_NOTHING = Measured()


@dataclass(frozen=True, slots=True)
class Order:
    """An order of routes, and why the first is first."""

    ranks: list[int]
    reason: str | None = None


@dataclass(slots=True)
class _Turns:
    """The decisions among the same routes, and which of them explores next.

    Args:
        taken: decisions so far.
        next: the decision that explores; one turn at most is taken early.
    """

    taken: int = 0
    next: int = EXPLORE_EVERY

    def explores(self, *, became_slow: bool) -> bool:
        """Whether this decision may ask another route than the best."""
        due = self.taken >= self.next
        if due:
            self.next = self.taken
        return due or (became_slow and self.next - self.taken < EXPLORE_EVERY)


class Measurements:
    """The measurements of this process. Thread-safe.

    Args:
        clock: monotonic seconds.
        most: keys held at most; the longest unused go first.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, *, most: int = 10_000) -> None:
        self._clock = clock
        self._most = most
        self._lock = threading.Lock()
        self._known: dict[Hashable, Measured] = {}
        self._turns: dict[Hashable, _Turns] = {}

    def answered(self, key: Hashable, latency: float) -> None:
        """Add one answered request.

        Args:
            key: the route, and whether it was streamed.
            latency: seconds to the first content of a stream, or to the whole answer.
        """
        now = self._clock()
        with self._lock:
            old = self._known.pop(key, _NOTHING)
            plus = old.latency.plus(latency, now)
            self._keep(key, Measured(old.calls + 1, old.failures, plus, old.throughput))

    def outlasted(self, key: Hashable, seconds: float) -> None:
        """Add a request that was closed after so many seconds without content.

        It says only that the route takes longer, so what is known changes upwards alone.
        """
        now = self._clock()
        with self._lock:
            old = self._known.pop(key, _NOTHING)
            longer = not old.latency.weight or seconds > old.latency.value
            self._keep(key, old._replace(latency=old.latency.plus(seconds, now)) if longer else old)

    def produced(self, key: Hashable, tokens: int, seconds: float) -> None:
        """Add the output tokens of an answered request, and the seconds that they took."""
        if tokens <= 0 or seconds <= 0:
            return
        now = self._clock()
        with self._lock:
            old = self._known.pop(key, _NOTHING)
            plus = old.throughput.plus(tokens / seconds, now)
            self._keep(key, Measured(old.calls, old.failures, old.latency, plus))

    def failed(self, key: Hashable) -> None:
        """Add one failed request."""
        with self._lock:
            old = self._known.pop(key, _NOTHING)
            self._keep(key, old._replace(failures=old.failures + 1))

    def of(self, key: Hashable) -> Measured:
        """What is known of a route."""
        return self._known.get(key, _NOTHING)

    def items(self) -> list[tuple[Hashable, Measured]]:
        """Every route measured, the longest unused first."""
        with self._lock:
            return list(self._known.items())

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._known.clear()
            self._turns.clear()

    def order(self, keys: Sequence[Hashable], prefer: Literal["latency", "throughput"]) -> Order:
        """Return the order in which to ask routes.

        A route never measured comes first, once.

        Every 20th decision asks the longest unused of the routes within three times the best, so that a route that
        became fast again is noticed. If the best one becomes slow all at once, this is done at once, and the next turn
        comes later.
        """
        with self._lock:
            # The decisions among the same routes are counted together.
            group = (prefer, *keys)
            turns = self._turns[group] = self._turns.pop(group, _Turns())
            turns.taken += 1
            while len(self._turns) > self._most:
                del self._turns[next(iter(self._turns))]
            known = [self._known.get(key, _NOTHING) for key in keys]
        costs = [_cost(measured, prefer) for measured in known]
        ranks = sorted(range(len(keys)), key=lambda rank: costs[rank])
        best = costs[ranks[0]] if ranks else 0.0
        if best > 0 and turns.explores(became_slow=_became_slow(known[ranks[0]], prefer)):
            near = [rank for rank in ranks[1:] if costs[rank] <= EXPLORE_WITHIN * best]
            if near:
                unused = min(near, key=lambda rank: _measure(known[rank], prefer).at)
                ranks.remove(unused)
                ranks.insert(0, unused)
                turns.next += EXPLORE_EVERY
                return Order(ranks, f"{prefer} measured again")
        return Order(ranks, _reason(prefer, known, ranks))

    def _keep(self, key: Hashable, measured: Measured) -> None:
        self._known[key] = measured
        while len(self._known) > self._most:
            del self._known[next(iter(self._known))]


def _measure(measured: Measured, prefer: str) -> Mean:
    return measured.latency if prefer == "latency" else measured.throughput


def _became_slow(measured: Measured, prefer: str) -> bool:
    jump = _measure(measured, prefer).jump
    return jump > 0 if prefer == "latency" else jump < 0


def _cost(measured: Measured, prefer: str) -> float:
    """Less is better; 0 for a route that was never measured and never failed."""
    mean = _measure(measured, prefer)
    if not mean.weight:
        return float("inf") if measured.failures else 0.0
    return mean.value if prefer == "latency" else 1 / max(mean.value, 1e-9)


def _reason(prefer: str, known: Sequence[Measured], ranks: Sequence[int]) -> str | None:
    if len(ranks) < 2:
        return None
    first, second = known[ranks[0]], known[ranks[1]]
    if not _measure(first, prefer).weight:
        return f"{prefer} not measured yet"
    if not _measure(second, prefer).weight:
        return f"{prefer} {_shown(first, prefer)} ({first.calls} calls)"
    sign = "<" if prefer == "latency" else ">"
    return f"{prefer} {_shown(first, prefer)} {sign} {_shown(second, prefer)} ({first.calls} calls)"


def _shown(measured: Measured, prefer: str) -> str:
    value = _measure(measured, prefer).value
    return f"{value:.2f} s" if prefer == "latency" else f"{value:.0f} tokens/s"


MEASUREMENTS = Measurements()


def _after_fork() -> None:
    # A lock that another thread held in the parent would stay locked.
    MEASUREMENTS.__init__()  # type: ignore[misc]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
