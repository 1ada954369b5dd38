"""The sum of `stream()` equals `invoke()`, block by block, in both frameworks."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import reduce
from operator import add
from typing import Any

import pytest
from langchain_core.language_models._utils import _update_message_content_to_blocks as to_version
from langchain_core.messages import message_chunk_to_message
from llama_index.core.base.llms.types import ThinkingBlock, ToolCallBlock

from hubmix.wire import AnswerError, Delta, Reply, StreamReader
from langchain_hubmix._replies import from_reply
from langchain_hubmix._stream import ChunkWriter
from llamaindex_hubmix._replies import chat_response
from llamaindex_hubmix._stream import ResponseStream
from tests.traffic.answers import Good, of_cassettes, of_traffic
from tests.traffic.deviations import ALL, ORDER, Chunks

DEVIATIONS = 12  # of each answer


def deltas(chunks: Chunks) -> list[Delta] | None:
    """Return the steps of a stream as the transport passes them on; None if it raises."""
    reader = StreamReader()
    try:
        steps = [reader.feed(chunk) for chunk in chunks]
        final = reader.finish()
    except AnswerError:
        return None
    if final.incomplete and (final.tool_calls or not final.has_output or final.finish_reason):
        return None
    return [step for step in (*steps, reader.close(), Delta(final=final)) if step is not None]


def tellings(good: Good, chance: random.Random) -> Iterator[tuple[str, list[Delta]]]:
    """Yield the answer as it came, and in some of the ways in which vendors tell it."""
    told = [("as recorded", good.chunks)]
    for _ in range(DEVIATIONS):
        made: Chunks | None = good.chunks
        names = sorted(chance.sample(sorted(ALL), 2), key=ORDER.__getitem__)
        for name in names:
            made = made and ALL[name](made, good.reply)
        told += [(" + ".join(names), made)] if made else []
    for name, chunks in told:
        if (found := deltas(chunks)) is not None:
            yield f"{good.id}, {name}", found


def without_places(blocks: Any) -> list[dict[str, Any]]:
    """Return content blocks without their places."""
    return [{k: v for k, v in block.items() if k != "index"} for block in blocks if block["type"] != "tool_call_chunk"]


def in_order(blocks: Any) -> list[dict[str, Any]]:
    return sorted(without_places(blocks), key=lambda block: str(block["type"]))


def check_langchain(steps: list[Delta], reply: Reply) -> None:
    writer = ChunkWriter()
    chunks = [writer.write(step).message for step in steps]
    merged, whole = reduce(add, chunks), from_reply(reply)
    for name in ("content", "additional_kwargs", "response_metadata", "tool_calls", "usage_metadata"):
        assert getattr(merged, name) == getattr(whole, name), name
    assert [c["name"] for c in merged.invalid_tool_calls] == [c["name"] for c in whole.invalid_tool_calls]
    blocks = without_places(whole.content_blocks)
    assert without_places(merged.content_blocks) == blocks
    assert without_places(message_chunk_to_message(merged).content_blocks) == blocks
    # Content of version 1 holds the blocks in the order in which they arrived.
    version_1 = reduce(add, [to_version(chunk, "v1") for chunk in chunks])
    assert in_order(version_1.content) == in_order(to_version(whole, "v1").content) == in_order(blocks)
    assert version_1.tool_calls == whole.tool_calls


def check_llamaindex(steps: list[Delta], reply: Reply) -> None:
    stream = ResponseStream("m")
    responses = [stream.read(step) for step in steps]
    last, whole = responses[-1], chat_response(reply)
    assert "".join(response.delta or "" for response in responses) == reply.text
    thoughts = "".join(response.additional_kwargs.get("thinking_delta", "") for response in responses)
    assert thoughts == reply.reasoning
    assert last.message == whole.message
    assert last.additional_kwargs == whole.additional_kwargs
    before = responses[-2].message.blocks if len(responses) > 1 else []
    if thoughts and before:
        assert [b.content for b in before if isinstance(b, ThinkingBlock)] == [thoughts]
    called = [(b.tool_call_id, b.tool_name, b.tool_kwargs) for b in before if isinstance(b, ToolCallBlock)]
    assert called == [(c.id, c.name, c.arguments) for c in reply.tool_calls] or not before


def check(goods: list[Good]) -> int:
    chance, tried, wrong = random.Random(15), 0, []
    for good in goods:
        for name, steps in tellings(good, chance):
            tried += 1
            reply = steps[-1].final
            assert reply is not None
            try:
                check_langchain(steps, reply)
                check_llamaindex(steps, reply)
            except AssertionError as error:
                wrong.append(f"{name}: {error}")
    assert not wrong, f"{len(wrong)} of {tried}: " + "\n".join(wrong[:5])
    return tried


def test_streams_of_gateway_answers_add_up_to_whole_ones() -> None:
    assert check(of_cassettes()[::4]) > 150


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("source", [of_cassettes, of_traffic])
def test_streams_of_every_recorded_answer_add_up(source: Any) -> None:
    check(source())
