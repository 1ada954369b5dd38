"""`/v1/responses`: events, refusals, memory, faults."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from hubmix.embedded import EmbeddedHub, Fault
from tests.embedded.client import Response, send

QUESTION = "Context: The port is 3000. Oslo is cold.\nQuestion: Which port?"
WEATHER = {
    "type": "function",
    "name": "get_weather",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
}
ENCRYPTED = {"include": ["reasoning.encrypted_content"], "store": False}
MODELS = {
    "o3-pro": {"rule": "think", "apis": ("responses",)},
    "gpt-5": "think",
    "claude": {"apis": ("messages", "chat")},
    "brief": {"max_output": 3},
}


@pytest.fixture(scope="module")
def served() -> Iterator[EmbeddedHub]:
    with EmbeddedHub(models=MODELS, keys=["sk-test", "sk-other"]) as running:
        yield running


@pytest.fixture
def hub(served: EmbeddedHub) -> EmbeddedHub:
    served.clear()
    return served


def ask(hub: EmbeddedHub, given: Any = QUESTION, model: str = "embedded/extract", **extra: Any) -> Response:
    key = extra.pop("key", "sk-test")
    return send(hub, "POST", "/v1/responses", {"model": model, "input": given, **extra}, key=key)


def kinds(answer: Response) -> list[str]:
    """The types of the events, each run once."""
    found = re.findall(r"^event: (?:response\.)?(\S+)$", answer.text, re.M)
    return [kind for at, kind in enumerate(found) if found[at - 1 : at] != [kind]]


def refused(answer: Response) -> tuple[int, str, Any]:
    return answer.status, str(answer.error["message"]), answer.error["param"]


# ------------------------------------------------------------------------------------------------------------- answers


def test_answer_is_an_item_with_usage_and_status(hub: EmbeddedHub) -> None:
    body = ask(hub, instructions="Be brief.").json
    (item,) = body["output"]
    assert (body["status"], item["content"][0]["text"]) == ("completed", "The port is 3000.")
    assert body["usage"]["total_tokens"] == body["usage"]["input_tokens"] + body["usage"]["output_tokens"]
    assert hub.accounts.used > 0


def test_stream_of_text_has_the_events_of_openai(hub: EmbeddedHub) -> None:
    answer = ask(hub, stream=True)
    assert kinds(answer) == [
        *("created", "in_progress", "output_item.added", "content_part.added", "output_text.delta"),
        *("output_text.done", "content_part.done", "output_item.done", "completed"),
    ]
    assert [event["sequence_number"] for event in answer.events] == list(range(len(answer.events)))
    assert "".join(event.get("delta", "") for event in answer.events) == "The port is 3000."
    assert "[DONE]" not in answer.text


def test_stream_of_calls_gives_each_arguments_in_pieces(hub: EmbeddedHub) -> None:
    answer = ask(hub, "What is the weather in Paris and in Oslo?", tools=[WEATHER], stream=True)
    one = ["output_item.added", "function_call_arguments.delta", "function_call_arguments.done", "output_item.done"]
    assert kinds(answer) == ["created", "in_progress", *one, *one, "completed"]
    output = answer.events[-1]["response"]["output"]
    assert [item["arguments"] for item in output] == ['{"city": "Paris"}', '{"city": "Oslo"}']


def test_reasoning_is_encrypted_anew_each_time_it_is_sent(hub: EmbeddedHub) -> None:
    answer = ask(hub, model="gpt-5", stream=True, reasoning={"summary": "auto"}, **ENCRYPTED)
    steps = [f"reasoning_summary_{step}" for step in ("part.added", "text.delta", "text.done", "part.done")]
    assert kinds(answer)[2:8] == ["output_item.added", *steps, "output_item.done"]
    items = [event["item"] for event in answer.events if "item" in event]
    sealed = [item["encrypted_content"] for item in items if item["type"] == "reasoning"]
    sealed.append(answer.events[-1]["response"]["output"][0]["encrypted_content"])
    assert len(set(sealed)) == 3
    assert "encrypted_content" not in ask(hub, model="gpt-5").json["output"][0]


def test_limit_makes_the_response_incomplete(hub: EmbeddedHub) -> None:
    body = ask(hub, model="brief").json
    assert (body["status"], body["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    assert kinds(ask(hub, model="brief", stream=True))[-1] == "incomplete"


def test_hosted_search_is_an_item_and_a_citation(hub: EmbeddedHub) -> None:
    answer = ask(hub, tools=[{"type": "web_search"}], stream=True)
    search, message = answer.events[-1]["response"]["output"]
    assert search["type"] == "web_search_call"
    assert message["content"][0]["annotations"][0]["type"] == "url_citation"
    assert "web_search_call.searching" in kinds(answer)


def test_structured_output_and_custom_tools(hub: EmbeddedHub) -> None:
    form = {"type": "json_schema", "name": "person", "schema": {"type": "object", "properties": {"age": {}}}}
    body = ask(hub, "Anna is 42 years old.", text={"format": form}).json
    assert body["output"][0]["content"][0]["text"].startswith("{")
    custom = {"type": "custom", "name": "run_code"}
    forced = {"type": "custom", "name": "run_code"}
    body = ask(hub, "Run 'print(1)'", tools=[custom], tool_choice=forced).json
    assert [(item["type"], item["input"]) for item in body["output"]] == [("custom_tool_call", "Run 'print(1)'")]


def test_parts_of_input_and_results_are_read(hub: EmbeddedHub) -> None:
    call = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
    result = {"type": "function_call_output", "call_id": "c1", "output": [{"type": "input_text", "text": "21 degrees"}]}
    parts = [
        {"type": "input_text", "text": "weather?"},
        {"type": "input_image", "image_url": "data:,"},
        {"type": "input_file", "file_data": "data:,", "filename": "a.pdf"},
    ]
    body = ask(hub, [{"role": "user", "content": parts}, call, result]).json
    assert body["output"][0]["content"][0]["text"] == "21 degrees"


# ------------------------------------------------------------------------------------------------------------ refusals

USER = {"role": "user", "content": "hi"}
CALL = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
LOOSE = {**WEATHER, "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}


@pytest.mark.parametrize(
    ("body", "words", "param"),
    [
        ({"messages": []}, "Unknown parameter: 'messages'.", "messages"),
        ({"stop": ["x"]}, "Unknown parameter: 'stop'.", "stop"),
        ({"include": ENCRYPTED["include"]}, "Encrypted content is not supported with this model.", "include"),
        ({"tools": [{"type": "function"}]}, "Missing required parameter: 'tools[0].name'.", "tools[0].name"),
        ({"tools": [LOOSE]}, "Missing 'city'.", "tools[0].parameters"),
        ({"max_output_tokens": 8}, "integer below minimum value", "max_output_tokens"),
        ({"input": [{"role": "tool", "content": "x"}]}, "Invalid value: 'tool'.", "input[0].role"),
        ({"input": [{**USER, "name": "x"}]}, "Unknown parameter: 'input[0].name'.", "input[0].name"),
        (
            {"input": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]},
            "Invalid value: 'text'.",
            "input[0].content[0]",
        ),
        ({"input": [USER, CALL]}, "No tool output found for function call c1.", "input"),
        (
            {"input": [{"type": "function_call_output", "call_id": "c1", "output": "x"}]},
            "No tool call found for function call output with call_id c1.",
            "input",
        ),
        ({"previous_response_id": "resp_0"}, "Previous response with id 'resp_0' not found.", "previous_response_id"),
    ],
)
def test_what_openai_refuses_is_refused(hub: EmbeddedHub, body: dict[str, Any], words: str, param: str) -> None:
    sent = {"model": "embedded/extract", "input": "hi", **body}
    status, said, where = refused(send(hub, "POST", "/v1/responses", sent))
    assert (status, where) == (400, param)
    assert words in said


def _thought(hub: EmbeddedHub, **extra: Any) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = ask(hub, "weather in Oslo", "gpt-5", tools=[WEATHER], **{**ENCRYPTED, **extra}).json[
        "output"
    ]
    return made


def _go_on(hub: EmbeddedHub, *items: dict[str, Any], model: str = "gpt-5", **extra: Any) -> Response:
    result = {"type": "function_call_output", "call_id": items[-1].get("call_id"), "output": "9"}
    given = [{"role": "user", "content": "weather in Oslo"}, *items, result]
    return ask(hub, given, model, tools=[WEATHER], **{**ENCRYPTED, **extra})


def test_reasoning_goes_back_only_whole_and_with_its_call(hub: EmbeddedHub) -> None:
    reasoning, call = _thought(hub)
    assert _go_on(hub, reasoning, call).status == 200
    assert "without its required 'reasoning' item" in refused(_go_on(hub, call))[1]
    without_id = {key: value for key, value in call.items() if key != "id"}
    assert _go_on(hub, without_id).status == 200
    assert "without its required following item" in refused(ask(hub, [reasoning], "gpt-5", **ENCRYPTED))[1]
    assert "Duplicate item" in refused(_go_on(hub, reasoning, reasoning, call))[1]


def test_encrypted_reasoning_belongs_to_a_model_and_a_key(hub: EmbeddedHub) -> None:
    reasoning, call = _thought(hub)
    for elsewhere in (_go_on(hub, reasoning, call, model="o3-pro"), _go_on(hub, reasoning, call, key="sk-other")):
        assert (elsewhere.status, elsewhere.error["code"]) == (400, "invalid_encrypted_content")


def test_reasoning_without_its_content_must_have_been_stored(hub: EmbeddedHub) -> None:
    reasoning, call = _thought(hub, include=[], store=True)
    assert _go_on(hub, reasoning, call, include=[], store=True).status == 200
    status, said, _ = refused(_go_on(hub, reasoning, call, include=[]))
    assert (status, "Items are not persisted" in said) == (404, True)


def test_previous_response_is_gone_on_from(hub: EmbeddedHub) -> None:
    first = ask(hub, "My name is Ann.").json["id"]
    again = ask(hub, "What is my name?", previous_response_id=first).json
    assert again["output"][0]["content"][0]["text"] == "My name is Ann."
    unstored = ask(hub, "My name is Bob.", store=False).json["id"]
    assert ask(hub, "What?", previous_response_id=unstored).status == 400


def test_background_answers_queued_at_once(hub: EmbeddedHub) -> None:
    body = ask(hub, background=True, store=True).json
    assert (body["status"], body["output"]) == ("queued", [])


# ------------------------------------------------------------------------------------------------------ which API it is


def test_model_of_one_api_is_refused_on_the_other(hub: EmbeddedHub) -> None:
    chat = {"model": "o3-pro", "messages": [{"role": "user", "content": "hi"}]}
    status, said, _ = refused(send(hub, "POST", "/v1/chat/completions", chat, key="sk-test"))
    assert (status, "not supported in the v1/chat/completions endpoint" in said) == (404, True)
    elsewhere = ask(hub, model="claude")
    assert (elsewhere.status, elsewhere.error["code"]) == (500, "convert_request_failed")
    assert ask(hub, model="embedded/embed").status == 404


def test_lists_name_the_apis_of_a_model(hub: EmbeddedHub) -> None:
    listed = {
        e["id"]: e["supported_endpoint_types"] for e in send(hub, "GET", "/v1/models", key="sk-test").json["data"]
    }
    assert (listed["o3-pro"], listed["gpt-5"], listed["claude"]) == (
        ["openai-response"],
        ["openai"],
        ["anthropic", "openai"],
    )
    with EmbeddedHub("aihubmix", models=MODELS) as aihubmix:
        found = {
            entry["model_id"]: entry["endpoints"] for entry in send(aihubmix, "GET", "/api/v1/models").json["data"]
        }
    assert (found["o3-pro"], found["claude"]) == ("responses", "claude_api,chat_completions")


# -------------------------------------------------------------------------------------------------------------- faults


@pytest.mark.parametrize(
    ("fault", "last"),
    [
        (Fault.cut(3), "output_item.added"),
        (Fault.error_event(5), "error"),
        (Fault.error_event(5, style="event"), "error"),
        (Fault.error_event(2, style="failed"), "failed"),
        (Fault.error_event(2, style="both"), "failed"),
        ("no_done", "output_item.done"),
        ("empty_answer", "completed"),
    ],
    ids=str,
)
def test_stream_ends_as_the_fault_says(hub: EmbeddedHub, fault: Any, last: str) -> None:
    hub.fault("*", fault)
    answer = ask(hub, stream=True)
    assert (answer.broken, kinds(answer)[-1]) == (None, last)
    assert ask(hub, stream=True).events[-1]["type"] == "response.completed"


def test_errors_in_a_stream_have_five_forms(hub: EmbeddedHub) -> None:
    forms = {}
    for style in ("data", "event", "untyped", "failed", "bare"):
        hub.fault("*", Fault.error_event(style=style))  # type: ignore[arg-type]  # a word of Style
        forms[style] = ask(hub, stream=True)
    assert forms["data"].events[0]["code"] == "server_error"
    assert forms["event"].events[0]["error"]["code"] == "server_error"
    assert forms["untyped"].events[0].keys() == {"error"}
    assert forms["failed"].events[0]["response"]["error"]["code"] == "server_error"
    assert forms["bare"].text.startswith('{"error"')


def test_failed_response_may_have_no_error(hub: EmbeddedHub) -> None:
    hub.fault("*", Fault.error_event(style="failed", body={}))
    assert ask(hub, stream=True).events[0]["response"]["error"] is None
    hub.fault("*", Fault.error_event(style="failed"))
    body = ask(hub).json
    assert (body["status"], body["error"]["code"]) == ("failed", "server_error")


def test_wire_breaks_as_on_every_api(hub: EmbeddedHub) -> None:
    hub.fault("*", Fault.cut(4, polite=False))
    assert ask(hub, stream=True).broken is not None
    hub.fault("*", "html")
    assert ask(hub, stream=True).text.startswith("<html>")
    hub.fault("*", "json_for_stream")
    assert ask(hub, stream=True).json["object"] == "response"
    hub.fault("*", "503")
    assert ask(hub).status == 503
