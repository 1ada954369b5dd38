"""A reply to ChatResponse: everything where LlamaIndex looks for it."""

from __future__ import annotations

import base64
import json
import pickle
from typing import Any

import pytest
from llama_index.core.base.llms.types import (
    AudioBlock,
    ChatMessage,
    ChatResponse,
    CitationBlock,
    ImageBlock,
    LogProb,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)
from llama_index.core.callbacks.token_counting import get_tokens_from_response

from hubmix.errors import MalformedAnswerError
from hubmix.wire import Delta, StreamReader, read_reply
from llamaindex_hubmix._messages import to_wire
from llamaindex_hubmix._replies import chat_response, completion_response
from llamaindex_hubmix._stream import ResponseStream
from llamaindex_hubmix._tools import tool_selections


def answer(
    finish_reason: str = "stop", usage: Any = None, top: dict[str, Any] | None = None, **message: Any
) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish_reason}
    return {
        "id": "a1",
        "model": "vendor-model",
        "choices": [choice],
        **({"usage": usage} if usage else {}),
        **(top or {}),
    }


def respond(**kwargs: Any) -> ChatResponse:
    return chat_response(read_reply(answer(**kwargs)))


def function(name: str, arguments: Any, call_id: str = "c1") -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def stream(*chunks: dict[str, Any], single_call: bool = False) -> list[ChatResponse]:
    reader, responses = StreamReader(), ResponseStream("m", single_call=single_call)
    deltas = [*(reader.feed(chunk) for chunk in chunks), reader.close(), Delta(final=reader.finish())]
    return [responses.read(delta) for delta in deltas if delta is not None]


def chunk(finish_reason: str | None = None, **delta: Any) -> dict[str, Any]:
    return {"id": "a1", "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]}


USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}


# ---------------------------------------------------------------------------------------------------- the message


def test_text() -> None:
    response = respond(content="Hello")
    assert response.message.blocks == [TextBlock(text="Hello")]
    assert response.message.role == "assistant"
    assert response.delta is None


def test_content_is_never_none() -> None:
    assert respond(content=None, tool_calls=[function("f", "{}")]).message.content == ""


def test_reasoning_comes_as_a_block_and_goes_back_unchanged() -> None:
    details = [{"type": "reasoning.encrypted", "data": "xyz"}]
    usage = {**USAGE, "completion_tokens_details": {"reasoning_tokens": 2}}
    response = respond(content="a", reasoning_content="hm", reasoning_details=details, usage=usage)
    block = response.message.blocks[0]
    assert isinstance(block, ThinkingBlock)
    assert (block.content, block.num_tokens) == ("hm", 2)
    assert to_wire([response.message])[0]["hubmix_reasoning"] == {
        "model": "vendor-model",
        "text": "hm",
        "details": details,
    }


def test_a_tool_call_is_a_block_and_a_plain_dict() -> None:
    response = respond(finish_reason="tool_calls", content=None, tool_calls=[function("f", '{"x": 1}')])
    assert response.message.blocks[-1] == ToolCallBlock(tool_call_id="c1", tool_name="f", tool_kwargs={"x": 1})
    assert response.message.additional_kwargs["tool_calls"] == [function("f", '{"x": 1}')]


def test_a_message_with_calls_is_json_and_pickles() -> None:
    message = respond(content=None, tool_calls=[function("f", '{"x": 1}')]).message
    assert json.loads(message.model_dump_json())["additional_kwargs"]["tool_calls"][0]["id"] == "c1"
    assert pickle.loads(pickle.dumps(message)) == message


def test_audio_comes_as_a_block_and_goes_back_by_its_id() -> None:
    data = base64.b64encode(b"RIFF....WAVE").decode()
    response = respond(content=None, audio={"id": "s1", "data": data, "transcript": "hello", "expires_at": 1})
    assert response.message.content == "hello"
    assert any(isinstance(block, AudioBlock) for block in response.message.blocks)
    wire = to_wire([response.message])[0]
    assert wire["audio"] == {"id": "s1"}
    assert wire["content"] == "hello"


def test_images_come_as_blocks() -> None:
    inline = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    linked = {"type": "image_url", "image_url": {"url": "https://p.example/a.png"}}
    blocks = [b for b in respond(content="x", images=[inline, linked]).message.blocks if isinstance(b, ImageBlock)]
    assert (blocks[0].image, blocks[0].image_mimetype) == (b"iVBORw0KGgo=", "image/png")
    assert str(blocks[1].url) == "https://p.example/a.png"


