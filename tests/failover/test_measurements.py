"""The order by measurement: what is learned, and how soon a change shows."""

from __future__ import annotations

import pytest

from hubmix.failover.measurements import EXPLORE_EVERY, Mean, Measurements


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def run(measured: Measurements, latency: dict[str, float], calls: int) -> list[str]:
    """Which route each of so many calls asks first, with the given latencies."""
    asked = []
    for _ in range(calls):
        keys = list(latency)
        first = keys[measured.order(keys, "latency").ranks[0]]
        asked.append(first)
        measured.answered(first, latency[first])
    return asked


def test_unmeasured_routes_come_first_once() -> None:
    assert run(Measurements(Clock()), {"a": 0.3, "b": 0.01, "c": 0.2}, 6) == ["a", "b", "c", "b", "b", "b"]


def test_far_slower_routes_are_not_explored() -> None:
    asked = run(Measurements(Clock()), {"a": 0.01, "b": 0.3}, 200)
    assert asked.count("b") == 1


def test_near_routes_are_explored_once_in_twenty() -> None:
    asked = run(Measurements(Clock()), {"a": 0.1, "b": 0.2}, 201)
    assert asked[2:].count("b") == 200 // EXPLORE_EVERY


def test_swapped_latencies_are_noticed_within_thirty_calls() -> None:
    measured = Measurements(Clock())
    run(measured, {"a": 0.01, "b": 0.3}, 50)
    run(measured, {"a": 0.3, "b": 0.01}, 30)
    latency = {"a": 0.3, "b": 0.01}
    after = run(measured, latency, 100)
    assert sum(latency[key] for key in after) <= 1.1 * 100 * 0.01


@pytest.mark.parametrize("calls", range(50, 60))
@pytest.mark.parametrize(("quick", "slow"), [(0.01, 0.3), (0.1, 0.3), (0.2, 0.5)])
def test_swap_is_seen_within_a_few_calls(calls: int, quick: float, slow: float) -> None:
    measured = Measurements(Clock())
    run(measured, {"a": quick, "b": slow}, calls)
    after = run(measured, {"a": slow, "b": quick}, 30)
    assert after.count("a") <= 5


def test_one_call_in_twenty_explores_whatever_jumps() -> None:
    measured, explored = Measurements(Clock()), 0
    for number in range(400):
        order = measured.order(["a", "b"], "latency")
        explored += order.reason == "latency measured again"
        measured.answered("ab"[order.ranks[0]], (2.0 if number % 7 == 0 else 0.1, 1.0)[order.ranks[0]])
    assert 10 <= explored <= 1 + 400 // EXPLORE_EVERY


def test_failed_route_without_an_answer_goes_last() -> None:
    measured = Measurements(Clock())
    measured.failed("a")
    measured.answered("b", 5.0)
    assert measured.order(["a", "b"], "latency").ranks == [1, 0]


def test_throughput_prefers_more_tokens_a_second() -> None:
    measured = Measurements(Clock())
    for key, latency, seconds in (("a", 0.1, 10), ("b", 0.9, 1)):
        measured.answered(key, latency)
        measured.produced(key, 100, seconds)
    order = measured.order(["a", "b"], "throughput")
    assert order.ranks == [1, 0]
    assert order.reason == "throughput 100 tokens/s > 10 tokens/s (1 calls)"


def test_reason_tells_both_values() -> None:
    measured = Measurements(Clock())
    measured.answered("a", 0.48)
    measured.answered("b", 0.21)
    assert measured.order(["a", "b"], "latency").reason == "latency 0.21 s < 0.48 s (1 calls)"


def test_old_knowledge_weighs_half_every_five_minutes() -> None:
    old = Mean()
    for _ in range(20):
        old = old.plus(1.0, 0.0)
    soon, late = old.plus(1.2, 1.0), old.plus(1.2, 3000.0)
    assert soon.value == pytest.approx(1.06, abs=0.01)
    assert late.value > 1.19


def test_registry_is_bounded() -> None:
    measured = Measurements(Clock(), most=10)
    for number in range(100):
        measured.answered(number, 1.0)
        measured.order([number, "x"], "latency")
    assert [key for key, _ in measured.items()] == list(range(90, 100))
    assert len(measured._turns) == 10
