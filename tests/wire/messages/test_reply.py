"""Answers of the Messages API of which the recordings have no example."""

from __future__ import annotations

from typing import Any

import pytest

from hubmix.wire import AnswerError
from hubmix.wire.messages.reply import read_message
from hubmix.wire.messages.stream import StreamReader


def message(*blocks: dict[str, Any], stop: str | None = "end_turn", **rest: Any) -> dict[str, Any]:
    return {"id": "msg_1", "type": "message", "content": list(blocks), "stop_reason": stop, **rest}


@pytest.mark.parametrize(
    ("stop", "finish"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("tool_use", "tool_calls"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("pause_turn", "length"),
        ("refusal", "content_filter"),
        ("new_reason", "new_reason"),
    ],
)
def test_stop_reasons_have_standard_names(stop: str, finish: str) -> None:
    reply = read_message(message(stop=stop))
    assert (reply.finish_reason, reply.native_finish_reason) == (finish, None if stop == finish else stop)


def test_refusal_keeps_its_explanation() -> None:
    assert read_message(message(stop="refusal", stop_details={"explanation": "No."})).refusal == "No."


@pytest.mark.parametrize(
    ("blocks", "turns", "besides"),
    [
        ((), [{"type": "message"}], False),
        ((), [{"type": "compaction"}, {"type": "message"}], True),
        ((), "two", False),
        (({"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {}},), None, True),
        (({"type": "tool_use", "id": "t1", "name": "add", "input": {}},), None, False),
    ],
)
def test_what_is_billed_besides_tokens_is_known(blocks: Any, turns: Any, besides: bool) -> None:
    counts = {"input_tokens": 5, "output_tokens": 3, "iterations": turns}
    assert read_message(message(*blocks, usage=counts)).used_hosted_tools is besides


def test_call_cut_before_its_arguments_is_invalid() -> None:
    call = {"type": "tool_use", "id": "t1", "name": "add", "input": {}}
    assert read_message(message(call, stop="max_tokens")).tool_calls[0].args is None
    assert read_message(message(call, stop="tool_use")).tool_calls[0].args == {}


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        ({"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}, "error_body"),
        ({"detail": "no"}, "error_body"),
        ({"success": False}, "error_body"),
        ({}, "no_choices"),
        ("text", "undecodable"),
    ],
)
def test_what_is_no_message_is_an_error(data: Any, cause: str) -> None:
    with pytest.raises(AnswerError) as caught:
        read_message(data)
    assert caught.value.cause == cause


def feed(reader: StreamReader, *events: dict[str, Any]) -> None:
    for event in events:
        reader.feed(event)


def start(**usage: Any) -> dict[str, Any]:
    return {"type": "message_start", "message": {"id": "msg_1", "content": [], "usage": usage}}


def end(stop: str | None = "end_turn", **usage: Any) -> dict[str, Any]:
    return {"type": "message_delta", "delta": {"stop_reason": stop}, "usage": usage}


def piece(index: int, **delta: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": delta}


def test_usage_of_the_end_counts_unless_it_is_zero() -> None:
    reader = StreamReader()
    feed(reader, start(input_tokens=10, output_tokens=1), end(input_tokens=0, output_tokens=7))
    usage = reader.finish().usage
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens) == (10, 7)


def test_message_stop_without_a_reason_is_no_end() -> None:
    reader = StreamReader()
    feed(reader, start(), piece(0, type="text_delta", text="Hal"), {"type": "message_stop"})
    assert not reader.ended
    assert reader.finish().incomplete


def test_second_message_is_an_error() -> None:
    reader = StreamReader()
    reader.feed(start())
    with pytest.raises(AnswerError):
        reader.feed(start())


def test_empty_stream_is_an_error() -> None:
    with pytest.raises(AnswerError) as caught:
        StreamReader().finish()
    assert caught.value.cause == "empty_stream"


def test_pings_and_unknown_events_bring_nothing() -> None:
    reader = StreamReader()
    assert [reader.feed(event) for event in (None, {"type": "ping"}, {"type": "new_event"})] == [None] * 3