def test_citations_come_as_blocks_and_as_they_came() -> None:
    cited = {
        "type": "url_citation",
        "url_citation": {"url": "https://s.example/a", "title": "S", "start_index": 0, "end_index": 4},
    }
    response = respond(content="fact", annotations=[cited], top={"citations": ["https://s.example/a"]})
    block = next(b for b in response.message.blocks if isinstance(b, CitationBlock))
    assert (block.source, block.title, block.additional_location_info) == (
        "https://s.example/a",
        "S",
        {"start_index": 0, "end_index": 4},
    )
    assert response.additional_kwargs["annotations"] == [cited]
    assert response.additional_kwargs["citations"] == ["https://s.example/a"]
    assert response.message.content == "fact"


def test_a_refusal() -> None:
    response = respond(content=None, refusal="No.")
    assert response.additional_kwargs["refusal"] == "No."
    assert response.message.content == ""


# ---------------------------------------------------------------------------------------------------- the details


def test_token_counts_are_where_llama_index_looks() -> None:
    response = respond(content="x", usage=USAGE)
    assert response.additional_kwargs.items() >= USAGE.items()
    assert get_tokens_from_response(response) == (7, 3)


@pytest.mark.parametrize("top", [{"x_groq": {"usage": USAGE}}], ids=["groq"])
def test_usage_from_elsewhere_is_put_where_llama_index_reads(top: dict[str, Any]) -> None:
    assert get_tokens_from_response(chat_response(read_reply(answer(content="x", top=top)))) == (7, 3)


def test_counts_are_the_hubs_and_cached_tokens_are_added() -> None:
    usage = {**USAGE, "prompt_tokens_details": {"cached_tokens": 5}}
    details = respond(content="x", usage=usage).additional_kwargs
    assert (details["prompt_tokens"], details["cached_tokens"]) == (7, 5)


def test_ids_and_reasons() -> None:
    details = respond(content="x", finish_reason="end_turn", top={"system_fingerprint": "fp"}).additional_kwargs
    assert details["finish_reason"] == "stop"
    assert details["native_finish_reason"] == "end_turn"
    assert details["id"] == "a1"
    assert details["model"] == "vendor-model"
    assert details["system_fingerprint"] == "fp"
    assert "incomplete" not in details


def test_raw_is_the_answer_as_it_came() -> None:
    assert respond(content="x", usage=USAGE).raw == answer(content="x", usage=USAGE)


def test_logprobs() -> None:
    data = answer(content="x")
    alternatives = [{"token": "x", "logprob": -0.1, "bytes": [120]}, {"token": "y", "logprob": -2.0, "bytes": None}]
    content = [{**alternatives[0], "top_logprobs": alternatives}, {"token": "z", "logprob": -1.0, "top_logprobs": []}]
    data["choices"][0]["logprobs"] = {"content": content}
    response = chat_response(read_reply(data))
    assert response.logprobs == [
        [LogProb(token="x", logprob=-0.1, bytes=[120]), LogProb(token="y", logprob=-2.0, bytes=[])],
        [LogProb(token="z", logprob=-1.0, bytes=[])],
    ]
    assert response.additional_kwargs["logprobs"]["content"] == content


def test_a_completion_has_what_a_chat_response_has() -> None:
    found = completion_response(respond(content="x", reasoning_content="hm", usage=USAGE))
    assert found.text == "x"
    assert found.additional_kwargs["reasoning_content"] == "hm"
    assert found.additional_kwargs["total_tokens"] == 10
    assert found.raw["usage"] == USAGE


# --------------------------------------------------------------------------------------- calls that must not be run


CUT = '{"city": "Par'


def test_a_call_that_was_cut_short_is_not_executable() -> None:
    response = respond(finish_reason="length", content=None, tool_calls=[function("f", CUT)])
    block = response.message.blocks[-1]
    assert isinstance(block, ToolCallBlock)
    assert block.tool_kwargs == CUT
    assert response.message.additional_kwargs["invalid_tool_calls"][0]["id"] == "c1"
    with pytest.raises(MalformedAnswerError, match=r"'f' with arguments that must not be executed.*Raise max_tokens"):
        tool_selections(response, error_on_no_tool_call=False)
    assert "tool_calls" not in to_wire([response.message])[0]


