"""What the embedded hub refuses, and in whose words."""

from __future__ import annotations

from typing import Any

import pytest

from hubmix.embedded import EmbeddedHub
from tests.embedded.client import chat, function, send

TOOL = function("get_weather", city={"type": "string"})
CALL = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
ASKED = {"role": "user", "content": "weather?"}
CALLED = {"role": "assistant", "content": None, "tool_calls": [CALL]}
RESULT = {"role": "tool", "tool_call_id": "call_1", "content": "rain"}


def _schema(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}


@pytest.mark.parametrize(
    "body",
    [
        {"messages": []},
        {"messages": "Hello"},
        {"messages": ["Hello"]},
        {"messages": [{"role": 3, "content": "x"}]},
        {"max_tokens": -1},
        {"max_tokens": 1 << 40},
        {"max_tokens": 1.5},
        {"max_tokens": "10"},
        {"max_tokens": True},
        {"temperature": "warm"},
        {"n": "two"},
        {"n": 0.5},
        {"top_logprobs": 1.5},
        {"stream": "yes"},
        {"tools": {}},
        {"response_format": "json"},
        {"stream_options": True},
    ],
)
def test_the_hub_itself_refuses_wrong_types(hub: EmbeddedHub, one_api: EmbeddedHub, body: dict[str, Any]) -> None:
    newer, older = chat(hub, **body), chat(one_api, **body)
    assert (newer.status, newer.error["type"], newer.error["code"]) == (500, "new_api_error", "invalid_request")
    assert (older.status, older.error["type"], older.error["code"]) == (400, "one_api_error", "invalid_text_request")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"tools": []}, "tools"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"tools": [{"name": "f", "input_schema": {}}]}, "tools[0].function"),
        ({"tool_choice": "auto"}, "tool_choice"),
        ({"tools": [TOOL], "tool_choice": "any"}, "tool_choice"),
        ({"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "other"}}}, "tool_choice"),
        ({"n": -1}, "n"),
        ({"tools": [function("f", place=3)]}, "tools[0].function.parameters"),
        ({"tools": [function("f", place={"type": "str"})]}, "tools[0].function.parameters"),
        ({"response_format": _schema({"type": "object", "properties": []})}, "response_format"),
        ({"n": 500}, "n"),
        ({"stop": [1]}, "stop"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"response_format": {"type": "json_object"}}, "messages"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"schema": {}}}},
            "response_format.json_schema.name",
        ),
        ({"response_format": {"type": "yaml"}}, "response_format.type"),
        ({"messages": [{"role": "user", "content": None}]}, "messages.[0].content"),
        ({"messages": [{"role": "user", "content": {"text": "x"}}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"type": "image", "base64": ""}]}]}, "messages[0].content[0].type"),
        ({"messages": [{"role": "user", "content": ["x"]}]}, "messages[0].content[0].type"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].type"),
        ({"messages": [ASKED, RESULT]}, "messages.[1].role"),
        ({"messages": [ASKED, CALLED]}, "messages.[2].role"),
        ({"messages": [ASKED, CALLED, ASKED]}, "messages.[2].role"),
        ({"messages": [ASKED, CALLED, {**RESULT, "tool_call_id": "call_2"}]}, "messages.[2].role"),
        ({"messages": [ASKED, {**CALLED, "tool_calls": []}]}, "messages[1].tool_calls"),
        (
            {
                "messages": [
                    ASKED,
                    {**CALLED, "tool_calls": [{**CALL, "function": {"name": "f", "arguments": {}}}]},
                    RESULT,
                ]
            },
            "messages[1].tool_calls[0].function.arguments",
        ),
    ],
)
def test_the_vendor_refuses_what_the_hub_lets_through(hub: EmbeddedHub, body: dict[str, Any], param: str) -> None:
    answer = chat(hub, **body)
    assert (answer.status, answer.error["type"], answer.error["param"]) == (400, "invalid_request_error", param)


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [ASKED, CALLED, RESULT], "tools": [TOOL]},
        {"messages": [{"role": "robot", "content": "Hello"}]},
        {"messages": [{"role": "developer", "content": "Be brief."}, ASKED]},
        {"messages": [{"role": "assistant", "content": "Hello"}]},
        {"max_tokens": 0},
        {"temperature": None, "tools": None, "response_format": None, "stop": None, "n": None, "stream_options": None},
        {"response_format": {"type": "text"}},
        {"unheard_of": 3},
        {"content": ""},
        {"content": [{"type": "text", "text": "", "cache_control": {"type": "ephemeral"}}]},
    ],
)
def test_what_the_real_ones_take_is_taken(hub: EmbeddedHub, body: dict[str, Any]) -> None:
    assert chat(hub, **body).status == 200


@pytest.mark.parametrize("body", ["{not json", "[]", '"text"', "", "null"])
def test_a_body_that_is_no_object(hub: EmbeddedHub, one_api: EmbeddedHub, body: str) -> None:
    for where, type_ in ((hub, "new_api_error"), (one_api, "one_api_error")):
        answer = send(where, "POST", "/v1/chat/completions", body)
        assert (answer.status, answer.error["type"]) == (400, type_)


def test_the_order_of_the_checks_is_that_of_the_gateways(hub: EmbeddedHub) -> None:
    path = "/v1/chat/completions"
    assert send(hub, "POST", path, "{not json", key=None).status == 401
    assert send(hub, "POST", path, {"messages": []}).error["message"].startswith("Model name not specified")
    assert send(hub, "POST", path, {"model": "nobody", "messages": []}).error["code"] == "model_not_found"


def test_aihubmix_words_its_errors_its_own_way(aihubmix: EmbeddedHub) -> None:
    answer = chat(aihubmix, model="nobody")
    assert answer.error["type"] == "Aihubmix_api_error"
    assert answer.error["message"].startswith("Incorrect model ID.")
    assert f"(tid: {answer.headers['x-request-id']})" in answer.error["message"]
    assert answer.headers["x-aihubmix-request-id"] == answer.headers["x-request-id"]
    assert "x-oneapi-request-id" not in answer.headers


@pytest.mark.parametrize(
    ("language", "says"),
    [
        ("", "No available channel"),
        ("en", "No available channel"),
        ("en-US,en;q=0.9,zh;q=0.1", "No available channel"),
        ("zh", "无可用渠道"),
        ("zh-CN,zh;q=0.9", "无可用渠道"),
        ("de", "No available channel"),
    ],
)
def test_new_api_speaks_the_language_that_is_asked_for(hub: EmbeddedHub, language: str, says: str) -> None:
    assert says in chat(hub, model="nobody", headers={"Accept-Language": language}).error["message"]


def test_older_hubs_speak_chinese_only(one_api: EmbeddedHub) -> None:
    assert "无可用渠道" in chat(one_api, model="nobody", headers={"Accept-Language": "en"}).error["message"]


def test_some_words_of_new_api_are_never_translated() -> None:
    with EmbeddedHub(keys={"sk-test": "empty"}) as hub:
        answer = chat(hub, key="sk-test", headers={"Accept-Language": "en"})
    assert (answer.status, answer.error["code"]) == (403, "insufficient_user_quota")
    assert "用户额度不足" in answer.error["message"]
