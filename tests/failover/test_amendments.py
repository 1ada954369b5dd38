"""Amendments: which refusal changes what, and which words change nothing."""

from __future__ import annotations

from typing import Any

import pytest

from hubmix.failover.amendments import AMENDMENTS, amend, batch_limit, learn
from hubmix.failover.evidence import Evidence

USER = {"role": "user", "content": "go"}


def turn(*ids: str, **more: Any) -> list[dict[str, Any]]:
    """One assistant turn with calls of these ids, and their results."""
    calls = [{"id": one, "type": "function", "function": {"name": "f", "arguments": "{}"}} for one in ids]
    results = [{"role": "tool", "tool_call_id": one, "content": str(at)} for at, one in enumerate(ids)]
    return [{"role": "assistant", "content": None, "tool_calls": calls, **more}, *results]


def chat(*messages: Any, **fields: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [USER, *messages], **fields}


def refused(words: str, status: int = 400, **more: Any) -> Evidence:
    return Evidence("status", "body", status=status, message=words, **more)


def amended(words: str, body: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return what the body becomes after a refusal in these words."""
    learned = learn(refused(words, **more), body)
    assert learned is not None
    changed, names = amend(body, [learned])
    assert names == (learned.name,)
    assert learn(refused(words, **more), changed, [learned]) is None
    return changed


def ids_of(body: dict[str, Any]) -> tuple[list[str], list[str]]:
    messages = body["messages"]
    called = [call["id"] for message in messages for call in message.get("tool_calls") or ()]
    return called, [message["tool_call_id"] for message in messages if message["role"] == "tool"]


TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
STRICT_TOOL = {"type": "function", "function": {**TOOL["function"], "strict": True}}  # type: ignore[dict-item]
FORCED = {"type": "function", "function": {"name": "f"}}
PARTS = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
PICTURE = [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "x"}}]

THOUGHT = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "sealed"}
CALL = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
RESULT = {"type": "function_call_output", "call_id": "c", "output": "1"}
FLAT_TOOL = {"type": "function", "name": "f", "parameters": {}, "strict": True}


def responses(*items: Any, **fields: Any) -> dict[str, Any]:
    return {"model": "m", "input": [USER, *items], **fields}


# name, words, body, what it becomes
ROWS: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    (
        "reasoning",
        "Unrecognized request argument supplied: reasoning",
        chat(reasoning={"effort": "low", "summary": "auto"}),
        chat(reasoning_effort="low"),
    ),
    (
        "adaptive thinking",
        "adaptive thinking is not supported on this model",
        chat(max_tokens=8192, thinking={"type": "adaptive"}, output_config={"effort": "low"}),
        chat(max_tokens=8192, thinking={"type": "enabled", "budget_tokens": 1638}),
    ),
    (
        "thinking budget",
        '"thinking.type.enabled" is not supported for this model. Use "thinking.type.adaptive"',
        chat(max_tokens=8192, thinking={"type": "enabled", "budget_tokens": 4000}),
        chat(
            max_tokens=8192, thinking={"type": "adaptive", "display": "summarized"}, output_config={"effort": "medium"}
        ),
    ),
    (
        "unsigned thinking",
        "messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found `tool_use`. When `thinking` "
        "is enabled, a final `assistant` message must start with a thinking block",
        chat(*turn("a"), reasoning_effort="low"),
        chat(*turn("a")),
    ),
    (
        "thinking, a gateway's words",
        "messages.1: an assistant message must begin with thinking when thinking is enabled",
        chat(*turn("a"), reasoning_effort="low"),
        chat(*turn("a")),
    ),
    (
        "thinking, a signature",
        "messages.3.content.0: Invalid `signature` in `thinking` block",
        chat(*turn("a"), reasoning={"effort": "low"}),
        chat(*turn("a")),
    ),
    ("stream_options", "Unknown parameter: 'stream_options'.", chat(stream_options={}), chat()),
    (
        "max_tokens",
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
        chat(max_tokens=5),
        chat(max_completion_tokens=5),
    ),
    (
        "max_completion_tokens",
        "Unrecognized request argument supplied: max_completion_tokens",
        chat(max_completion_tokens=5),
        chat(max_tokens=5),
    ),
    (
        "reasoning, Groq",
        "'messages.1' : for 'role:assistant' the following must be satisfied[('messages.1' : property "
        "'reasoning_content' is unsupported)]",
        chat(*turn("a", reasoning_content="hm", reasoning_details=[{}])),
        chat(*turn("a")),
    ),
    (
        "reasoning, Mistral",
        '[{"type": "extra_forbidden", "loc": ["body", "messages", 1, "assistant", "reasoning_content"], '
        '"msg": "Extra inputs are not permitted"}]',
        chat(*turn("a", reasoning_content="hm")),
        chat(*turn("a")),
    ),
    (
        "tool_choice, Qwen",
        "The tool_choice parameter does not support being set to required or object in thinking mode",
        chat(tools=[TOOL], tool_choice=FORCED),
        chat(tools=[TOOL], tool_choice="auto"),
    ),
    (
        "tool_choice, Claude",
        "Thinking may not be enabled when tool_choice forces tool use.",
        chat(tools=[TOOL], tool_choice="required"),
        chat(tools=[TOOL], tool_choice="auto"),
    ),
    (
        "tool_choice, Claude over Messages",
        "Thinking may not be enabled when tool_choice forces tool use.",
        chat(tools=[TOOL], tool_choice={"type": "tool", "name": "f", "disable_parallel_tool_use": True}),
        chat(tools=[TOOL], tool_choice={"type": "auto", "disable_parallel_tool_use": True}),
    ),
    (
        "tool_choice, a schema's words",
        "tool_choice: Input should be 'auto' or 'none'",
        chat(tools=[TOOL], tool_choice="required"),
        chat(tools=[TOOL], tool_choice="auto"),
    ),
    (
        "tool_choice, DeepSeek",
        "deepseek-reasoner does not support this tool_choice",
        chat(tools=[TOOL], tool_choice=FORCED),
        chat(tools=[TOOL], tool_choice="auto"),
    ),
    ("strict tool", "Unknown parameter: 'tools[0].function.strict'.", chat(tools=[STRICT_TOOL]), chat(tools=[TOOL])),
    (
        "strict schema",
        "Invalid schema for response_format 'x': In context=(), 'additionalProperties' is required to be false.",
        chat(response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": {}, "strict": True}}),
        chat(response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": {}}}),
    ),
    (
        "strict, Responses",
        "Invalid schema for function 'f': 'required' is required to be supplied.",
        responses(tools=[FLAT_TOOL], text={"format": {"type": "json_schema", "strict": True}}),
        responses(tools=[{**FLAT_TOOL, "strict": False}], text={"format": {"type": "json_schema", "strict": False}}),
    ),
    (
        "encrypted content not asked for",
        "Encrypted content is not supported with this model.",
        responses(include=["reasoning.encrypted_content", "x"]),
        responses(include=["x"]),
    ),
    (
        "encrypted content alone",
        "Encrypted content is not supported with this model.",
        responses(include=["reasoning.encrypted_content"]),
        responses(),
    ),
    (
        "encrypted content of another account",
        "The encrypted content gAAA could not be verified. Reason: Encrypted content could not be decrypted or parsed.",
        responses(THOUGHT, {**CALL, "id": "fc_1"}, RESULT),
        responses(CALL, RESULT),
    ),
    (
        "item of another account",
        "Item with id 'rs_1' not found. Items are not persisted when `store` is set to false.",
        responses({"type": "web_search_call", "id": "ws_1"}, {**CALL, "id": "fc_1"}, RESULT),
        responses(CALL, RESULT),
    ),
    (
        "text parts, DeepSeek",
        "Failed to deserialize the JSON body: messages[0]: invalid type: sequence, expected a string",
        chat({"role": "user", "content": PARTS}),
        chat({"role": "user", "content": "a\nb"}),
    ),
    (
        "text parts, vLLM",
        "messages.1.content: Input should be a valid string",
        chat({"role": "system", "content": PARTS}, {"role": "user", "content": PICTURE}),
        chat({"role": "system", "content": "a\nb"}, {"role": "user", "content": PICTURE}),
    ),
    (
        "developer",
        "'developer' is not one of ['system', 'assistant', 'user'] - 'messages.1.role'",
        chat({"role": "developer", "content": "x"}),
        chat({"role": "system", "content": "x"}),
    ),
    (
        "developer, Rust",
        "messages[1].role: unknown variant `developer`, expected one of `system`, `user`",
        chat({"role": "developer", "content": "x"}),
        chat({"role": "system", "content": "x"}),
    ),
    (
        "temperature",
        "Unsupported value: 'temperature' does not support 0 with this model. Only the default (1) value is supported.",
        chat(temperature=0, top_p=1),
        chat(top_p=1),
    ),
    (
        "temperature with top_p",
        "`temperature` and `top_p` cannot both be specified for this model. Please use only one.",
        chat(temperature=0, top_p=1),
        chat(temperature=0),
    ),
    ("seed", "property 'seed' is unsupported", chat(seed=1, temperature=0), chat(temperature=0)),
]


@pytest.mark.parametrize(("words", "body", "becomes"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_refusal_changes_the_body(words: str, body: dict[str, Any], becomes: dict[str, Any]) -> None:
    assert amended(words, body) == becomes


@pytest.mark.parametrize("status", [200, 400, 422, 500])
def test_refusal_counts_by_its_words_whatever_the_status(status: int) -> None:
    cause = "error_body" if status == 200 else "status"
    seen = Evidence(cause, "body", status=status, message="Unknown parameter: 'stream_options'.")
    assert learn(seen, chat(stream_options={})) is not None


IDS = {
    "Claude": ("messages.1.content.0.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'", "functions.f:0", 40),
    "OpenAI": (
        "Invalid 'messages[1].tool_calls[0].id': string too long. Expected a string with maximum length 40.",
        "x" * 64,
        40,
    ),
    "Mistral": ("Tool call id was functions.f:0 but must be a-z, A-Z, 0-9, with a length of 9.", "functions.f:0", 9),
    "call_id": ("Invalid 'input[2].call_id': string too long. Expected a string with maximum length 64.", "x" * 80, 40),
}


@pytest.mark.parametrize(("words", "given", "longest"), IDS.values(), ids=IDS)
def test_ids_are_mapped_for_call_and_result_alike(words: str, given: str, longest: int) -> None:
    fits = "abcdefghi"
    called, answered = ids_of(amended(words, chat(*turn(given, fits))))
    assert called == answered
    assert called[1] == fits
    assert called[0].replace("_", "").isalnum()
    assert len(called[0]) <= longest
    items = [{"type": "function_call", "call_id": given}, {"type": "function_call_output", "call_id": given}]
    changed = amended(words, {"input": items})
    assert changed["input"][0]["call_id"] == changed["input"][1]["call_id"] == called[0]


def test_repeated_ids_become_unique_and_results_follow() -> None:
    words = "Duplicate function_call_output for call_id 'f:0'."
    called, answered = ids_of(amended(words, chat(*turn("f:0"), *turn("f:0", "f:0"), *turn("g:0"))))
    assert called == answered == ["f:0", "f:0-2", "f:0-3", "g:0"]
    items = [{"type": kind, "call_id": "f:0"} for _ in range(2) for kind in ("function_call", "function_call_output")]
    changed = amended(words, {"input": items})["input"]
    assert [item["call_id"] for item in changed] == ["f:0", "f:0", "f:0-2", "f:0-2"]


# Words that look like a row's, and a body on which it must not act.
OTHERS = [
    ("The `reasoning_content` in the thinking mode must be passed back.", chat(*turn("a", reasoning_content="x"))),
    ("Unknown parameter: 'reasoning'.", chat(*turn("a", reasoning_content="x"))),
    ("'max_tokens' or 'max_completion_tokens' is too large: 9. The maximum context length is 8", chat(max_tokens=9)),
    ("Invalid value for 'max_completion_tokens': 0", chat(max_completion_tokens=0)),
    ("Invalid parameter: 'tool_call_id' of 'x' not found in 'tool_calls' of previous message.", chat(*turn("x y"))),
    ("tool_choice is only allowed when tools are specified", chat(tool_choice="auto")),
    ("Unknown parameter: 'stream_options'.", chat()),
    ("content must be a string", chat({"role": "user", "content": PICTURE})),
    ("temperature must be between 0 and 2", chat(temperature=3)),
    ("Unsupported value: 'temperature' does not support 0", chat(top_p=1)),
    ("The model `x` does not exist", chat(temperature=1, max_tokens=1, stream_options={}, tools=[STRICT_TOOL])),
    ("batch size is invalid, it should not be larger than 10", {"input": ["a"] * 20}),
]


@pytest.mark.parametrize(("words", "body"), OTHERS, ids=[words[:40] for words, _ in OTHERS])
def test_other_words_change_nothing(words: str, body: dict[str, Any]) -> None:
    assert learn(refused(words), body) is None


@pytest.mark.parametrize("status", [401, 403, 429, 503])
def test_only_refusals_are_amended(status: int) -> None:
    assert learn(refused("stream_options", status), chat(stream_options={})) is None


def test_stream_that_has_begun_is_never_amended() -> None:
    seen = Evidence("error_body", "committed", status=200, message="stream_options")
    assert learn(seen, chat(stream_options={})) is None


def test_amendments_that_undo_each_other_end() -> None:
    body, known = chat(max_tokens=5), []
    for words in ("max_tokens is unsupported", "max_completion_tokens is unsupported", "max_tokens is unsupported"):
        changed, _ = amend(body, known)
        if (one := learn(refused(words), changed, known)) is None:
            break
        known.append(one)
    assert [one.name.split()[0] for one in known] == ["max_tokens", "max_completion_tokens"]


def test_body_is_never_changed_in_place() -> None:
    body = chat(*turn("f:0"), *turn("f:0"), {"role": "developer", "content": PARTS}, tools=[STRICT_TOOL])
    before = repr(body)
    for _, words, _, _ in ROWS:
        if (one := learn(refused(words), body)) is not None:
            one.apply(body)
    assert repr(body) == before


def test_every_row_is_reached() -> None:
    said = [row[1:3] for row in ROWS] + [(words, chat(*turn(given))) for words, given, _ in IDS.values()]
    said.append(("Duplicate call_id", chat(*turn("a"), *turn("a"))))
    found = [learn(refused(words), body) for words, body in said]
    assert {one.amendment for one in found if one} == set(AMENDMENTS)


@pytest.mark.parametrize(
    ("words", "count", "limit"),
    [
        ("Value error, batch size is invalid, it should not be larger than 10.: input.contents", 25, 10),
        ("input batch size 100 > maximum allowed batch size 64", 100, 64),
        ("at most 100 requests can be in one batch", 300, 100),
        ("'$.input' is invalid. array too long. Expected an array with maximum length 2048, but got 3000", 3000, 2048),
        ("input数组最大不得超过64条", 65, 64),
        ("invalid request: total number of texts must be at most 96 texts", 100, 96),
        ("it should not be larger than 10", 25, None),
        ("batch size is invalid, it should not be larger than 10", 5, None),
        ("maximum context length is 8192 tokens", 9000, None),
        ("Too many inputs. The max number of inputs is 16.", 70, 16),
        ("The number of inputs exceeds the limit 20", 70, 20),
        ("batching is not supported for this model", 70, 1),
        ("This model only supports a single input", 70, 1),
        ("", 9, None),
    ],
)
def test_limit_of_a_batch_is_read_from_the_refusal(words: str, count: int, limit: int | None) -> None:
    assert batch_limit(words, count) == limit
