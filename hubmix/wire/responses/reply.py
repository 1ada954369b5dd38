"""A whole answer: from the JSON of `/v1/responses` to a `Reply`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hubmix.wire.arguments import arguments_text
from hubmix.wire.chat.calls import make_call, never_began, read_name
from hubmix.wire.chat.message import read_envelope
from hubmix.wire.fields import named_objects, read_usage
from hubmix.wire.responses.items import CALLS
from hubmix.wire.values import AnswerError, Reply, ToolCall

Item = dict[str, Any]

SEPARATOR = "\n\n"  # between two parts of the reasoning
FAILED = frozenset({"failed", "cancelled"})
PENDING = frozenset({"queued", "in_progress"})
_DONE = frozenset({None, "completed", "complete"})
_ENVELOPE = frozenset({"id", "object", "created_at", "model", "output", "usage", "status", "error", "service_tier"})
# What a server repeats of the request or of its own answer.
_ECHOED = frozenset({
    "completed_at", "context_management", "frequency_penalty", "include", "incomplete_details", "instructions",
    "max_output_tokens", "max_tool_calls", "metadata", "output_text", "parallel_tool_calls", "presence_penalty",
    "prompt", "prompt_cache_key", "prompt_cache_retention", "reasoning", "safety_identifier", "store", "temperature",
    "text", "tool_choice", "tools", "top_logprobs", "top_p", "truncation", "user",
})  # fmt: skip


def read_response(data: Any, *, tools: Sequence[Any] | None = None) -> Reply:
    """Read a whole answer of the Responses API.

    Args:
        data: the decoded JSON, of whatever type.
        tools: the tools of the request; without them, those that the answer repeats. xAI reports its own searches as
            custom calls, which it has run already: a custom call of no declared name is none for the caller.

    Raises:
        AnswerError: if this is no answer: an error, a failed or cancelled response, or no response at all.

    Example:
        ```python
        from hubmix.wire.responses.reply import read_response

        text = {"type": "output_text", "text": "Hello"}
        answer = {"status": "completed", "output": [{"type": "message", "content": [text]}]}
        assert read_response(answer).text == "Hello"
        ```
    """
    items = check_response(data)
    reply = Reply(raw=dict(data))
    read_envelope(reply, data)
    if reply.created is None and isinstance(data.get("created_at"), (int, float)):
        reply.created = int(data["created_at"])
    reply.usage = read_usage(data.get("usage"))
    declared = declared_names(tools if tools is not None else data.get("tools"))
    for item in items:
        _read_item(item, reply, declared)
    _read_end(reply, data)
    thoughts = [part for item in items for part in reasoning_parts(item)]
    reply.reasoning = SEPARATOR.join(thoughts)
    reply.items = items if any(map(_is_richer, items)) else []
    reply.extra.update({k: v for k, v in data.items() if v is not None and k not in _ENVELOPE and k not in _ECHOED})
    return reply


def status_of(response: Mapping[str, Any]) -> str:
    """Return the status of a response, or "" if it is no word."""
    status = response.get("status")
    return status if isinstance(status, str) else ""


def check_response(data: Any) -> list[Item]:
    """Return the items of an answer.

    Raises:
        AnswerError: if something else came in its place.
    """
    if not isinstance(data, dict):
        raise AnswerError("undecodable", f"The answer is a JSON {type(data).__name__}, not a response.", data)
    if data.get("error"):
        raise AnswerError("error_body", "The hub answered with an error under status 200.", data)
    status = status_of(data)
    if status in FAILED:
        raise AnswerError("error_body", f"The response {status}.", failure(data))
    output = data.get("output")
    if isinstance(output, list):
        return named_objects(output)
    if status in PENDING:  # one-hub leaves an empty output out
        return []
    if data.get("success") is False or any(data.get(name) for name in ("message", "detail", "code")):
        raise AnswerError("error_body", "The hub answered with an error under status 200.", data)
    raise AnswerError("no_choices", "The answer has no output.", data)


def failure(response: Mapping[str, Any]) -> dict[str, Any]:
    """Return the error of a failed response; one-hub sends `failed` without a reason."""
    status = status_of(response) or "failed"
    return {"error": response.get("error") or {"message": f"The response {status}; the server did not say why."}}


def declared_names(tools: Any) -> frozenset[str] | None:
    """The names of the caller's own tools; None if no tools are known."""
    if not isinstance(tools, Sequence) or isinstance(tools, str) or not tools:
        return None
    named = (tool.get("custom") or tool.get("function") or tool for tool in tools if isinstance(tool, Mapping))
    return frozenset(str(tool["name"]) for tool in named if isinstance(tool, Mapping) and tool.get("name"))


