"""A second route asked while the first is silent: the run and both drivers."""

from __future__ import annotations

import asyncio
import threading
import time as real_time
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest

from hubmix.errors import AllModelsFailedError, ConfigurationError, HubmixError
from hubmix.failover.drivers import run_async, run_sync
from hubmix.failover.evidence import Evidence
from hubmix.failover.hedging import HedgeTokens, Hedging, PromptPrice
from hubmix.failover.limits import Limits, Stop
from hubmix.failover.measurements import Measurements
from hubmix.failover.plan import AttemptFailed, Plan
from hubmix.failover.policy import FailoverPolicy
from hubmix.failover.requests import Send
from hubmix.failover.route import Route
from hubmix.failover.run import FailoverRun
from hubmix.wire.trace import Attempt, Trace
from tests.support.failover_scripts import BAD, DOWN, OOPS, outcomes
from tests.support.fake_time import HUB, MIRROR, FakeTime

SOON, LATE = 0.005, 60.0  # seconds of silence: a hedge for what is blocked, and none for what answers
PATIENCE = 30.0

Line = Callable[["Stage"], Iterator[threading.Event]]


class Stage:
    """Plays a line for each model, in threads or in tasks.

    A line yields the events that it waits for, and returns the answer or raises.
    """

    def __init__(self, **lines: Line) -> None:
        self.lines = lines
        self.asked: list[str] = []
        self.dropped: list[tuple[str, Any]] = []
        self.threads: set[int] = set()
        self.happened: dict[str, threading.Event] = {}

    def event(self, name: str) -> threading.Event:
        return self.happened.setdefault(name, threading.Event())

    def told(self, attempt: Attempt) -> None:
        self.event(f"{attempt.model} {attempt.outcome}").set()

    def drop(self, route: Route, value: Any) -> None:
        self.dropped.append((route.model, value))

    def send(self, route: Route, limits: Limits) -> str:
        self.threads.add(threading.get_ident())
        line = self._begin(route)
        while True:
            try:
                event = next(line)
            except StopIteration as end:
                return str(end.value)
            assert limits.stop is not None
            with limits.stop.waking(event.set):
                assert event.wait(PATIENCE)
            if limits.stop.is_set:
                raise AttemptFailed(Evidence("cut", "open"))

    async def asend(self, route: Route, limits: Limits) -> str:
        line = self._begin(route)
        end = real_time.monotonic() + PATIENCE
        while True:
            try:
                event = next(line)
            except StopIteration as stop:
                return str(stop.value)
            while not event.is_set():
                assert real_time.monotonic() < end
                await asyncio.sleep(0.001)

    def _begin(self, route: Route) -> Iterator[threading.Event]:
        self.asked.append(route.model)
        self.event(f"{route.model} asked").set()
        return self.lines[route.model](self)


def answers(stage: Stage, after: str | None = None) -> Any:
    if after is not None:
        yield stage.event(after)
    return "answered"


def after(event: str) -> Line:
    return lambda stage: answers(stage, event)


def silent(stage: Stage) -> Iterator[threading.Event]:
    yield threading.Event()


def fails(how: Evidence | BaseException, event: str | None = None) -> Line:
    def line(stage: Stage) -> Iterator[threading.Event]:
        if event is not None:
            yield stage.event(event)
        raise AttemptFailed(how) if isinstance(how, Evidence) else how

    return line


Play = Callable[[Plan, Stage], tuple[str, FailoverRun]]


def _sync(plan: Plan, stage: Stage) -> tuple[str, FailoverRun]:
    return run_sync(plan, stage.send, stage.drop)


def _async(plan: Plan, stage: Stage) -> tuple[str, FailoverRun]:
    return asyncio.run(run_async(plan, stage.asend, stage.drop))


@pytest.fixture(params=[_sync, _async], ids=["sync", "async"])
def play(request: pytest.FixtureRequest) -> Play:
    return request.param


def free(route: Route) -> PromptPrice:
    return PromptPrice(Decimal("0.5"), by_call=False)


def hedged(time: FakeTime, stage: Stage, *models: str, seconds: float = SOON, **details: Any) -> Plan:
    hedging = Hedging(seconds, details.pop("price", free), details.pop("tokens", None) or HedgeTokens())
    return time.plan(*(models or tuple(stage.lines)), hedging=hedging, on_attempt=stage.told, **details)


def test_silent_route_loses_to_the_next(play: Play, time: FakeTime) -> None:
    stage = Stage(a=silent, b=after("a asked"))
    answer, run = play(hedged(time, stage), stage)
    assert (answer, run.served.model) == ("answered", "b")
    assert outcomes(run.trace) == [("a", "hedged", None), ("b", "ok", None)]
    assert ("a", None) in stage.dropped
    assert [route.model for route in run.hedged] == ["a"]
    lost, won = run.trace.attempts
    assert lost.reason is not None
    assert "up to 0.5 USD" in lost.reason
    assert (lost.hedged_after_ms, won.hedged_after_ms) == (None, 0.0)


