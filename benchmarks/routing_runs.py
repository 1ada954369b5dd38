"""Runs over routes that are slow, swap or stall, and what came out."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.results import Figure
from benchmarks.scripted import ScriptedHub
from hubmix import CallOptions, FailoverPolicy, Hub
from hubmix.failover.hedging import TOKENS
from hubmix.failover.measurements import MEASUREMENTS

FIRST, SECOND = "first", "second"
QUICK, SLOW = 0.010, 0.300  # seconds, of the swap
KNOWN = 30  # calls until an order may be expected to be right


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is asked.

    Args:
        calls: calls with a preferred order, half of them before the swap.
        requests: calls with and without a hedge.
        stalled: seconds that a stalled call takes.
    """

    calls: int = 400
    requests: int = 1200
    stalled: float = 20.0


FULL, TINY = Effort(), Effort(calls=4, requests=4, stalled=0.05)

STALLS = 0.03  # of the calls
USUAL, LATE = (0.06, 0.14), (0.4, 0.6)  # seconds to the first content, from and to
LATE_SHARE = 0.06  # of the healthy calls
HEDGE_AFTER = 0.2  # seconds; above every usual answer
AT_ONCE = 12


@dataclass(frozen=True, slots=True)
class Orders:
    """Scripted seconds of each call, with `prefer="latency"` and both fixed orders."""

    preferred: list[float]
    fixed: dict[str, list[float]]

    @property
    def figures(self) -> list[Figure]:
        """The whole run, and the calls by which the order is known."""
        half = len(self.preferred) // 2
        best = min(map(sum, self.fixed.values()))
        known = [*range(min(KNOWN, half - 1), half), *range(half + min(KNOWN, half - 1), 2 * half)]
        ideal = [min(times[call] for times in self.fixed.values()) for call in known]
        settled = sum(self.preferred[call] for call in known) / sum(ideal)
        note = f"of each half, the calls after its first {KNOWN}"
        return [
            Figure("a run whose latencies swap", sum(self.preferred) / best, "×", "the best fixed order", 1.1),
            Figure("once the order is known", settled, "×", "the faster route of the time", 1.1, note),
        ]


@dataclass(frozen=True, slots=True)
class Hedges:
    """Seconds to the first content of each call, and the requests that were sent."""

    healthy: list[float]
    plain: list[float]
    hedged: list[float]
    requests: int
    stalled: float

    @property
    def figures(self) -> list[Figure]:
        """The tail and what it costs."""
        tail = percentile(self.hedged, 99) / percentile(self.healthy, 95)
        more = 100 * (self.requests / len(self.hedged) - 1)
        return [
            Figure("99th percentile with a hedge", tail, "×", "the 95th of the healthy hub", 1.3),
            Figure("requests more than calls", more, "%", "", 10.0),
        ]


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that so many per cent stay below."""
    ordered = sorted(values)
    return ordered[min(round(len(ordered) * percent / 100), len(ordered) - 1)]


def measure_orders(effort: Effort) -> Orders:
    """Ask by latency; in the middle the faster model becomes the slower one."""
    MEASUREMENTS.clear()
    latency = {FIRST: QUICK, SECOND: SLOW}
    found: dict[str, list[float]] = {"latency": [], FIRST: [], SECOND: []}
    payload = {"model": FIRST, "messages": _QUESTION}
    options = CallOptions(fallbacks=(SECOND,), prefer="latency")
    with ScriptedHub(latency.__getitem__) as server, Hub(base_url=server.base_url, api_key="sk-bench") as hub:
        hub.pool.sync()  # the client is made, which is no time of the hub's
        for number in range(effort.calls):
            if number == effort.calls // 2:
                latency[FIRST], latency[SECOND] = SLOW, QUICK
            *_, last = hub.stream_chat(payload, options)
            if last.final is None or last.final.served is None:
                raise RuntimeError("the stream did not say who answered")
            for name, model in (("latency", last.final.served), (FIRST, FIRST), (SECOND, SECOND)):
                found[name].append(latency[model])
    return Orders(found.pop("latency"), found)


_QUESTION = [{"role": "user", "content": "Say hello."}]


def measure_hedges(effort: Effort) -> Hedges:
    """Ask a healthy hub, one of which some calls stall, and that one with a hedge."""
    healthy, _ = asyncio.run(_streams(effort, stalls=0.0, options=CallOptions()))
    plain, _ = asyncio.run(_streams(effort, stalls=STALLS, options=CallOptions()))
    options = CallOptions(fallbacks=(SECOND,), policy=FailoverPolicy(hedge_after=HEDGE_AFTER))
    hedged, requests = asyncio.run(_streams(effort, stalls=STALLS, options=options))
    return Hedges(healthy, plain, hedged, requests, effort.stalled)


async def _streams(effort: Effort, *, stalls: float, options: CallOptions) -> tuple[list[float], int]:
    TOKENS.clear()
    dice, gate = random.Random(7), asyncio.Semaphore(AT_ONCE)
    found: list[float] = []

    def seconds(model: str) -> float:
        healthy = dice.uniform(*(LATE if dice.random() < LATE_SHARE else USUAL))
        return effort.stalled if dice.random() < stalls else healthy

    async def ask(hub: Hub) -> None:
        async with gate:
            started = time.perf_counter()
            first = None
            async for delta in hub.astream_chat({"model": FIRST, "messages": _QUESTION}, options):
                if first is None and delta.has_content:
                    first = time.perf_counter() - started
            found.append(first if first is not None else time.perf_counter() - started)

    with ScriptedHub(seconds) as server:
        async with Hub(base_url=server.base_url, api_key="sk-bench") as hub:
            await ask(hub)  # the client is made, which is no time of the hub's
            found.clear()
            server.requests.clear()
            await asyncio.gather(*(ask(hub) for _ in range(effort.requests)))
        return found, sum(server.requests.values())
