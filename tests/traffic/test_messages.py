"""Recorded exchanges of the Messages API through both classes, sync and async."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from tests.traffic import corpus

pytestmark = pytest.mark.skipif(not corpus.PRESENT, reason=corpus.REASON)

ADAPTERS = ("langchain", "langchain_async", "llamaindex", "llamaindex_async")
LONG = 20_000  # characters; the pieces of a longer stream cost seconds


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def load() -> tuple[Any, list[dict[str, Any]]]:
    import replay_messages

    return replay_messages, replay_messages.load(path=str(corpus.FILES["messages"]))


def check(stats: Any, detail: Any) -> None:
    """Nothing was lost, altered or taken for whole."""
    assert not detail, {problem: rows[:5] for problem, rows in detail.items()}
    assert stats["lossless"] == stats["n ok"] > 500
    assert stats["n error"] > 0
    assert not [problem for problem in stats if problem.startswith("request: ")]


def test_each_exchange_through_one_adapter_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The adapters take turns, and every other stream of each comes in 7-byte pieces."""
    from tests.traffic import adapters_messages

    tool, exchanges = load()
    turns = {exchange["id"]: number for number, exchange in enumerate(exchanges)}

    def adapter(exchange: dict[str, Any]) -> Any:
        turn = turns[exchange["id"]]
        monkeypatch.setenv("REPLAY_CHUNK", "7" if turn % 8 > 3 and len(exchange["response_text"]) < LONG else "0")
        return getattr(adapters_messages, ADAPTERS[turn % 4])(exchange)

    check(*tool.run("in turn", adapter, exchanges))


@pytest.mark.slow
@pytest.mark.parametrize("pieces", [0, 7], ids=["whole", "7-byte-pieces"])
@pytest.mark.parametrize("name", ADAPTERS)
def test_every_adapter_loses_nothing(name: str, pieces: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.traffic import adapters_messages

    monkeypatch.setenv("REPLAY_CHUNK", str(pieces))
    tool, exchanges = load()
    check(*tool.run(name, getattr(adapters_messages, name), exchanges))


@pytest.mark.slow
@pytest.mark.parametrize("name", ADAPTERS)
def test_every_cut_and_error_is_noticed(name: str) -> None:
    from tests.traffic import adapters_messages

    tool, exchanges = load()
    adapter = getattr(adapters_messages, name)
    cut, errors = tool.run_cut(adapter, exchanges), tool.run_errors(adapter, exchanges)
    assert cut["n"] > 1000
    assert not cut["silent"]
    assert errors["n errors"] > 1000
    assert not errors["swallowed"] + errors["raised without the server's words"]
    assert errors["early end said"] == errors["n early ends"]


@pytest.mark.parametrize("name", ["langchain", "llamaindex"])
def test_every_answer_fits_a_strict_server_as_history(name: str) -> None:
    from tests.traffic import adapters_messages

    tool, exchanges = load()
    stats, detail = tool.run_again(getattr(adapters_messages, name), exchanges)
    assert not detail, {problem: rows[:5] for problem, rows in detail.items()}
    assert stats["fit"] == stats["n"] > 500
