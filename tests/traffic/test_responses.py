"""Recorded exchanges of the Responses API through both classes, sync and async."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from tests.traffic import corpus

pytestmark = pytest.mark.skipif(not corpus.PRESENT, reason=corpus.REASON)

ADAPTERS = ("langchain", "langchain_async", "llamaindex", "llamaindex_async")
FILES = ("responses", "gateway_responses")
LONG = 20_000  # characters; the pieces of a longer stream cost seconds

# one-hub ends a stream that was cut behind it with `completed` and an empty status. The first has text and is marked
# incomplete; the second, a blocked prompt, has nothing and is an error.
ENDS_EARLY = {"6b8100111bb2", "3776942c88dd"}
# Portkey passes a line on that is no JSON: an error here, passed over by the oracle.
GARBLED = {"f7b8fce8a195"}
# Portkey answers a stream with a whole answer, which is read as what it is.
WHOLE_FOR_STREAM = {"0e4a0e628531"}
# one-hub leaves the empty output of a queued answer out: read as one that has not come, not as an error.
QUEUED = {"f0caad8001e0"}
# OpenRouter puts the reasoning behind its message, where no server takes it back.
REASONING_BEHIND = {"474cc6df2b31", "37d56fdcc643"}


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def load(file: str) -> tuple[Any, list[dict[str, Any]]]:
    import replay_responses

    return replay_responses, replay_responses.load(path=str(corpus.FILES[file]))


def ids(detail: dict[str, list[Any]], *known: str) -> set[str]:
    return {row[0] for problem in known for row in detail.pop(problem, [])}


def check(stats: Any, detail: Any) -> None:
    """Nothing was lost, altered or taken for whole; what was, is named by exchange."""
    answered = ids(detail, "error swallowed")
    ours = ids(detail, "finish reason lost", "exception")
    assert answered <= WHOLE_FOR_STREAM | QUEUED
    assert ours <= ENDS_EARLY | GARBLED
    assert not detail, {problem: rows[:5] for problem, rows in detail.items()}
    assert stats["lossless"] + len(ours) == stats["n ok"] > 100
    assert stats["error raised"] + len(answered) == stats["n error"] > 0
    assert stats["incomplete noticed"] == stats["n incomplete"] > 0
    assert not stats["error raised without the server's words"]
    assert not [problem for problem in stats if problem.startswith("request: ")]


@pytest.mark.parametrize("file", FILES)
def test_each_exchange_through_one_adapter_loses_nothing(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The adapters take turns, and every other stream of each comes in 7-byte pieces."""
    from tests.traffic import adapters_responses

    tool, exchanges = load(file)
    turns = {exchange["id"]: number for number, exchange in enumerate(exchanges)}

    def adapter(exchange: dict[str, Any]) -> Any:
        turn = turns[exchange["id"]]
        monkeypatch.setenv("REPLAY_CHUNK", "7" if turn % 8 > 3 and len(exchange["response_text"]) < LONG else "0")
        return getattr(adapters_responses, ADAPTERS[turn % 4])(exchange)

    check(*tool.run("in turn", adapter, exchanges))


@pytest.mark.slow
@pytest.mark.parametrize("pieces", [0, 7], ids=["whole", "7-byte-pieces"])
@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("name", ADAPTERS)
def test_every_adapter_loses_nothing(name: str, file: str, pieces: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.traffic import adapters_responses

    monkeypatch.setenv("REPLAY_CHUNK", str(pieces))
    tool, exchanges = load(file)
    check(*tool.run(name, getattr(adapters_responses, name), exchanges))


@pytest.mark.slow
@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("name", ADAPTERS)
def test_every_cut_and_error_is_noticed(name: str, file: str) -> None:
    from tests.traffic import adapters_responses

    tool, exchanges = load(file)
    exchanges = [exchange for exchange in exchanges if exchange["id"] not in GARBLED]
    adapter = getattr(adapters_responses, name)
    cut, errors = tool.run_cut(adapter, exchanges), tool.run_errors(adapter, exchanges)
    assert cut["n"] > 500
    assert not cut["silent"]
    assert errors["n errors"] > 1000
    assert not errors["swallowed"] + errors["raised without the server's words"]
    assert errors["early end said"] == errors["n early ends"]


@pytest.mark.parametrize(
    "file", [pytest.param(file, marks=pytest.mark.slow if file == "responses" else ()) for file in FILES]
)
@pytest.mark.parametrize("name", ["langchain", "llamaindex"])
def test_every_answer_fits_a_strict_server_as_history(name: str, file: str) -> None:
    from tests.traffic import adapters_responses

    tool, exchanges = load(file)
    stats, detail = tool.run_again(getattr(adapters_responses, name), exchanges)
    known = ("encrypted content not sent back", "exception MalformedAnswerError", "exception StreamInterruptedError")
    ours = ids(detail, *known)
    assert ours <= REASONING_BEHIND | GARBLED | ENDS_EARLY
    assert not detail, {problem: rows[:5] for problem, rows in detail.items()}
    assert stats["fit"] + len(ours) == stats["n"] > 100
