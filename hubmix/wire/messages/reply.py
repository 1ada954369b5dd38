"""A whole answer: from the JSON of `/v1/messages` to a `Reply`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from hubmix.wire.chat.calls import make_call, never_began, read_name
from hubmix.wire.chat.message import read_envelope
from hubmix.wire.fields import ANTHROPIC_BLOCKS, named_objects
from hubmix.wire.messages.blocks import Block
from hubmix.wire.values import AnswerError, Reply, Usage

SEPARATOR = "\n"  # between the texts of two thinking blocks

FINISH_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "content_filter",
    # The answer is to be sent back so that the model goes on; compaction stops it before the answer.
    "pause_turn": "length",
    "compaction": "length",
}
_INPUTS = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
_ENVELOPE = frozenset({"id", "type", "role", "model", "content", "stop_reason", "usage"})
_PLAIN = frozenset({"text", "tool_use"})
_OWN = frozenset({"text", "thinking", "redacted_thinking", "tool_use"})


def read_message(data: Any) -> Reply:
    """Read a whole answer of the Messages API.

    Args:
        data: the decoded JSON, of whatever type.

    Raises:
        AnswerError: if this is no answer: an error, or no message at all.

    Example:
        ```python
        from hubmix.wire.messages.reply import read_message

        answer = {"content": [{"type": "text", "text": "Hello"}], "stop_reason": "end_turn"}
        assert read_message(answer).text == "Hello"
        ```
    """
    if not isinstance(data, dict):
        raise AnswerError("undecodable", f"The answer is a JSON {type(data).__name__}, not a message.", data)
    content = data.get("content")
    if data.get("type") == "error" or data.get("error") or not isinstance(content, list):
        named = any(data.get(name) for name in ("error", "message", "detail", "code")) or data.get("success") is False
        if named or data.get("type") == "error":
            raise AnswerError("error_body", "The hub answered with an error under status 200.", data)
        raise AnswerError("no_choices", "The answer is no message.", data)
    blocks = named_objects(content)
    calls = {position: _input_text(block) for position, block in enumerate(blocks) if block.get("type") == "tool_use"}
    return assemble(data, blocks, calls, read_usage(data.get("usage")))


def assemble(data: Mapping[str, Any], blocks: Sequence[Block], calls: Mapping[int, str], usage: Usage | None) -> Reply:
    """The reply of a message.

    Args:
        data: the message without its blocks.
        blocks: its content blocks in order.
        calls: the arguments of each `tool_use` block, as text, by its position.
        usage: the token counts.
    """
    reply = Reply(raw=dict(data), usage=usage)
    read_envelope(reply, data)
    tier = usage.raw.get("service_tier") if usage else None
    reply.service_tier = reply.service_tier or tier
    thoughts: list[str] = []
    for position, block in enumerate(blocks):
        kind = block.get("type")
        if kind == "text":
            _read_text(block, reply)
        elif kind == "thinking":
            thoughts.append(str(block.get("thinking") or ""))
        elif kind == "tool_use":
            name, text = read_name(block.get("name")), calls.get(position, "")
            call = make_call(len(reply.tool_calls), block.get("id"), name, text, "function", reply.id, {})
            reply.tool_calls.append(call)
        elif kind not in _OWN:
            reply.extra.setdefault("output", []).append(block)
    reply.reasoning = SEPARATOR.join(filter(None, thoughts))
    if any(_is_richer(block) for block in blocks):
        reply.reasoning_details = {"type": ANTHROPIC_BLOCKS, "blocks": list(blocks)}
    _read_end(reply, data)
    reply.extra.update({k: v for k, v in data.items() if v is not None and k not in _ENVELOPE})
    return reply


def read_usage(raw: Any, update: Any = None) -> Usage | None:
    """Return token counts; the prompt includes cache reads and writes.

    Args:
        raw: the `usage` of a message, or of a stream's start.
        update: the `usage` of a stream's end, which is cumulative: what it has counts. Gateways fill it with zeros.
    """
    counts = dict(raw) if isinstance(raw, dict) else {}
    if isinstance(update, dict):
        named = {name: value for name, value in update.items() if value is not None}
        if not any(named.get(name) for name in _INPUTS):
            named = {name: value for name, value in named.items() if name not in _INPUTS}
        counts.update(named)
    if counts.get("input_tokens") is None and counts.get("output_tokens") is None:
        return None
    fresh, read, written = (_count(counts.get(name)) for name in _INPUTS)
    output = _count(counts.get("output_tokens"))
    details = counts.get("output_tokens_details")
    thinking = details.get("thinking_tokens") if isinstance(details, dict) else None
    prompt = fresh + read + written
    return Usage(
        input_tokens=prompt,
        output_tokens=output,
        total_tokens=prompt + output,
        cache_read=read if counts.get("cache_read_input_tokens") is not None else None,
        cache_creation=written if counts.get("cache_creation_input_tokens") is not None else None,
        reasoning=None if thinking is None else _count(thinking),
        raw=counts,
    )


def _count(value: Any) -> int:
    return int(value) if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1e15 else 0


def _input_text(block: Mapping[str, Any]) -> str:
    given = block.get("input")
    return given if isinstance(given, str) else json.dumps(given if given is not None else {}, ensure_ascii=False)


def _read_text(block: Mapping[str, Any], reply: Reply) -> None:
    start = len(reply.text)
    reply.text += str(block.get("text") or "")
    for citation in named_objects(block.get("citations")):
        reply.citations.setdefault("annotations", []).append(annotation(citation, start, len(reply.text)))


def annotation(citation: Mapping[str, Any], start: int, end: int) -> dict[str, Any]:
    """Return a citation as an annotation.

    A page is cited in OpenAI's form; a document as it came, with its place in the text."""
    if citation.get("url"):
        known = {name: citation[name] for name in ("url", "title") if citation.get(name) is not None}
        rest = {name: value for name, value in citation.items() if name not in ("url", "title", "type")}
        cited = {"start_index": start, "end_index": end, **known}
        return {"type": "url_citation", "url_citation": cited, **rest}
    return {**citation, "start_index": start, "end_index": end}


def _is_richer(block: Mapping[str, Any]) -> bool:
    """Whether a block says more than text and calls of a chat message can."""
    return block.get("type") not in _PLAIN or bool(block.get("citations") or block.get("caller"))


def _read_end(reply: Reply, data: Mapping[str, Any]) -> None:
    reason = data.get("stop_reason")
    if not isinstance(reason, str) or not reason:
        reply.incomplete = True
        return
    reply.finish_reason = FINISH_REASONS.get(reason, reason)
    reply.native_finish_reason = reason if reason != reply.finish_reason else None
    details = data.get("stop_details")
    explanation = details.get("explanation") if isinstance(details, dict) else None
    if reason == "refusal":
        reply.refusal = explanation or reply.refusal
    if reply.finish_reason == "length" and reply.tool_calls and reply.tool_calls[-1].arguments.strip() in ("", "{}"):
        never_began(reply.tool_calls[-1])
