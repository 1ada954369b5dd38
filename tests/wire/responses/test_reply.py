"""Whole answers of the Responses API."""

from __future__ import annotations

from typing import Any

import pytest

from hubmix.wire import AnswerError, Reply
from hubmix.wire.responses.reply import read_response


def text(words: str, **more: Any) -> dict[str, Any]:
    return {"type": "output_text", "text": words, "annotations": [], **more}


def message(*parts: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "message", "id": "msg_1", "role": "assistant", "content": list(parts), **more}


def call(arguments: str = '{"city":"Oslo"}', **more: Any) -> dict[str, Any]:
    return {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "weather", "arguments": arguments, **more}


def read(*output: dict[str, Any], tools: Any = None, **more: Any) -> Reply:
    return read_response({"id": "resp_1", "status": "completed", "output": list(output), **more}, tools=tools)


def test_messages_are_joined_and_kept_with_their_phase() -> None:
    first, second = message(text("Looking. "), phase="commentary"), message(text("Sunny."), phase="final_answer")
    reply = read(first, second)
    assert (reply.text, reply.finish_reason, reply.items) == ("Looking. Sunny.", "stop", [first, second])


def test_plain_answer_needs_no_items() -> None:
    assert read(message(text("Hi"))).items == []


def test_refusal_annotations_and_logprobs_are_read() -> None:
    note = {"type": "url_citation", "url": "https://x", "title": "X", "start_index": 0, "end_index": 2}
    token = {"token": "Hi", "logprob": -0.1, "top_logprobs": []}
    reply = read(message(text("Hi", annotations=[note], logprobs=[token]), {"type": "refusal", "refusal": "No."}))
    assert (reply.text, reply.refusal) == ("Hi", "No.")
    assert (reply.citations, reply.logprobs) == ({"annotations": [note]}, {"content": [token]})


def test_reasoning_is_read_once_and_kept_whole() -> None:
    thought = {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": "One."}, {"type": "summary_text", "text": "Two."}],
        "content": [{"type": "reasoning_text", "text": "Two."}],
        "encrypted_content": "sealed",
    }
    reply = read(thought, call())
    assert (reply.reasoning, reply.reasoning_details) == ("One.\n\nTwo.", [thought])
    assert reply.items == [thought, call()]


def test_summary_inside_the_content_is_read() -> None:
    assert read({"type": "reasoning", "content": [{"type": "summary_text", "text": "Hm."}]}, call()).reasoning == "Hm."


def test_calls_keep_their_id_and_end_the_answer() -> None:
    reply = read(message(text("I look.")), call())
    (found,) = reply.tool_calls
    assert (found.id, found.name, found.args, found.kind) == ("c1", "weather", {"city": "Oslo"}, "function")
    assert (reply.finish_reason, reply.text) == ("tool_calls", "I look.")


def test_custom_call_has_its_text_as_the_one_argument() -> None:
    item = {"type": "custom_tool_call", "call_id": "c1", "name": "sql", "input": "select 1"}
    (found,) = read(item, tools=[{"type": "custom", "name": "sql"}]).tool_calls
    assert (found.kind, found.arguments, found.args, found.error) == (
        "custom",
        "select 1",
        {"__arg1": "select 1"},
        None,
    )


@pytest.mark.parametrize("declared", [[{"type": "x_search"}], [{"type": "function", "function": {"name": "weather"}}]])
@pytest.mark.parametrize("echoed", [False, True])
def test_custom_call_of_no_declared_name_is_a_hosted_item(declared: list[Any], echoed: bool) -> None:
    item = {"type": "custom_tool_call", "call_id": "xs_call_1", "name": "x_keyword_search", "input": "{}"}
    reply = read(item, message(text("Found.")), tools=declared)
    assert echoed or reply.tool_calls == []
    assert (reply.extra["output"], reply.finish_reason) == ([item], "stop")


def test_arguments_cut_by_the_token_limit_are_invalid() -> None:
    cut = {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
    for arguments in ('{"city":"Os', "", "{}"):
        reply = read(call(arguments), **cut)
        assert (reply.finish_reason, reply.tool_calls[0].args) == ("length", None)


def test_hosted_items_are_kept_whole_and_count_as_output() -> None:
    search = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"query": "x"}}
    unknown = {"type": "telepathy_call", "id": "t_1"}
    reply = read(search, unknown)
    assert (reply.extra["output"], reply.items, reply.has_output) == ([search, unknown], [search, unknown], True)


