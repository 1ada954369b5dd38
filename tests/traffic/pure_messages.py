"""The pure readers of the Messages API as an adapter of the replay tool.

python ../shared/tools/replay_messages.py --adapter tests.traffic.pure_messages:adapter --cut --errors --again
"""

from __future__ import annotations

import json
import os
from typing import Any

import replay  # tests/traffic/corpus.py puts it on the path

from hubmix.transport.answer import Events, UnreadableBodyError
from hubmix.wire import AnswerError, Reply
from hubmix.wire.api import BodyOptions
from hubmix.wire.messages.body import messages_body
from hubmix.wire.messages.reply import read_message
from hubmix.wire.messages.stream import StreamReader

ROUTE = BodyOptions("m", "m")
ASKED = {"role": "user", "content": "hi"}


def streamed(exchange: dict[str, Any]) -> tuple[Reply, dict[str, Any]]:
    """The final reply, and what a framework would have put together from the deltas."""
    reader, events = StreamReader(), Events()
    data = exchange["response_text"].encode()
    size = int(os.environ.get("REPLAY_CHUNK") or 0) or max(len(data), 1)
    chunks = [chunk for at in range(0, len(data), size) for chunk in events.feed(data[at : at + size])]
    if not events.done:
        chunks += events.end()
    text, reasoning = "", ""
    calls: dict[int, str] = {}
    for chunk in chunks:
        if reader.ended:
            break
        if isinstance(chunk, UnreadableBodyError):
            raise AnswerError("undecodable", chunk.message, exchange["response_text"][-2000:])
        delta = reader.feed(chunk)
        if delta is not None:
            text, reasoning = text + delta.text, reasoning + delta.reasoning
            for piece in delta.tool_calls:
                calls[piece.index] = calls.get(piece.index, "") + piece.arguments
    said = {"text": text, "reasoning": reasoning, "calls": [calls[index] or "{}" for index in sorted(calls)]}
    return reader.finish(), said


def _reply(exchange: dict[str, Any]) -> Reply:
    if exchange["status"] >= 400:
        raise AnswerError("error_body", exchange["response_text"])
    if exchange["is_stream"]:
        return streamed(exchange)[0]
    return read_message(json.loads(exchange["response_text"]))


def adapter(exchange: dict[str, Any]) -> dict[str, Any]:
    """One exchange through the readers; an error raises with the server's words."""
    replay.CURRENT.sent = messages_body({"messages": [ASKED]}, ROUTE)
    try:
        reply = _reply(exchange)
    except AnswerError as error:
        raise RuntimeError(f"{error} {json.dumps(error.body, ensure_ascii=False)}") from error
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
            "written": usage.cache_creation,
            "reasoning": usage.reasoning,
        },
        "finish_reason": reply.finish_reason,
        "incomplete": reply.incomplete,
        "id": reply.id,
        "model": reply.model,
        "service_tier": reply.service_tier,
        "dump": json.dumps(reply.to_wire_message(), ensure_ascii=False),
        "raw": json.dumps(
            [reply.citations, reply.extra, reply.native_finish_reason, reply.refusal], ensure_ascii=False
        ),
    }


def again(exchange: dict[str, Any]) -> None:
    """Send the answer back as history, with results and a further question."""
    reply = _reply(exchange)
    answer = {**reply.to_wire_message(), "hubmix_reasoning": {"details": reply.reasoning_details}}
    results = [{"role": "tool", "tool_call_id": call.id, "content": "ok"} for call in reply.tool_calls]
    messages = [ASKED, answer, *results, {"role": "user", "content": "go on"}]
    replay.CURRENT.sent = messages_body({"messages": messages}, ROUTE)


adapter.again = again  # type: ignore[attr-defined]
