"""LiteLLM's `thinking_blocks` are read, and go back to the model that made them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.messages import HumanMessage, ToolMessage
from llama_index.core.base.llms.types import ChatMessage

from tests.cases.ways import WAYS, Way
from tests.support.answers import (
    Answer,
    call_piece,
    calls,
    chunk,
    completion,
    error,
    events,
    tool_call,
    whole_or_stream,
)
from tests.support.scripted_hub import Request, ScriptedHub

BLOCKS = [
    {"type": "thinking", "thinking": "I look it up.", "signature": "EqQB1"},
    {"type": "redacted_thinking", "data": "EmwK"},
    {"type": "redacted_thinking", "data": "EmwL"},
    {"type": "thinking", "thinking": "Now.", "signature": "EqQB2"},
]
PIECES = [
    {"type": "thinking", "thinking": "I look ", "signature": None},
    {"type": "thinking", "thinking": "it up.", "signature": None},
    {"type": "thinking", "thinking": "", "signature": "EqQB1"},
    *BLOCKS[1:3],
    {"type": "thinking", "thinking": "Now.", "signature": None},
    {"type": "thinking", "thinking": "", "signature": "EqQB2"},
]


def get_weather(city: str) -> str:
    """Return the weather in a city."""
    return f"sunny in {city}"


def thinks_and_calls(request: Request, reasoning: bool) -> Answer:
    words = {"reasoning_content": "I look it up.Now."} if reasoning else {}
    if not request.stream:
        called = [tool_call("get_weather", '{"city": "Paris"}')]
        return completion("", "tool_calls", thinking_blocks=BLOCKS, tool_calls=called, **words)
    pieces = [
        chunk(thinking_blocks=[piece], **({"reasoning_content": piece.get("thinking", "")} if reasoning else {}))
        for piece in PIECES
    ]
    called = calls(call_piece(0, "call_1", "get_weather", '{"city": "Paris"}'))
    return events(*pieces, called, chunk("tool_calls"))


def script(reasoning: bool) -> Callable[[Request], Answer]:
    def answer(request: Request) -> Answer:
        if not request.after_tools:
            return thinks_and_calls(request, reasoning)
        if request.model == "m" and request.body["messages"][1].get("thinking_blocks") != BLOCKS:
            return error(400, "messages.1.content.0: Invalid `signature` in `thinking` block")
        return whole_or_stream("It is sunny.", stream=request.stream)

    return answer


def second_turn(way: Way, message: Any) -> list[Any]:
    if way.framework == "langchain":
        return [HumanMessage("go"), message, ToolMessage("sunny", tool_call_id="call_1")]
    result = ChatMessage(role="tool", content="sunny", additional_kwargs={"tool_call_id": "call_1"})
    return [ChatMessage(role="user", content="go"), message, result]


@pytest.mark.parametrize("reasoning", [True, False], ids=["with reasoning_content", "alone"])
@pytest.mark.parametrize("way", WAYS, ids=str)
def test_thinking_blocks_go_back_as_they_came(way: Way, reasoning: bool, serve: Callable[..., ScriptedHub]) -> None:
    hub = serve(script(reasoning))
    first = way.ask(hub, tools=[get_weather])
    assert (first.reasoning, first.calls) == ("I look it up.Now.", [("get_weather", {"city": "Paris"})])
    assert way.ask(hub, second_turn(way, first.message), tools=[get_weather]).text == "It is sunny."
    assert len(hub.requests) == 2


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_thinking_blocks_go_to_no_other_model(way: Way, serve: Callable[..., ScriptedHub]) -> None:
    hub = serve(script(True))
    first = way.ask(hub, tools=[get_weather])
    way.ask(hub, second_turn(way, first.message), tools=[get_weather], model="other")
    assert "thinking_blocks" not in hub.bodies[-1]["messages"][1]
    assert hub.bodies[-1]["messages"][1]["reasoning_content"] == "I look it up.Now."