def test_first_may_still_win_after_the_hedge_began(play: Play, time: FakeTime) -> None:
    stage = Stage(a=after("b asked"), b=silent)
    _, run = play(hedged(time, stage), stage)
    assert outcomes(run.trace) == [("a", "ok", None), ("b", "hedged", None)]
    assert not run.trace.switched


def test_answer_in_time_needs_no_hedge(play: Play, time: FakeTime) -> None:
    stage = Stage(a=answers, b=answers)
    _, run = play(hedged(time, stage, seconds=LATE), stage)
    assert stage.asked == ["a"]
    assert outcomes(run.trace) == [("a", "ok", None)]
    assert stage.dropped == []


def test_without_hedging_no_thread_is_used(time: FakeTime) -> None:
    stage = Stage(a=answers, b=answers)
    run_sync(time.plan("a", "b"), stage.send, stage.drop)
    assert stage.threads == {threading.get_ident()}


def test_failed_hedge_leaves_the_first_alone(play: Play, time: FakeTime) -> None:
    stage = Stage(a=after("b error"), b=fails(OOPS, "a asked"))
    _, run = play(hedged(time, stage), stage)
    assert outcomes(run.trace) == [("a", "ok", None), ("b", "error", "server")]
    assert stage.dropped == []
    assert run.hedged == []


@pytest.mark.parametrize("how", [OOPS, DOWN, BAD])
def test_where_the_first_fails_the_hedge_is_the_call(play: Play, time: FakeTime, how: Evidence) -> None:
    stage = Stage(a=fails(how, "b asked"), b=after("a error"))
    answer, run = play(hedged(time, stage), stage)
    assert answer == "answered"
    assert stage.asked == ["a", "b"]
    assert [attempt.outcome for attempt in run.trace.attempts] == ["error", "ok"]


def test_both_failed_goes_on_to_the_third(play: Play, time: FakeTime) -> None:
    stage = Stage(a=fails(DOWN, "b asked"), b=fails(DOWN, "a error"), c=answers)
    _, run = play(hedged(time, stage), stage)
    assert [(model, outcome) for model, outcome, _ in outcomes(run.trace)] == [
        ("a", "error"),
        ("b", "error"),
        ("c", "ok"),
    ]


def test_all_failed_tells_every_attempt(play: Play, time: FakeTime) -> None:
    stage = Stage(a=fails(DOWN, "b error"), b=fails(DOWN, "a asked"))
    with pytest.raises(AllModelsFailedError) as caught:
        play(hedged(time, stage), stage)
    assert [attempt.model for attempt in caught.value.attempts] == ["a", "b"]


def test_hedge_without_room_in_a_budget_is_skipped(play: Play, time: FakeTime) -> None:
    stage = Stage(a=after("b skipped"), b=fails(HubmixError("no room"), "a asked"))
    _, run = play(hedged(time, stage), stage)
    assert outcomes(run.trace) == [("a", "ok", None), ("b", "skipped", "skipped")]


def test_fault_of_a_program_propagates_and_closes_the_other(play: Play, time: FakeTime) -> None:
    stage = Stage(a=fails(ZeroDivisionError(), "b asked"), b=silent)
    with pytest.raises(ZeroDivisionError):
        play(hedged(time, stage), stage)
    assert stage.dropped == [("b", None)]


async def test_cancelled_call_closes_both(time: FakeTime) -> None:
    stage = Stage(a=silent, b=silent)
    task = asyncio.create_task(run_async(hedged(time, stage), stage.asend, stage.drop))
    assert await asyncio.to_thread(stage.event("b asked").wait, PATIENCE)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [model for model, _ in stage.dropped] == ["a", "b"]


def test_answer_that_came_too_late_is_dropped(time: FakeTime) -> None:
    """The first answers while the winner is already being returned."""
    stage = Stage(b=after("a asked"))
    came = threading.Event()

    def deaf(route: Route, limits: Limits) -> str:
        if route.model == "b":
            return stage.send(route, limits)
        stage.event("a asked").set()
        assert limits.stop is not None
        with limits.stop.waking(came.set):
            assert came.wait(PATIENCE)
        return "too late"

    dropped = threading.Event()

    def drop(route: Route, value: Any) -> None:
        if value == "too late":
            dropped.set()

    run_sync(hedged(time, stage, "a", "b"), deaf, drop)
    assert dropped.wait(PATIENCE)


# -- when a hedge is allowed -------------------------------------------------------------------------------------------


def first_of(plan: Plan) -> tuple[FailoverRun, Send]:
    run = FailoverRun(plan)
    step = run.next()
    assert isinstance(step, Send)
    return run, step


