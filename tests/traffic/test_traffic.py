"""Every recorded exchange through both classes, against the tool's oracle."""

from __future__ import annotations

from typing import Any

import pytest

from tests.traffic import corpus
from tests.traffic.replaying import ADAPTERS, check_nothing_left, in_turn

pytestmark = pytest.mark.skipif(not corpus.PRESENT, reason=corpus.REASON)


# Where this project and the oracle differ on purpose. New API of 2025 with Gemini behind ends a tool call with
# `tool_calls` and then sends `stop`: the first reason is the true one, the oracle reads the last.
FIRST_REASON = {"58bb9550e9b6", "9c2fbfe96b73", "c68a6d5a5f55", "b9191a5a8bac"}


def check(stats: Any, detail: Any) -> None:
    """Nothing was lost, altered or taken for whole; what was, is named by exchange."""
    ours = [(row[0] if isinstance(row, (list, tuple)) else row) for row in detail.pop("finish_reason altered", [])]
    assert set(ours) <= FIRST_REASON
    check_nothing_left(detail)
    assert stats["lossless"] + len(ours) == stats["n ok"] > 0
    assert stats["error raised"] == stats["n error"]
    assert stats["incomplete noticed"] == stats["n incomplete"]


def load(file: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, list[dict[str, Any]]]:
    import replay

    monkeypatch.setattr(replay, "TRAFFIC", str(corpus.FILES[file]))
    return replay, replay.load()


@pytest.mark.parametrize("file", ["dev", "hubs", "gateway"])
def test_each_exchange_through_one_adapter_loses_nothing(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The adapters take turns, and every other stream of each comes in 7-byte pieces."""
    from tests.traffic import adapters

    replay, exchanges = load(file, monkeypatch)
    check(*replay.run("in turn", in_turn(adapters, exchanges, monkeypatch), exchanges))


@pytest.mark.slow
@pytest.mark.parametrize("pieces", [0, 7], ids=["whole", "7-byte-pieces"])
@pytest.mark.parametrize("file", ["dev", "hubs", "gateway"])
@pytest.mark.parametrize("name", ADAPTERS)
def test_every_adapter_loses_nothing(name: str, file: str, pieces: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.traffic import adapters

    monkeypatch.setenv("REPLAY_CHUNK", str(pieces))
    replay, exchanges = load(file, monkeypatch)
    # A whole body is read to its end before anything looks at it: pieces matter to streams.
    chosen = [exchange for exchange in exchanges if exchange["is_stream"] or not pieces]
    check(*replay.run(name, getattr(adapters, name), chosen))


@pytest.mark.parametrize("name", [ADAPTERS[0], *(pytest.param(name, marks=pytest.mark.slow) for name in ADAPTERS[1:])])
def test_every_stream_cut_in_the_middle_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.traffic import adapters

    replay, exchanges = load("dev", monkeypatch)
    noticed = replay.run_cut(getattr(adapters, name), exchanges)
    assert noticed["n"] > 300
    assert not noticed["silent"]