@pytest.mark.parametrize("arguments", ["[1]", '"Paris"', "{'x': 1}", '{"x": 1,}'])
def test_invalid_call_is_told_to_agent_and_not_run(arguments: str) -> None:
    response = respond(content=None, tool_calls=[function("f", arguments)])
    with pytest.raises(MalformedAnswerError):
        tool_selections(response, error_on_no_tool_call=True)
    [selection] = tool_selections(response, error_on_no_tool_call=False)
    assert (selection.tool_id, selection.tool_kwargs) == ("c1", {})
    assert selection.tool_name.startswith("f (the call was not executed: the arguments are")


def test_invalid_call_is_in_history_once_answered() -> None:
    response = respond(content=None, tool_calls=[function("f", "[1]")])
    result = ChatMessage(role="tool", content="told", additional_kwargs={"tool_call_id": "c1"})
    assert "tool_calls" not in to_wire([response.message])[0]
    assert to_wire([response.message, result])[0]["tool_calls"] == [function("f", "[1]")]


def test_a_good_call_beside_a_cut_one_is_executable() -> None:
    calls = [function("f", '{"x": 1}', "c1"), function("g", CUT, "c2")]
    response = respond(finish_reason="length", content=None, tool_calls=calls)
    assert [s.tool_name for s in tool_selections(response, error_on_no_tool_call=True)] == ["f"]


def test_no_call_is_an_error_only_if_asked() -> None:
    response = respond(content="Hello")
    assert tool_selections(response, error_on_no_tool_call=False) == []
    with pytest.raises(ValueError, match=r"Expected a tool call, but the model 'vendor-model' answered.*Hello"):
        tool_selections(response, error_on_no_tool_call=True)


def test_calls_that_another_class_stored_are_read() -> None:
    response = respond(content="x")
    response.message.additional_kwargs["tool_calls"] = [function("f", '{"x": 1}')]
    assert tool_selections(response, error_on_no_tool_call=True)[0].tool_kwargs == {"x": 1}


def test_a_custom_call_has_its_input() -> None:
    custom = {"id": "c1", "type": "custom", "custom": {"name": "sql", "input": "select 1"}}
    response = respond(content=None, tool_calls=[custom])
    assert tool_selections(response, error_on_no_tool_call=True)[0].tool_kwargs == {"input": "select 1"}
    assert to_wire([response.message])[0]["tool_calls"] == [custom]


# --------------------------------------------------------------------------------------------------------- streams


def test_each_response_carries_the_message_so_far() -> None:
    responses = stream(chunk(content="Hel"), chunk(content="lo"), chunk("stop"))
    assert [(r.delta, r.message.content) for r in responses] == [("Hel", "Hel"), ("lo", "Hello"), ("", "Hello")]


def test_the_last_response_is_the_whole_answer() -> None:
    usage = {"id": "a1", "choices": [], "usage": USAGE}
    last = stream(chunk(content="Hi"), chunk("stop"), usage)[-1]
    assert last.raw["usage"] == USAGE
    assert last.additional_kwargs.items() >= {**USAGE, "finish_reason": "stop"}.items()
    assert get_tokens_from_response(last) == (7, 3)


def test_reasoning_streams_beside_the_text() -> None:
    responses = stream(chunk(reasoning_content="h"), chunk(reasoning_content="m"), chunk(content="a"), chunk("stop"))
    assert [r.additional_kwargs.get("thinking_delta") for r in responses] == ["h", "m", None, None]
    assert [b.content for r in responses for b in r.message.blocks if isinstance(b, ThinkingBlock)] == [
        "h",
        "hm",
        "hm",
        "hm",
    ]


def call_chunk(arguments: str, index: int = 0, **first: Any) -> dict[str, Any]:
    return chunk(tool_calls=[{"index": index, **first, "function": {"arguments": arguments, **first.pop("f", {})}}])


def calls_in_pieces() -> list[dict[str, Any]]:
    return [
        call_chunk("", 0, id="c1", f={"name": "f"}),
        call_chunk('{"a": "x', 0),
        call_chunk('y"}', 0),
        call_chunk('{"b"', 1, id="c2", f={"name": "g"}),
        call_chunk(": 2}", 1),
        chunk("tool_calls"),
    ]


