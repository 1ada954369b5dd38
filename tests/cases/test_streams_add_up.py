"""A stream adds up to the whole answer: chunks, both event versions, and deltas."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import reduce
from operator import add
from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage

from tests.cases.ways import chat_hubmix, hubmix
from tests.support.answers import Answer as Response
from tests.support.answers import call_piece, calls, chunk, completion_body, encoded, events, tool_call, usage_event
from tests.support.scripted_hub import Request, ScriptedHub

Serve = Callable[..., ScriptedHub]
NOTE = {"type": "url_citation", "url_citation": {"url": "https://a.example", "title": "A"}}
CALLS = [tool_call("order", '{"item": "tea"}', "c1"), tool_call("now", "{}", "c2")]
WHOLE = completion_body("Hello.", "tool_calls", reasoning_content="Hm.", tool_calls=CALLS, annotations=[NOTE])
STREAM = (
    *(chunk(role="assistant", content=""), chunk(reasoning_content="H"), chunk(reasoning_content="m.")),
    *(chunk(content="Hel"), chunk(content="lo."), chunk(annotations=[NOTE])),
    *(calls(call_piece(0, "c1", "order", "")), calls(call_piece(0, arguments='{"item": '))),
    *(calls(call_piece(0, arguments='"tea"}')), calls(call_piece(0, arguments='{"item": "tea"}'))),
    *(calls(call_piece(1, "c2", "now", "")), chunk("tool_calls"), usage_event()),
)


def script(asked: Request) -> Response:
    return events(*STREAM) if asked.stream else Response(encoded(WHOLE))


def without_places(blocks: Any) -> list[dict[str, Any]]:
    return [{key: value for key, value in block.items() if key != "index"} for block in blocks]


def parts(message: Any) -> dict[str, Any]:
    """Return what two messages of one answer share: all but ids and traces."""
    told = message.response_metadata
    return {
        "blocks": without_places(message.content_blocks),
        "calls": message.tool_calls,
        "usage": message.usage_metadata,
        "finish_reason": told.get("finish_reason"),
        "annotations": told.get("annotations"),
    }


@pytest.mark.parametrize("version", ["v0", "v1"])
def test_langchain_streams_and_events_equal_invoke(version: str, serve: Serve) -> None:
    llm = chat_hubmix(serve(script), output_version=version)
    whole = parts(llm.invoke("go"))
    assert [block["type"] for block in whole["blocks"]] == ["reasoning", "text", "tool_call", "tool_call"]
    assert parts(reduce(add, llm.stream("go"))) == whole

    async def heard() -> tuple[list[Any], Any]:
        found = [event async for event in llm.astream_events("go", version="v2")]
        return [e["data"]["chunk"] for e in found if "chunk" in e["data"]], found[-1]["data"]["output"]

    chunks, output = asyncio.run(heard())
    assert parts(reduce(add, chunks)) == whole
    assert parts(output) == whole
    typed = llm.stream_events("go", version="v3")
    for _ in typed:
        pass
    assert without_places(typed.output.content_blocks) == whole["blocks"]
    assert (typed.output.tool_calls, typed.output.usage_metadata) == (whole["calls"], whole["usage"])


def test_llamaindex_deltas_equal_the_whole_answer(serve: Serve) -> None:
    llm, history = hubmix(serve(script)), [ChatMessage(role="user", content="go")]
    whole, steps = llm.chat(history), list(llm.stream_chat(history))
    assert steps[-1].message == whole.message
    assert "".join(step.delta or "" for step in steps) == whole.message.content == "Hello."
    assert "".join(step.additional_kwargs.get("thinking_delta", "") for step in steps) == "Hm."
    counts = ("prompt_tokens", "completion_tokens", "total_tokens", "finish_reason", "annotations")
    assert [steps[-1].additional_kwargs[name] for name in counts] == [whole.additional_kwargs[name] for name in counts]
