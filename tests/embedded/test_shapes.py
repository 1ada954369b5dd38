"""The embedded hub answers as the recorded gateways did, in shape.

Each recording's requests are sent again, with the same thing wrong behind the hub. Where the two differ, the embedded
hub is wrong; `situations` says which differences are the scripted vendor's and which recordings it cannot be in.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest

from hubmix.embedded import EmbeddedHub
from tests.cassettes.shapes import difference, shape, stream_difference, stream_shape
from tests.embedded import situations_responses as of_responses
from tests.embedded.recordings import DIALECTS, Exchange, cases, recording
from tests.embedded.situations import AIHUBMIX, SPECIAL, Situation
from tests.embedded.situations import ELSEWHERE as ELSEWHERE_CHAT
from tests.embedded.situations import SITUATIONS as SITUATIONS_CHAT

SITUATIONS = {**SITUATIONS_CHAT, **of_responses.SITUATIONS}
ELSEWHERE = {**ELSEWHERE_CHAT, **of_responses.ELSEWHERE}

_CHAT_MODELS = ("gpt-4o-mini", "gpt-4o", "o3-mini", "claude-3-7-sonnet-20250219", "gemini-2.0-flash")
_MODELS_OF_RESPONSES = ("gpt-5-mini", "gpt-5-codex", "claude-sonnet-4-5", "no-price", "tiered-leftover", "tiered-only")
_OTHERS = {
    "gemini-2.5-pro": "extract",
    "deepseek-reasoner": "think",
    "text-embedding-3-small": "embed",
    "jina-reranker-v2-base-multilingual": "rerank",
    "a-model-of-nobody": "extract",
}
_ONE_API_ID = "x-oneapi-request-id"
_HEADERS = (_ONE_API_ID, "x-new-api-version", "retry-after", "location")


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
    with _hub(dialect, situation) as hub:
        for exchange in recording(dialect, case):
            lines += _difference(exchange, *_ask(hub, exchange, situation.key))
    unexpected = [line for line in lines if not any(word in line for word in situation.differs)]
    assert not unexpected, "\n".join([f"{dialect}/{case}", *unexpected])


@pytest.mark.parametrize("case", [case for dialect, case in _replayed() if dialect == "one-api"])
def test_aihubmix_answers_as_one_api_but_for_what_it_documents(case: str) -> None:
    situation = SPECIAL.get(("one-api", case), SITUATIONS[case])
    faults = situation.by_dialect.get("one-api", situation.faults)
    lines = []
    with _hub("aihubmix", replace(situation, faults=faults, by_dialect={})) as hub:
        for exchange in recording("one-api", case):
            status, headers, answer = _ask(hub, exchange, situation.key)
            assert "x-aihubmix-request-id" in headers
            lines += _difference(exchange, status, {**headers, _ONE_API_ID: headers["x-request-id"]}, answer)
    unexpected = [line for line in lines if not any(word in line for word in situation.differs)]
    assert bool(unexpected) is (case in AIHUBMIX), "\n".join([case, *unexpected])


@pytest.mark.parametrize("case", sorted({case for case in cases() if case in SITUATIONS and SITUATIONS[case].differs}))
def test_no_difference_is_excused_that_is_not_there(case: str) -> None:
    situation, lines = SITUATIONS[case], []
    for dialect in DIALECTS:
        with _hub(dialect, situation) as hub:
            for exchange in recording(dialect, case):
                lines += _difference(exchange, *_ask(hub, exchange, situation.key))
    unused = [word for word in situation.differs if not any(word in line for line in lines)]
    assert not unused, f"{case}: these differences are gone: {unused}"


def test_every_recording_is_replayed_or_has_a_reason() -> None:
    known = {*SITUATIONS, *(name.rpartition("/")[2] for name in ELSEWHERE)}
    assert set(cases()) <= known
    assert not {*SITUATIONS} & {*ELSEWHERE}
    assert all(reason for reason in ELSEWHERE.values())


def test_the_check_sees_a_difference() -> None:
    (exchange,) = recording("new-api", "ok")
    body = json.loads(exchange.answer)
    del body["choices"][0]["message"]["refusal"]
    headers = {**exchange.headers, "content-type": "application/json"}
    assert _difference(exchange, 200, headers, json.dumps(body)) == ["- choices[].message.refusal: null is missing"]
    assert _difference(exchange, 201, exchange.headers, exchange.answer) == ["status 200 became 201"]


def _hub(dialect: Any, situation: Situation) -> EmbeddedHub:
    models = {**dict.fromkeys((*_CHAT_MODELS, *_MODELS_OF_RESPONSES), situation.model), **_OTHERS}
    unregistered = situation.key in ("unknown", None)
    state = "good" if situation.key == "suffixed" or situation.key is None else situation.key
    keys: Mapping[str, str | float] = {} if unregistered else {"sk-test": state}
    hub = EmbeddedHub(dialect, models=models, keys=keys, rate_limit=situation.rate_limit)
    for fault in situation.by_dialect.get(dialect, situation.faults):
        hub.fault("/*", fault)
    return hub


def _ask(hub: EmbeddedHub, exchange: Exchange, key: str | float | None) -> tuple[int, Mapping[str, str], str]:
    headers = {"content-type": "application/json"}
    if key is not None:
        headers["authorization"] = "Bearer sk-test" + ("-3" if key == "suffixed" else "")
    connection = http.client.HTTPConnection(urlsplit(hub.root_url).netloc, timeout=5)
    try:
        body = exchange.body.encode() if exchange.method == "POST" else None
        connection.request(exchange.method, exchange.path, body, headers)
        response = connection.getresponse()
        found = {name.lower(): value for name, value in response.getheaders()}
        return response.status, found, response.read().decode()
    finally:
        connection.close()


def _difference(exchange: Exchange, status: int, headers: Mapping[str, str], answer: str) -> list[str]:
    lines = [] if status == exchange.status else [f"status {exchange.status} became {status}"]
    expected, actual = exchange.headers.get("content-type"), headers.get("content-type")
    if expected != actual:
        lines.append(f"content-type {expected} became {actual}")
    lines += [f"header {name}" for name in _HEADERS if (name in exchange.headers) != (name in headers)]
    if expected == "text/event-stream":
        return lines + stream_difference(stream_shape(exchange.answer), stream_shape(answer))
    return lines + difference(shape(_value(exchange.answer)), shape(_value(answer)))


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
