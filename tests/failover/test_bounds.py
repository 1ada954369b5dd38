"""The bounds of a walk, what it tells when it fails, and who may look on."""

from __future__ import annotations

import asyncio
import logging
import pickle
from dataclasses import replace
from typing import Any

import pytest

from hubmix.errors import (
    AllModelsFailedError,
    EndpointError,
    HubmixError,
    HubTimeoutError,
    ModelNotFoundError,
    ModelUnavailableError,
    RateLimitedError,
    Scope,
    ServerError,
)
from hubmix.failover import failures
from hubmix.failover.drivers import run_async, run_sync
from hubmix.failover.evidence import Evidence, Failure, Recovery
from hubmix.failover.limits import Deadline, Limits
from hubmix.failover.plan import AttemptFailed, Plan
from hubmix.failover.policy import FailoverPolicy
from hubmix.failover.route import Route
from hubmix.wire.trace import Attempt, Trace
from tests.support.failover_scripts import BAD, DOWN, FILTERED, LIMITED, OOPS, Walker, outcomes, said, script
from tests.support.fake_time import FakeTime

# -- bounds -----------------------------------------------------------------------------------------------------------


def test_no_more_requests_than_max_attempts(walk: Walker, time: FakeTime) -> None:
    play = script(a=OOPS, b=OOPS, c=OOPS, d=OOPS)
    with pytest.raises(AllModelsFailedError) as caught:
        walk(time.plan("a", "b", "c", "d"), play)
    assert len(play.asked) == 6
    assert "max_attempts=6" in str(caught.value)
    with pytest.raises(ServerError):
        walk(time.plan("z", policy=FailoverPolicy(max_attempts=1)), script(z=OOPS))


def test_no_wait_goes_beyond_the_total_timeout(walk: Walker, time: FakeTime) -> None:
    play = script(a=replace(LIMITED, headers={"retry-after": "20"}))
    with pytest.raises(RateLimitedError):
        walk(time.plan("a", total_timeout=15), play)
    assert (play.asked, time.waits) == (["a"], [])


class Late:
    """Names of further models that take a second to come."""

    def __init__(self, time: FakeTime, *models: str) -> None:
        self.time, self.models, self.asked = time, models, list[float]()

    def __call__(self, seconds: float) -> tuple[str, ...]:
        self.asked.append(seconds)
        self.time.now += 1
        return self.models

    def plan(self, **details: Any) -> Plan:
        return self.time.plan("a", discover=self, **details)


def test_further_models_are_looked_for_after_the_first_failure(walk: Walker, time: FakeTime) -> None:
    late = Late(time, "a", "b", "c")
    answer, trace = walk(late.plan(), script(a=DOWN, b=DOWN, c="hello"))
    assert (answer, late.asked) == ("hello", [3.0])
    assert outcomes(trace) == [("a", "error", "no_channel"), ("b", "error", "no_channel"), ("c", "ok", None)]
    # The wait is the next attempt's, and no time that the first one took.
    assert [(attempt.latency_ms, attempt.waited_ms) for attempt in trace.attempts[:2]] == [(0.0, 0.0), (0.0, 1000.0)]


def test_further_models_are_not_looked_for_without_use(walk: Walker, time: FakeTime) -> None:
    late = Late(time, "a", "b")
    assert walk(late.plan(), script(a="hello"))[0] == "hello"
    with pytest.raises(HubmixError):
        walk(late.plan(), script(a=FILTERED))
    assert late.asked == []


def test_further_models_may_take_half_of_the_time_left(walk: Walker, time: FakeTime) -> None:
    late = Late(time, "a", "b")
    assert walk(late.plan(total_timeout=4), script(a=DOWN, b="hello"))[0] == "hello"
    assert late.asked == [2.0]


def test_without_further_models_the_failure_stands(walk: Walker, time: FakeTime) -> None:
    with pytest.raises(ModelUnavailableError):
        walk(Late(time, "a").plan(), script(a=DOWN))


def test_the_total_timeout_holds_for_attempts_and_the_run(walk: Walker, time: FakeTime) -> None:
    play = script(a=DOWN, b=DOWN)

    def slow(route: Route, limits: Limits) -> str:
        time.now += 6
        return play(route, limits)

    with pytest.raises(AllModelsFailedError, match="total_timeout=5 s ran out"):
        walk(time.plan("a", "b", total_timeout=5), slow)
    assert play.asked == ["a"]
    assert play.limits[0].total == Deadline(1005, "total_timeout", 5)


