"""Recorded exchanges of the Responses API through both classes, sync and async."""

from __future__ import annotations

from typing import Any

import pytest

from tests.traffic import corpus
from tests.traffic.replaying import (
    ADAPTERS,
    ENDS_EARLY,
    GARBLED,
    QUEUED,
    REASONING_BEHIND,
    check_cuts_and_errors,
    check_nothing_left,
    ids,
    in_turn,
    load_responses,
)

pytestmark = pytest.mark.skipif(not corpus.PRESENT, reason=corpus.REASON)

FILES = ("responses", "gateway_responses")

# Portkey answers a stream with a whole answer, which is read as what it is.
WHOLE_FOR_STREAM = {"0e4a0e628531"}


def check(stats: Any, detail: Any) -> None:
    """Nothing was lost, altered or taken for whole; what was, is named by exchange."""
    answered = ids(detail, "error swallowed")
    ours = ids(detail, "finish reason lost", "exception")
    assert answered <= WHOLE_FOR_STREAM | QUEUED
    assert ours <= ENDS_EARLY | GARBLED
    check_nothing_left(detail)
    assert stats["lossless"] + len(ours) == stats["n ok"] > 100
    assert stats["error raised"] + len(answered) == stats["n error"] > 0
    assert stats["incomplete noticed"] == stats["n incomplete"] > 0
    assert not stats["error raised without the server's words"]
    assert not [problem for problem in stats if problem.startswith("request: ")]


@pytest.mark.parametrize("file", FILES)
def test_each_exchange_through_one_adapter_loses_nothing(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The adapters take turns, and every other stream of each comes in 7-byte pieces."""
    from tests.traffic import adapters_responses

    tool, exchanges = load_responses(file)
    check(*tool.run("in turn", in_turn(adapters_responses, exchanges, monkeypatch), exchanges))


@pytest.mark.slow
@pytest.mark.parametrize("pieces", [0, 7], ids=["whole", "7-byte-pieces"])
@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("name", ADAPTERS)
def test_every_adapter_loses_nothing(name: str, file: str, pieces: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.traffic import adapters_responses

    monkeypatch.setenv("REPLAY_CHUNK", str(pieces))
    tool, exchanges = load_responses(file)
    check(*tool.run(name, getattr(adapters_responses, name), exchanges))


@pytest.mark.slow
@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("name", ADAPTERS)
def test_every_cut_and_error_is_noticed(name: str, file: str) -> None:
    from tests.traffic import adapters_responses

    tool, exchanges = load_responses(file)
    exchanges = [exchange for exchange in exchanges if exchange["id"] not in GARBLED]
    check_cuts_and_errors(tool, getattr(adapters_responses, name), exchanges, cuts=500)


@pytest.mark.parametrize(
    "file", [pytest.param(file, marks=pytest.mark.slow if file == "responses" else ()) for file in FILES]
)
@pytest.mark.parametrize("name", ["langchain", "llamaindex"])
def test_every_answer_fits_a_strict_server_as_history(name: str, file: str) -> None:
    from tests.traffic import adapters_responses

    tool, exchanges = load_responses(file)
    stats, detail = tool.run_again(getattr(adapters_responses, name), exchanges)
    known = ("encrypted content not sent back", "exception MalformedAnswerError", "exception StreamInterruptedError")
    ours = ids(detail, *known)
    assert ours <= REASONING_BEHIND | GARBLED | ENDS_EARLY
    check_nothing_left(detail)
    assert stats["fit"] + len(ours) == stats["n"] > 100
