"""A run over the routes: which are asked, in which order, for which failure."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import pytest

from hubmix.errors import (
    AllModelsFailedError,
    AuthenticationError,
    ContextLengthError,
    EndpointError,
    HubConnectionError,
    HubmixError,
    QuotaExceededError,
    RateLimitedError,
    ServerError,
)
from hubmix.failover.evidence import Evidence
from hubmix.failover.limits import Limits
from hubmix.failover.policy import FailoverPolicy
from hubmix.wire.requirements import Requirements
from tests.support.failover_scripts import (
    BAD,
    BOTH,
    BUSY,
    DOWN,
    EMPTY,
    EMPTY_WALLET,
    FILTERED,
    LATE,
    LIMITED,
    NO_ROOM,
    OOPS,
    REFUSED,
    TOO_LONG,
    WEBSITE,
    WRONG_KEY,
    Walker,
    outcomes,
    said,
    script,
)
from tests.support.fake_time import FakeTime

# -- the common ways --------------------------------------------------------------------------------------------------


def test_a_healthy_call_is_one_request(walk: Walker, time: FakeTime) -> None:
    play = script(a="hello", b="never")
    answer, trace = walk(time.plan("a", "b", timeout=30), play)
    assert (answer, trace.served, play.asked, time.waits) == ("hello", "a", ["a"], [])
    assert outcomes(trace) == [("a", "ok", None)]
    assert not trace.switched
    assert play.limits == [Limits(timeout=30)]


def test_a_dead_first_model_costs_one_extra_request_once(walk: Walker, time: FakeTime) -> None:
    health = time.health()
    play = script(a=DOWN, b="hello")
    answer, trace = walk(time.plan("a", "b", health=health), play)
    assert (answer, play.asked, time.waits) == ("hello", ["a", "b"], [])
    assert outcomes(trace) == [("a", "error", "no_channel"), ("b", "ok", None)]
    assert trace.switched
    play.asked.clear()
    answer, trace = walk(time.plan("a", "b", health=health), play)
    assert play.asked == ["b"]
    assert outcomes(trace) == [("a", "skipped", "no_channel"), ("b", "ok", None)]
    assert "60 s" in (trace.attempts[0].reason or "")
    time.now += 60
    play.asked.clear()
    play.lines["a"] = ["back"]
    assert walk(time.plan("a", "b", health=health), play)[0] == "back"
    assert play.asked == ["a"]


def test_a_server_error_is_retried_once_then_the_next_asked(walk: Walker, time: FakeTime) -> None:
    play = script(a=OOPS, b="hello")
    assert walk(time.plan("a", "b"), play)[0] == "hello"
    assert play.asked == ["a", "a", "b"]
    assert time.waits == [0.5]


def test_the_last_model_is_retried_twice_with_growing_waits(walk: Walker, time: FakeTime) -> None:
    play = script(a=OOPS)
    with pytest.raises(ServerError) as caught:
        walk(time.plan("a"), play)
    assert play.asked == ["a"] * 3
    assert time.waits == [0.5, 1.0]
    assert [attempt.outcome for attempt in caught.value.attempts] == ["error"] * 3
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_a_retry_that_works_is_an_answer(walk: Walker, time: FakeTime) -> None:
    play = script(a=[OOPS, "hello"])
    answer, trace = walk(time.plan("a"), play)
    assert answer == "hello"
    assert outcomes(trace) == [("a", "error", "server"), ("a", "ok", None)]
    assert trace.attempts[1].waited_ms == 500


def test_no_retries_means_none(walk: Walker, time: FakeTime) -> None:
    play = script(a=OOPS)
    with pytest.raises(ServerError):
        walk(time.plan("a", policy=FailoverPolicy(max_retries=0)), play)
    assert play.asked == ["a"]


@pytest.mark.parametrize("evidence", [LATE, said(504), said(400, "no tools", code="unsupported_parameter"), DOWN])
def test_some_failures_never_see_the_same_model_again(walk: Walker, time: FakeTime, evidence: Evidence) -> None:
    play = script(a=evidence, b="hello")
    assert walk(time.plan("a", "b"), play)[0] == "hello"
    assert play.asked == ["a", "b"]


@pytest.mark.parametrize("evidence", [LATE, said(504), said(524), Evidence("reset", "open"), DOWN])
def test_a_sole_model_is_asked_again_as_the_sdk_would(walk: Walker, time: FakeTime, evidence: Evidence) -> None:
    assert walk(time.plan("a"), script(a=[evidence, evidence, "hello"]))[0] == "hello"
    assert time.waits == [0.5, 1.0]
    play = script(a=evidence)
    with pytest.raises(HubmixError):
        walk(time.plan("a", policy=FailoverPolicy(max_retries=0)), play)
    assert play.asked == ["a"]


@pytest.mark.parametrize("evidence", [WEBSITE, Evidence("empty_stream", "body"), EMPTY])
def test_some_failures_are_retried_once_even_on_the_last_model(
    walk: Walker, time: FakeTime, evidence: Evidence
) -> None:
    play = script(a=[evidence, evidence, "third time"])
    with pytest.raises(HubmixError) if evidence is not EMPTY else _nothing():
        walk(time.plan("a"), play)
    assert play.asked == ["a", "a"]


class _nothing:  # noqa: N801  # reads as a twin of pytest.raises
    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


# -- the scopes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("evidence", "error"),
    [(WRONG_KEY, AuthenticationError), (EMPTY_WALLET, QuotaExceededError), (BAD, HubmixError), (FILTERED, HubmixError)],
)
def test_what_is_no_models_fault_burns_no_other_model(
    walk: Walker, time: FakeTime, evidence: Evidence, error: type[HubmixError]
) -> None:
    play = script(a=evidence, b="never")
    with pytest.raises(error) as caught:
        walk(time.plan("a", "b"), play)
    assert play.asked == ["a"]
    assert not isinstance(caught.value, AllModelsFailedError)


def test_an_empty_account_is_asked_again_by_the_next_call(walk: Walker, time: FakeTime) -> None:
    """A wallet may have been filled since; nothing is waited for."""
    health = time.health()
    play = script(a=[EMPTY_WALLET, "hello"])
    with pytest.raises(QuotaExceededError):
        walk(time.plan("a", "b", health=health), play)
    assert health.open_for("b") == 60
    time.now += 1
    answer, trace = walk(time.plan("a", "b", health=health), play)
    assert (answer, play.asked, time.waits) == ("hello", ["a", "a"], [])
    assert outcomes(trace) == [("a", "ok", None)]
    assert health.snapshot() == []


def test_a_free_model_may_go_on_with_an_empty_account(walk: Walker, time: FakeTime) -> None:
    health = time.health()
    details: dict[str, Any] = {"health": health, "is_free": lambda model: model == "free"}
    play = script(a=EMPTY_WALLET, b="costs", free="gratis")
    answer, trace = walk(time.plan("a", "b", "free", **details), play)
    assert (answer, play.asked) == ("gratis", ["a", "free"])
    assert ("b", "skipped", "skipped") in outcomes(trace)
    assert walk(time.plan("free", **details), play)[0] == "gratis"


def test_an_account_limit_is_waited_for_and_never_handed_on(walk: Walker, time: FakeTime) -> None:
    play = script(a=[LIMITED, LIMITED, "hello"], b="never")
    assert walk(time.plan("a", "b"), play)[0] == "hello"
    assert play.asked == ["a"] * 3
    assert time.waits == [0.5, 1.0]
    play = script(a=LIMITED, b="never")
    with pytest.raises(RateLimitedError):
        walk(time.plan("a", "b"), play)
    assert set(play.asked) == {"a"}


def test_a_retry_after_is_honoured_unless_it_is_too_long(walk: Walker, time: FakeTime) -> None:
    play = script(a=[replace(LIMITED, headers={"retry-after": "17"}), "hello"])
    assert walk(time.plan("a"), play)[0] == "hello"
    assert time.waits == [17]
    play = script(a=replace(LIMITED, headers={"retry-after": "180"}))
    with pytest.raises(RateLimitedError) as caught:
        walk(time.plan("a"), play)
    assert caught.value.retry_after == 180
    # The SDK does not believe it either, and asks after its own backoff.
    assert time.waits == [17, 0.5, 1.0]


def test_a_busy_model_hands_on_and_is_asked_again_at_the_end(walk: Walker, time: FakeTime) -> None:
    play = script(a=[BUSY, "a again"], b=BUSY)
    answer, trace = walk(time.plan("a", "b"), play)
    assert (answer, play.asked) == ("a again", ["a", "b", "a"])
    assert time.waits == [0.5]
    assert outcomes(trace)[:2] == [("a", "error", "rate_model"), ("b", "error", "rate_model")]
    assert trace.attempts[2].waited_ms == 500


def test_a_lone_busy_model_is_waited_for(walk: Walker, time: FakeTime) -> None:
    play = script(a=[replace(BUSY, headers={"retry-after": "7"}), "hello"])
    assert walk(time.plan("a"), play)[0] == "hello"
    assert time.waits == [7]


def test_a_longer_context_goes_only_to_larger_or_unknown_windows(walk: Walker, time: FakeTime) -> None:
    windows = {"a": 8000, "small": 8000, "large": 100_000}
    play = script(a=TOO_LONG, small="never", large="hello", unknown="hello")
    assert walk(time.plan("a", "small", "large", window=windows.get), play)[0] == "hello"
    assert play.asked == ["a", "large"]
    play.asked.clear()
    assert walk(time.plan("a", "unknown", window=windows.get), play)[0] == "hello"
    # The window of the failed model is in its own words where the catalog does not know it.
    play.asked.clear()
    windows.pop("a")
    with pytest.raises(ContextLengthError):
        walk(time.plan("a", window=windows.get), play)
    with pytest.raises(ContextLengthError) as caught:
        walk(time.plan("a", "small", window=windows.get), play)
    assert "small" not in play.asked
    assert [(attempt.model, attempt.outcome) for attempt in caught.value.attempts] == [
        ("a", "error"),
        ("small", "skipped"),
    ]


def test_a_longer_context_whose_larger_model_is_down_lists_both(walk: Walker, time: FakeTime) -> None:
    play = script(a=TOO_LONG, large=DOWN)
    with pytest.raises(AllModelsFailedError, match="2 requests"):
        walk(time.plan("a", "large", health=(health := time.health())), play)
    assert health.open_for("large")
    with pytest.raises(AllModelsFailedError, match="2 requests"):
        walk(time.plan("a", "large", health=health), play)
    with pytest.raises(AllModelsFailedError, match="max_attempts"):
        walk(time.plan("a", "large", policy=FailoverPolicy(max_attempts=1)), play)


def test_a_content_filter_hands_on_only_where_the_user_said_so(walk: Walker, time: FakeTime) -> None:
    play = script(a=FILTERED, b="hello")
    assert walk(time.plan("a", "b", policy=FailoverPolicy(fallback_on_content_filter=True)), play)[0] == "hello"


# -- what nobody knows ------------------------------------------------------------------------------------------------

UNKNOWN = said(422, "no, thanks", type="x")


def test_an_unknown_refusal_asks_the_next_model_once(walk: Walker, time: FakeTime) -> None:
    play = script(a=UNKNOWN, b="hello")
    answer, trace = walk(time.plan("a", "b", "c"), play)
    assert (answer, play.asked) == ("hello", ["a", "b"])
    assert outcomes(trace) == [("a", "error", "refused"), ("b", "ok", None)]


def test_a_second_unknown_refusal_ends_the_call_and_says_so(walk: Walker, time: FakeTime) -> None:
    play = script(a=UNKNOWN, b=said(415, "not like this", type="y"), c="never")
    with pytest.raises(AllModelsFailedError, match="Two models refused") as caught:
        walk(time.plan("a", "b", "c"), play)
    assert play.asked == ["a", "b"]
    assert [error.kind for error in caught.value.exceptions] == ["refused", "refused"]


def test_a_sole_model_that_refuses_is_asked_once(walk: Walker, time: FakeTime) -> None:
    play = script(a=UNKNOWN)
    with pytest.raises(HubmixError) as caught:
        walk(time.plan("a"), play)
    assert (play.asked, caught.value.kind) == (["a"], "refused")


def test_other_failures_between_two_refusals_do_not_count(walk: Walker, time: FakeTime) -> None:
    play = script(a=UNKNOWN, b=DOWN, c="hello")
    assert walk(time.plan("a", "b", "c"), play)[0] == "hello"
    assert play.asked == ["a", "b", "c"]


# -- the endpoint -----------------------------------------------------------------------------------------------------


def test_an_unreachable_hub_is_retried_then_its_mirror_is_asked(walk: Walker, time: FakeTime) -> None:
    health = time.health()
    play = script(a=[REFUSED, REFUSED, "from the mirror"], b="never")
    answer, trace = walk(time.plan("a", "b", endpoints=BOTH, health=health), play)
    assert answer == "from the mirror"
    assert play.asked == ["a", "a", "a@https://mirror.example/v1"]
    assert trace.attempts[-1].base_url == BOTH[1]
    assert time.waits == [0.5]
    # A third failure opens the breaker of the base URL; from then on the mirror is asked at once.
    play = script(a=[REFUSED, "hello", "hello"])
    walk(time.plan("a", endpoints=BOTH, health=health), play)
    play.asked.clear()
    walk(time.plan("a", endpoints=BOTH, health=health), play)
    assert play.asked == ["a@https://mirror.example/v1"]


def test_an_unreachable_hub_without_mirror_burns_no_model(walk: Walker, time: FakeTime) -> None:
    play = script(a=REFUSED, b="never")
    with pytest.raises(HubConnectionError) as caught:
        walk(time.plan("a", "b"), play)
    assert play.asked == ["a"] * 3
    assert "base URL" in str(caught.value)


def test_a_website_behind_every_model_is_a_wrong_base_url(walk: Walker, time: FakeTime) -> None:
    play = script(a=WEBSITE, b=WEBSITE)
    with pytest.raises(EndpointError, match="/v1"):
        walk(time.plan("a", "b"), play)
    assert play.asked == ["a", "a", "b", "b"]
    with pytest.raises(AllModelsFailedError):
        walk(time.plan("a", "b"), script(a=WEBSITE, b=OOPS))


# -- empty answers ----------------------------------------------------------------------------------------------------


def test_an_empty_answer_is_returned_if_no_better_one_comes(
    walk: Walker, time: FakeTime, caplog: pytest.LogCaptureFixture
) -> None:
    play = script(a=EMPTY, b=DOWN)
    with caplog.at_level(logging.WARNING, logger="hubmix.failover.drivers"):
        answer, trace = walk(time.plan("a", "b"), play)
    assert (answer, trace.served, play.asked) == ("empty a", "a", ["a", "a", "b"])
    assert "empty" in caplog.text


def test_an_empty_answer_gives_way_to_another_models(walk: Walker, time: FakeTime) -> None:
    assert walk(time.plan("a", "b"), script(a=EMPTY, b="words"))[0] == "words"


def test_an_answer_without_room_is_returned_at_once(walk: Walker, time: FakeTime) -> None:
    play = script(a=NO_ROOM, b="never")
    answer, trace = walk(time.plan("a", "b"), play)
    assert (answer, play.asked) == ("empty a", ["a"])
    assert outcomes(trace) == [("a", "ok", "length")]


# -- capabilities -----------------------------------------------------------------------------------------------------


def lacks_tools(model: str, needs: Requirements) -> str | None:
    return "It takes no tools." if needs.tools and model.startswith("plain") else None


def test_a_fallback_that_explicitly_cannot_is_passed_over(walk: Walker, time: FakeTime) -> None:
    play = script(a=DOWN, plain="never", b="hello")
    details: dict[str, Any] = {"requirements": Requirements(tools=True), "lacks": lacks_tools}
    answer, trace = walk(time.plan("a", "plain", "b", **details), play)
    assert (answer, play.asked) == ("hello", ["a", "b"])
    assert trace.attempts[1].reason == "It takes no tools."
    off = FailoverPolicy(capability_filter=False)
    assert walk(time.plan("a", "plain", "b", policy=off, **details), play)[0] == "never"


def test_the_filter_spares_the_primary_and_never_leaves_nobody(walk: Walker, time: FakeTime) -> None:
    details: dict[str, Any] = {"requirements": Requirements(tools=True), "lacks": lacks_tools}
    assert walk(time.plan("plain1", "plain2", **details), script(plain1=DOWN, plain2="yes"))[0] == "yes"


def test_nothing_is_looked_up_for_a_healthy_call(walk: Walker, time: FakeTime) -> None:
    def forbidden(*_: Any) -> Any:
        raise AssertionError("looked up on the healthy path")

    names = ("lacks", "window", "is_free", "suggest", "on_attempt")
    details: dict[str, Any] = dict.fromkeys(names, forbidden)
    assert walk(time.plan("a", "b", **details), script(a="hello"))[0] == "hello"