def is_callers(item: Mapping[str, Any], declared: frozenset[str] | None) -> bool:
    """Whether an item is a call that the caller has to run."""
    kind = item.get("type")
    return kind == "function_call" or (
        kind == "custom_tool_call" and (declared is None or item.get("name") in declared)
    )


def reasoning_parts(item: Mapping[str, Any]) -> list[str]:
    """The texts of a reasoning item, each once: its summary, then its content."""
    if item.get("type") != "reasoning":
        return []
    found: list[str] = []
    for field in ("summary", "content"):
        parts = item.get(field)
        for part in parts if isinstance(parts, list) else ():
            text = part.get("text") if isinstance(part, dict) else None
            if isinstance(text, str) and text.strip() and text not in found:
                found.append(text)
    return found


def call_arguments(item: Mapping[str, Any]) -> str:
    """The arguments of a function call, or the input of a custom one."""
    return arguments_text(item.get(CALLS[item["type"]]))


def content_parts(item: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The parts of a message item."""
    content = item.get("content")
    for part in content if isinstance(content, list) else ():
        if isinstance(part, dict):
            yield part


def _read_item(item: Item, reply: Reply, declared: frozenset[str] | None) -> None:
    kind = item.get("type")
    if kind == "message":
        _read_message(item, reply)
    elif kind == "reasoning":
        details = reply.reasoning_details = reply.reasoning_details or []
        if isinstance(details, list):
            details.append(item)
    elif is_callers(item, declared):
        reply.tool_calls.append(_read_call(item, reply))
    else:
        reply.extra.setdefault("output", []).append(item)
        if kind == "image_generation_call" and isinstance(item.get("result"), str):
            reply.images = [*(reply.images or ()), _image(item)]


def _read_message(item: Item, reply: Reply) -> None:
    content = item.get("content")
    if isinstance(content, str):
        reply.text += content
    for part in content_parts(item):
        if isinstance(part.get("refusal"), str):
            reply.refusal += part["refusal"]
            continue
        if isinstance(part.get("text"), str):
            reply.text += part["text"]
        if isinstance(notes := part.get("annotations"), list) and notes:
            reply.citations.setdefault("annotations", []).extend(notes)
        if isinstance(logprobs := part.get("logprobs"), list) and logprobs:
            reply.logprobs = reply.logprobs or {"content": []}
            reply.logprobs["content"].extend(logprobs)


def _read_call(item: Item, reply: Reply) -> ToolCall:
    kind = "custom" if item["type"] == "custom_tool_call" else "function"
    index, name = len(reply.tool_calls), read_name(item.get("name"))
    call = make_call(index, item.get("call_id") or item.get("id"), name, call_arguments(item), kind, reply.id, {})
    if kind == "custom" and name:
        call.arguments = call_arguments(item)
        # LangChain's name for the one argument of a tool that takes plain text.
        call.args, call.error = {"__arg1": call.arguments}, None
    return call


def _image(item: Item) -> dict[str, Any]:
    kind = item.get("output_format") or "png"
    return {"type": "image_url", "image_url": {"url": f"data:image/{kind};base64,{item['result']}"}}


def _read_end(reply: Reply, data: Mapping[str, Any]) -> None:
    status = status_of(data)
    if status in _DONE:
        reply.finish_reason = "tool_calls" if reply.tool_calls else "stop"
    elif status == "incomplete":
        details = data.get("incomplete_details")
        reason = details.get("reason") if isinstance(details, dict) else None
        reply.finish_reason = "content_filter" if reason == "content_filter" else "length"
        reply.native_finish_reason = None if reason == reply.finish_reason else (reason or status)
        if reply.finish_reason == "length" and reply.tool_calls and not reply.tool_calls[-1].arguments.strip(" {}"):
            never_began(reply.tool_calls[-1])
    else:  # queued, in_progress: no answer yet. "": how one-hub ends a stream that was cut behind it
        reply.incomplete = True
        reply.native_finish_reason = status or None


def _is_richer(item: Item) -> bool:
    """Whether an item says more than the chat form of an answer can."""
    return item.get("type") not in ("message", "function_call") or any(
        item.get(name) for name in ("phase", "namespace", "caller", "async")
    )
