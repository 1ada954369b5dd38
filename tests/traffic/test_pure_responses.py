"""Recorded exchanges of the Responses API through the pure readers."""

from __future__ import annotations

import json

import pytest

from tests.traffic import corpus
from tests.traffic.replaying import (
    ENDS_EARLY,
    GARBLED,
    QUEUED,
    REASONING_BEHIND,
    check_cuts_and_errors,
    check_nothing_left,
    ids,
    load_responses,
)

pytestmark = pytest.mark.skipif(not corpus.PRESENT, reason=corpus.REASON)


@pytest.mark.parametrize("pieces", [0, 7], ids=["whole", "7-byte-pieces"])
@pytest.mark.parametrize("file", ["responses", "gateway_responses"])
def test_nothing_is_lost(file: str, pieces: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.traffic.pure_responses import adapter

    monkeypatch.setenv("REPLAY_CHUNK", str(pieces))
    tool, exchanges = load_responses(file)
    stats, detail = tool.run("pure", adapter, exchanges)
    answered = ids(detail, "error swallowed")
    ours = ids(detail, "finish reason lost", "exception")
    assert answered <= QUEUED
    assert ours <= ENDS_EARLY | GARBLED
    check_nothing_left(detail)
    assert stats["lossless"] + len(ours) == stats["n ok"] > 100
    assert stats["error raised"] + len(answered) == stats["n error"] > 0
    assert stats["incomplete noticed"] == stats["n incomplete"] > 0


@pytest.mark.parametrize("file", ["responses", "gateway_responses"])
def test_every_cut_and_error_is_noticed(file: str) -> None:
    from tests.traffic.pure_responses import adapter

    tool, exchanges = load_responses(file)
    check_cuts_and_errors(tool, adapter, exchanges, cuts=500)


@pytest.mark.parametrize("file", ["responses", "gateway_responses"])
def test_every_answer_fits_a_strict_server_as_history(file: str) -> None:
    from tests.traffic.pure_responses import adapter

    tool, exchanges = load_responses(file)
    stats, detail = tool.run_again(adapter, exchanges)
    ours = ids(detail, "encrypted content not sent back", "exception AnswerError")
    assert ours <= REASONING_BEHIND | GARBLED
    check_nothing_left(detail)
    assert stats["fit"] + len(ours) == stats["n"] > 100


@pytest.mark.parametrize("file", ["responses", "gateway_responses"])
def test_deltas_add_up_to_the_whole_answer(file: str) -> None:
    from tests.traffic.pure_responses import streamed

    tool, exchanges = load_responses(file)
    seen = 0
    for exchange in exchanges:
        truth = tool.oracle(exchange)
        if not exchange["is_stream"] or truth["error"] or truth["incomplete"] or exchange["id"] in GARBLED:
            continue
        reply, said = streamed(exchange)
        calls = [
            json.dumps({"__arg1": call.arguments}) if call.kind == "custom" else call.arguments
            for call in reply.tool_calls
        ]
        assert {**said, "calls": [text or "{}" for text in said["calls"]]} == {
            "text": reply.text,
            "reasoning": reply.reasoning,
            "refusal": reply.refusal,
            "calls": calls,
        }, exchange["id"]
        seen += 1
    assert seen > 70
