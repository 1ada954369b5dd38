"""Routes of several hubs: a failure rules out what is inside its scope."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hubmix.errors import AllModelsFailedError, HubmixError
from hubmix.failover.breakers import BreakerRegistry
from hubmix.failover.evidence import Evidence
from hubmix.failover.limits import Limits
from hubmix.failover.plan import AttemptFailed, Plan
from hubmix.failover.policy import FailoverPolicy
from hubmix.failover.route import Route
from hubmix.wire.apis import CHAT
from hubmix.wire.trace import Trace
from tests.failover.test_run_property import ANYTHING
from tests.support.failover_scripts import (
    BAD,
    BUSY,
    DOWN,
    EMPTY_WALLET,
    FILTERED,
    LATE,
    LIMITED,
    OOPS,
    REFUSED,
    WALKERS,
    WRONG_KEY,
    Walker,
    said,
)
from tests.support.fake_time import FakeHub, FakeTime

BANNED = said(403, "该用户已被封禁", type="new_api_error")
OVERLOADED = said(503, "system cpu overloaded", type="new_api_error", code="system_cpu_overloaded")
NO_PATH = said(404, "Invalid URL (POST /v1/chat/completions)", type="invalid_request_error")


class Hubs:
    """Hubs that share breakers and time; each answers as written for "model@hub"."""

    def __init__(self, time: FakeTime, *names: str) -> None:
        registry = BreakerRegistry(time.monotonic)
        self.time = time
        self.hubs = {
            name: FakeHub(
                time.health(f"https://{name}.example/v1", f"key of {name}", registry),
                (f"https://{name}.example/v1",),
                name,
            )
            for name in names
        }
        self.asked: list[str] = []

    def route(self, target: str) -> Route:
        model, name = target.split("@")
        return Route(model, self.hubs[name], CHAT)

    def plan(self, *targets: str, **details: Any) -> Plan:
        return self.time.over([self.route(target) for target in targets], **details)

    def run(self, walk: Walker, lines: dict[str, Any], *targets: str, **details: Any) -> tuple[str, Trace]:
        def send(route: Route, limits: Limits) -> str:
            name = f"{route.model}@{route.hub.name}"
            self.asked.append(name)
            line = lines.get(name, "hello")
            if isinstance(line, list):
                line = line.pop(0) if len(line) > 1 else line[0]
            if isinstance(line, Evidence):
                raise AttemptFailed(line)
            return str(line)

        return walk(self.plan(*targets, **details), send)


@pytest.fixture
def hubs() -> Hubs:
    return Hubs(FakeTime(), "a", "b", "c")


TARGETS = ("x@a", "y@a", "x@b")


@pytest.mark.parametrize(
    ("evidence", "asked"),
    [
        (DOWN, ["x@a", "y@a"]),
        (OOPS, ["x@a", "x@a", "y@a"]),
        (LATE, ["x@a", "y@a"]),
        (BUSY, ["x@a", "y@a"]),
        (WRONG_KEY, ["x@a", "x@b"]),
        (EMPTY_WALLET, ["x@a", "x@b"]),
        (BANNED, ["x@a", "x@b"]),
        (LIMITED, ["x@a", "x@b"]),
        (REFUSED, ["x@a", "x@a", "x@b"]),
        (OVERLOADED, ["x@a", "x@b"]),
        (NO_PATH, ["x@a", "x@b"]),
        (BAD, ["x@a"]),
        (FILTERED, ["x@a"]),
    ],
    ids=lambda value: value.code or value.cause + str(value.status) if isinstance(value, Evidence) else "",
)
def test_the_next_route_is_outside_the_scope(walk: Walker, hubs: Hubs, evidence: Evidence, asked: list[str]) -> None:
    try:
        hubs.run(walk, {"x@a": evidence}, *TARGETS)
    except HubmixError:
        assert len(asked) == 1
    assert hubs.asked == asked


def test_an_account_limit_goes_to_another_account_at_once(walk: Walker, hubs: Hubs) -> None:
    answer, trace = hubs.run(walk, {"x@a": LIMITED, "x@b": "from b"}, "x@a", "x@b")
    assert (answer, hubs.time.waits, trace.switched) == ("from b", [], True)
    assert [(attempt.model, attempt.hub, attempt.api) for attempt in trace.attempts] == [
        ("x", "a", "chat"),
        ("x", "b", "chat"),
    ]


def test_a_busy_account_is_asked_again_after_the_others(walk: Walker, hubs: Hubs) -> None:
    answer, _ = hubs.run(walk, {"x@a": [LIMITED, "later"], "x@b": DOWN}, "x@a", "x@b")
    assert (answer, hubs.asked) == ("later", ["x@a", "x@b", "x@a"])


def test_the_error_groups_by_hub_and_says_which_wallet_is_empty(walk: Walker, hubs: Hubs) -> None:
    lines = {"x@a": EMPTY_WALLET, "x@b": WRONG_KEY}
    with pytest.raises(AllModelsFailedError) as caught:
        hubs.run(walk, lines, *TARGETS)
    text = str(caught.value)
    assert hubs.asked == ["x@a", "x@b"]
    assert text.index("\na:") < text.index("1. 'x': quota") < text.index("\nb:") < text.index("3. 'x': auth")
    assert "'x' at a: The fault is with your key or account at the hub. Top up" in text
    assert [type(error).__name__ for error in caught.value.exceptions] == ["QuotaExceededError", "AuthenticationError"]
    assert "a.example" in (caught.value.exceptions[0].base_url or "")


def test_breakers_of_one_hub_say_nothing_of_another(walk: Walker, hubs: Hubs) -> None:
    with pytest.raises(HubmixError):
        hubs.run(walk, {"x@a": EMPTY_WALLET}, "x@a")
    hubs.time.now += 1
    answer, trace = hubs.run(walk, {"x@a": "a", "x@b": "b"}, "x@a", "x@b")
    assert (answer, trace.attempts[0].outcome, trace.attempts[0].hub) == ("b", "skipped", "a")
    assert hubs.run(walk, {}, "x@b", "x@a")[1].attempts[0].outcome == "ok"


class Ticking(FakeTime):
    """A clock that goes on between two looks, as the system's does."""

    def monotonic(self) -> float:
        self.now += 1e-6
        return self.now


