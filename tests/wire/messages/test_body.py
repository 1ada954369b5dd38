"""A chat payload as a Messages body: every row of the translation."""

from __future__ import annotations

from typing import Any

import pytest

from hubmix.wire.api import BodyOptions
from hubmix.wire.expressible import lacking, wishes_of
from hubmix.wire.messages.body import DEFAULT_MAX_TOKENS, messages_body
from hubmix.wire.messages.thinking import with_budget, without_thinking

ROUTE = BodyOptions("m", "vendor/m", hub="a.example")
MARK = {"type": "ephemeral"}
CALL = {"id": "t1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
TOOL = {"type": "function", "function": {"name": "add", "description": "Adds.", "parameters": {"properties": {}}}}


def body(*messages: dict[str, Any], options: BodyOptions = ROUTE, **rest: Any) -> dict[str, Any]:
    return messages_body({"model": "m", "messages": list(messages), **rest}, options)


def user(content: Any = "hi", **rest: Any) -> dict[str, Any]:
    return {"role": "user", "content": content, **rest}


def turns(*messages: dict[str, Any], **rest: Any) -> list[Any]:
    return [(turn["role"], turn["content"]) for turn in body(*messages, **rest)["messages"]]


def text(words: str, **rest: Any) -> dict[str, Any]:
    return {"type": "text", "text": words, **rest}


def test_plain_question_has_model_limit_and_one_turn() -> None:
    assert body(user()) == {
        "model": "vendor/m",
        "max_tokens": DEFAULT_MAX_TOKENS,
        "messages": [{"role": "user", "content": [text("hi")]}],
    }


def test_system_and_developer_messages_become_system_blocks() -> None:
    made = body({"role": "system", "content": "A"}, user(), {"role": "developer", "content": [text("B")]})
    assert made["system"] == [text("A"), text("B")]
    assert [turn["role"] for turn in made["messages"]] == ["user"]


def test_neighbours_of_one_role_are_one_turn() -> None:
    assert turns(user("a"), user("b")) == [("user", [text("a"), text("b")])]


def test_blank_texts_and_empty_turns_are_left_out() -> None:
    said = {"role": "assistant", "content": " "}
    assert turns(user([text(""), text("a")]), said, user("b")) == [("user", [text("a"), text("b")])]


def test_results_of_tools_stand_first_in_one_user_turn() -> None:
    second = {**CALL, "id": "t2"}
    asked = {"role": "assistant", "content": None, "tool_calls": [CALL, second]}
    results = [{"role": "tool", "tool_call_id": name, "content": "3"} for name in ("t1", "t2")]
    made = turns(user(), asked, results[0], user("and?"), results[1])
    assert made[1] == (
        "assistant",
        [{"type": "tool_use", "id": n, "name": "add", "input": {"a": 1}} for n in ("t1", "t2")],
    )
    assert made[2] == (
        "user",
        [*({"type": "tool_result", "tool_use_id": n, "content": "3"} for n in ("t1", "t2")), text("and?")],
    )


@pytest.mark.parametrize(
    ("part", "block"),
    [
        (
            {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,QQ=="}},
            {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "QQ=="}},
        ),
        (
            {"type": "image_url", "image_url": "https://h/a.png"},
            {"type": "image", "source": {"type": "url", "url": "https://h/a.png"}},
        ),
        (
            {"type": "file", "file": {"file_data": "data:application/pdf;base64,QQ==", "filename": "a.pdf"}},
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "QQ=="},
                "title": "a.pdf",
            },
        ),
        (
            {"type": "file", "file": {"file_data": "data:text/plain;base64,QQ=="}, "citations": {"enabled": True}},
            {
                "type": "document",
                "source": {"type": "text", "media_type": "text/plain", "data": "A"},
                "citations": {"enabled": True},
            },
        ),
        (
            {"type": "file", "file": {"file_id": "f1"}},
            {"type": "document", "source": {"type": "file", "file_id": "f1"}},
        ),
        (
            {"type": "search_result", "source": "https://h", "title": "T", "content": []},
            {"type": "search_result", "source": "https://h", "title": "T", "content": []},
        ),
    ],
)
def test_part_becomes_a_block(part: dict[str, Any], block: dict[str, Any]) -> None:
    assert turns(user([part])) == [("user", [block])]