def test_one_hedge_a_call_at_most(time: FakeTime) -> None:
    run, step = first_of(hedged(time, Stage(), "a", "b", "c", "d"))
    assert run.hedge_after(step) == SOON
    second = run.hedge(step)
    assert second is not None
    assert run.hedge_after(step) is None
    run.failed(step, AttemptFailed(DOWN))
    run.failed(second, AttemptFailed(DOWN))
    third = run.next()
    assert isinstance(third, Send)
    assert (third.route.model, run.hedge_after(third)) == ("c", None)


def test_three_hedges_are_in_stock_and_ten_calls_earn_one(time: FakeTime) -> None:
    tokens = HedgeTokens()

    def call() -> bool:
        run, step = first_of(hedged(time, Stage(), "a", "b", tokens=tokens))
        return run.hedge_after(step) is not None and run.hedge(step) is not None

    began = [call() for _ in range(4)]
    assert began == [True, True, True, False]
    later = [call() for _ in range(200)]
    assert 19 <= sum(later) <= 21
    for _ in range(1000):
        tokens.count_call(HUB)
    assert sum(call() for _ in range(12)) == 11  # ten in stock at most, and one for the twelve calls


def test_another_route_of_the_same_model_is_no_hedge(time: FakeTime) -> None:
    run, step = first_of(hedged(time, Stage(), "a", endpoints=(HUB, MIRROR)))
    assert run.hedge_after(step) is None
    run, step = first_of(hedged(time, Stage(), "a", "b", endpoints=(HUB, MIRROR)))
    second = run.hedge(step)
    assert second is not None
    assert second.route.model == "b"


def test_unhealthy_route_is_no_hedge(time: FakeTime) -> None:
    health = time.health()
    stage = Stage()
    run, step = first_of(hedged(time, stage, "b", "a", health=health))
    run.failed(step, AttemptFailed(DOWN))
    run, step = first_of(hedged(time, stage, "a", "b", "c", health=health))
    second = run.hedge(step)
    assert second is not None
    assert second.route.model == "c"


def test_models_billed_by_the_call_are_not_both_asked(time: FakeTime) -> None:
    def price(route: Route) -> PromptPrice:
        return PromptPrice(Decimal(1), by_call=route.model != "c")

    run, step = first_of(hedged(time, Stage(), "a", "b", price=price))
    assert run.hedge_after(step) is None
    run, step = first_of(hedged(time, Stage(), "a", "b", "c", price=price))
    second = run.hedge(step)
    assert second is not None
    assert second.route.model == "c"


def test_max_attempts_leaves_no_room_for_a_hedge(time: FakeTime) -> None:
    run, step = first_of(hedged(time, Stage(), "a", "b", policy=FailoverPolicy(max_attempts=1)))
    assert run.hedge_after(step) is None


def test_probe_of_the_loser_is_given_back(time: FakeTime) -> None:
    health = time.health()
    run, step = first_of(hedged(time, Stage(), "a", "b", health=health))
    run.failed(step, AttemptFailed(DOWN))
    time.now += 3600  # half open: one probe at a time
    for _ in range(2):
        run, step = first_of(hedged(time, Stage(), "a", "b", health=health))
        assert step.route.model == "a"
        second = run.hedge(step)
        assert second is not None
        run.succeeded(second, "answered")


def test_closed_route_is_measured_as_slow() -> None:
    known = Measurements(lambda: 0.0)
    known.outlasted("a", 2.0)
    assert known.of("a").latency.value == 2.0
    known.outlasted("a", 1.0)
    assert known.of("a").latency.value == 2.0
    assert known.of("a").calls == 0


@pytest.mark.parametrize("seconds", [0, -1, "1"])
def test_seconds_out_of_range_are_refused(seconds: Any) -> None:
    with pytest.raises(ConfigurationError, match="hedge_after"):
        FailoverPolicy(hedge_after=seconds)


def test_stop_wakes_only_what_blocks_now() -> None:
    woken: list[str] = []
    stop = Stop()
    with stop.waking(lambda: woken.append("before")):
        pass
    stop.set()
    assert woken == []
    with stop.waking(lambda: woken.append("after")):
        assert woken == ["after"]


def test_timeline_shows_both_at_once() -> None:
    attempts = [
        Attempt("a", "hedged", latency_ms=300.0),
        Attempt("b", "ok", latency_ms=100.0, hedged_after_ms=200.0),
        Attempt("c", "ok", latency_ms=50.0, waited_ms=10.0),
    ]
    trace = Trace("a", "b", attempts)
    assert trace.times() == [(0.0, 300.0), (200.0, 300.0), (310.0, 360.0)]
    assert "closed" in trace._repr_html_()
    assert Trace.from_dict(trace.to_dict()) == trace