def test_generated_image_is_an_image_too() -> None:
    item = {"type": "image_generation_call", "id": "ig_1", "result": "AAAA", "output_format": "webp"}
    assert read(item).images == [{"type": "image_url", "image_url": {"url": "data:image/webp;base64,AAAA"}}]


def test_usage_is_read_with_its_details() -> None:
    usage = {
        "input_tokens": 20,
        "input_tokens_details": {"cached_tokens": 5, "cache_write_tokens": 3},
        "output_tokens": 9,
        "output_tokens_details": {"reasoning_tokens": 4},
        "total_tokens": 29,
        "cost_in_usd_ticks": 7,
    }
    found = read(message(text("Hi")), usage=usage).usage
    assert found is not None
    assert (found.input_tokens, found.output_tokens, found.total_tokens) == (20, 9, 29)
    assert (found.cache_read, found.cache_creation, found.reasoning) == (5, 3, 4)
    assert found.raw["cost_in_usd_ticks"] == 7


def test_usage_without_details_is_read() -> None:
    found = read(message(text("Hi")), usage={"input_tokens": 2, "output_tokens": 1, "total_tokens": 3}).usage
    assert found is not None
    assert (found.total_tokens, found.reasoning) == (3, None)


def test_envelope_is_read_and_the_echo_of_the_request_left_out() -> None:
    reply = read(
        message(text("Hi")), model="m-2", created_at=12.5, service_tier="flex", tools=[], temperature=1.0,
        previous_response_id="resp_0", store=True,
    )  # fmt: skip
    assert (reply.id, reply.model, reply.created, reply.service_tier) == ("resp_1", "m-2", 12, "flex")
    assert reply.extra == {"previous_response_id": "resp_0"}


@pytest.mark.parametrize(
    ("reason", "finish", "native"),
    [
        ("max_output_tokens", "length", "max_output_tokens"),
        ("content_filter", "content_filter", None),
        ("mystery", "length", "mystery"),
        (None, "length", "incomplete"),
    ],
)
def test_incomplete_answer_says_why(reason: str | None, finish: str, native: str | None) -> None:
    details = {"reason": reason} if reason else None
    reply = read(message(text("Hi")), status="incomplete", incomplete_details=details)
    assert (reply.finish_reason, reply.native_finish_reason, reply.incomplete) == (finish, native, False)


@pytest.mark.parametrize("status", ["queued", "in_progress", ""])
def test_answer_that_has_not_come_is_incomplete(status: str) -> None:
    reply = read(status=status)
    assert (reply.incomplete, reply.finish_reason, reply.native_finish_reason) == (True, None, status or None)


def test_answer_in_the_background_needs_no_output() -> None:
    assert read_response({"id": "resp_1", "status": "queued"}).is_pending


@pytest.mark.parametrize(
    ("data", "cause", "words"),
    [
        (
            {"status": "failed", "error": {"code": "server_error", "message": "Busy"}, "output": []},
            "error_body",
            "Busy",
        ),
        ({"status": "failed", "output": []}, "error_body", "did not say why"),
        ({"status": "cancelled", "output": []}, "error_body", "cancelled"),
        ({"error": {"message": "Busy"}}, "error_body", "Busy"),
        ({"status": "failure", "message": "createModelResponse is not supported"}, "error_body", "createModelResponse"),
        ({"id": "resp_1", "status": "completed"}, "no_choices", "resp_1"),
        (["x"], "undecodable", "x"),
        ("Busy", "undecodable", "Busy"),
    ],
)
def test_what_is_no_answer_raises_with_the_words_of_the_server(data: Any, cause: str, words: str) -> None:
    with pytest.raises(AnswerError) as caught:
        read_response(data)
    assert caught.value.cause == cause
    assert words in str(caught.value.body)


@pytest.mark.parametrize(
    "item",
    [
        {},
        {"type": None},
        {"type": "message", "content": None},
        {"type": "message", "content": "plain"},
        {"type": "message", "content": [None, "x", {"type": "output_text", "text": None}]},
        {"type": "reasoning", "summary": None, "content": [None]},
        {"type": "function_call", "name": None, "arguments": None},
        {"type": "function_call", "name": "f", "arguments": {"a": 1}, "call_id": ""},
        {"type": "image_generation_call", "result": None},
    ],
)
def test_item_of_an_odd_shape_raises_nothing(item: dict[str, Any]) -> None:
    assert isinstance(read(item, usage="none", created_at="now", incomplete_details="x"), Reply)


def test_call_that_is_not_waited_for_goes_back_as_it_came() -> None:
    called = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
    assert read(called).items == []
    assert read({**called, "async": True}).items == [{**called, "async": True}]
