"""A chat payload as the body of the Responses API, row by row."""

from __future__ import annotations

from typing import Any

import pytest

from hubmix.wire.api import BodyOptions
from hubmix.wire.responses.body import ENCRYPTED, LOGPROBS, responses_body

USER = {"role": "user", "content": "Hello"}


def body(**payload: Any) -> dict[str, Any]:
    return responses_body({"model": "m", "messages": [USER], **payload}, BodyOptions("m", "m"))


def test_plain_question_stores_nothing_and_seals_thoughts() -> None:
    assert body() == {
        "model": "m",
        "store": False,
        "include": [ENCRYPTED],
        "input": [{"type": "message", "role": "user", "content": "Hello"}],
    }


def test_route_names_the_model() -> None:
    assert responses_body({"model": "a", "messages": []}, BodyOptions("b", "hub/b", stream=True)) == {
        "model": "hub/b",
        "store": False,
        "include": [ENCRYPTED],
        "input": [],
        "stream": True,
    }


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"max_tokens": 9}, {"max_output_tokens": 9}),
        ({"max_completion_tokens": 9}, {"max_output_tokens": 9}),
        ({"max_output_tokens": 8, "max_tokens": 9}, {"max_output_tokens": 8}),
        ({"reasoning_effort": "low"}, {"reasoning": {"effort": "low"}}),
        (
            {"reasoning": {"summary": "auto"}, "reasoning_effort": "low"},
            {"reasoning": {"effort": "low", "summary": "auto"}},
        ),
        ({"verbosity": "low"}, {"text": {"verbosity": "low"}}),
        ({"response_format": {"type": "json_object"}}, {"text": {"format": {"type": "json_object"}}}),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}, "strict": True}}},
            {"text": {"format": {"type": "json_schema", "name": "n", "schema": {}, "strict": True}}},
        ),
        ({"stream": True, "stream_options": {"include_usage": True}}, {"stream": True}),
        ({"stream_options": {"include_obfuscation": False}}, {"stream_options": {"include_obfuscation": False}}),
        ({"top_logprobs": 3, "logprobs": True}, {"top_logprobs": 3, "include": [ENCRYPTED, LOGPROBS]}),
        ({"include": []}, {}),
        ({"store": True}, {"store": True}),
        ({"n": 1, "stop": [], "presence_penalty": 0, "logit_bias": {}, "seed": 4}, {}),
        ({"tools": [], "tool_choice": "auto", "parallel_tool_calls": False}, {}),
        ({"previous_response_id": "resp_1"}, {"previous_response_id": "resp_1"}),
    ],
)
def test_parameter_is_said_in_the_words_of_the_api(given: dict[str, Any], sent: dict[str, Any]) -> None:
    expected = {**body(), **sent}
    if "include" in given or given.get("store"):
        del expected["include"]
    assert body(**given) == expected


@pytest.mark.parametrize(
    "name",
    ["temperature", "top_p", "metadata", "user", "safety_identifier", "prompt_cache_key", "service_tier", "vendor_own"],
)
def test_other_parameter_keeps_its_name(name: str) -> None:
    assert body(**{name: "x"})[name] == "x"


def test_function_is_flat_and_says_that_it_is_not_strict() -> None:
    function = {"name": "f", "description": "d", "parameters": {"type": "object"}}
    sent = body(tools=[{"type": "function", "function": function}], parallel_tool_calls=False, tool_choice="required")
    assert sent["tools"] == [{"type": "function", **function, "strict": False}]
    assert (sent["parallel_tool_calls"], sent["tool_choice"]) == (False, "required")


def test_custom_and_hosted_tools_are_taken_over() -> None:
    grammar = {"syntax": "lark", "definition": "start: /a/"}
    custom = {"name": "c", "format": {"type": "grammar", "grammar": grammar}}
    tools = [{"type": "custom", "custom": custom}, {"type": "web_search"}]
    flat = {"type": "custom", "name": "c", "format": {"type": "grammar", **grammar}}
    assert body(tools=tools)["tools"] == [flat, {"type": "web_search"}]


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        ({"type": "function", "function": {"name": "f"}}, {"type": "function", "name": "f"}),
        ({"type": "custom", "custom": {"name": "c"}}, {"type": "custom", "name": "c"}),
        ({"type": "web_search"}, {"type": "web_search"}),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "f"}}]},
            },
            {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]},
        ),
    ],
)
def test_forced_tool_is_named_flat(choice: dict[str, Any], sent: dict[str, Any]) -> None:
    assert body(tools=[{"type": "function", "function": {"name": "f"}}], tool_choice=choice)["tool_choice"] == sent


def test_web_search_options_become_the_hosted_tool() -> None:
    options = {"search_context_size": "low", "user_location": {"type": "approximate", "approximate": {"country": "DE"}}}
    place = {"type": "approximate", "country": "DE"}
    assert body(web_search_options=options)["tools"] == [
        {"type": "web_search", "search_context_size": "low", "user_location": place}
    ]


def test_extra_body_wins() -> None:
    more = BodyOptions("m", "m", extra_body={"temperature": 0, "truncation": "auto"})
    sent = responses_body({"messages": [USER], "temperature": 1}, more)
    assert (sent["temperature"], sent["truncation"]) == (0, "auto")


def test_parts_are_named_for_the_way_in() -> None:
    parts = [
        {"type": "text", "text": "Look", "prompt_cache_breakpoint": {"mode": "explicit"}},
        {"type": "text", "text": "Here", "cache_control": {"type": "ephemeral"}},
        {"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "low"}},
        {"type": "image_url", "image_url": "data:image/png;base64,AA"},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AA"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "https://x/a.pdf"}},
        {"type": "file", "file": {"file_id": "file-1"}},
    ]
    (message,) = body(messages=[{"role": "user", "content": parts}])["input"]
    assert message["content"] == [
        {"type": "input_text", "text": "Look", "prompt_cache_breakpoint": {"mode": "explicit"}},
        {"type": "input_text", "text": "Here"},
        {"type": "input_image", "image_url": "https://x/y.png", "detail": "low"},
        {"type": "input_image", "image_url": "data:image/png;base64,AA"},
        {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,AA"},
        {"type": "input_file", "file_url": "https://x/a.pdf"},
        {"type": "input_file", "file_id": "file-1"},
    ]


def test_extra_text_settings_keep_the_response_format() -> None:
    wanted = {"type": "json_object"}
    more = BodyOptions("m", "m", extra_body={"text": {"verbosity": "low"}, "reasoning": {"summary": "auto"}})
    sent = responses_body({"messages": [USER], "response_format": wanted, "reasoning_effort": "low"}, more)
    assert sent["text"] == {"format": wanted, "verbosity": "low"}
    assert sent["reasoning"] == {"effort": "low", "summary": "auto"}


def test_what_stands_next_to_a_function_stays() -> None:
    tool = {"type": "function", "function": {"name": "f"}, "defer_loading": True, "cache_control": {}}
    assert body(tools=[tool])["tools"] == [{"type": "function", "name": "f", "defer_loading": True, "strict": False}]
