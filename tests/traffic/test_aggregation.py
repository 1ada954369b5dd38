"""The sum of `stream()` equals `invoke()`, block by block, in both frameworks."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterable, Iterator
from functools import reduce
from operator import add
from typing import Any

import pytest
from langchain_core.language_models._utils import _update_message_content_to_blocks as to_version
from langchain_core.messages import message_chunk_to_message
from llama_index.core.base.llms.types import ThinkingBlock, ToolCallBlock

from hubmix.transport.answer import Events
from hubmix.wire import AnswerError, Delta, Reply, StreamReader
from hubmix.wire.responses.items import output_texts
from hubmix.wire.responses.stream import StreamReader as ResponsesReader
from langchain_hubmix._replies import from_reply
from langchain_hubmix._stream import ChunkWriter
from llamaindex_hubmix._replies import chat_response
from llamaindex_hubmix._stream import ResponseStream
from tests.traffic import corpus
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


def of_chat(goods: list[Good]) -> Iterator[tuple[str, list[Delta]]]:
    chance = random.Random(15)
    for good in goods:
        yield from tellings(good, chance)


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
    # A custom call is told in pieces of JSON before its end.
    plain = {call.id: call for call in reply.tool_calls if call.kind == "function"}
    calls = [block for block in before if isinstance(block, ToolCallBlock) and block.tool_call_id in plain]
    called = [(block.tool_call_id, block.tool_name, block.tool_kwargs) for block in calls]
    assert called == [(call.id, call.name, call.arguments) for call in plain.values()] or not before


def of_responses(files: Iterable[str]) -> Iterator[tuple[str, list[Delta]]]:
    """Yield the whole answers streamed over the Responses API.

    The words of several messages are streamed as one block, so such answers are left out.
    """
    for name in files:
        for line in gzip.decompress(corpus.FILES[name].read_bytes()).splitlines():
            each = json.loads(line)
            if each["is_stream"] and each["status"] == 200 and (steps := response_steps(each)):
                yield f"{name}:{each['id']}", steps


def response_steps(exchange: dict[str, Any]) -> list[Delta] | None:
    request, events = exchange["request"], Events()
    reader = ResponsesReader(request.get("tools") if isinstance(request, dict) else None)
    steps: list[Delta | None] = []
    try:
        for event in (*events.feed(exchange["response_text"].encode()), *events.end()):
            if not reader.ended:
                steps.append(reader.feed(event))
        final = reader.finish()
    except AnswerError:
        return None
    messages = [item for item in final.items or () if item.get("type") == "message" and output_texts(item)]
    if final.incomplete or len(messages) > 1:
        return None
    return [step for step in (*steps, reader.close(), Delta(final=final)) if step is not None]


def check(told: Iterable[tuple[str, list[Delta]]]) -> int:
    tried, wrong = 0, []
    for name, steps in told:
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
    assert check(of_chat(of_cassettes()[::4])) > 150


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("source", [of_cassettes, of_traffic])
def test_streams_of_every_recorded_answer_add_up(source: Any) -> None:
    check(of_chat(source()))


@pytest.mark.skipif(not corpus.PRESENT, reason=corpus.REASON)
def test_streams_of_the_responses_api_add_up() -> None:
    assert check(of_responses(["responses", "gateway_responses"])) > 250
