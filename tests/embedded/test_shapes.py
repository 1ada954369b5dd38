"""The embedded hub answers as the recorded gateways did, in shape.

Each recording's requests are sent again, with the same thing wrong behind the hub. Where the two differ, the embedded
hub is wrong; `situations` says which differences are the scripted vendor's and which recordings it cannot be in.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.embedded import situations_responses as of_responses
from tests.embedded.comparison import ONE_API_ID, ask, differences, hub_in
from tests.embedded.recordings import DIALECTS, cases, recording
from tests.embedded.situations import AIHUBMIX, SPECIAL
from tests.embedded.situations import ELSEWHERE as ELSEWHERE_CHAT
from tests.embedded.situations import SITUATIONS as SITUATIONS_CHAT

SITUATIONS = {**SITUATIONS_CHAT, **of_responses.SITUATIONS}
ELSEWHERE = {**ELSEWHERE_CHAT, **of_responses.ELSEWHERE}


def _replayed() -> list[tuple[str, str]]:
    return [
        (dialect, case)
        for dialect in DIALECTS
        for case in cases()
        if case in SITUATIONS and recording(dialect, case) and f"{dialect}/{case}" not in ELSEWHERE
    ]


@pytest.mark.parametrize(("dialect", "case"), _replayed())
def test_the_embedded_hub_answers_as_the_gateway_did(dialect: Any, case: str) -> None:
    situation = SPECIAL.get((dialect, case), SITUATIONS[case])
    lines = []
    with hub_in(dialect, situation) as hub:
        for exchange in recording(dialect, case):
            lines += differences(exchange, *ask(hub, exchange, situation.key))
    unexpected = [line for line in lines if not any(word in line for word in situation.differs)]
    assert not unexpected, "\n".join([f"{dialect}/{case}", *unexpected])


@pytest.mark.parametrize("case", [case for dialect, case in _replayed() if dialect == "one-api"])
def test_aihubmix_answers_as_one_api_but_for_what_it_documents(case: str) -> None:
    situation = SPECIAL.get(("one-api", case), SITUATIONS[case])
    faults = situation.by_dialect.get("one-api", situation.faults)
    lines = []
    with hub_in("aihubmix", replace(situation, faults=faults, by_dialect={})) as hub:
        for exchange in recording("one-api", case):
            status, headers, answer = ask(hub, exchange, situation.key)
            assert "x-aihubmix-request-id" in headers
            lines += differences(exchange, status, {**headers, ONE_API_ID: headers["x-request-id"]}, answer)
    unexpected = [line for line in lines if not any(word in line for word in situation.differs)]
    assert bool(unexpected) is (case in AIHUBMIX), "\n".join([case, *unexpected])


@pytest.mark.parametrize("case", sorted({case for case in cases() if case in SITUATIONS and SITUATIONS[case].differs}))
def test_no_difference_is_excused_that_is_not_there(case: str) -> None:
    situation, lines = SITUATIONS[case], []
    for dialect in DIALECTS:
        with hub_in(dialect, situation) as hub:
            for exchange in recording(dialect, case):
                lines += differences(exchange, *ask(hub, exchange, situation.key))
    unused = [word for word in situation.differs if not any(word in line for line in lines)]
    assert not unused, f"{case}: these differences are gone: {unused}"


def test_every_recording_is_replayed_or_has_a_reason() -> None:
    known = {*SITUATIONS, *(name.rpartition("/")[2] for name in ELSEWHERE)}
    named = {"chat_to_responses" if case.startswith("chat_to_responses_") else case for case in cases()}
    assert named <= known
    assert not {*SITUATIONS} & {*ELSEWHERE}
    assert all(reason for reason in ELSEWHERE.values())


def test_the_check_sees_adifferences() -> None:
    (exchange,) = recording("new-api", "ok")
    body = json.loads(exchange.answer)
    del body["choices"][0]["message"]["refusal"]
    headers = {**exchange.headers, "content-type": "application/json"}
    assert differences(exchange, 200, headers, json.dumps(body)) == ["- choices[].message.refusal: null is missing"]
    assert differences(exchange, 201, exchange.headers, exchange.answer) == ["status 200 became 201"]
