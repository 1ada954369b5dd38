"""The comparison of a real hub's answers with those recorded."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.cassettes.drift import NO_RECORDINGS, Interaction, drift, known_shapes, topic
from tests.cassettes.format import load
from tests.cassettes.playback import ROOT


def recorded(gateway: str, case: str) -> Interaction:
    path = ROOT / "gateway" / gateway / f"{case}.yaml"
    return load(path.read_text("utf-8"), case).interactions[0]


OK = recorded("new-api", "ok")
STREAM = recorded("new-api", "ok_stream")
KNOWN = known_shapes([OK, STREAM, recorded("new-api", "tools"), recorded("new-api", "bad_key")])


def answering(**changes: object) -> Interaction:
    return replace(OK, response_body=json.dumps({**json.loads(OK.response_body), **changes}).encode())


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ("ok", ("chat/completions", "answer")),
        ("ok_stream", ("chat/completions", "stream")),
        ("bad_key", ("any", "error")),
        ("vendor_200_error", ("any", "error")),
        ("stream_429", ("any", "error")),
        ("base_without_v1", ("chat/completions", "text")),
        ("embeddings", ("embeddings", "answer")),
        ("models", ("models", "answer")),
    ],
)
def test_an_answer_is_compared_with_its_like(case, expected):
    assert topic(recorded("new-api", case)) == expected


@pytest.mark.parametrize("case", ["ok", "ok_stream", "tools", "bad_key", "json_schema", "ok_stream_keepalive"])
def test_what_was_recorded_before_has_not_drifted(case):
    assert drift(recorded("new-api", case), KNOWN).broken == []


def test_missing_field_is_drift_and_new_field_is_news():
    found = drift(answering(usage={"prompt_tokens": "12"}, choices=[], vendor="x"), KNOWN)
    assert "usage.prompt_tokens: was number, is string" in found.broken
    assert "usage.completion_tokens: number is missing" in found.broken
    assert found.new == ["vendor"]
    assert not [line for line in found.broken if line.startswith("choices[]")]


def test_a_field_that_only_some_recordings_have_may_be_missing():
    assert "choices[].message.tool_calls" in KNOWN["chat/completions", "answer"]
    assert drift(OK, KNOWN).broken == []


def test_a_stream_is_compared_as_a_whole():
    changed = replace(STREAM, response_body=STREAM.response_body.replace(b'"delta"', b'"piece"'))
    found = drift(changed, KNOWN)
    assert "choices[].delta: object is missing" in found.broken
    assert "choices[].piece" in found.new


def test_an_endpoint_never_recorded_is_all_new():
    found = drift(recorded("new-api", "embeddings"), KNOWN)
    assert found.broken == []
    assert "data[].embedding" in found.new


def test_recordings_of_real_hubs_have_the_shapes_we_test_with():
    live = sorted((ROOT / "live").rglob("*.yaml"))
    if not live:
        pytest.skip(NO_RECORDINGS)
    others = [path for kind in ("gateway", "embedded") for path in (ROOT / kind).rglob("*.yaml")]
    known = known_shapes(each for path in others for each in load(path.read_text("utf-8")).interactions)
    found = [
        line
        for path in live
        for each in load(path.read_text("utf-8")).interactions
        for line in drift(each, known).broken
    ]
    assert found == []
