"""`/v1/messages`: events, refusals, signatures, cache marks, faults."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from hubmix.embedded import EmbeddedHub, Fault
from tests.embedded.client import Response, send

QUESTION = "Context: The port is 3000. Oslo is cold.\nQuestion: Which port?"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = {"name": "get_weather", "input_schema": SCHEMA}
BUDGET = {"type": "enabled", "budget_tokens": 1024}
SHOWN = {"type": "adaptive", "display": "summarized"}
CLAUDE = {"rule": "think", "apis": ("messages", "chat")}
MODELS = {
    "claude": CLAUDE,
    "claude-old": {**CLAUDE, "features": ("thinking", "tools", "no_adaptive_thinking")},
    "resold": "think",
    "refusing": {"rule": "refuse", "apis": ("messages",)},
}


@pytest.fixture(scope="module")
def served() -> Iterator[EmbeddedHub]:
    with EmbeddedHub(models=MODELS, keys=["sk-test"]) as running:
        yield running


@pytest.fixture
def hub(served: EmbeddedHub) -> EmbeddedHub:
    served.clear()
    return served


def ask(hub: EmbeddedHub, *turns: Any, model: str = "claude", **extra: Any) -> Response:
    roles = ["user", "assistant"]
    messages = [{"role": roles[at % 2], "content": turn} for at, turn in enumerate(turns or [QUESTION])]
    sent = {"model": model, "max_tokens": 4096, "messages": messages, **extra}
    headers = {"x-api-key": "sk-test", "anthropic-version": "2023-06-01"}
    return send(
        hub, "POST", "/v1/messages", {k: v for k, v in sent.items() if v is not None}, headers=headers, key=None
    )


def kinds(answer: Response) -> list[str]:
    """The types of the events, each run once."""
    found = re.findall(r"^event: (\S+)$", answer.text, re.M)
    return [kind for at, kind in enumerate(found) if found[at - 1 : at] != [kind]]


# ------------------------------------------------------------------------------------------------------------- answers


def test_answer_has_blocks_usage_and_a_stop_reason(hub: EmbeddedHub) -> None:
    body = ask(hub, system="Be brief.").json
    assert body["content"] == [{"type": "text", "text": "The port is 3000."}]
    assert (body["stop_reason"], body["usage"]["cache_read_input_tokens"]) == ("end_turn", 0)
    assert hub.accounts.used > 0


def test_stream_has_the_events_of_anthropic(hub: EmbeddedHub) -> None:
    answer = ask(hub, stream=True, thinking=SHOWN)
    block = ["content_block_delta", "content_block_stop"]
    assert kinds(answer) == [
        *("message_start", "content_block_start", "ping", *block, "content_block_start", *block),
        *("message_delta", "message_stop"),
    ]
    deltas = [event["delta"] for event in answer.events if event["type"] == "content_block_delta"]
    assert "".join(delta.get("text", "") for delta in deltas) == "The port is 3000."
    assert "".join(delta.get("thinking", "") for delta in deltas).startswith("The user asks")
    assert [delta["type"] for delta in deltas].count("signature_delta") == 1


def test_tool_use_streams_its_input_in_pieces(hub: EmbeddedHub) -> None:
    answer = ask(hub, "What is the weather in Paris and in Oslo?", tools=[WEATHER], stream=True)
    starts = [event["content_block"] for event in answer.events if event["type"] == "content_block_start"]
    assert [block["input"] for block in starts] == [{}, {}]
    pieces = [event["delta"]["partial_json"] for event in answer.events if "partial_json" in event.get("delta", {})]
    assert "".join(pieces) == '{"city": "Paris"}{"city": "Oslo"}'
    assert answer.events[-2]["delta"]["stop_reason"] == "tool_use"


def test_stop_reasons_are_told_apart(hub: EmbeddedHub) -> None:
    stopped = ask(hub, stop_sequences=["300"]).json
    assert (stopped["stop_reason"], stopped["stop_sequence"]) == ("stop_sequence", "300")
    assert ask(hub, max_tokens=2).json["stop_reason"] == "max_tokens"
    refusal = ask(hub, model="refusing").json
    assert (refusal["stop_reason"], refusal["content"]) == ("refusal", [])
    assert refusal["stop_details"]["explanation"]


def test_thinking_without_display_is_empty_but_signed(hub: EmbeddedHub) -> None:
    (thinking, _) = ask(hub, thinking={"type": "adaptive"}).json["content"]
    assert thinking["thinking"] == ""
    assert thinking["signature"]


def test_tool_choice_is_an_object(hub: EmbeddedHub) -> None:
    answer = ask(hub, "weather in Oslo", tools=[WEATHER], tool_choice="auto", thinking=BUDGET)
    assert (answer.status, answer.error["type"]) == (400, "invalid_request_error")


def test_object_by_schema_and_documents(hub: EmbeddedHub) -> None:
    form = {"type": "json_schema", "schema": {"type": "object", "properties": {"age": {"type": "integer"}}}}
    body = ask(hub, "Anna is 42 years old.", output_config={"format": form}).json
    assert body["content"][0]["text"] == '{"age": 42}'
    document = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "Oslo is cold."}}
    body = ask(hub, [document, {"type": "text", "text": "Which city is cold?"}]).json
    assert body["content"][0]["text"] == "Oslo is cold."


# -------------------------------------------------------------------------------------------------------- the way back


def _thought(hub: EmbeddedHub) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = ask(hub, "weather in Oslo", tools=[WEATHER], thinking=BUDGET).json["content"]
    return blocks


def _go_on(hub: EmbeddedHub, blocks: list[dict[str, Any]], **extra: Any) -> Response:
    results = [
        {"type": "tool_result", "tool_use_id": block["id"], "content": "9 degrees"}
        for block in blocks
        if block["type"] == "tool_use"
    ]
    return ask(hub, "weather in Oslo", blocks, results, **{"tools": [WEATHER], "thinking": BUDGET, **extra})


def test_thinking_goes_back_unchanged_to_its_model(hub: EmbeddedHub) -> None:
    thinking, call = _thought(hub)
    assert _go_on(hub, [thinking, call]).json["content"][-1]["text"] == "9 degrees"
    for changed in ({**thinking, "thinking": "x"}, {**thinking, "signature": "x"}):
        assert "Invalid `signature`" in _go_on(hub, [changed, call]).error["message"]
    assert "Invalid `signature`" in _go_on(hub, [thinking, call], model="claude-old").error["message"]


def test_budget_wants_thinking_in_the_last_turn(hub: EmbeddedHub) -> None:
    _, call = _thought(hub)
    assert "Expected `thinking`" in _go_on(hub, [call]).error["message"]
    assert _go_on(hub, [call], thinking=SHOWN).status == 200
    assert _go_on(hub, [call], thinking=None).status == 200


def test_marks_write_the_cache_and_then_read_it(hub: EmbeddedHub) -> None:
    marked = [{"type": "text", "text": "A long text. " * 50, "cache_control": {"type": "ephemeral"}}]
    first, again = (ask(hub, system=marked).json["usage"] for _ in range(2))
    assert first["cache_creation_input_tokens"] == again["cache_read_input_tokens"] > 0
    assert first["cache_read_input_tokens"] == again["cache_creation_input_tokens"] == 0
    resold = ask(hub, system=marked, model="resold").json["usage"]
    assert resold["cache_creation_input_tokens"] == 0


# ------------------------------------------------------------------------------------------------------------ refusals

USED = [{"type": "tool_use", "id": "t1", "name": "f", "input": {}}]
RESULT = {"type": "tool_result", "tool_use_id": "t1", "content": "x"}
MARK = {"cache_control": {"type": "ephemeral"}}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"stop": ["x"]}, "stop: Extra inputs are not permitted"),
        ({"max_tokens": None}, "max_tokens: Field required"),
        ({"temperature": 1.5}, "temperature: range: 0..1"),
        ({"stop_sequences": [" "]}, "non-whitespace"),
        ({"tools": [{"name": "f", "input_schema": {}}]}, "input_schema.type: Field required"),
        ({"tools": [{"name": "f", "input_schema": {"type": "string"}}]}, "Input should be 'object'"),
        ({"tool_choice": {"type": "auto"}}, "only be specified while providing tools"),
        ({"system": [{"type": "text", "text": " "}]}, "non-whitespace text"),
        ({"messages": []}, "at least one message"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, "first message"),
        ({"messages": [{"role": "system", "content": "x"}]}, "first message"),
        ({"messages": [{"role": "user", "content": "x"}, {"role": "tool", "content": "x"}]}, "messages.1.role"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "Input tag 'image_url'"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": ""}]}]}, "non-whitespace text"),
        ({"thinking": {"type": "enabled", "budget_tokens": 10}}, "greater than or equal to 1024"),
        ({"thinking": {"type": "enabled", "budget_tokens": 8192}}, "`max_tokens` must be greater"),
        ({"thinking": SHOWN, "temperature": 0}, "may only be set to 1"),
        (
            {"thinking": BUDGET, "tools": [WEATHER], "tool_choice": {"type": "any"}},
            "may not be enabled when tool_choice",
        ),
        ({"thinking": SHOWN, "model": "claude-old"}, "adaptive thinking is not supported"),
        ({"system": [{"type": "text", "text": "x", **MARK}] * 5}, "A maximum of 4 blocks"),
    ],
)
def test_what_anthropic_refuses_is_refused(hub: EmbeddedHub, body: dict[str, Any], words: str) -> None:
    answer = ask(hub, **body)
    assert (answer.status, answer.json["type"], answer.error["type"]) == (400, "error", "invalid_request_error")
    assert words in answer.error["message"]


@pytest.mark.parametrize(
    ("turns", "words"),
    [
        (("go", USED), "were found without `tool_result`"),
        (("go", USED, "next"), "were found without `tool_result`"),
        (("go", USED, [{"type": "text", "text": "first"}, RESULT]), "were found without `tool_result`"),
        (("go", "no call", [RESULT]), "unexpected `tool_use_id`"),
        (("go", USED, [{**RESULT, "content": [{"type": "text", "text": "x", **MARK}]}]), "cache_control: Extra inputs"),
        (("go", [{**USED[0], "input": "{}"}], [RESULT]), "valid dictionary"),
    ],
)
def test_calls_and_results_stand_next_to_each_other(hub: EmbeddedHub, turns: tuple[Any, ...], words: str) -> None:
    answer = ask(hub, *turns)
    assert answer.status == 400
    assert words in answer.error["message"]


# -------------------------------------------------------------------------------------------------------------- faults


@pytest.mark.parametrize(
    ("fault", "last"),
    [
        (Fault.cut(3), "ping"),
        (Fault.error_event(4, style="event"), "error"),
        ("no_finish_reason", "message_stop"),
        ("no_done", "message_delta"),
        ("empty_answer", "message_stop"),
    ],
    ids=str,
)
def test_stream_ends_as_the_fault_says(hub: EmbeddedHub, fault: Any, last: str) -> None:
    hub.fault("*", fault)
    answer = ask(hub, stream=True)
    assert (answer.broken, kinds(answer)[-1]) == (None, last)
    reasons = [event["delta"]["stop_reason"] for event in answer.events if event["type"] == "message_delta"]
    assert bool(reasons) is (last == "message_delta" or fault == "empty_answer")


def test_errors_in_a_stream_have_four_forms(hub: EmbeddedHub) -> None:
    overloaded = {"type": "overloaded_error", "message": "Overloaded"}
    told = {}
    for style in ("event", "data", "untyped", "bare"):
        hub.fault("*", Fault.error_event(style=style, body=overloaded))  # type: ignore[arg-type]  # a word of Style
        told[style] = ask(hub, stream=True).text
    assert told["event"].startswith("event: error\ndata: ")
    assert told["data"].startswith('data: {"type": "error"')
    assert told["untyped"].startswith('data: {"error"')
    assert told["bare"].startswith('{"error"')


def test_errors_of_vendor_and_hub_keep_their_form(hub: EmbeddedHub) -> None:
    hub.fault("*", "vendor_529")
    busy = ask(hub)
    assert (busy.status, busy.error["type"]) == (529, "overloaded_error")
    unknown = ask(hub, model="nobody")
    assert (unknown.status, unknown.error["type"]) == (503, "new_api_error")
    with EmbeddedHub("one-api") as older:
        assert ask(older).status == 404
