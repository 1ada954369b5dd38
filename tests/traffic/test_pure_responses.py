"""Recorded exchanges of the Responses API through the pure readers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.traffic import corpus

pytestmark = pytest.mark.skipif(not corpus.PRESENT, reason=corpus.REASON)

# one-hub ends a stream that was cut behind it with `completed` and an empty status: marked incomplete here.
ENDS_EARLY = {"6b8100111bb2", "3776942c88dd"}
# Portkey passes a line on that is no JSON: an error here, passed over by the oracle.
GARBLED = {"f7b8fce8a195"}
# one-hub leaves the empty output of a queued answer out: read as one that has not come, not as an error.
QUEUED = {"f0caad8001e0"}
# OpenRouter puts the reasoning behind its message, where no server takes it back.
REASONING_BEHIND = {"474cc6df2b31", "37d56fdcc643"}


def load(file: str) -> tuple[Any, list[dict[str, Any]]]:
    import replay_responses

    return replay_responses, replay_responses.load(path=str(corpus.FILES[file]))


def ids(detail: dict[str, list[Any]], *known: str) -> set[str]:
    return {row[0] for problem in known for row in detail.pop(problem, [])}


@pytest.mark.parametrize("pieces", [0, 7], ids=["whole", "7-byte-pieces"])
@pytest.mark.parametrize("file", ["responses", "gateway_responses"])
def test_nothing_is_lost(file: str, pieces: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.traffic.pure_responses import adapter

    monkeypatch.setenv("REPLAY_CHUNK", str(pieces))
    tool, exchanges = load(file)
    stats, detail = tool.run("pure", adapter, exchanges)
    answered = ids(detail, "error swallowed")
    ours = ids(detail, "finish reason lost", "exception")
    assert answered <= QUEUED
    assert ours <= ENDS_EARLY | GARBLED
    assert not detail, {problem: rows[:5] for problem, rows in detail.items()}
    assert stats["lossless"] + len(ours) == stats["n ok"] > 100
    assert stats["error raised"] + len(answered) == stats["n error"] > 0
    assert stats["incomplete noticed"] == stats["n incomplete"] > 0


@pytest.mark.parametrize("file", ["responses", "gateway_responses"])
def test_every_cut_and_error_is_noticed(file: str) -> None:
    from tests.traffic.pure_responses import adapter

    tool, exchanges = load(file)
    cut, errors = tool.run_cut(adapter, exchanges), tool.run_errors(adapter, exchanges)
    assert cut["n"] > 500
    assert not cut["silent"]
    assert errors["n errors"] > 1000
    assert not errors["swallowed"] + errors["raised without the server's words"]
    assert errors["early end said"] == errors["n early ends"]


@pytest.mark.parametrize("file", ["responses", "gateway_responses"])
def test_every_answer_fits_a_strict_server_as_history(file: str) -> None:
    from tests.traffic.pure_responses import adapter

    tool, exchanges = load(file)
    stats, detail = tool.run_again(adapter, exchanges)
    ours = ids(detail, "encrypted content not sent back", "exception AnswerError")
    assert ours <= REASONING_BEHIND | GARBLED
    assert not detail, {problem: rows[:5] for problem, rows in detail.items()}
    assert stats["fit"] + len(ours) == stats["n"] > 100


@pytest.mark.parametrize("file", ["responses", "gateway_responses"])
def test_deltas_add_up_to_the_whole_answer(file: str) -> None:
    from tests.traffic.pure_responses import streamed

    tool, exchanges = load(file)
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
