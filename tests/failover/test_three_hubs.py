"""Random recorded failures on three hubs: one outcome, and no key strays."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hubmix import FailoverPolicy, Hub, HubmixError, StreamInterruptedError
from hubmix.failover.breakers import REGISTRY
from tests.failover.ways import EVERY, Said, Way
from tests.gateway.played import PLAYED, Played
from tests.support.answers import Answer, whole_or_stream
from tests.support.scripted_hub import Request, ScriptedHub

POLICY = FailoverPolicy(max_attempts=7)
# A fault for each kind and form of answer, and each as several gateways worded it.
FAILED = [played for played in PLAYED if played.verb == "chat" and played.step.fails and not played.wire]
REFUSED = [played for played in FAILED if played.came.status >= 400]
BROKEN = {form: [one for one in FAILED if one.came.status < 400 and one.streamed is form] for form in (False, True)}


@dataclass
class Place:
    """One hub: its server, its secrets, and the faults that are still to come."""

    number: int
    server: ScriptedHub = field(init=False)
    faults: list[Played] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.server = ScriptedHub(self.answer)
        self.secrets = tuple(f"{name}-of-hub-{self.number}" for name in ("sk", "CODE", "header"))

    def answer(self, request: Request) -> Answer:
        return self.faults.pop(0).answer if self.faults else whole_or_stream(self.text, stream=request.stream)

    @property
    def text(self) -> str:
        return f"said by hub {self.number}"

    @property
    def host(self) -> str:
        return self.server.base_url.split("/")[2]

    def hub(self) -> Hub:
        key, code, header = self.secrets
        return Hub(base_url=self.server.base_url, api_key=key, app_code=code, default_headers={"X-Own": header})

    def received(self) -> str:
        """Return all that reached this hub, as one text."""
        return json.dumps([[one.path, dict(one.headers), one.body] for one in self.server.requests])


@pytest.fixture(scope="module")
def places() -> Iterator[list[Place]]:
    made = [Place(number) for number in range(3)]
    yield made
    for place in made:
        place.server.close()


def faults(stream: bool) -> st.SearchStrategy[list[list[Played]]]:
    """Return faults for three hubs, by kind first: a few kinds are common."""
    found: dict[str | None, list[Played]] = {}
    for played in REFUSED + BROKEN[stream]:
        found.setdefault(played.step.fails, []).append(played)
    one = st.sampled_from(sorted(found, key=str)).flatmap(lambda kind: st.sampled_from(found[kind]))
    return st.lists(st.lists(one, max_size=4), min_size=3, max_size=3)


# A target is a hub and one of two models there; None: the model of the call.
TARGETS = st.lists(st.tuples(st.integers(0, 2), st.sampled_from([None, "other"])), max_size=6)


@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(data=st.data(), way=st.sampled_from(EVERY), targets=TARGETS, calls=st.integers(1, 3))
def test_random_failures_on_three_hubs_end_once_and_leak_nothing(
    data: Any, way: Way, targets: list[tuple[int, str | None]], calls: int, places: list[Place]
) -> None:
    REGISTRY.reset()
    for place, mine in zip(places, data.draw(faults(way.stream)), strict=True):
        place.faults = list(mine)
        place.server.requests.clear()
    asyncio.run(_ask(way, places, targets, calls))
    for place in places:
        received = place.received()
        strangers = [secret for other in places if other is not place for secret in other.secrets]
        assert not [secret for secret in strangers if secret in received]
        assert not [other.host for other in places if other is not place and other.host in received]


async def _ask(way: Way, places: list[Place], targets: list[tuple[int, str | None]], calls: int) -> None:
    hubs = [place.hub() for place in places]
    fallbacks = [hubs[number] if model is None else hubs[number].model(model) for number, model in targets]
    ask = partial(way.ask, hubs[0], "m", fallbacks=fallbacks, failover=POLICY)
    for _ in range(calls):
        before = Counter({place.host: len(place.server.requests) for place in places})
        pieces: list[str] = []
        try:
            attempts = check_answer(await ask(pieces=pieces), pieces, places)
        except HubmixError as error:
            attempts = check_error(error, pieces, places)
        after = Counter({place.host: len(place.server.requests) for place in places})
        assert Counter(attempts) == after - before
        assert 1 <= len(attempts) <= POLICY.max_attempts
    for hub in hubs:
        hub.close()
        await hub.aclose()


def check_answer(said: Said, pieces: list[str], places: list[Place]) -> list[str]:
    """Check an answer; return the hubs that were asked, once for each request."""
    asked = [attempt["hub"] for attempt in said.trace["attempts"] if attempt["outcome"] != "skipped"]
    [place] = [place for place in places if place.host == asked[-1]]
    assert said.text == place.text
    assert "".join(pieces) in (said.text, "")
    return asked


def check_error(error: HubmixError, pieces: list[str], places: list[Place]) -> list[str]:
    """Check an error; return the hubs that were asked, once for each request."""
    made = [attempt for attempt in error.attempts if attempt.outcome != "skipped"]
    assert {attempt.outcome for attempt in made} == {"error"}
    assert "".join(pieces) == (error.partial.text if isinstance(error, StreamInterruptedError) else "")
    told = str(error) + repr(error) + str(error.attempts)
    assert not [secret for place in places for secret in place.secrets if secret in told]
    return [str(attempt.hub) for attempt in made]
