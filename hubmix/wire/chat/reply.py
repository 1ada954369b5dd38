"""A whole answer: from the JSON of ``/chat/completions`` to a :class:`Reply`."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from typing import Any

from hubmix.wire.fields import (
    REASONING_FIELDS,
    arguments_text,
    check_arguments,
    chunk_usage,
    details_text,
    read_content,
    read_finish_reason,
)
from hubmix.wire.values import AnswerError, Reply, ToolCall

ENVELOPE = frozenset(
    {
        "id",
        "object",
        "created",
        "model",
        "choices",
        "usage",
        "system_fingerprint",
        "service_tier",
        "error",
        "obfuscation",
    }
)
MESSAGE = frozenset(
    {"role", "content", "tool_calls", "function_call", "refusal", "audio", "images", "annotations", "citations"}
) | {"reasoning_details", *REASONING_FIELDS}
CITATIONS = ("citations", "search_results", "annotations")
_CALL = frozenset({"id", "index", "type", "function", "custom"})


def read_reply(data: Any, *, n: int = 1) -> Reply:
    """Read a whole chat completion.

    Args:
        data: The decoded JSON, of whatever type.
        n: How many choices were asked for. Only above 1 do the indices of choices mean anything: New API of 2025 puts
            the number of Claude's content block there.

    Returns:
        The first choice as a :class:`Reply`; further ones, if asked for, in ``choices``.

    Raises:
        AnswerError: If this is no answer: an error object, no choices, or not a chat completion at all.

    Example:
        ```python
        from hubmix.wire import read_reply

        reply = read_reply({"choices": [{"message": {"content": "Hello"}, "finish_reason": "stop"}]})
        assert reply.text == "Hello"
        ```
    """
    raw_choices = check_answer(data)
    choices = [c for c in raw_choices if isinstance(c, dict)]
    if not choices:
        raise AnswerError("no_choices", "The answer has no choices.", data)
    if n > 1:
        choices.sort(key=_choice_index)
    replies = [_read_choice(choice, data) for choice in choices[: max(n, 1)]]
    first = replies[0]
    first.choices = replies[1:]
    first.usage = chunk_usage(data)
    return first


def _choice_index(choice: Mapping[str, Any]) -> int:
    index = choice.get("index")
    return index if isinstance(index, int) else 0


def check_answer(data: Any) -> list[Any]:
    """The ``choices`` of an answer, or :class:`AnswerError` saying what came in its place."""
    if not isinstance(data, dict):
        raise AnswerError("undecodable", f"The answer is a JSON {type(data).__name__}, not a chat completion.", data)
    choices = data.get("choices")
    if data.get("error") and not choices:
        raise AnswerError("error_body", "The hub answered with an error under status 200.", data)
    if data.get("success") is False and not choices:
        raise AnswerError("error_body", "The hub answered success: false under status 200.", data)
    if not isinstance(choices, list) or not choices:
        raise AnswerError("no_choices", "The answer has no choices.", data)
    return choices


def _read_choice(choice: Mapping[str, Any], data: Mapping[str, Any]) -> Reply:
    message = choice.get("message") or choice.get("delta")
    message = message if isinstance(message, dict) else {}
    if choice.get("error"):
        raise AnswerError("error_body", "The hub put an error into the answer.", choice)
    finish, native = read_finish_reason(choice.get("finish_reason"))
    if not message and not finish:
        raise AnswerError("no_choices", "The answer has a choice without a message.", data)
    text, thinking, refused, images = read_content(message.get("content"))
    logprobs = choice.get("logprobs")
    reply = Reply(
        text=text,
        reasoning=_reasoning(message, thinking),
        reasoning_details=message.get("reasoning_details") or None,
        refusal=message["refusal"] if isinstance(message.get("refusal"), str) else refused,
        audio=message["audio"] if isinstance(message.get("audio"), dict) else None,
        images=(own if isinstance(own := message.get("images"), list) and own else images) or None,
        logprobs=logprobs if isinstance(logprobs, dict) else None,
        finish_reason=finish,
        native_finish_reason=native,
        raw=dict(data),
    )
    read_envelope(reply, data)
    reply.tool_calls = read_tool_calls(message, reply.id, cut=finish == "length")
    for key in CITATIONS:
        found = message.get(key) or data.get(key)
        if found:
            reply.citations[key] = found
    for source, known in ((data, ENVELOPE), (message, MESSAGE)):
        for key in source.keys() - known:
            if source[key] is not None and key not in CITATIONS:
                reply.extra[key] = source[key]
    return reply


def read_envelope(reply: Reply, data: Mapping[str, Any]) -> None:
    """Fill in id, model, created, fingerprint and tier; AIHubMix and small servers leave any of them out."""
    for name in ("id", "model", "system_fingerprint", "service_tier"):
        value = data.get(name)
        if isinstance(value, str) and value and getattr(reply, name) is None:
            setattr(reply, name, value)
    if reply.created is None and isinstance(data.get("created"), int):
        reply.created = data["created"]


def _reasoning(message: Mapping[str, Any], thinking: str) -> str:
    """The reasoning, once: several fields may carry the same text, the first one with words in it wins."""
    for name in REASONING_FIELDS:
        value = message.get(name)
        if isinstance(value, str) and value.strip():
            return value
    return thinking if thinking.strip() else details_text(message.get("reasoning_details"))


def made_up_id(answer_id: str | None, index: int, name: str) -> str:
    """An id for a call that came without one: stable for one answer, different between answers."""
    if not answer_id:
        return f"call_{uuid.uuid4().hex[:24]}"
    return "call_" + hashlib.sha256(f"{answer_id}:{index}:{name}".encode(errors="replace")).hexdigest()[:24]


def read_name(value: Any) -> str:
    """The name of a tool; whatever is no text is no name."""
    return value if isinstance(value, str) else ""


def read_tool_calls(message: Mapping[str, Any], answer_id: str | None, *, cut: bool = False) -> list[ToolCall]:
    """The tool calls of a message: function, custom and legacy ones; empty phantom calls are dropped.

    Args:
        message: The message as it came.
        answer_id: The id of the answer, for calls without one.
        cut: Whether the answer ended at its token limit, and its last call perhaps before its arguments.
    """
    calls: list[ToolCall] = []
    raw_calls = message.get("tool_calls")
    for raw in raw_calls if isinstance(raw_calls, list) else ():
        if isinstance(raw, dict):
            kind = "custom" if raw.get("custom") else "function"
            function = raw.get("function") or raw.get("custom") or {}
            _add_call(calls, function, raw.get("id"), kind, answer_id, {k: raw[k] for k in raw.keys() - _CALL})
    legacy = message.get("function_call")
    if isinstance(legacy, dict):
        _add_call(calls, legacy, None, "legacy", answer_id, {})
    if cut and calls and calls[-1].arguments.strip() in ("", "{}"):  # an empty object may be a gateway's word for none
        never_began(calls[-1])
    return calls


def never_began(call: ToolCall) -> None:
    """Mark a call as broken: the answer was cut before its arguments, as DeepSeek and Mistral do it (recorded).

    Elsewhere "" is how a call without arguments is written.
    """
    call.arguments, call.args = "", None
    call.error = "the answer was cut at its token limit before the arguments"


def _add_call(
    calls: list[ToolCall],
    function: Any,
    call_id: Any,
    kind: str,
    answer_id: str | None,
    extra: dict[str, Any],
) -> None:
    function = function if isinstance(function, dict) else {}
    name = read_name(function.get("name"))
    text = arguments_text(function.get("arguments", function.get("input")))
    if not name and not text.strip(" {}"):
        return
    if call_id and text.strip() in ("", "{}") and any(c.id == call_id and c.name == name for c in calls):
        return  # one-api sends a call without arguments twice under one id
    calls.append(make_call(len(calls), call_id, name, text, kind, answer_id, extra))


def make_call(
    index: int,
    call_id: Any,
    name: str,
    text: str,
    kind: str,
    answer_id: str | None,
    extra: dict[str, Any],
) -> ToolCall:
    """A checked :class:`ToolCall`: its arguments parsed, or the reason why it must not be executed."""
    args, error = check_arguments(text)
    if not name:
        args, error = None, "the call has no name"
    identifier = str(call_id) if call_id else made_up_id(answer_id, index, name)
    return ToolCall(index, identifier, name, text if text.strip() else "{}", args, error, kind, extra)
