"""What the replay adapters of the pure readers of two APIs share."""

from __future__ import annotations

import json
import os
from typing import Any

from hubmix.transport.answer import Events, UnreadableBodyError
from hubmix.wire import AnswerError, Reply

ASKED = {"role": "user", "content": "hi"}


def streamed(reader: Any, exchange: dict[str, Any]) -> tuple[Reply, dict[str, Any]]:
    """The final reply, and what a framework would have put together from the deltas."""
    events = Events()
    data = exchange["response_text"].encode()
    size = int(os.environ.get("REPLAY_CHUNK") or 0) or max(len(data), 1)
    chunks = [chunk for at in range(0, len(data), size) for chunk in events.feed(data[at : at + size])]
    if not events.done:
        chunks += events.end()
    said: dict[str, Any] = {"text": "", "reasoning": "", "refusal": ""}
    calls: dict[int, str] = {}
    for chunk in chunks:
        if reader.ended:
            break
        if isinstance(chunk, UnreadableBodyError):
            raise AnswerError("undecodable", chunk.message, exchange["response_text"][-2000:])
        delta = reader.feed(chunk)
        if delta is not None:
            for name in said:
                said[name] += getattr(delta, name)
            for piece in delta.tool_calls:
                calls[piece.index] = calls.get(piece.index, "") + piece.arguments
    reply = reader.finish()
    return reply, {**said, "calls": [calls[index] for index in sorted(calls)]}


def answer_of(reply: Reply) -> dict[str, Any]:
    """What the replay tool compares, of every API."""
    usage = reply.usage
    return {
        "text": reply.text,
        "reasoning": reply.reasoning,
        "tool_calls": [
            {"name": c.name, "arguments": c.arguments, "id": c.id, "invalid": c.args is None} for c in reply.tool_calls
        ],
        "usage": usage
        and {
            "prompt": usage.input_tokens,
            "completion": usage.output_tokens,
            "total": usage.total_tokens,
            "cached": usage.cache_read,
            "reasoning": usage.reasoning,
        },
        "finish_reason": reply.finish_reason,
        "incomplete": reply.incomplete,
        "id": reply.id,
        "model": reply.model,
        "service_tier": reply.service_tier,
    }


def in_words(error: AnswerError) -> RuntimeError:
    """The error with the server's words, as the replay tool looks for them."""
    return RuntimeError(f"{error} {json.dumps(error.body, ensure_ascii=False)}")


def history(reply: Reply, hubmix_reasoning: dict[str, Any]) -> list[dict[str, Any]]:
    """The answer as history, with results of its calls and a further question."""
    answer = {**reply.to_wire_message(), "hubmix_reasoning": hubmix_reasoning}
    results = [{"role": "tool", "tool_call_id": call.id, "content": "ok"} for call in reply.tool_calls]
    return [ASKED, answer, *results, {"role": "user", "content": "go on"}]