def test_partial_calls_can_be_read_at_every_step() -> None:
    responses = stream(*calls_in_pieces())
    seen = [[(s.tool_name, s.tool_kwargs) for s in tool_selections(r, error_on_no_tool_call=False)] for r in responses]
    assert seen == [
        [("f", {})],
        [("f", {"a": "x"})],
        [("f", {"a": "xy"})],
        [("f", {"a": "xy"}), ("g", {})],
        [("f", {"a": "xy"}), ("g", {"b": 2})],
        [("f", {"a": "xy"}), ("g", {"b": 2})],
    ]
    assert [s.tool_id for s in tool_selections(responses[-1], error_on_no_tool_call=True)] == ["c1", "c2"]


def test_what_was_yielded_does_not_change_later() -> None:
    responses = stream(*calls_in_pieces())
    assert responses[1].message.blocks[-1].tool_kwargs == '{"a": "x'  # type: ignore[union-attr]  # it is a tool call
    assert responses[1].message.additional_kwargs["tool_calls"][0]["function"]["arguments"] == '{"a": "x'


def test_one_call_only_where_parallel_calls_are_off() -> None:
    responses = stream(*calls_in_pieces(), single_call=True)
    for response in responses:
        assert len(tool_selections(response, error_on_no_tool_call=False)) == 1
        assert len(response.message.additional_kwargs["tool_calls"]) == 1


def test_a_stream_without_an_end_says_so() -> None:
    assert stream(chunk(content="Hi"))[-1].additional_kwargs["incomplete"] is True


@pytest.mark.parametrize(
    "odd",
    [
        {"images": True},
        {"images": ["x"]},
        {"images": [{"image_url": {"url": "http://"}}]},
        {"audio": {"data": "\ud83d"}},
        {"usage": {"prompt_tokens": float("nan"), "completion_tokens": float("inf"), "total_tokens": 3}},
    ],
    ids=repr,
)
def test_one_odd_value_does_not_cost_the_answer(odd: dict[str, Any]) -> None:
    response = chat_response(read_reply(answer(**({"content": "hello"} | odd))))
    assert response.message.content == "hello"
    assert all(isinstance(response.additional_kwargs.get(name, 0), int) for name in ("prompt_tokens", "total_tokens"))


# ---------------------------------------------------------------------------------------------- a hub that tells lies

HALF = "\ud83d"  # half a character: what is left of one that was cut in two
LIES: list[Any] = [None, "", "x", 0, -1, 1.5, float("nan"), float("inf"), True, [], {}, [None], ["x"], {"a": 1}, HALF]


def test_arguments_that_end_in_half_a_character_are_no_error() -> None:
    begun = chunk(tool_calls=[{"index": 0, **function("f", f'{{"a": "{HALF}')}])
    response = stream(begun, chunk(finish_reason="tool_calls"))[0]
    assert [call.tool_kwargs for call in tool_selections(response, error_on_no_tool_call=False)] == [{}]


@pytest.mark.parametrize("lie", LIES, ids=repr)
def test_fields_of_a_wrong_type_are_left_out_without_an_error(lie: Any) -> None:
    token = {"token": "a", "logprob": -1.0, "bytes": [97]}
    lying: list[dict[str, Any]] = [
        {"images": lie},
        {"images": [lie]},
        {"images": [{"image_url": {"url": lie}}]},
        {"audio": lie},
        {"audio": {"id": "x", "data": lie, "format": "wav"}},
        {"audio": {"id": "x", "data": "aGk=", "format": lie}},
        {"annotations": [{"type": "url_citation", "url_citation": {"url": lie, "title": lie}}]},
    ]
    answers = [answer(content="hello", **message) for message in lying]
    for probabilities in (lie, [lie], [{**token, "top_logprobs": lie}], [{**token, "top_logprobs": [lie, token]}]):
        answers.append(answer(content="hello"))
        answers[-1]["choices"][0]["logprobs"] = {"content": probabilities}
    for name in token:
        answers.append(answer(content="hello"))
        answers[-1]["choices"][0]["logprobs"] = {"content": [{**token, name: lie}]}
    for name in ("prompt_tokens", "completion_tokens", "total_tokens"):
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2, name: lie}
        answers.append(answer(content="hello", usage=usage))
    for given in answers:
        assert chat_response(read_reply(given)).message.content == "hello"
