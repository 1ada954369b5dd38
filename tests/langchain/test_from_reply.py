"""Answers to messages, whole and streamed, and what survives merging."""

from __future__ import annotations

import json
import pickle
from functools import reduce
from operator import add
from typing import Any

import pytest
from langchain_core.language_models._compat_bridge import chunks_to_events
from langchain_core.language_models._utils import _update_message_content_to_blocks
from langchain_core.load import dumps, load
from langchain_core.messages import AIMessage, AIMessageChunk, message_chunk_to_message
from langchain_core.messages.content import KNOWN_BLOCK_TYPES
from langchain_core.outputs import ChatGenerationChunk
from langchain_core.outputs.chat_generation import merge_chat_generation_chunks
from langchain_core.utils.json import parse_partial_json

from hubmix.wire import Delta, Reply, StreamReader, read_reply
from langchain_hubmix._messages import to_wire
from langchain_hubmix._replies import chat_result, from_reply
from langchain_hubmix._stream import ChunkWriter
from langchain_hubmix._tools import cut_marker, uncut

DETAILS = [{"type": "reasoning.text", "text": "Hm", "signature": "sig-1", "index": 0}]
USAGE = {
    "prompt_tokens": 10,
    "completion_tokens": 4,
    "total_tokens": 14,
    "cost": 0.25,
    "prompt_tokens_details": {"cached_tokens": 6, "audio_tokens": 1, "cache_write_tokens": 2},
    "completion_tokens_details": {"reasoning_tokens": 3, "audio_tokens": 1},
}


def answer(message: dict[str, Any], finish: str | None = "stop", **top: Any) -> Reply:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish, **top.pop("choice", {})}
    reply = read_reply({"id": "a1", "model": "upstream", "choices": [choice], **top})
    reply.served, reply.request_id = "m", "r1"
    return reply


