"""The pure readers of the Responses API as an adapter of the replay tool.

python ../shared/tools/replay_responses.py --adapter tests.traffic.pure_responses:adapter --cut --errors --again
"""

from __future__ import annotations

import json
import os
from typing import Any

import replay  # it lies with the recordings; tests/traffic/corpus.py puts it on the path

from hubmix.transport.answer import Events, UnreadableBodyError
from hubmix.wire import AnswerError, Reply
from hubmix.wire.api import BodyOptions
from hubmix.wire.responses.body import responses_body
from hubmix.wire.responses.reply import read_response
from hubmix.wire.responses.stream import StreamReader

ROUTE = BodyOptions("m", "m")
ASKED = {"role": "user", "content": "hi"}


def _tools(exchange: dict[str, Any]) -> Any:
    request = exchange.get("request")
    return request.get("tools") if isinstance(request, dict) else None


def _streamed(exchange: dict[str, Any]) -> tuple[Reply, dict[str, str]]:
    """The final reply, and what a framework would have put together from the deltas."""
    reader, events = StreamReader(_tools(exchange)), Events()
    data = exchange["response_text"].encode()
    size = int(os.environ.get("REPLAY_CHUNK") or 0) or max(len(data), 1)
    chunks = [chunk for at in range(0, len(data), size) for chunk in events.feed(data[at : at + size])]
    if not events.done:
        chunks += events.end()
    said = {"text": "", "reasoning": "", "refusal": ""}
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
    said["calls"] = json.dumps([calls[index] for index in sorted(calls)])
    return reply, said


def _reply(exchange: dict[str, Any]) -> Reply:
    if exchange["status"] >= 400:
        raise AnswerError("error_body", exchange["response_text"])
    if exchange["is_stream"]:
        return _streamed(exchange)[0]
    return read_response(json.loads(exchange["response_text"]), tools=_tools(exchange))


def adapter(exchange: dict[str, Any]) -> dict[str, Any]:
    """One exchange through the readers; an error raises with the server's words."""
    replay.CURRENT.sent = responses_body({"messages": [ASKED]}, ROUTE)
    try:
        reply = _reply(exchange)
    except AnswerError as error:
        raise RuntimeError(f"{error} {json.dumps(error.body, ensure_ascii=False)}") from error
    usage = reply.usage
    return {
        "text": reply.text,
        "reasoning": reply.reasoning,
        "refusal": reply.refusal,
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
        "logprobs": len((reply.logprobs or {}).get("content") or ()),
        "incomplete": reply.incomplete,
        "id": reply.id,
        "model": reply.model,
        "service_tier": reply.service_tier,
        "dump": json.dumps([reply.to_wire_message(), reply.items], ensure_ascii=False),
        "raw": json.dumps([reply.citations, reply.extra, reply.logprobs], ensure_ascii=False),
    }


def _again(exchange: dict[str, Any]) -> None:
    reply = _reply(exchange)
    answer = reply.to_wire_message()
    answer["hubmix_reasoning"] = {"items": reply.items, "api": "responses"}
    results = [{"role": "tool", "tool_call_id": call.id, "content": "ok"} for call in reply.tool_calls]
    messages = [ASKED, answer, *results, {"role": "user", "content": "go on"}]
    replay.CURRENT.sent = responses_body({"messages": messages}, ROUTE)


adapter.again = _again  # type: ignore[attr-defined]
