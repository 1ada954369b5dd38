"""Chat completions of the embedded hub, in three dialects."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hubmix.embedded import EmbeddedHub, Fault
from tests.embedded.client import Response, chat, function

WEATHER = function("get_weather", "Current weather of a city", city={"type": "string"})
PARIS_AND_OSLO = "What is the weather in Paris and in Oslo?"


def _calls(answer: Response) -> list[tuple[str, Any]]:
    return [
        (call["function"]["name"], json.loads(call["function"]["arguments"]))
        for call in answer.message.get("tool_calls") or ()
    ]


def _streamed_calls(answer: Response) -> dict[int, str]:
    arguments: dict[int, str] = {}
    for delta in answer.deltas:
        for call in delta.get("tool_calls") or ():
            arguments[call["index"]] = arguments.get(call["index"], "") + call["function"]["arguments"]
    return arguments


def _turn(first: Response, result: str = "21 degrees", **kept: Any) -> list[dict[str, Any]]:
    calls = first.message["tool_calls"]
    return [
        {"role": "user", "content": PARIS_AND_OSLO},
        {"role": "assistant", "content": None, "tool_calls": calls, **kept},
        *({"role": "tool", "tool_call_id": call["id"], "content": result} for call in calls),
    ]


# Text ---------------------------------------------------------------------------------------------------------------


def test_an_answer_is_copied_from_the_context(hub: EmbeddedHub) -> None:
    context = "Context: The hub answers on port 3000. Oslo is cold.\nQuestion: On which port does the hub answer?"
    assert chat(hub, context).content == "The hub answers on port 3000."


def test_a_stream_says_what_the_json_says(hub: EmbeddedHub) -> None:
    text = "Context: The hub answers on port 3000. Oslo is cold.\nQuestion: Which port?"
    assert chat(hub, text, stream=True).streamed == chat(hub, text).content


def test_what_was_said_before_is_context_too(hub: EmbeddedHub) -> None:
    messages = [
        {"role": "user", "content": "My name is Ann."},
        {"role": "assistant", "content": "Hello Ann."},
        {"role": "user", "content": "What is my name?"},
    ]
    assert chat(hub, messages=messages).content == "My name is Ann."


def test_it_says_that_it_is_a_rule(hub: EmbeddedHub) -> None:
    assert "rule without intelligence" in chat(hub, "Hello").content
    assert "rule without intelligence" in chat(hub, "Why is the sky blue?").content


def test_a_seed_changes_nothing_since_nothing_is_random(hub: EmbeddedHub) -> None:
    assert chat(hub, "Hello", seed=1).content == chat(hub, "Hello", seed=2).content


def test_echo_is_exact(hub: EmbeddedHub) -> None:
    text = "  Zwölf Boxkämpfer\n\t你好, ünïcode — done. "
    assert chat(hub, text, model="embedded/echo").content == text
    assert chat(hub, text, model="embedded/echo", stream=True).streamed == text


def test_lorem_has_as_many_pieces_as_asked(hub: EmbeddedHub) -> None:
    answer = chat(hub, model="embedded/lorem:37", stream=True)
    assert sum("content" in delta and bool(delta["content"]) for delta in answer.deltas) == 37
    assert answer.events[-2]["usage"]["completion_tokens"] == 37


def test_stop_words_end_an_answer(hub: EmbeddedHub) -> None:
    answer = chat(hub, "one two STOP three", model="embedded/echo", stop=["STOP", "never"])
    assert answer.content == "one two "
    assert chat(hub, "one two", model="embedded/echo", stop="two").content == "one "


@pytest.mark.parametrize("stream", [False, True])
def test_max_tokens_cuts(hub: EmbeddedHub, stream: bool) -> None:
    answer = chat(hub, "one two three four", model="embedded/echo", max_tokens=2, stream=stream)
    assert (answer.streamed if stream else answer.content) == "one two"
    finish = answer.finish_reasons if stream else [answer.json["choices"][0]["finish_reason"]]
    assert finish == ["length"]


def test_several_choices_tell_themselves_apart(hub: EmbeddedHub) -> None:
    choices = chat(hub, "Hello", model="embedded/echo", n=3).json["choices"]
    assert [choice["index"] for choice in choices] == [0, 1, 2]
    assert len({choice["message"]["content"] for choice in choices}) == 3


def test_log_probabilities_cover_the_text(hub: EmbeddedHub) -> None:
    answer = chat(hub, "one two", model="embedded/echo", logprobs=True, top_logprobs=2)
    content = answer.json["choices"][0]["logprobs"]["content"]
    assert "".join(token["token"] for token in content) == "one two"
    assert all(len(token["top_logprobs"]) == 2 and token["logprob"] < 0 for token in content)


def test_usage_adds_up(hub: EmbeddedHub) -> None:
    usage = chat(hub, "one two three", model="embedded/echo").json["usage"]
    assert usage["completion_tokens"] == 3
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def test_usage_in_streams_is_sent_as_each_hub_sends_it(hub: EmbeddedHub, one_api: EmbeddedHub) -> None:
    asked = {"stream": True, "stream_options": {"include_usage": True}}
    assert '"usage"' in chat(hub, stream=True).text
    assert '"usage"' not in chat(one_api, stream=True).text
    assert '"usage"' in chat(one_api, **asked).text


def test_comments_between_the_events() -> None:
    with EmbeddedHub(pings=True) as hub:
        answer = chat(hub, "one two", model="embedded/echo", stream=True)
        assert answer.text.startswith(": PING\n\n")
        assert answer.text.count(": PING") == 5
        assert answer.streamed == "one two"


# Calls --------------------------------------------------------------------------------------------------------------


def test_parallel_calls_and_the_answer_from_their_results(hub: EmbeddedHub) -> None:
    first = chat(hub, PARIS_AND_OSLO, tools=[WEATHER])
    assert _calls(first) == [("get_weather", {"city": "Paris"}), ("get_weather", {"city": "Oslo"})]
    assert first.json["choices"][0]["finish_reason"] == "tool_calls"
    second = chat(hub, messages=_turn(first), tools=[WEATHER])
    assert second.content == "Paris: 21 degrees\nOslo: 21 degrees"


def test_one_call_at_a_time_where_parallel_calls_are_off(hub: EmbeddedHub) -> None:
    first = chat(hub, PARIS_AND_OSLO, tools=[WEATHER], parallel_tool_calls=False)
    assert _calls(first) == [("get_weather", {"city": "Paris"})]
    second = chat(hub, messages=_turn(first), tools=[WEATHER], parallel_tool_calls=False)
    assert _calls(second) == [("get_weather", {"city": "Oslo"})]


def test_streamed_calls_carry_the_same_arguments(hub: EmbeddedHub) -> None:
    answer = chat(hub, PARIS_AND_OSLO, tools=[WEATHER], stream=True)
    assert {i: json.loads(text) for i, text in _streamed_calls(answer).items()} == {
        0: {"city": "Paris"},
        1: {"city": "Oslo"},
    }
    assert answer.finish_reasons == ["tool_calls"]


def test_small_talk_calls_nothing_unless_it_must(hub: EmbeddedHub) -> None:
    assert _calls(chat(hub, "Hello!", tools=[WEATHER])) == []
    assert [name for name, _ in _calls(chat(hub, "Hello!", tools=[WEATHER], tool_choice="required"))] == ["get_weather"]
    assert _calls(chat(hub, PARIS_AND_OSLO, tools=[WEATHER], tool_choice="none")) == []


def test_a_named_tool_is_called(hub: EmbeddedHub) -> None:
    other = function("get_time", "The time in a city", city={"type": "string"})
    choice = {"type": "function", "function": {"name": "get_time"}}
    answer = chat(hub, "weather in Rome", tools=[WEATHER, other], tool_choice=choice)
    assert _calls(answer) == [("get_time", {"city": "Rome"})]


def test_a_call_cut_short_has_half_its_arguments(hub: EmbeddedHub) -> None:
    answer = chat(hub, "weather in Rome", tools=[WEATHER], max_tokens=7)
    arguments = answer.message["tool_calls"][0]["function"]["arguments"]
    assert answer.json["choices"][0]["finish_reason"] == "length"
    with pytest.raises(ValueError, match=r".+"):
        json.loads(arguments)


def test_the_same_call_later_has_another_id(hub: EmbeddedHub) -> None:
    first = chat(hub, "weather in Rome", tools=[WEATHER])
    later = chat(hub, messages=[*_turn(first), {"role": "user", "content": "weather in Rome"}], tools=[WEATHER])
    assert first.message["tool_calls"][0]["id"] != later.message["tool_calls"][0]["id"]
    assert first.text.count(first.message["tool_calls"][0]["id"]) == 1


# Structured output --------------------------------------------------------------------------------------------------


def _schema(**properties: Any) -> dict[str, Any]:
    schema = {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
    return {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": schema}}


def test_an_answer_under_a_schema(hub: EmbeddedHub) -> None:
    wanted = _schema(name={"type": "string"}, age={"type": "integer"})
    assert json.loads(chat(hub, "Alice is 30 years old.", response_format=wanted).content) == {
        "name": "Alice",
        "age": 30,
    }


def test_json_mode_takes_the_keys_from_the_prompt(hub: EmbeddedHub) -> None:
    prompt = "Tell me a joke about cats. Return a JSON with 'setup' and 'punchline' keys."
    assert set(json.loads(chat(hub, prompt, response_format={"type": "json_object"}).content)) == {"setup", "punchline"}


def test_a_model_without_schemas_answers_prose(hub: EmbeddedHub) -> None:
    wanted = _schema(name={"type": "string"})
    answer = chat(hub, "Hello", model="embedded/no-schema", response_format=wanted)
    with pytest.raises(ValueError, match=r".+"):
        json.loads(answer.content)


# Reasoning ----------------------------------------------------------------------------------------------------------


def test_reasoning_comes_before_the_text(hub: EmbeddedHub) -> None:
    whole = chat(hub, "Hello", model="embedded/think")
    assert whole.message["reasoning_content"].startswith('The user asks: "Hello"')
    assert whole.json["usage"]["completion_tokens_details"]["reasoning_tokens"] > 0
    deltas = chat(hub, "Hello", model="embedded/think", stream=True).deltas
    thinking = [i for i, delta in enumerate(deltas) if delta.get("reasoning_content")]
    text = [i for i, delta in enumerate(deltas) if delta.get("content")]
    assert max(thinking) < min(text)
    assert "".join(delta.get("reasoning_content") or "" for delta in deltas) == whole.message["reasoning_content"]


def test_aihubmix_streams_reasoning_details_in_pieces(aihubmix: EmbeddedHub) -> None:
    whole = chat(aihubmix, PARIS_AND_OSLO, model="embedded/think", tools=[WEATHER])
    streamed = chat(aihubmix, PARIS_AND_OSLO, model="embedded/think", tools=[WEATHER], stream=True)
    details: dict[str, str] = {}
    for delta in streamed.deltas:
        for key, value in delta.get("reasoning_details", {}).items():
            details[key] = value if key == "type" else details.get(key, "") + value
    assert details == whole.message["reasoning_details"]
    assert set(details) == {"type", "thinking", "signature"}
    assert streamed.finish_reasons == ["tool_calls"]
    assert "index" not in whole.message["tool_calls"][0]


def test_a_strict_thinker_wants_its_reasoning_back(hub: EmbeddedHub, aihubmix: EmbeddedHub) -> None:
    def again(where: EmbeddedHub, **kept: Any) -> Response:
        return chat(where, messages=_turn(first, **kept), model="embedded/think-strict", tools=[WEATHER])

    first = chat(hub, PARIS_AND_OSLO, model="embedded/think-strict", tools=[WEATHER])
    lost = again(hub)
    assert (lost.status, "reasoning_content" in lost.error["message"]) == (400, True)
    assert again(hub, reasoning_content=first.message["reasoning_content"]).status == 200

    first = chat(aihubmix, PARIS_AND_OSLO, model="embedded/think-strict", tools=[WEATHER])
    details = first.message["reasoning_details"]
    assert again(aihubmix, reasoning_details=details).status == 200
    assert again(aihubmix, reasoning_content=details["thinking"]).status == 400
    assert again(aihubmix, reasoning_details={**details, "type": "thinkingthinking", "thinking": "x"}).status == 400
    assert again(aihubmix, reasoning_details=[details]).status == 400


# What some models will not do ----------------------------------------------------------------------------------------


def test_refusal_and_filter(hub: EmbeddedHub) -> None:
    assert chat(hub, model="embedded/refuse").message["refusal"]
    streamed = chat(hub, model="embedded/refuse", stream=True)
    assert "".join(delta.get("refusal") or "" for delta in streamed.deltas) == "I can't help with that."
    assert chat(hub, model="embedded/filter", stream=True).finish_reasons == ["content_filter"]


def test_a_model_counts_what_it_was_sent(hub: EmbeddedHub) -> None:
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
        {"type": "image_url", "image_url": {"url": "https://example.invalid/a.png"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA"}},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
    ]
    assert "2 images, 1 file, 1 audio" in chat(hub, parts, model="embedded/vision").content


@pytest.mark.parametrize(
    ("model", "extra", "code"),
    [
        ("embedded/no-tools", {"tools": [WEATHER]}, "unsupported_parameter"),
        ("embedded/text", {"content": "word " * 3000}, "context_length_exceeded"),
        ("embedded/embed", {}, None),
    ],
)
def test_what_a_model_cannot_do_is_a_400(hub: EmbeddedHub, model: str, extra: dict[str, Any], code: str | None) -> None:
    answer = chat(hub, extra.pop("content", "Hello"), model=model, **extra)
    assert (answer.status, answer.error["type"], answer.error["code"]) == (400, "invalid_request_error", code)


def test_a_fault_counts_events_of_reasoning_too(hub: EmbeddedHub) -> None:
    hub.fault("embedded/think", Fault.cut(3))
    answer = chat(hub, "Hello", model="embedded/think", stream=True)
    assert answer.streamed == ""
    assert "".join(delta.get("reasoning_content") or "" for delta in answer.deltas) == "The user"
