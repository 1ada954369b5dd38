"""The decision after a failure, by itself; and the trace."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from typing import Any

import pytest
from tenacity import stop_after_attempt, stop_before_delay, wait_fixed

from hubmix.errors import ConfigurationError
from hubmix.failover import failures
from hubmix.failover.decide import Decision, NextStep, Remaining, decide, sdk_would_retry
from hubmix.failover.evidence import Evidence, Failure
from hubmix.failover.policy import FailoverPolicy, _retry_state, _sdk_backoff, read_policy
from hubmix.wire.trace import Attempt, Trace
from tests.support.failover_scripts import DOWN, Walker, script
from tests.support.fake_time import FakeTime

# -- the decision by itself -------------------------------------------------------------------------------------------

POLICY = FailoverPolicy()


@pytest.mark.parametrize(
    ("failure", "left", "step"),
    [
        (failures.SERVER, Remaining(1, 5, healthy=True, others=True), NextStep.RETRY),
        (failures.SERVER, Remaining(2, 4, healthy=True, others=True), NextStep.NEXT),
        (failures.SERVER, Remaining(2, 4), NextStep.RETRY),
        (failures.SERVER, Remaining(3, 3), NextStep.NEXT),
        (failures.SERVER, Remaining(1, 0), NextStep.NEXT),
        (failures.SERVER, Remaining(1, 5, seconds=0.4), NextStep.NEXT),
        (replace(failures.SERVER, retry_after=20.0), Remaining(1, 5, others=True), NextStep.LATER),
        (failures.SERVER, Remaining(1, 5, healthy=True, others=True, opened=True), NextStep.NEXT),
        (failures.SERVER, Remaining(1, 5, opened=True), NextStep.RETRY),
        (failures.TIMEOUT, Remaining(1, 5, others=True), NextStep.NEXT),
        (failures.TIMEOUT, Remaining(1, 5, sole=True), NextStep.RETRY),
        (failures.RESET, Remaining(2, 4, others=True), NextStep.NEXT),
        (failures.RESET, Remaining(2, 4, sole=True), NextStep.RETRY),
        (failures.NO_CHANNEL, Remaining(1, 5, others=True), NextStep.NEXT),
        (failures.NO_CHANNEL, Remaining(1, 5), NextStep.NEXT),
        (failures.NO_CHANNEL, Remaining(1, 5, sole=True), NextStep.RETRY),
        (failures.NOT_FOUND, Remaining(1, 5, sole=True), NextStep.NEXT),
        (failures.RATE_MODEL, Remaining(1, 5, healthy=True, others=True), NextStep.LATER),
        (failures.RATE_MODEL, Remaining(2, 4, healthy=True, others=True), NextStep.NEXT),
        (failures.RATE_MODEL, Remaining(1, 5, others=True), NextStep.LATER),
        (failures.RATE_MODEL, Remaining(3, 3, others=True), NextStep.NEXT),
        (failures.RATE_MODEL, Remaining(1, 5), NextStep.RETRY),
        (replace(failures.RATE_MODEL, retry_after=61.0), Remaining(1, 5, others=True), NextStep.NEXT),
        (replace(failures.RATE_MODEL, retry_after=61.0), Remaining(1, 5, sole=True), NextStep.RETRY),
        (failures.RATE_ACCOUNT, Remaining(1, 5), NextStep.RETRY),
        (failures.RATE_ACCOUNT, Remaining(3, 3), NextStep.NEXT),
        (failures.RATE_ACCOUNT, Remaining(1, 5, healthy=True, others=True), NextStep.LATER),  # another account
        (failures.CONNECT, Remaining(1, 5, healthy=True, others=True), NextStep.RETRY),
        (failures.CONNECT, Remaining(2, 4, healthy=True, others=True), NextStep.NEXT),
        (failures.CONNECT, Remaining(3, 3), NextStep.NEXT),
        (failures.AUTH, Remaining(1, 5), NextStep.FAIL),
        (failures.AUTH, Remaining(1, 5, others=True), NextStep.NEXT),
        (failures.QUOTA, Remaining(1, 5), NextStep.FAIL),
        (failures.QUOTA, Remaining(1, 5, healthy=True, others=True), NextStep.NEXT),  # a free one, or another account
        (failures.POLICY, Remaining(1, 5, healthy=True, others=True), NextStep.FAIL),
        (failures.HUB_FILTER, Remaining(1, 5, healthy=True, others=True), NextStep.FAIL),
        (failures.BAD_REQUEST, Remaining(1, 5, healthy=True, others=True), NextStep.FAIL),
        (failures.CONTEXT, Remaining(1, 5, healthy=True, others=True), NextStep.NEXT),
        (failures.LENGTH, Remaining(1, 5, healthy=True, others=True), NextStep.RETURN),
        (failures.EMPTY, Remaining(2, 4, healthy=True, others=True), NextStep.NEXT),
    ],
)
def test_the_decision(failure: Failure, left: Remaining, step: NextStep) -> None:
    assert decide(failure, POLICY, left).step is step


def test_what_the_sdk_does_not_repeat_is_not_repeated() -> None:
    assert decide(failures.NO_CHANNEL, POLICY, Remaining(1, 5, sole=True), repeatable=False).step is NextStep.NEXT
    assert decide(failures.RESET, POLICY, Remaining(2, 4, sole=True), repeatable=False).step is NextStep.NEXT


def test_a_second_unknown_refusal_ends_the_call() -> None:
    unknown = replace(failures.CAPABILITY, ask_one_more=True)
    assert decide(unknown, POLICY, Remaining(1, 5, others=True, refusals=1)).step is NextStep.NEXT
    assert decide(unknown, POLICY, Remaining(1, 4, others=True, refusals=2)).step is NextStep.FAIL


@pytest.mark.parametrize(
    ("evidence", "again"),
    [
        (Evidence("status", "body", status=503), True),
        (Evidence("status", "body", status=429), True),
        (Evidence("status", "body", status=403), False),
        (Evidence("status", "body", status=500, headers={"x-should-retry": "false"}), False),
        (Evidence("status", "body", status=400, headers={"x-should-retry": "true"}), True),
        (Evidence("error_body", "body", status=200, code="503"), False),
        (Evidence("reset", "open"), True),
        (Evidence("read_timeout", "open"), True),
        (Evidence("dns", "connect"), True),
        (Evidence("html", "body", status=200), False),
    ],
)
def test_what_the_sdk_would_send_again(evidence: Evidence, again: bool) -> None:
    assert sdk_would_retry(evidence) is again


def test_backoff_is_full_jitter_over_a_doubled_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.uniform", lambda low, high: (low, high))
    policy = FailoverPolicy(wait=None)
    assert [_sdk_backoff()(_retry_state(tries)) for tries in range(1, 7)] == [
        (0, high) for high in (0.5, 1, 2, 4, 8, 8)
    ]
    monkeypatch.undo()
    assert 0 <= policy.backoff(3) <= 2


def test_a_wait_and_a_stop_of_tenacity_decide() -> None:
    policy = FailoverPolicy(max_retries=10, max_attempts=20, wait=wait_fixed(3), stop=stop_before_delay(10))
    assert decide(failures.SERVER, policy, Remaining(1, 19, elapsed=1.0)) == Decision(NextStep.RETRY, 3)
    assert decide(failures.SERVER, policy, Remaining(1, 19, elapsed=8.0)).step is NextStep.NEXT
    # What the hub asks for comes first.
    assert decide(replace(failures.SERVER, retry_after=5.0), policy, Remaining(1, 19)).wait == 5
    one = FailoverPolicy(max_retries=10, stop=stop_after_attempt(2))
    assert [decide(failures.SERVER, one, Remaining(made, 6 - made)).step for made in (1, 2)] == ["retry", "next"]


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
