"""The log says once that a hub drops cache marks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.messages import HumanMessage
from llama_index.core.base.llms.types import CacheControl, CachePoint, ChatMessage, TextBlock

from tests.cases.ways import WAYS, Way, chat_hubmix, hubmix
from tests.support.answers import Answer, body, chunk, completion_body, events, usage, usage_event
from tests.support.scripted_hub import Request, ScriptedHub

Serve = Callable[..., ScriptedHub]


def answered(counts: dict[str, Any]) -> Callable[[Request], Answer]:
    def script(request: Request) -> Answer:
        if not request.stream:
            return body({**completion_body("hi"), "usage": counts})
        return events(chunk(content="hi"), chunk("stop"), usage_event(**counts))

    return script


def question(way: Way, *, marked: bool = True) -> list[Any]:
    if way.framework == "langchain":
        mark = {"cache_control": {"type": "ephemeral"}} if marked else {}
        return [HumanMessage([{"type": "text", "text": "Why?", **mark}])]
    point = [CachePoint(cache_control=CacheControl(type="ephemeral"))] if marked else []
    return [ChatMessage(role="user", blocks=[TextBlock(text="Why?"), *point])]


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if "Cache marks" in record.getMessage()]


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_unread_marks_are_told_once(way: Way, serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    hub = serve(answered(usage(5_000, 3)))
    kept = chat_hubmix(hub), hubmix(hub)  # models of equal settings share a hub, and what it was told
    for _ in range(2):
        way.ask(hub, question(way))
    assert len(told(caplog)) == 1, kept
    assert "nothing was written to or read from a cache" in told(caplog)[0]


@pytest.mark.parametrize(
    ("counts", "marked"),
    [
        (usage(5_000, 3), False),
        (usage(100, 3), True),  # too short to be kept
        (usage(5_000, 3, prompt_tokens_details={"cached_tokens": 4_000}), True),
        (usage(5_000, 3, prompt_tokens_details={"cache_write_tokens": 4_000}), True),
    ],
)
def test_nothing_is_told_of_other_marks(
    counts: dict[str, Any], marked: bool, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    hub = serve(answered(counts))
    for way in WAYS:
        way.ask(hub, question(way, marked=marked))
    assert told(caplog) == []