def test_a_deadline_reported_by_the_transport_is_final(walk: Walker, time: FakeTime) -> None:
    play = script(a=Evidence("total_timeout", "open"), b="never")
    with pytest.raises(HubTimeoutError, match="total_timeout"):
        walk(time.plan("a", "b"), play)
    assert play.asked == ["a"]


def test_streams_get_their_own_limits(walk: Walker, time: FakeTime) -> None:
    play = script(a="stream")
    policy = FailoverPolicy(first_token_timeout=3, idle_timeout=9)
    _, trace = walk(time.plan("a", policy=policy, streaming=True, timeout=60), play)
    assert play.limits == [Limits(timeout=60, first_token=3, idle=9)]
    assert trace.attempts[0].first_token_ms == trace.attempts[0].latency_ms == 0


def test_open_breakers_go_to_the_back_the_soonest_to_close_first(walk: Walker, time: FakeTime) -> None:
    health = time.health()
    for model, failure in (("a", failures.NO_CHANNEL), ("b", failures.RATE_MODEL)):
        health.record(model, failure, OOPS)
    answer, trace = walk(time.plan("a", "b", "c", health=health), script(a="a", b="b", c="c"))
    assert outcomes(trace) == [("a", "skipped", "no_channel"), ("b", "skipped", "rate_model"), ("c", "ok", None)]
    assert [attempt.reason for attempt in trace.attempts[:2]] == [
        "The circuit breaker of the model is open (60 s more).",
        "The circuit breaker of the model is open (5 s more).",
    ]
    answer, trace = walk(time.plan("a", "b", health=health), script(a="a", b="b"))
    assert (answer, time.waits) == ("b", [])
    assert outcomes(trace) == [("a", "skipped", "no_channel"), ("b", "ok", None)]


def test_open_routes_are_all_asked_before_a_call_fails(walk: Walker, time: FakeTime) -> None:
    health = time.health()
    for model in ("a", "b"):
        health.record(model, failures.NO_CHANNEL, DOWN)
    answer, trace = walk(time.plan("a", "b", health=health), script(a=DOWN, b="hello"))
    assert (answer, time.waits) == ("hello", [])
    assert outcomes(trace) == [("a", "error", "no_channel"), ("b", "ok", None)]


@pytest.mark.parametrize(
    "failure", [failures.NO_CHANNEL, failures.PERMISSION, failures.QUOTA, failures.CONNECT, failures.RATE_ACCOUNT]
)
def test_a_sole_route_is_asked_at_once_whatever_its_breakers_say(
    walk: Walker, time: FakeTime, failure: Failure
) -> None:
    health = time.health()
    for _ in range(5):
        health.record("a", failure, DOWN)
    assert health.open_for("a") > 0
    answer, trace = walk(time.plan("a", health=health), script(a="hello"))
    assert (answer, time.waits, outcomes(trace)) == ("hello", [], [("a", "ok", None)])


def test_a_model_without_finish_reasons_precedes_a_broken_one(walk: Walker, time: FakeTime) -> None:
    health = time.health()
    unfinished = Evidence("no_finish", "committed", 200)
    health.record("a", failures.RATE_MODEL, OOPS)
    for _ in range(5):
        health.record("b", failures.INTERRUPTED, unfinished)
    answer, trace = walk(time.plan("a", "b", health=health, streaming=True), script(a="a", b="b"))
    assert (answer, time.waits) == ("b", [])
    assert outcomes(trace) == [("a", "skipped", "rate_model"), ("b", "ok", None)]


def test_a_model_past_its_breaker_is_retried_like_any_other(walk: Walker, time: FakeTime) -> None:
    health = time.health()
    for model in "ababab":
        health.record(model, failures.INTERRUPTED, Evidence("no_finish", "committed", 200))
    play = script(a=[OOPS, "a"])
    assert walk(time.plan("a", health=health, streaming=True), play)[0] == "a"
    assert (play.asked, time.waits) == (["a", "a"], [0.5])


def test_a_free_model_past_its_breaker_leaves_the_account_open(walk: Walker, time: FakeTime) -> None:
    health = time.health()
    for _ in range(3):
        health.record("free", failures.INTERRUPTED, Evidence("no_finish", "committed", 200))
    health.record("dear", failures.QUOTA, OOPS)
    time.now += 1
    plan = time.plan("free", health=health, is_free=lambda model: model == "free")
    assert walk(plan, script(free="f"))[0] == "f"
    assert [(state.target, state.kind) for state in health.snapshot()] == [("account", "quota")]


