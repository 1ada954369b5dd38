"""Recorded exchanges of the Messages API through both classes, sync and async."""

from __future__ import annotations

from typing import Any

import pytest

from tests.traffic import corpus
from tests.traffic.replaying import ADAPTERS, check_cuts_and_errors, check_nothing_left, in_turn, load_messages

pytestmark = pytest.mark.skipif(not corpus.PRESENT, reason=corpus.REASON)


def check(stats: Any, detail: Any) -> None:
    """Nothing was lost, altered or taken for whole."""
    check_nothing_left(detail)
    assert stats["lossless"] == stats["n ok"] > 500
    assert stats["n error"] > 0
    assert not [problem for problem in stats if problem.startswith("request: ")]


def test_each_exchange_through_one_adapter_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The adapters take turns, and every other stream of each comes in 7-byte pieces."""
    from tests.traffic import adapters_messages

    tool, exchanges = load_messages()
    check(*tool.run("in turn", in_turn(adapters_messages, exchanges, monkeypatch), exchanges))


@pytest.mark.slow
@pytest.mark.parametrize("pieces", [0, 7], ids=["whole", "7-byte-pieces"])
@pytest.mark.parametrize("name", ADAPTERS)
def test_every_adapter_loses_nothing(name: str, pieces: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.traffic import adapters_messages

    monkeypatch.setenv("REPLAY_CHUNK", str(pieces))
    tool, exchanges = load_messages()
    check(*tool.run(name, getattr(adapters_messages, name), exchanges))


@pytest.mark.slow
@pytest.mark.parametrize("name", ADAPTERS)
def test_every_cut_and_error_is_noticed(name: str) -> None:
    from tests.traffic import adapters_messages

    tool, exchanges = load_messages()
    check_cuts_and_errors(tool, getattr(adapters_messages, name), exchanges, cuts=1000)


@pytest.mark.parametrize("name", ["langchain", "llamaindex"])
def test_every_answer_fits_a_strict_server_as_history(name: str) -> None:
    from tests.traffic import adapters_messages

    tool, exchanges = load_messages()
    stats, detail = tool.run_again(getattr(adapters_messages, name), exchanges)
    check_nothing_left(detail)
    assert stats["fit"] == stats["n"] > 500
