"""Every recorded exchange through both classes, sync and async, whole and in pieces, against the tool's oracle."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from tests.traffic import corpus

pytestmark = pytest.mark.skipif(not corpus.PRESENT, reason=corpus.REASON)

ADAPTERS = ("langchain", "langchain_async", "llamaindex", "llamaindex_async")

# Where this project and the oracle differ on purpose. New API of 2025 with Gemini behind ends a tool call with
# `tool_calls` and then sends `stop`: the first reason is the true one, the oracle reads the last.
FIRST_REASON = {"58bb9550e9b6", "9c2fbfe96b73", "c68a6d5a5f55", "b9191a5a8bac"}


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def replayed(name: str, file: str, monkeypatch: pytest.MonkeyPatch, *, only_streams: bool) -> tuple[Any, Any]:
    import replay

    from tests.traffic import adapters

    monkeypatch.setattr(replay, "TRAFFIC", str(corpus.FILES[file]))
    exchanges = [e for e in replay.load() if e["is_stream"] or not only_streams]
    found: tuple[Any, Any] = replay.run(name, getattr(adapters, name), exchanges)
    return found


@pytest.mark.parametrize("pieces", [0, 7], ids=["whole", "7-byte-pieces"])
@pytest.mark.parametrize("file", ["dev", "hubs", "gateway"])
@pytest.mark.parametrize("name", ADAPTERS)
def test_nothing_is_lost(name: str, file: str, pieces: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPLAY_CHUNK", str(pieces))
    # A whole body is read to its end before anything looks at it: pieces matter to streams.
    stats, detail = replayed(name, file, monkeypatch, only_streams=bool(pieces))
    ours = [(row[0] if isinstance(row, (list, tuple)) else row) for row in detail.pop("finish_reason altered", [])]
    assert set(ours) <= FIRST_REASON
    assert not detail, {problem: rows[:5] for problem, rows in detail.items()}
    assert stats["lossless"] + len(ours) == stats["n ok"] > 0
    assert stats["error raised"] == stats["n error"]
    assert stats["incomplete noticed"] == stats["n incomplete"]


@pytest.mark.parametrize("name", ADAPTERS)
def test_every_stream_cut_in_the_middle_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import replay

    from tests.traffic import adapters

    monkeypatch.setattr(replay, "TRAFFIC", str(corpus.FILES["dev"]))
    noticed = replay.run_cut(getattr(adapters, name), replay.load())
    assert noticed["n"] > 300
    assert not noticed["silent"]