def test_a_mistyped_model_has_no_time_to_come_back(walk: Walker, time: FakeTime) -> None:
    unknown = said(404, "no such model", type="invalid_request_error", code="model_not_found")
    with pytest.raises(ModelNotFoundError) as own:
        walk(time.plan("gpt-99"), script(**{"gpt-99": unknown}))
    assert own.value.retry_after is None
    assert "Come back" not in str(own.value)
    busy = replace(LIMITED, headers={"retry-after": "90"})
    with pytest.raises(AllModelsFailedError) as both:
        walk(time.plan("gpt-99", "b"), script(**{"gpt-99": unknown, "b": busy}))
    assert both.value.retry_after == 90
    assert "Come back in 90 s." in str(both.value)


def test_a_stale_failure_counts_for_nothing(walk: Walker, time: FakeTime) -> None:
    health = time.health()
    stale = health.registry.enter(health.keys("a"))
    time.now += 1
    for _ in range(3):
        health.record("a", failures.SERVER, OOPS)
    time.now += 6
    assert walk(time.plan("a", health=health), script(a="hello"))[0] == "hello"
    for _ in range(5):
        health.registry.failed(stale, failures.NO_CHANNEL, DOWN)
    assert health.open_for("a") == 0
    assert health.snapshot() == []


# -- errors -----------------------------------------------------------------------------------------------------------


def test_web_pages_alone_are_no_api_and_name_every_model(walk: Walker, time: FakeTime) -> None:
    page = Evidence("html", "body", status=200)
    with pytest.raises(EndpointError, match="Only web pages came back for 'a' and 'b'"):
        walk(time.plan("a", "b"), script(a=page, b=page))
    with pytest.raises(AllModelsFailedError, match=r"1\. 'a': server"):
        walk(time.plan("a", "b"), script(a=[OOPS, page], b=page))


def test_the_error_of_many_lists_every_attempt_and_what_to_do(walk: Walker, time: FakeTime) -> None:
    play = script(a=OOPS, b=DOWN)
    with pytest.raises(AllModelsFailedError) as caught:
        walk(time.plan("a", "b", suggest=lambda model: ["better"]), play)
    error = caught.value
    assert [type(e).__name__ for e in error.exceptions] == ["ServerError", "ModelUnavailableError"]
    assert outcomes(Trace("a", None, error.attempts)) == [
        ("a", "error", "server"),
        ("a", "error", "server"),
        ("b", "error", "no_channel"),
    ]
    for part in ("1. 'a': server, HTTP 500, request id r500", "3. 'b': no_channel", "model_not_found", "fault is"):
        assert part in str(error)
    assert "Did you mean 'better'?" in str(error.exceptions[1])
    back = pickle.loads(pickle.dumps(error))
    assert str(back) == str(error)
    assert back.attempts == error.attempts


def test_a_final_failure_lists_those_before_it(walk: Walker, time: FakeTime) -> None:
    with pytest.raises(AllModelsFailedError) as caught:
        walk(time.plan("a", "b", "c"), script(a=DOWN, b=BAD, c="never"))
    assert [type(e).__name__ for e in caught.value.exceptions] == ["ModelUnavailableError", "BadRequestError"]


def test_an_unknown_model_brings_suggestions(walk: Walker, time: FakeTime) -> None:
    play = script(**{"gpt-4p": said(404, "The model `gpt-4p` does not exist", code="model_not_found")})
    with pytest.raises(ModelNotFoundError, match="Did you mean 'gpt-4o'") as caught:
        walk(time.plan("gpt-4p", suggest=lambda model: ("gpt-4o",)), play)
    assert caught.value.suggestions == ("gpt-4o",)


@pytest.mark.parametrize("stop", [KeyboardInterrupt, GeneratorExit, asyncio.CancelledError, RuntimeError])
def test_other_exceptions_propagate_and_give_the_probe_back(
    walk: Walker, time: FakeTime, stop: type[BaseException]
) -> None:
    health = time.health()
    health.record("a", failures.NO_CHANNEL, DOWN)
    time.now += 60
    with pytest.raises(stop):
        walk(time.plan("a", "b", health=health), script(a=stop(), b="never"))
    assert walk(time.plan("a", health=health), script(a="hello"))[0] == "hello"
    assert time.waits == []


def test_no_wait_is_advised_if_a_model_may_be_asked_at_once(walk: Walker, time: FakeTime) -> None:
    with pytest.raises(AllModelsFailedError) as caught:
        walk(time.plan("a", "b"), script(a=DOWN, b=Evidence("read_timeout", "open")))
    assert caught.value.retry_after is None
    assert "Come back" not in str(caught.value)