def test_cache_marks_arrive_in_all_places() -> None:
    made = body(
        {"role": "system", "content": [text("S", cache_control=MARK)]},
        user([text("U", cache_control=MARK), {"type": "image_url", "image_url": "https://h/a", "cache_control": MARK}]),
        {"role": "assistant", "content": [text("A", cache_control=MARK)], "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "t1", "content": [text("R", cache_control=MARK)]},
        tools=[{**TOOL, "cache_control": MARK}],
        cache_control=MARK,
    )
    first, second, third = made["messages"]
    assert made["system"][0]["cache_control"] == MARK
    assert made["tools"][0]["cache_control"] == made["cache_control"] == MARK
    assert [block.get("cache_control") for block in first["content"]] == [MARK, MARK]
    assert second["content"][0]["cache_control"] == MARK
    assert third["content"] == [
        {"type": "tool_result", "tool_use_id": "t1", "content": [text("R")], "cache_control": MARK}
    ]


def test_tools_are_flat_with_an_object_schema() -> None:
    made = body(user(), tools=[TOOL, {"type": "web_search_20250305", "name": "web_search"}])["tools"]
    assert made[0] == {"name": "add", "description": "Adds.", "input_schema": {"type": "object", "properties": {}}}
    assert made[1] == {"type": "web_search_20250305", "name": "web_search"}


@pytest.mark.parametrize(
    ("choice", "parallel", "sent"),
    [
        ("required", None, {"type": "any"}),
        ("auto", None, {"type": "auto"}),
        ({"type": "function", "function": {"name": "add"}}, None, {"type": "tool", "name": "add"}),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}),
        ("required", False, {"type": "any", "disable_parallel_tool_use": True}),
        ("none", False, {"type": "none"}),
        (None, None, None),
    ],
)
def test_tool_choice_is_an_object(choice: Any, parallel: bool | None, sent: Any) -> None:
    made = body(user(), tools=[TOOL], tool_choice=choice, parallel_tool_calls=parallel)
    assert made.get("tool_choice") == sent
    assert "tool_choice" not in body(user(), tool_choice=choice, parallel_tool_calls=parallel)


def test_parameters_go_under_their_names_there() -> None:
    made = body(user(), stop=["a", " "], user="u1", max_completion_tokens=5, n=1, seed=7, stream_options={}, top_k=3)
    assert made["stop_sequences"] == ["a"]
    assert made["metadata"] == {"user_id": "u1"}
    assert (made["max_tokens"], made["top_k"]) == (5, 3)
    assert not made.keys() & {"stop", "user", "n", "seed", "stream_options", "max_completion_tokens"}


def test_json_schema_goes_into_output_config() -> None:
    made = body(
        user(), response_format={"type": "json_schema", "json_schema": {"name": "A", "schema": {"type": "object"}}}
    )
    assert made["output_config"] == {"format": {"type": "json_schema", "schema": {"type": "object"}}}


def test_effort_is_adaptive_thinking_without_sampling() -> None:
    made = body(user(), reasoning_effort="minimal", temperature=0.2, top_p=0.5, top_k=4)
    assert made["thinking"] == {"type": "adaptive", "display": "summarized"}
    assert made["output_config"] == {"effort": "low"}
    assert not made.keys() & {"temperature", "top_p", "top_k"}


def test_effort_none_asks_for_nothing() -> None:
    assert not body(user(), reasoning_effort="none").keys() & {"thinking", "output_config"}


def test_budget_is_below_the_limit_and_forces_no_tool() -> None:
    adaptive = body(user(), reasoning_effort="high", max_tokens=1000, tools=[TOOL], tool_choice="required")
    made = with_budget(adaptive)
    assert made["thinking"] == {"type": "enabled", "budget_tokens": 1024}
    assert made["max_tokens"] == 2048
    assert made["tool_choice"] == {"type": "auto"}
    assert "output_config" not in made
    assert adaptive["tool_choice"] == {"type": "any"}