def stream(*deltas: dict[str, Any], finish: str | None = "stop", **last: Any) -> list[ChatGenerationChunk]:
    """The chunks of a stream with these deltas."""
    events = [{"id": "a1", "model": "upstream", "choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    events.append({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}], **last})
    reader, writer = StreamReader(), ChunkWriter()
    deltas = [*(reader.feed(event) for event in events), reader.close()]
    chunks = [writer.write(delta) for delta in deltas if delta is not None]
    final = reader.finish()
    final.served, final.request_id = "m", "r1"
    return [*chunks, writer.write(Delta(final=final))]


def merged(chunks: list[ChatGenerationChunk]) -> AIMessageChunk:
    message = reduce(add, [chunk.message for chunk in chunks])
    generation = merge_chat_generation_chunks(chunks)
    assert generation is not None
    assert generation.message == message
    return message


def call(arguments: str, **extra: Any) -> dict[str, Any]:
    return {"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": arguments}, **extra}


RICH = {
    "content": "Hello",
    "reasoning_content": "Hm",
    "reasoning_details": DETAILS,
    "annotations": [
        {"type": "url_citation", "url_citation": {"url": "https://a", "title": "A", "start_index": 0, "end_index": 5}}
    ],
    "tool_calls": [call('{"city": "Paris"}')],
}
TOP = {
    "usage": USAGE,
    "system_fingerprint": "fp",
    "service_tier": "default",
    "created": 7,
    "citations": ["https://a", "https://b"],
    "choice": {"logprobs": {"content": [{"token": "Hello", "logprob": -0.5}], "refusal": None}},
}


def test_a_whole_answer_keeps_everything() -> None:
    message = from_reply(answer(RICH, "tool_use", **TOP))
    assert message.content == "Hello"
    assert message.additional_kwargs == {"reasoning_content": "Hm", "reasoning_details": DETAILS}
    assert message.tool_calls == [{"name": "f", "args": {"city": "Paris"}, "id": "c1", "type": "tool_call"}]
    assert message.usage_metadata == {
        "input_tokens": 10,
        "output_tokens": 4,
        "total_tokens": 14,
        "input_token_details": {"cache_read": 6, "cache_creation": 2, "audio": 1},
        "output_token_details": {"reasoning": 3, "audio": 1},
    }
    assert message.response_metadata == {
        "model_provider": "hubmix",
        "model_name": "m",
        "model_version": "upstream",
        "finish_reason": "tool_calls",
        "native_finish_reason": "tool_use",
        "id": "a1",
        "request_id": "r1",
        "created": 7,
        "system_fingerprint": "fp",
        "service_tier": "default",
        "logprobs": TOP["choice"]["logprobs"],
        "citations": TOP["citations"],
        "annotations": RICH["annotations"],
        "token_usage": USAGE,
    }


def test_a_stream_gives_the_same_message() -> None:
    whole = from_reply(answer(RICH, "tool_use", **TOP))
    details = [
        {"type": "reasoning.text", "text": "H", "index": 0},
        {"type": "reasoning.text", "text": "m", "signature": "sig-1", "index": 0},
    ]
    chunks = stream(
        {"reasoning_content": "H", "reasoning_details": details[:1]},
        {"reasoning_content": "m", "reasoning_details": details[1:]},
        {"content": "Hel"},
        {"content": "lo"},
        {"annotations": RICH["annotations"]},
        {"tool_calls": [call('{"ci')]},
        {"tool_calls": [{"index": 0, "function": {"arguments": 'ty": "Paris"}'}}]},
        finish="tool_use",
        usage=USAGE,
        system_fingerprint="fp",
        service_tier="default",
        created=7,
        citations=TOP["citations"],
    )
    message = message_chunk_to_message(merged(chunks))
    assert type(message) is AIMessage
    expected = whole.model_copy(
        update={"response_metadata": {k: v for k, v in whole.response_metadata.items() if k != "logprobs"}}
    )
    assert message == expected
    assert message.content_blocks == whole.content_blocks


def test_what_stands_once_stands_on_the_last_chunk_only() -> None:
    chunks = stream({"content": "a"}, {"content": "b"}, usage=USAGE)
    *pieces, last = [chunk.message for chunk in chunks]
    assert all(piece.response_metadata == {"model_provider": "hubmix"} and not piece.usage_metadata for piece in pieces)
    assert last.response_metadata["model_name"] == "m"
    assert last.chunk_position == "last"
    assert chunks[-1].generation_info == {"finish_reason": "stop"}


def test_logprobs_of_a_stream_come_whole() -> None:
    events = [
        {
            "choices": [
                {"index": 0, "delta": {"content": word}, "logprobs": {"content": [{"token": word, "logprob": -0.1}]}}
            ]
        }
        for word in ("a", "b")
    ]
    reader, writer = StreamReader(), ChunkWriter()
    chunks = [writer.write(reader.feed(event)) for event in events]
    reader.feed({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    message = merged([*chunks, writer.write(Delta(final=reader.finish()))])
    assert [entry["token"] for entry in message.response_metadata["logprobs"]["content"]] == ["a", "b"]


def test_content_blocks_of_a_whole_answer() -> None:
    blocks = from_reply(answer(RICH, **TOP)).content_blocks
    assert [block["type"] for block in blocks] == ["reasoning", "text", "tool_call"]
    assert blocks[0]["reasoning"] == "Hm"
    assert blocks[1]["annotations"] == [
        {"type": "citation", "url": "https://a", "title": "A", "start_index": 0, "end_index": 5},
        {"type": "citation", "url": "https://b"},
    ]


_REFUSAL = {"type": "refusal", "refusal": "No."}
REFUSAL = _REFUSAL if "refusal" in KNOWN_BLOCK_TYPES else {"type": "non_standard", "value": _REFUSAL}


def test_a_refusal_is_a_block_of_its_own() -> None:
    message = from_reply(answer({"content": None, "refusal": "No."}))
    assert message.additional_kwargs["refusal"] == "No."
    assert message.content_blocks == [REFUSAL]


def test_pictures_and_sound_are_blocks() -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    sound = {"id": "a1", "data": "AA==", "transcript": "Hi", "expires_at": 5}
    message = from_reply(answer({"content": "", "images": [picture], "audio": sound}))
    assert message.content_blocks == [
        {"type": "image", "base64": "AAAA", "mime_type": "image/png"},
        {"type": "audio", "id": "a1", "base64": "AA==", "extras": {"transcript": "Hi"}},
    ]


def test_streamed_sound_merges() -> None:
    chunks = stream(
        {"audio": {"id": "a1", "data": "AA"}},
        {"audio": {"data": "BB", "transcript": "Hi"}},
        {"audio": {"expires_at": 5}},
    )
    assert merged(chunks).additional_kwargs["audio"] == {
        "id": "a1",
        "data": "AABB",
        "transcript": "Hi",
        "expires_at": 5,
    }


@pytest.mark.parametrize("key", ["reasoning_content", "reasoning"])
def test_reasoning_is_never_doubled(key: str) -> None:
    chunks = stream({key: "H"}, {key: "m"}, {"content": "Hi"})
    assert [block for block in merged(chunks).content_blocks if block["type"] == "reasoning"] == [
        {"type": "reasoning", "reasoning": "Hm", "index": "lc_reasoning"}
    ]


def as_version_1(chunks: list[ChatGenerationChunk]) -> AIMessageChunk:
    """What core makes of a stream under `output_version="v1"`."""
    return reduce(add, [_update_message_content_to_blocks(chunk.message, "v1") for chunk in chunks])


def test_standard_blocks_of_a_stream_merge() -> None:
    chunks = stream(
        {"reasoning_content": "H"},
        {"reasoning_content": "m"},
        {"content": "Hel"},
        {"content": "lo"},
        {"tool_calls": [call('{"a"')]},
        {"tool_calls": [{"index": 0, "function": {"arguments": ": 1}"}}]},
        {"tool_calls": [{**call("{}"), "index": 1, "id": "c2"}]},
        finish="tool_calls",
        citations=["https://a"],
    )
    message = as_version_1(chunks)
    assert [block["type"] for block in message.content_blocks] == ["reasoning", "text", "tool_call", "tool_call"]
    reasoning, text, *calls = message.content_blocks
    assert reasoning["reasoning"] == "Hm"
    assert (text["text"], text["annotations"]) == ("Hello", [{"type": "citation", "url": "https://a"}])
    assert [(one["id"], one["args"]) for one in calls] == [("c1", {"a": 1}), ("c2", {})]
    (wire,) = to_wire([message])
    assert wire["content"] == "Hello"
    assert [one["id"] for one in wire["tool_calls"]] == ["c1", "c2"]


def events_of(chunks: list[ChatGenerationChunk]) -> list[Any]:
    """The blocks that core makes of a stream under `stream_events(version="v3")`."""
    events = chunks_to_events(iter(chunks))
    return [event["content"] for event in events if event["event"] == "content-block-finish"]


def test_a_streamed_refusal_stays_whole_in_every_version() -> None:
    chunks = stream({"refusal": "N"}, {"refusal": "o."})
    assert merged(chunks).additional_kwargs["refusal"] == "No."
    for blocks in (merged(chunks).content_blocks, as_version_1(chunks).content_blocks, events_of(chunks)):
        assert [block.get("value", block)["refusal"] for block in blocks] == ["No."]


def test_streamed_pictures_stay_apart_in_every_version() -> None:
    one, two = ({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}} for data in ("AA", "BB"))
    chunks = stream({"content": "Two."}, {"images": [one]}, {"images": [two]})
    for blocks in (merged(chunks).content_blocks, as_version_1(chunks).content_blocks, events_of(chunks)):
        assert [block.get("base64") for block in blocks] == [None, "AA", "BB"]
        assert blocks[2]["mime_type"] == "image/png"


BROKEN = [
    "",
    '{"city": "Par',
    '{"city": "Paris", "days": [1, 2',
    '{"a": {"b": "c\\',
    '{"city"',
    "{",
    '{"a": 1',
    '{"a": "]}"',
]


@pytest.mark.parametrize("arguments", BROKEN)
def test_a_call_that_was_cut_is_invalid_in_a_whole_answer(arguments: str) -> None:
    message = from_reply(answer({"content": None, "tool_calls": [call(arguments)]}, "length"))
    assert message.tool_calls == []
    (broken,) = message.invalid_tool_calls
    assert (broken["name"], broken["args"], broken["id"]) == ("f", arguments, "c1")
    assert broken["error"]


@pytest.mark.parametrize("arguments", BROKEN)
def test_a_call_that_was_cut_is_invalid_in_a_stream(arguments: str) -> None:
    half = len(arguments) // 2
    chunks = stream(
        {"tool_calls": [call(arguments[:half])]},
        {"tool_calls": [{"index": 0, "function": {"arguments": arguments[half:]}}]},
        finish="length",
    )
    for message in (merged(chunks), as_version_1(chunks)):
        assert message.tool_calls == []
        (broken,) = message.invalid_tool_calls
        assert (broken["name"], broken["id"]) == ("f", "c1")
        assert broken["args"].startswith(arguments)
        wire, told = to_wire([message])
        assert wire["tool_calls"][0]["function"]["arguments"] == arguments
        assert (told["role"], told["tool_call_id"]) == ("tool", "c1")


def test_a_whole_call_beside_a_cut_one_stays_valid() -> None:
    chunks = stream({"tool_calls": [call('{"a": 1}'), {**call('{"b": "x'), "index": 1, "id": "c2"}]}, finish="length")
    message = merged(chunks)
    assert [one["id"] for one in message.tool_calls] == ["c1"]
    assert [one["id"] for one in message.invalid_tool_calls] == ["c2"]


@pytest.mark.parametrize("arguments", ["[1, 2]", '"text"', "4 + 4"])
def test_arguments_that_are_no_object_are_invalid(arguments: str) -> None:
    whole = from_reply(answer({"content": None, "tool_calls": [call(arguments)]}))
    streamed = merged(stream({"tool_calls": [call(arguments)]}))
    for message in (whole, streamed):
        assert message.tool_calls == []
        assert message.invalid_tool_calls[0]["args"] == arguments


def test_cut_markers_break_every_prefix_and_come_off_again() -> None:
    text = json.dumps({'ci"ty': 'Par"is\\ x', "a": [1, {"b": "c]"}], "e": {"f": None, "g": [[]]}})
    for end in range(1, len(text)):
        prefix = text[:end]
        marked = prefix + cut_marker(prefix)
        assert not isinstance(parse_partial_json(marked), dict)
        assert uncut(marked) == prefix


def test_a_custom_tool_call_is_kept_and_goes_back_as_one() -> None:
    custom = {"id": "c1", "type": "custom", "custom": {"name": "calc", "input": "4 + 4"}}
    message = from_reply(answer({"content": None, "tool_calls": [custom]}, "tool_calls"))
    assert message.invalid_tool_calls[0]["args"] == "4 + 4"
    assert to_wire([message])[0]["tool_calls"] == [custom]


def test_gemini_s_signature_beside_a_call_comes_back() -> None:
    extra = {"extra_content": {"google": {"thought_signature": "sig"}}}
    whole = from_reply(answer({"content": None, "tool_calls": [call("{}", **extra)]}, "tool_calls"))
    streamed = merged(stream({"tool_calls": [call("{}", **extra)]}, finish="tool_calls"))
    for message in (whole, streamed):
        assert to_wire([message])[0]["tool_calls"][0]["extra_content"] == extra["extra_content"]


def test_reasoning_details_survive_the_way_round_exactly() -> None:
    for form in (DETAILS, {"type": "thinking", "thinking": "Hm", "signature": "sig-1"}):
        whole = from_reply(answer({"content": "Hi", "reasoning_content": "Hm", "reasoning_details": form}))
        streamed = merged(stream({"reasoning_content": "Hm", "reasoning_details": form}, {"content": "Hi"}))
        for message in (whole, streamed, load(json.loads(dumps(whole)), allowed_objects="core")):
            expected = {"model": "m", "text": "Hm", "details": form}
            assert to_wire([message])[0]["hubmix_reasoning"] == expected


def test_several_choices_are_several_generations() -> None:
    choices = [{"index": i, "message": {"content": word}, "finish_reason": "stop"} for i, word in enumerate("ab")]
    reply = read_reply({"id": "a1", "choices": choices, "usage": USAGE}, n=2)
    reply.served = "m"
    result = chat_result(reply)
    assert [generation.text for generation in result.generations] == ["a", "b"]
    assert [generation.message.response_metadata["model_name"] for generation in result.generations] == ["m", "m"]
    assert result.generations[1].message.usage_metadata is None
    assert result.llm_output == {"token_usage": USAGE, "model_name": "m"}


def test_messages_are_json_and_pickle() -> None:
    message = from_reply(answer(RICH, **TOP))
    assert json.loads(message.model_dump_json())["content"] == "Hello"
    assert pickle.loads(pickle.dumps(message)) == message


def test_a_stream_without_an_end_says_so() -> None:
    chunks = stream({"content": "a"}, finish=None)
    assert chunks[-1].message.response_metadata["incomplete"] is True


def test_pieces_equal_those_of_pydantic_and_share_nothing() -> None:
    write = ChunkWriter().write
    first, second = write(Delta(text="a")), write(Delta(text="b", reasoning="Hm"))
    metadata = {"model_provider": "hubmix"}
    assert first == ChatGenerationChunk(message=AIMessageChunk(content="a", response_metadata=metadata))
    assert second == ChatGenerationChunk(
        message=AIMessageChunk(content="b", additional_kwargs={"reasoning_content": "Hm"}, response_metadata=metadata)
    )
    assert first.text == first.message.text == "a"
    assert first.message.model_fields_set == {"content", "additional_kwargs", "response_metadata"}
    for name, value in first.message.__dict__.items():
        if isinstance(value, (list, dict)):
            assert value is not getattr(second.message, name)
    again = write(Delta(text="c"))
    first.message.response_metadata["x"] = first.message.additional_kwargs["x"] = 1
    assert again.message.response_metadata == metadata
    assert again.message.additional_kwargs == {}
