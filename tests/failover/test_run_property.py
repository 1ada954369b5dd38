"""Any faults: one answer or one error, every request told, bounds kept."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from hubmix.errors import AllModelsFailedError, HubmixError
from hubmix.failover.evidence import Evidence
from hubmix.failover.limits import Limits
from hubmix.failover.plan import AttemptFailed, Plan
from hubmix.failover.policy import FailoverPolicy
from hubmix.failover.route import Route
from hubmix.wire.trace import Attempt
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
    WALKERS,
    WRONG_KEY,
    Walker,
)
from tests.support.fake_time import FakeTime

# -- any sequence of faults -------------------------------------------------------------------------------------------

ANYTHING = st.one_of(
    st.sampled_from(
        [OOPS, DOWN, BUSY, LIMITED, EMPTY_WALLET, WRONG_KEY, TOO_LONG, FILTERED, BAD, REFUSED, LATE, EMPTY, NO_ROOM]
    ),
    st.sampled_from(["answer"]),
    st.builds(
        Evidence,
        cause=st.sampled_from(["status", "error_body", "html", "undecodable", "cut", "reset", "dns", "no_finish"]),
        phase=st.sampled_from(["connect", "open", "body"]),
        status=st.one_of(st.none(), st.integers(300, 599)),
        code=st.one_of(st.none(), st.sampled_from(["429", "invalid_request", "insufficient_quota", "x"])),
        type=st.one_of(st.none(), st.sampled_from(["new_api_error", "rate_limit_error", "y"])),
        message=st.sampled_from(["", "无可用渠道", "maximum context length is 9", "try again in 3s"]),
        headers=st.sampled_from(
            [{}, *({"retry-after": text} for text in ("2", "500", "inf", "1e400", "nan")), {"x-should-retry": "false"}]
        ),
        empty_body=st.booleans(),
    ),
)


@dataclass
class Call:
    """One call of the property test, with everything that is compared."""

    sent: int
    made: list[Attempt]
    answer: str | None
    error: HubmixError | None
    took: float


def _one_call(walker: Walker, plan: Plan, time: FakeTime, lines: list[Any]) -> Call:
    left = list(lines)
    sent = 0

    def attempt(route: Route, limits: Limits) -> str:
        nonlocal sent
        sent += 1
        line = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(line, Evidence):
            raise AttemptFailed(line, "empty" if line.cause == "empty_answer" else None)
        return str(line)

    before = time.now
    try:
        answer, trace = walker(plan, attempt)
    except HubmixError as error:
        return Call(sent, error.attempts, None, error, time.now - before)
    assert trace.served is not None
    return Call(sent, trace.attempts, answer, None, time.now - before)


def _hold_together(call: Call, models: int) -> None:
    assert call.sent == sum(attempt.outcome != "skipped" for attempt in call.made)
    good = [attempt for attempt in call.made if attempt.outcome == "ok"]
    if call.error is None:
        assert call.answer == "empty" or good == [call.made[-1]]
        return
    assert good == []
    assert pickle.loads(pickle.dumps(call.error)).attempts == call.made
    if isinstance(call.error, AllModelsFailedError):
        assert models > 1
        assert all(repr(attempt.model) in str(call.error) for attempt in call.made)
    else:
        assert len({attempt.model for attempt in call.made if attempt.outcome == "error"}) <= models
        assert str(call.error)


@settings(max_examples=300, deadline=None)
@given(
    lines=st.lists(ANYTHING, min_size=1, max_size=12),
    models=st.integers(1, 4),
    policy=st.builds(FailoverPolicy, max_attempts=st.integers(1, 8), max_retries=st.integers(0, 3)),
    total=st.sampled_from([None, 0.1, 10.0, 100.0]),
    endpoints=st.sampled_from([BOTH, BOTH[:1]]),
    streaming=st.booleans(),
    seed=st.integers(0, 5),
)
def test_any_faults_end_in_one_outcome_with_every_request(
    lines: list[Any],
    models: int,
    policy: FailoverPolicy,
    total: float | None,
    endpoints: tuple[str, ...],
    streaming: bool,
    seed: int,
) -> None:
    """Two calls in a row over shared breakers; sync and async do the same."""
    told: list[list[Any]] = []
    for walker in WALKERS.values():
        time = FakeTime(seed)
        health = time.health()
        names = [f"m{number}" for number in range(models)]
        details: dict[str, Any] = {"policy": policy, "endpoints": endpoints, "streaming": streaming}
        told.append([])
        for _ in range(2):
            plan = time.plan(*names, health=health, total_timeout=total, **details)
            call = _one_call(walker, plan, time, lines)
            _hold_together(call, models)
            assert call.sent <= policy.max_attempts
            # Each request is preceded by one wait at most, and those for breakers are bounded together.
            longest = (policy.max_attempts + 1) * policy.max_retry_after if total is None else total
            assert call.took <= longest
            told[-1].append((call.answer, str(call.error), call.sent, call.made))
        # No probe is held: every breaker lets a request through once its time has come.
        time.now += 10_000
        assert [health.registry.block(health.keys(name)) for name in names] == [None] * models
    assert told[0] == told[1]
