"""Responses API answers of the loopback server, with OpenAI's events and order."""

from __future__ import annotations

import json
from typing import Any

_ITEM = "msg_68af4030baa48193b0b43b4c2a176a1a0e6967589f080e78"
_BEGUN: dict[str, Any] = {
    "id": "resp_68af4030592c81938ec0a5fbab4a3e9f05438e46b5f69a3b",
    "object": "response",
    "created_at": 1_760_000_000,
    "status": "in_progress",
    "error": None,
    "incomplete_details": None,
    "instructions": None,
    "max_output_tokens": None,
    "model": "bench",
    "output": [],
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "reasoning": {"effort": None, "summary": None},
    "store": False,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}, "verbosity": "medium"},
    "tool_choice": "auto",
    "tools": [],
    "top_p": 1.0,
    "truncation": "disabled",
    "usage": None,
    "user": None,
    "metadata": {},
}


def whole(text: str, tokens: int) -> dict[str, Any]:
    """Return a whole answer."""
    usage = {
        "input_tokens": 14,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 14 + tokens,
    }
    return {**_BEGUN, "status": "completed", "output": [_message(text)], "usage": usage}


def events(piece: str, count: int) -> list[bytes]:
    """Return the events of a stream of so many pieces."""
    at = {"item_id": _ITEM, "output_index": 0, "content_index": 0}
    text, part = piece * count, {"type": "output_text", "annotations": [], "logprobs": [], "text": ""}
    opened = {**_message(""), "status": "in_progress", "content": []}
    delta = {"type": "response.output_text.delta", **at, "delta": piece, "logprobs": [], "obfuscation": "K7hVNyqTxQ"}
    found = [
        {"type": "response.created", "response": _BEGUN},
        {"type": "response.in_progress", "response": _BEGUN},
        {"type": "response.output_item.added", "output_index": 0, "item": opened},
        {"type": "response.content_part.added", **at, "part": part},
        *([delta] * count),
        {"type": "response.output_text.done", **at, "text": text, "logprobs": []},
        {"type": "response.content_part.done", **at, "part": {**part, "text": text}},
        {"type": "response.output_item.done", "output_index": 0, "item": _message(text)},
        {"type": "response.completed", "response": whole(text, count)},
    ]
    return [_line({**event, "sequence_number": number}) for number, event in enumerate(found)]


def _line(event: dict[str, Any]) -> bytes:
    return f"event: {event['type']}\ndata: {json.dumps(event, separators=(',', ':'))}\n\n".encode()


def _message(text: str) -> dict[str, Any]:
    part = {"type": "output_text", "annotations": [], "logprobs": [], "text": text}
    return {"id": _ITEM, "type": "message", "status": "completed", "role": "assistant", "content": [part]}