def test_users_own_budget_raises_the_limit() -> None:
    made = body(user(), thinking={"type": "enabled", "budget_tokens": 9000}, temperature=0)
    assert made["max_tokens"] == 10_024
    assert "temperature" not in made


def test_body_without_thinking_keeps_the_format() -> None:
    wanted = {"type": "json_schema", "json_schema": {"schema": {}}}
    made = without_thinking(body(user(), reasoning_effort="low", response_format=wanted))
    assert "thinking" not in made
    assert made["output_config"].keys() == {"format"}


BLOCKS = [
    {"type": "thinking", "thinking": "Hm.", "signature": "S"},
    text("Adding."),
    {"type": "tool_use", "id": "t1", "name": "add", "input": {"a": 1}},
]


def answer(**rest: Any) -> dict[str, Any]:
    origin = {
        "details": {"type": "anthropic_blocks", "blocks": BLOCKS},
        "model": "m",
        "hub": "a.example",
        "text": "Hm.",
    }
    message = {"role": "assistant", "content": "Adding.", "tool_calls": [CALL], "hubmix_reasoning": origin}
    return {**message, **rest}


def test_blocks_go_back_as_they_came() -> None:
    assert turns(user(), answer())[1] == ("assistant", BLOCKS)


@pytest.mark.parametrize("changed", [{"content": "Else."}, {"tool_calls": []}])
def test_changed_answer_is_built_anew_without_thinking(changed: dict[str, Any]) -> None:
    blocks = turns(user(), answer(**changed))[1][1]
    assert "thinking" not in [block["type"] for block in blocks]


@pytest.mark.parametrize("options", [BodyOptions("other", "other"), BodyOptions("m", "m", hub="b.example")])
def test_blocks_go_to_no_other_model_or_hub(options: BodyOptions) -> None:
    blocks = turns(user(), answer(), options=options)[1][1]
    assert [block["type"] for block in blocks] == ["text", "tool_use"]


def test_mark_on_an_answer_stands_on_no_thinking() -> None:
    kept = {"type": "anthropic_blocks", "blocks": [BLOCKS[0]]}
    message = {"role": "assistant", "content": "", "hubmix_reasoning": {"details": kept}, "cache_control": MARK}
    assert turns(user(), message)[1] == ("assistant", [BLOCKS[0]])


def test_arguments_that_are_no_object_become_one() -> None:
    broken = {**CALL, "function": {"name": "add", "arguments": '{"a": '}}
    blocks = turns(user(), {"role": "assistant", "content": "", "tool_calls": [broken]})[1][1]
    assert blocks[0]["input"] == {"arguments": '{"a": '}


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ({"n": 2}, ("n",)),
        ({"logprobs": True, "frequency_penalty": 0.1}, ("logprobs", "frequency_penalty")),
        ({"response_format": {"type": "json_object"}}, ("response_format of the type json_object",)),
        ({"messages": [user([{"type": "input_audio"}])]}, ("input_audio content",)),
        ({"n": 1, "logprobs": False, "presence_penalty": 0, "modalities": ["text"]}, ()),
    ],
)
def test_unsayable_parameters_are_named(asked: dict[str, Any], names: tuple[str, ...]) -> None:
    assert lacking("messages", wishes_of(asked)) == names


def test_thinking_of_the_extra_body_is_settled_too() -> None:
    budget = BodyOptions("m", "vendor/m", extra_body={"thinking": {"type": "enabled", "budget_tokens": 9_000}})
    forced = {"type": "function", "function": {"name": "add"}}
    made = body(user(), options=budget, temperature=0.3, tools=[TOOL], tool_choice=forced)
    assert made["max_tokens"] == 9_000 + 1_024
    assert made["tool_choice"] == {"type": "auto"}
    assert "temperature" not in made