def test_routes_that_one_breaker_holds_back_keep_their_order(walk: Walker) -> None:
    hubs = Hubs(Ticking(), "a")
    with pytest.raises(HubmixError):
        hubs.run(walk, {"x@a": EMPTY_WALLET}, "x@a")
    answer, trace = hubs.run(walk, {"x@a": "topped up"}, "x@a", "y@a")
    assert (answer, trace.served, hubs.asked) == ("topped up", "x", ["x@a", "x@a"])


# -- two keys at one hub ----------------------------------------------------------------------------------------------


def two_keys(*sources: str) -> Hubs:
    """Two accounts at one hub; each key came from its source."""
    hubs = Hubs(FakeTime(), "a", "b")
    first, second = hubs.hubs["a"], hubs.hubs["b"]
    breakers = hubs.time.health("https://a.example/v1", "another key", first.breakers.registry)
    hubs.hubs["a"] = replace(first, key_source=sources[0])
    hubs.hubs["b"] = replace(second, name="a", base_urls=first.base_urls, breakers=breakers, key_source=sources[1])
    return hubs


@pytest.mark.parametrize(
    ("sources", "names"),
    [
        (("argument", "argument"), ("key 1", "key 2")),
        (("AIHUBMIX_API_KEY", "argument"), ("AIHUBMIX_API_KEY", "key 2")),
        (("HUBMIX_API_KEY", "AIHUBMIX_API_KEY"), ("HUBMIX_API_KEY", "AIHUBMIX_API_KEY")),
    ],
)
def test_error_tells_two_wallets_at_one_hub_apart(
    walk: Walker, sources: tuple[str, str], names: tuple[str, str]
) -> None:
    hubs = two_keys(*sources)
    with pytest.raises(AllModelsFailedError) as caught:
        hubs.run(walk, {"x@a": EMPTY_WALLET}, "x@a", "x@b")
    first, second = (f"a ({name})" for name in names)
    text = str(caught.value)
    assert text.index(f"\n{first}:\n  1. 'x': quota") < text.index(f"\n{second}:\n  2. 'x': quota")
    assert f"'x' at {second}: The fault is with your key or account at the hub. Top up" in text
    assert [(attempt.hub, attempt.key) for attempt in caught.value.attempts] == [("a", names[0]), ("a", names[1])]


def test_another_key_of_the_hub_is_a_switch(walk: Walker) -> None:
    hubs = two_keys("argument", "argument")
    lines: dict[str, Any] = {"x@a": [EMPTY_WALLET, "from the second key"]}
    answer, trace = hubs.run(walk, lines, "x@a", "x@b")
    assert (answer, trace.switched, trace.hubs, trace.accounts) == (
        "from the second key",
        True,
        ["a"],
        ["a (key 1)", "a (key 2)"],
    )
    assert Trace.from_dict(trace.to_dict()) == trace
    assert "x at a (key 2)" in str(trace)
    assert "x at a (key 2)" in trace._repr_html_()


def test_one_key_of_a_hub_needs_no_name(walk: Walker, hubs: Hubs) -> None:
    _, trace = hubs.run(walk, {"x@a": DOWN, "y@a": DOWN, "x@b": "b"}, *TARGETS)
    assert {attempt.key for attempt in trace.attempts} == {None}


@settings(max_examples=200, deadline=None)
@given(
    lines=st.dictionaries(
        st.sampled_from([f"{model}@{hub}" for model in "xy" for hub in "abc"]),
        st.lists(ANYTHING, min_size=1, max_size=4),
    ),
    targets=st.lists(st.sampled_from([f"{model}@{hub}" for model in "xy" for hub in "abc"]), min_size=1, unique=True),
    attempts=st.integers(1, 8),
)
def test_any_faults_on_three_hubs_end_in_one_answer_or_one_error(
    lines: dict[str, list[Any]], targets: list[str], attempts: int
) -> None:
    told: list[Any] = []
    for walk in WALKERS.values():
        hubs = Hubs(FakeTime(), "a", "b", "c")
        policy = FailoverPolicy(max_attempts=attempts, wait=lambda state: 0.5)
        try:
            answer, trace = hubs.run(walk, {name: list(line) for name, line in lines.items()}, *targets, policy=policy)
            made, error = trace.attempts, None
        except HubmixError as caught:
            answer, made, error = None, caught.attempts, str(caught)
        sent = [f"{attempt.model}@{attempt.hub}" for attempt in made if attempt.outcome != "skipped"]
        assert sent == hubs.asked
        assert 1 <= len(sent) <= attempts
        assert set(sent) <= set(targets)
        assert (answer is None) == (error is not None)
        told.append((answer, error, sent))
    assert told[0] == told[1]
