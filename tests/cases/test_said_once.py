"""Repeated content is read once: whole messages after pieces, and snapshots."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.cases.ways import STREAMS, SYNC, Way
from tests.support.answers import chunk, events, tool_call, usage
from tests.support.scripted_hub import ScriptedHub

Serve = Callable[..., ScriptedHub]


def summary(finish_reason: str | None = "stop", **message: Any) -> dict[str, Any]:
    """Return the last frame of a MiniMax stream, which repeats all under `message`."""
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish_reason}
    return {"id": "chatcmpl-1", "object": "chat.completion", "choices": [choice], "usage": usage(3, 2)}


CALL = tool_call("f", '{"a": 1}')


@pytest.mark.parametrize("way", STREAMS, ids=str)
@pytest.mark.parametrize(
    "pieces",
    [
        [chunk(content="Hel"), chunk(content="lo."), summary(content="Hello.")],
        [chunk(content="Hel"), chunk(content="lo."), chunk("stop"), summary(None, content="Hello.")],
        [chunk(content="Hel"), summary(content="Hello.")],
        [chunk(content="Hel"), chunk(content="lo."), chunk("stop", content="Hello.")],
        [summary(content="Hello.")],
        [summary(None, content="Hel"), summary(content="lo.")],
        [summary(None, content="Hel"), summary(content="Hello.")],
    ],
    ids=["behind", "behind the end", "fills", "on the end", "alone", "increments", "snapshots"],
)
def test_whole_text_behind_its_pieces_is_read_once(pieces: list[Any], way: Way, serve: Serve) -> None:
    """MiniMax ends a stream with everything once more (songquanpeng/one-api#2406)."""
    found = way.ask(serve(events(*pieces)))
    assert (found.text, found.finish_reason, found.incomplete) == ("Hello.", "stop", False)
    assert "".join(found.pieces) == "Hello."


@pytest.mark.parametrize("way", STREAMS, ids=str)
def test_whole_reasoning_and_call_behind_pieces_count_once(way: Way, serve: Serve) -> None:
    pieces = [chunk(reasoning_content="Think."), chunk(content="Hi"), chunk(tool_calls=[{"index": 0, **CALL}])]
    end = summary("tool_calls", content="Hi", reasoning_content="Think.", tool_calls=[CALL])
    found = way.ask(serve(events(*pieces, end)))
    assert (found.text, found.reasoning, found.calls) == ("Hi", "Think.", [("f", {"a": 1})])
    assert (found.invalid, found.finish_reason, found.usage) == ([], "tool_calls", (3, 2, 5))


def details(text: str, **more: Any) -> dict[str, Any]:
    """Return a chunk with one reasoning detail."""
    return chunk(reasoning_details=[{"type": "reasoning.text", "id": "r1", "index": 0, "text": text, **more}])


@pytest.mark.parametrize("way", STREAMS, ids=str)
@pytest.mark.parametrize(
    "texts",
    [["The", "The user", "The user asks."], ["The", " user", " asks."], ["The user asks.", "The user asks."]],
    ids=["snapshots", "increments", "repeated"],
)
def test_reasoning_details_are_joined_or_snapshots(texts: list[str], way: Way, serve: Serve) -> None:
    """MiniMax's endpoints differ (lidge-jun/opencodex#3132, nyxandro/osinara#8)."""
    found = way.ask(serve(events(*map(details, texts), chunk(content="Hi"), chunk("stop"))))
    assert (found.text, found.reasoning) == ("Hi", "The user asks.")


@pytest.mark.parametrize("way", SYNC, ids=str)
@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        # xAI does not count reasoning in the completion (langchain-ai/langchain#39634).
        ({"prompt_tokens": 12, "completion_tokens": 2, "total_tokens": 331, "reasoning_tokens": 317}, (12, 319, 331)),
        # Gemini's bridges name no reasoning, and bill it.
        ({"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 57}, (5, 52, 57)),
        ({"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11, "reasoning_tokens": 5}, (9, 7, 16)),
        # OpenAI's reasoning is inside the completion.
        ({"prompt_tokens": 10, "completion_tokens": 50, "total_tokens": 60, "reasoning_tokens": 40}, (10, 50, 60)),
        ({"prompt_tokens": "10", "completion_tokens": "5", "total_tokens": "15"}, (10, 5, 15)),
    ],
)
def test_counts_add_up_and_hold_reasoning(
    counts: dict[str, Any], expected: tuple[int, ...], way: Way, serve: Serve
) -> None:
    raw = dict(counts)
    if (reasoning := raw.pop("reasoning_tokens", None)) is not None:
        raw["completion_tokens_details"] = {"reasoning_tokens": reasoning}
    pieces = [chunk(content="hi"), chunk("stop"), {"id": "c", "choices": [], "usage": raw}]
    assert way.ask(serve(events(*pieces))).usage == expected
