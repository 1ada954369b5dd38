"""The pure readers of the Messages API as an adapter of the replay tool.

python ../shared/tools/replay_messages.py --adapter tests.traffic.pure_messages:adapter --cut --errors --again
"""

from __future__ import annotations

import json
from typing import Any

import replay  # tests/traffic/corpus.py puts it on the path

from hubmix.wire import AnswerError, Reply
from hubmix.wire.api import BodyOptions
from hubmix.wire.messages.body import messages_body
from hubmix.wire.messages.reply import read_message
from hubmix.wire.messages.stream import StreamReader
from tests.traffic import pure
from tests.traffic.pure import ASKED, answer_of, history, in_words

ROUTE = BodyOptions("m", "m")


def streamed(exchange: dict[str, Any]) -> tuple[Reply, dict[str, Any]]:
    """The final reply, and what a framework would have put together from the deltas."""
    reply, said = pure.streamed(StreamReader(), exchange)
    calls = [text or "{}" for text in said["calls"]]
    return reply, {"text": said["text"], "reasoning": said["reasoning"], "calls": calls}


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
        raise in_words(error) from error
    found = answer_of(reply)
    if reply.usage is not None:
        found["usage"]["written"] = reply.usage.cache_creation
    return {
        **found,
        "dump": json.dumps(reply.to_wire_message(), ensure_ascii=False),
        "raw": json.dumps(
            [reply.citations, reply.extra, reply.native_finish_reason, reply.refusal], ensure_ascii=False
        ),
    }


def again(exchange: dict[str, Any]) -> None:
    """Send the answer back as history, with results and a further question."""
    reply = _reply(exchange)
    messages = history(reply, {"details": reply.reasoning_details})
    replay.CURRENT.sent = messages_body({"messages": messages}, ROUTE)


adapter.again = again  # type: ignore[attr-defined]
