"""The decision after a failure, by itself; and the trace."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from typing import Any

import pytest

from hubmix.errors import ConfigurationError
from hubmix.failover import failures
from hubmix.failover.evidence import Failure
from hubmix.failover.policy import FailoverPolicy, Left, Move, decide, read_policy
from hubmix.wire.trace import Attempt, Trace
from tests.support.failover_scripts import (
    DOWN,
    WALKERS,
    Walker,
    script,
)
from tests.support.fake_time import FakeTime


@pytest.fixture(params=["sync", "async"])
def walk(request: pytest.FixtureRequest) -> Walker:
    return WALKERS[request.param]


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


# -- the decision by itself -------------------------------------------------------------------------------------------

POLICY = FailoverPolicy()


@pytest.mark.parametrize(
    ("failure", "left", "move"),
    [
        (failures.SERVER, Left(1, 5, healthy=True), Move.RETRY),
        (failures.SERVER, Left(2, 4, healthy=True), Move.NEXT),
        (failures.SERVER, Left(2, 4), Move.RETRY),
        (failures.SERVER, Left(3, 3), Move.NEXT),
        (failures.SERVER, Left(1, 0), Move.NEXT),
        (failures.SERVER, Left(1, 5, healthy=True, reopens_in=5.0), Move.NEXT),
        (failures.SERVER, Left(1, 5, reopens_in=5.0), Move.RETRY),
        (failures.SERVER, Left(1, 5, seconds=0.4), Move.NEXT),
        (failures.TIMEOUT, Left(1, 5), Move.NEXT),
        (failures.RATE_MODEL, Left(1, 5, healthy=True, others=True), Move.LATER),
        (failures.RATE_MODEL, Left(2, 4, healthy=True, others=True), Move.NEXT),
        (failures.RATE_MODEL, Left(1, 5, others=True), Move.LATER),
        (failures.RATE_MODEL, Left(3, 3, others=True), Move.NEXT),
        (failures.RATE_MODEL, Left(1, 5, reopens_in=5.0), Move.RETRY),
        (replace(failures.RATE_MODEL, retry_after=61.0), Left(1, 5), Move.NEXT),
        (failures.RATE_ACCOUNT, Left(1, 5, healthy=True, mirror=True), Move.RETRY),
        (failures.RATE_ACCOUNT, Left(3, 3, healthy=True, mirror=True), Move.FAIL),
        (failures.CONNECT, Left(1, 5, mirror=True), Move.RETRY),
        (failures.CONNECT, Left(2, 4, mirror=True), Move.MIRROR),
        (failures.CONNECT, Left(1, 5, mirror=True, reopens_in=5.0), Move.MIRROR),
        (failures.CONNECT, Left(3, 3, healthy=True), Move.FAIL),
        (failures.QUOTA, Left(1, 5), Move.FAIL),
        (failures.QUOTA, Left(1, 5, healthy=True), Move.NEXT),  # healthy: a free one
        (failures.POLICY, Left(1, 5, healthy=True), Move.FAIL),
        (failures.HUB_FILTER, Left(1, 5, healthy=True), Move.FAIL),
        (failures.BAD_REQUEST, Left(1, 5, healthy=True), Move.FAIL),
        (failures.CONTEXT, Left(1, 5, healthy=True), Move.NEXT),
        (failures.LENGTH, Left(1, 5, healthy=True), Move.RETURN),
        (failures.EMPTY, Left(2, 4, healthy=True), Move.NEXT),
    ],
)
def test_the_decision(failure: Failure, left: Left, move: Move) -> None:
    assert decide(failure, POLICY, left).move is move


def test_backoff_is_full_jitter_over_a_doubled_wait() -> None:
    def wait(tries: int, jitter: float) -> float:
        policy = FailoverPolicy(max_retries=10, max_attempts=20)
        return decide(failures.SERVER, policy, Left(tries, 20), jitter).wait

    assert [wait(tries, 1.0) for tries in range(1, 7)] == [0.5, 1, 2, 4, 8, 8]
    assert wait(3, 0.0) == 0
    assert wait(3, 0.25) == 0.5


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_retries": -1},
        {"max_retries": "x"},
        {"max_attempts": 0},
        {"max_attempts": 1.5},
        {"idle_timeout": 0},
        {"idle_timeout": "x"},
        {"max_retry_after": -1},
        {"max_retry_after": None},
        {"max_price_ratio": "x"},
    ],
)
def test_a_policy_out_of_range_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        FailoverPolicy(**wrong)


def test_a_policy_may_be_a_dict_of_its_parameters() -> None:
    assert read_policy({"max_attempts": 2}) == FailoverPolicy(max_attempts=2)
    with pytest.raises(ConfigurationError, match="no parameter 'max_retrys'; it has max_retries"):
        read_policy({"max_retrys": 0})
    with pytest.raises(ConfigurationError, match="not int"):
        read_policy(5)


def test_a_policy_pickles_and_compares() -> None:
    assert pickle.loads(pickle.dumps(POLICY)) == FailoverPolicy()


# -- the trace --------------------------------------------------------------------------------------------------------


def test_the_trace_is_plain_json(walk: Walker, time: FakeTime) -> None:
    _, trace = walk(time.plan("a", "b"), script(a=DOWN, b="hello"))
    plain = json.loads(json.dumps(trace.to_dict()))
    assert plain["requested"] == "a"
    assert plain["served"] == "b"
    assert plain["attempts"][0]["code"] == "model_not_found"
    assert set(plain["attempts"][0]) >= {"model", "outcome", "kind", "status", "request_id", "waited_ms", "latency_ms"}


def test_the_timeline_is_escaped_and_says_everything() -> None:
    attempts = [Attempt("<b>a</b>", "error", "server", 500, reason="<script>"), Attempt("b", "ok", latency_ms=1234.5)]
    html = Trace("<b>a</b>", "b", attempts)._repr_html_()
    assert "<script>" not in html
    assert "<b>" not in html
    assert "1,234 ms" in html
    assert html.count("<tr ") == 3
    assert "no answer" in Trace("a")._repr_html_()
