"""The pure readers of the Responses API as an adapter of the replay tool.

python ../shared/tools/replay_responses.py --adapter tests.traffic.pure_responses:adapter --cut --errors --again
"""

from __future__ import annotations

import json
from typing import Any

import replay  # it lies with the recordings; tests/traffic/corpus.py puts it on the path

from hubmix.wire import AnswerError, Reply
from hubmix.wire.api import BodyOptions
from hubmix.wire.responses.body import responses_body
from hubmix.wire.responses.reply import read_response
from hubmix.wire.responses.stream import StreamReader
from tests.traffic import pure
from tests.traffic.pure import ASKED, answer_of, history, in_words

ROUTE = BodyOptions("m", "m")


def _tools(exchange: dict[str, Any]) -> Any:
    request = exchange.get("request")
    return request.get("tools") if isinstance(request, dict) else None


def streamed(exchange: dict[str, Any]) -> tuple[Reply, dict[str, Any]]:
    """The final reply, and what a framework would have put together from the deltas."""
    return pure.streamed(StreamReader(_tools(exchange)), exchange)


def _reply(exchange: dict[str, Any]) -> Reply:
    if exchange["status"] >= 400:
        raise AnswerError("error_body", exchange["response_text"])
    if exchange["is_stream"]:
        return streamed(exchange)[0]
    return read_response(json.loads(exchange["response_text"]), tools=_tools(exchange))


def adapter(exchange: dict[str, Any]) -> dict[str, Any]:
    """One exchange through the readers; an error raises with the server's words."""
    replay.CURRENT.sent = responses_body({"messages": [ASKED]}, ROUTE)
    try:
        reply = _reply(exchange)
    except AnswerError as error:
        raise in_words(error) from error
    return {
        **answer_of(reply),
        "refusal": reply.refusal,
        "logprobs": len((reply.logprobs or {}).get("content") or ()),
        "dump": json.dumps([reply.to_wire_message(), reply.items], ensure_ascii=False),
        "raw": json.dumps([reply.citations, reply.extra, reply.logprobs], ensure_ascii=False),
    }


def _again(exchange: dict[str, Any]) -> None:
    reply = _reply(exchange)
    messages = history(reply, {"items": reply.items, "api": "responses"})
    replay.CURRENT.sent = responses_body({"messages": messages}, ROUTE)


adapter.again = _again  # type: ignore[attr-defined]
