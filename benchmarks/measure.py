"""How CPU time is measured: in turns, many rounds, medians."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

Work = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to measure.

    Args:
        rounds: How often each contender has its turn.
        seconds: CPU time of one turn, roughly.
        calls: Concurrent calls of the crowd.
        fresh: Interpreters started for each figure of a fresh process.
    """

    rounds: int = 15
    seconds: float = 0.1
    calls: int = 600
    fresh: int = 7


FULL = Effort()
QUICK = Effort(rounds=5, seconds=0.03, calls=300, fresh=3)
TINY = Effort(rounds=1, seconds=0.0, calls=4, fresh=1)


@dataclass(frozen=True, slots=True)
class Timings:
    """CPU time in milliseconds of the same work, by contender and round."""

    rounds: Mapping[str, list[float]]

    def __contains__(self, name: str) -> bool:
        return name in self.rounds

    def ms(self, name: str) -> float:
        """The median in milliseconds."""
        return median(self.rounds[name])

    def ratio(self, name: str, other: str) -> float:
        """The median of the ratios of each round: what slowed a round down slowed both."""
        pairs = zip(self.rounds[name], self.rounds[other], strict=True)
        return median(own / theirs for own, theirs in pairs)

    @property
    def table(self) -> dict[str, float]:
        """The medians in milliseconds."""
        return {name: self.ms(name) for name in self.rounds}


def cpu_ms(work: Work, times: int) -> float:
    """CPU milliseconds of this process, all threads, for one of so many repetitions."""
    started = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - started) * 1000 / times


def in_turns(contenders: Mapping[str, Work], effort: Effort, *, most: int = 500, warm: bool = False) -> Timings:
    """Measure the same work of several contenders.

    Args:
        contenders: Name to work. Each is done once or twice before anything is counted: first calls make clients.
        effort: How long.
        most: Repetitions in one turn at most.
        warm: Do the work once, uncounted, at the beginning of each turn: for work whose connections may have been
            closed while the others had theirs.
    """
    times = {}
    for name, work in contenders.items():
        work()
        once = cpu_ms(work, 1)
        times[name] = max(1, min(most, int(effort.seconds * 1000 / max(once, 0.001))))
    # What has been loaded by now is not looked at by the collector again: a collection over all of it would hit one
    # contender or another at random.
    gc.collect()
    gc.freeze()
    rounds: dict[str, list[float]] = {name: [] for name in contenders}
    names = list(contenders)
    for number in range(effort.rounds):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            if warm:
                contenders[name]()
            gc.collect()
            rounds[name].append(cpu_ms(contenders[name], times[name]))
    gc.unfreeze()
    return Timings(rounds)


class Loop:
    """One event loop for a contender, so that its connections stay open."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()

    def run(self, make: Callable[[], Any]) -> Work:
        """Async work as plain work."""
        return lambda: self._loop.run_until_complete(make())

    def close(self) -> None:
        """Close what lives in the loop, and the loop."""
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()