def test_the_error_says_to_come_back_when_the_hub_said(walk: Walker, time: FakeTime) -> None:
    busy = said(429, "slow down", type="requests", code="rate_limit_exceeded", headers={"retry-after": "2"})
    for models in (("a",), ("a", "b")):
        with pytest.raises(HubmixError) as caught:
            walk(time.plan(*models, policy=FailoverPolicy(max_retries=0)), script(a=busy, b=busy))
        assert caught.value.retry_after == 2


@pytest.mark.parametrize("hook", ["classify", "on_attempt"])
def test_ctrl_c_in_a_hook_gives_the_probe_back(walk: Walker, time: FakeTime, hook: str) -> None:
    def interrupt(*_: Any) -> Any:
        raise KeyboardInterrupt

    health = time.health()
    health.record("b", failures.NO_CHANNEL, DOWN)
    time.now += 60
    if hook == "on_attempt":  # told that "a" was passed over
        health.record("a", failures.NO_CHANNEL, DOWN)
        plan = time.plan("a", "b", health=health, on_attempt=interrupt)
    else:
        plan = time.plan("b", health=health, policy=FailoverPolicy(classify=interrupt))
    with pytest.raises(KeyboardInterrupt):
        walk(plan, script(b=OOPS))
    assert health.open_for("b") == 0


async def test_a_cancelled_wait_ends_the_run(time: FakeTime, monkeypatch: pytest.MonkeyPatch) -> None:
    entered = asyncio.Event()

    async def for_ever(seconds: float) -> None:
        entered.set()
        await asyncio.sleep(3600)

    async def attempt(route: Route, limits: Limits) -> str:
        raise AttemptFailed(OOPS)

    monkeypatch.setattr(time, "async_sleep", for_ever)
    task = asyncio.create_task(run_async(time.plan("a"), attempt))
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_a_hundred_calls_send_one_probe(time: FakeTime) -> None:
    health = time.health()
    health.record("a", failures.NO_CHANNEL, DOWN)
    time.now += 60
    asked: list[str] = []

    async def attempt(route: Route, limits: Limits) -> str:
        asked.append(route.model)
        await asyncio.sleep(0.01)
        return route.model

    async def calls() -> None:
        await asyncio.gather(*(run_async(time.plan("a", "b", health=health), attempt) for _ in range(100)))

    asyncio.run(calls())
    assert (asked.count("a"), asked.count("b")) == (1, 99)


# -- observers and hooks ----------------------------------------------------------------------------------------------


def test_every_failed_or_skipped_attempt_is_told_as_it_happens(walk: Walker, time: FakeTime) -> None:
    told: list[Attempt] = []
    _, trace = walk(time.plan("a", "b", on_attempt=told.append), script(a=DOWN, b="hello"))
    assert told == trace.attempts[:1]


def test_an_observer_or_hook_that_breaks_does_not_break_the_call(
    walk: Walker, time: FakeTime, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("mine")

    plan = time.plan("a", "b", on_attempt=broken, policy=FailoverPolicy(classify=broken))
    with caplog.at_level(logging.WARNING, logger="hubmix.failover.drivers"):
        assert walk(plan, script(a=DOWN, b="hello"))[0] == "hello"
    assert caplog.text.count("RuntimeError: mine") == 2


def test_the_users_word_on_a_failure_counts(walk: Walker, time: FakeTime) -> None:
    def classify(evidence: Evidence, failure: Failure) -> Failure | None:
        return replace(failure, action=Recovery.FAIL) if failure.kind == "no_channel" else None

    play = script(a=DOWN, b="never")
    with pytest.raises(ModelUnavailableError):
        walk(time.plan("a", "b", policy=FailoverPolicy(classify=classify)), play)
    assert play.asked == ["a"]


def test_a_switch_is_logged_once_without_secrets(
    walk: Walker, time: FakeTime, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="hubmix"):
        walk(time.plan("a", "b"), script(a=DOWN, b="hello"))
    messages = [record.getMessage() for record in caplog.records]
    assert [message for message in messages if not message.startswith("Circuit breaker")] == [
        "Going on from the model 'a' to the model 'b': no_channel."
    ]


def test_a_plan_needs_a_route(time: FakeTime) -> None:
    with pytest.raises(ValueError, match="at least one route"):
        run_sync(time.plan(), script())


def test_scope_is_told_on_every_error(time: FakeTime) -> None:
    with pytest.raises(HubmixError) as caught:
        run_sync(time.plan("a"), script(a=OOPS))
    assert caught.value.scope is Scope.MODEL
