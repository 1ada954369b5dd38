"""Histories as input items. Reasoning goes back exactly, or not at all."""

from __future__ import annotations

from typing import Any

import pytest

from hubmix.wire.api import BodyOptions
from hubmix.wire.responses.body import responses_body

THOUGHT = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "sealed"}
CALL = {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": "{}"}
SAID = {"type": "message", "id": "msg_1", "role": "assistant", "phase": "commentary", "content": [
    {"type": "output_text", "text": "Looking.", "annotations": []}
]}  # fmt: skip
SEARCH = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search"}}
WIRE_CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def spoken(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": []}


def answer(items: list[Any], text: str | None = None, calls: tuple[Any, ...] = (), **origin: Any) -> dict[str, Any]:
    made = {"items": items, "api": "responses", "model": "m", "hub": "h", **origin}
    found: dict[str, Any] = {"role": "assistant", "content": text, "hubmix_reasoning": made}
    return {**found, "tool_calls": list(calls)} if calls else found


def sent(*messages: dict[str, Any], **payload: Any) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = responses_body({"messages": messages, **payload}, BodyOptions("m", "m", hub="h"))[
        "input"
    ]
    return items


def test_answer_goes_back_exactly_as_it_came() -> None:
    items = [THOUGHT, SAID, SEARCH, CALL]
    assert sent(answer(items, "Looking.", (WIRE_CALL,))) == items


@pytest.mark.parametrize("origin", [{"model": "other"}, {"hub": "other"}, {"api": "chat"}])
def test_answer_of_another_route_keeps_text_and_calls_alone(origin: dict[str, Any]) -> None:
    assert sent(answer([THOUGHT, SAID, SEARCH, CALL], "Looking.", (WIRE_CALL,), **origin)) == [
        {"type": "message", "role": "assistant", "content": [spoken("Looking.")]},
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
    ]


def test_history_without_an_origin_is_taken_as_own() -> None:
    assert sent(answer([THOUGHT, CALL], calls=(WIRE_CALL,), model=None, hub=None)) == [THOUGHT, CALL]


def test_reasoning_without_follower_takes_ids_and_hosted_along() -> None:
    assert sent(answer([SEARCH, CALL, THOUGHT], calls=(WIRE_CALL,))) == [
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
    ]


def test_reasoning_goes_with_the_call_that_was_taken_out() -> None:
    assert sent(answer([SAID, THOUGHT, CALL], "Looking.")) == [{k: v for k, v in SAID.items() if k != "id"}]


def test_reasoning_that_nobody_can_read_stays_out() -> None:
    bare = {"type": "reasoning", "id": "rs_1", "summary": []}
    assert sent(answer([bare, CALL], calls=(WIRE_CALL,)))[0]["type"] == "function_call"
    assert sent(answer([bare, CALL], calls=(WIRE_CALL,)), store=True) == [bare, CALL]


def test_open_reasoning_goes_back_with_a_summary() -> None:
    open_thought = {"type": "reasoning", "id": "1", "content": [{"type": "reasoning_text", "text": "Hm."}]}
    assert sent(answer([open_thought, CALL], calls=(WIRE_CALL,)))[0] == {**open_thought, "summary": []}


def test_changed_text_replaces_the_items() -> None:
    assert sent(answer([THOUGHT, SAID], "Edited.")) == [
        {"type": "message", "role": "assistant", "content": [spoken("Edited.")]}
    ]


def test_added_call_replaces_the_items() -> None:
    other = {"id": "c2", "type": "function", "function": {"name": "g", "arguments": '{"a":1}'}}
    found = sent(answer([THOUGHT, CALL], calls=(WIRE_CALL, other)))
    assert [item.get("call_id") for item in found] == ["c1", "c2"]


def test_gateway_message_gets_its_role_and_text() -> None:
    bare = {"type": "message", "content": [{"type": "output_text"}]}
    assert sent(answer([bare, THOUGHT, CALL], calls=(WIRE_CALL,)))[0] == {
        "type": "message",
        "role": "assistant",
        "content": [{"type": "output_text", "text": ""}],
    }


def test_id_that_comes_again_stands_once() -> None:
    found = sent(answer([THOUGHT, SEARCH, THOUGHT, CALL], calls=(WIRE_CALL,)))
    assert [item.get("id") for item in found] == [None, "ws_1", "rs_1", "fc_1"]
    assert [item.get("encrypted_content") for item in found] == ["sealed", None, "sealed", None]


def test_results_follow_their_calls_with_the_type_of_the_call() -> None:
    custom = {"id": "c2", "type": "custom", "custom": {"name": "sql", "input": "select 1"}}
    image = {"type": "image_url", "image_url": {"url": "https://x/y.png"}}
    found = sent(
        {"role": "assistant", "content": "", "tool_calls": [WIRE_CALL, custom]},
        {"role": "tool", "tool_call_id": "c1", "content": [image]},
        {"role": "tool", "tool_call_id": "c2", "content": "1"},
    )
    assert found == [
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
        {"type": "custom_tool_call", "call_id": "c2", "name": "sql", "input": "select 1"},
        {
            "type": "function_call_output",
            "call_id": "c1",
            "output": [{"type": "input_image", "image_url": "https://x/y.png"}],
        },
        {"type": "custom_tool_call_output", "call_id": "c2", "output": "1"},
    ]


def test_old_function_call_and_its_result_find_each_other() -> None:
    call, result = sent(
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "1"},
    )
    assert (call["type"], result["type"]) == ("function_call", "function_call_output")
    assert call["call_id"] == result["call_id"]


def test_refusal_goes_back_as_a_refusal() -> None:
    (item,) = sent({"role": "assistant", "content": "", "refusal": "No."})
    assert item["content"] == [{"type": "refusal", "refusal": "No."}]


def test_system_and_developer_stay_in_their_place_and_names_go() -> None:
    found = sent(
        {"role": "system", "content": "a"},
        {"role": "user", "content": "b", "name": "Bob"},
        {"role": "developer", "content": "c"},
    )
    assert [(item["role"], item["content"]) for item in found] == [("system", "a"), ("user", "b"), ("developer", "c")]
    assert all("name" not in item for item in found)


def test_thoughts_of_a_chat_answer_stay_out() -> None:
    thought = {"text": "Hm.", "details": [{"type": "reasoning.text", "text": "Hm."}], "model": "m"}
    (item,) = sent({"role": "assistant", "content": "Hi", "reasoning_content": "Hm.", "hubmix_reasoning": thought})
    assert item == {"type": "message", "role": "assistant", "content": [spoken("Hi")]}


TOOLS_ADDED = {"type": "additional_tools", "role": "developer", "tools": [{"type": "function", "name": "f"}]}
EFFORT = {"type": "configuration_update", "reasoning": {"effort": "high"}}
APPROVAL = {"type": "mcp_approval_response", "approve": True, "approval_request_id": "mcpr_1"}


def test_items_among_content_stand_before_their_message() -> None:
    brief = {"type": "text", "text": "Be brief."}
    asked = {"role": "user", "content": [EFFORT, APPROVAL]}
    assert sent({"role": "system", "content": [brief, TOOLS_ADDED]}, asked) == [
        TOOLS_ADDED,
        {"type": "message", "role": "system", "content": [{"type": "input_text", "text": "Be brief."}]},
        EFFORT,
        APPROVAL,
    ]
