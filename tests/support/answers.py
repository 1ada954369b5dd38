"""Builders for the JSON that a hub answers with."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

DONE = "[DONE]"
JSON, EVENTS = "application/json", "text/event-stream"


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP response; a body of several pieces is sent chunked.

    Args:
        body: bytes, or an iterable of bytes. An iterable that raises `ConnectionAbortedError` cuts the connection.
        status: HTTP status code.
        content_type: value of the `Content-Type` header.
        headers: further headers.
    """

    body: bytes | Iterable[bytes]
    status: int = 200
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)


def encoded(value: Any) -> bytes:
    """Return `value` as JSON bytes; lone surrogates are kept."""
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


def body(value: Any, status: int = 200, **headers: str) -> Answer:
    """Return any JSON value as a response."""
    return Answer(encoded(value), status, headers=headers)


def completion(content: str | None = None, finish_reason: str | None = "stop", **message: Any) -> Answer:
    """Return a whole chat completion; `message` holds further fields."""
    return body(completion_body(content, finish_reason, **message))


def completion_body(content: str | None = None, finish_reason: str | None = "stop", **message: Any) -> dict[str, Any]:
    """Return the body of `completion`, to be changed before it is sent."""
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": content, **message},
        "finish_reason": finish_reason,
    }
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_760_000_000,
        "model": "m",
        "choices": [choice],
        "usage": usage(5, 3),
    }


def usage(prompt: int, completion: int, total: int | None = None, **details: Any) -> dict[str, Any]:
    """Return a usage object; the total is the sum unless it is given."""
    counts = {"prompt_tokens": prompt, "completion_tokens": completion}
    return {**counts, "total_tokens": prompt + completion if total is None else total, **details}


def error(status: int, message: str, *, headers: Mapping[str, str] | None = None, **fields: Any) -> Answer:
    """Return an error in OpenAI's shape; `fields` are `type`, `code`, `param`."""
    return Answer(encoded({"error": {"message": message, **fields}}), status, headers=headers or {})


def chunk(
    finish_reason: str | None = None, *, index: int = 0, top: Mapping[str, Any] | None = None, **delta: Any
) -> Any:
    """Return one stream event; keywords are delta fields, `top` event fields."""
    choice = {"index": index, "delta": delta, "finish_reason": finish_reason}
    event = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_760_000_000, "model": "m"}
    return {**event, "choices": [choice], **(top or {})}


def usage_event(**counts: Any) -> dict[str, Any]:
    """Return the event without choices that ends a stream with its usage."""
    return {**chunk(), "choices": [], "usage": counts or usage(5, 3)}


def events(*pieces: Any, done: bool = True, separate: bool = False) -> Answer:
    """Return a stream: a dict is one event, a str or bytes goes out as it is.

    Args:
        pieces: the events.
        done: whether `[DONE]` follows.
        separate: send each event as a chunk of its own instead of one body.
    """
    lines = [_event(piece) for piece in (*pieces, *([DONE] if done else []))]
    return Answer(lines if separate else b"".join(lines), content_type=EVENTS)


def text_stream(text: str, finish_reason: str | None = "stop") -> Answer:
    """Return a stream of one word an event."""
    words = [chunk(content=word) for word in text.split(" ") if word]
    spaced = [chunk(content=" " + event["choices"][0]["delta"]["content"]) for event in words[1:]]
    return events(chunk(role="assistant", content=""), *words[:1], *spaced, chunk(finish_reason))


def whole_or_stream(text: str, *, stream: bool) -> Answer:
    """Return the text in the form that was asked for."""
    return text_stream(text) if stream else completion(text)


def tool_call(name: str, arguments: str, id: str = "call_1", **more: Any) -> dict[str, Any]:
    """Return a whole tool call of a message."""
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}, **more}


def call_piece(
    index: int | None = None, id: str | None = None, name: str | None = None, arguments: str | None = None, **more: Any
) -> dict[str, Any]:
    """Return a piece of a streamed tool call with the given fields only."""
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    piece: dict[str, Any] = {} if index is None else {"index": index}
    if id is not None:
        piece |= {"id": id, "type": "function"}
    return {**piece, "function": function, **more}


def calls(*pieces: Mapping[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
    """Return one stream event that carries these pieces of tool calls."""
    return chunk(finish_reason, tool_calls=list(pieces))


def vectors(texts: Sequence[Any], *, model: str = "e") -> Answer:
    """Return an embeddings answer; a vector's first number is its text's position."""
    data = [{"object": "embedding", "index": at, "embedding": [float(at), 1.0]} for at, _ in enumerate(texts)]
    return body({"object": "list", "data": data, "model": model, "usage": {"prompt_tokens": 1, "total_tokens": 1}})


def ranking(*scores: float) -> Answer:
    """Return a rerank answer with one score per document, best first."""
    rows = [{"index": at, "relevance_score": score} for at, score in enumerate(scores)]
    return body({"results": sorted(rows, key=lambda row: -row["relevance_score"])})


def _event(piece: Any) -> bytes:
    if isinstance(piece, bytes):
        return piece
    if piece == DONE:
        return b"data: [DONE]\n\n"
    return piece.encode() if isinstance(piece, str) else b"data: " + encoded(piece) + b"\n\n"
