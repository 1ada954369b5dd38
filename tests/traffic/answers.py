"""Good answers to deviate from: recorded traffic and `cassettes/gateway`."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from hubmix.transport.answer import Events
from hubmix.wire import AnswerError, Reply, StreamReader, read_reply
from tests.cassettes.format import load
from tests.cassettes.playback import ROOT
from tests.traffic import corpus

CHAT_FILES = ("dev", "hubs", "gateway")


@dataclass(frozen=True, slots=True)
class Good:
    """A good answer: the chunks of its stream, and what they say."""

    id: str
    chunks: list[Any]
    reply: Reply
    body: Any = None


@cache
def of_cassettes() -> list[Good]:
    """Return the good chat answers in `cassettes/gateway`."""
    found = []
    for path in sorted((ROOT / "gateway").glob("*/*.yaml")):
        text = path.read_text("utf-8")
        if "/v1/chat/completions" not in text:
            continue
        for number, each in enumerate(load(text, path.stem).interactions):
            if each.status == 200 and each.uri.endswith("/v1/chat/completions") and b'"n":' not in each.request_body:
                found.append(_good(f"{path.parent.name}/{path.stem}#{number}", each.response_body))
    return [good for good in found if good is not None]


@cache
def of_traffic() -> list[Good]:
    """Return the good chat answers of the recorded traffic; none if it is not here."""
    found = []
    for name in CHAT_FILES if corpus.PRESENT else ():
        for line in gzip.decompress(corpus.FILES[name].read_bytes()).splitlines():
            each = json.loads(line)
            request = each["request"] if isinstance(each["request"], dict) else {}
            if each["endpoint"] == "chat" and each["status"] == 200 and (request.get("n") or 1) == 1:
                found.append(_good(f"{name}:{each['id']}", each["response_text"].encode("utf-8", "replace")))
    return [good for good in found if good is not None]


def _good(name: str, body: bytes) -> Good | None:
    """Read the bytes as a good answer; None if they are no whole one."""
    events = Events()
    chunks = events.feed(body) + events.end()
    try:
        if not chunks:
            data = json.loads(body)
            reply = read_reply(data)
            return Good(name, list(told(data)), reply, data) if len(data["choices"]) == 1 and _is_good(reply) else None
        reader = StreamReader()
        for chunk in chunks:
            reader.feed(chunk)
        reply = reader.finish()
    except (AnswerError, ValueError, TypeError):
        return None
    indices = {choice.get("index") for chunk in chunks for choice in (chunk or {}).get("choices") or ()}
    return Good(name, chunks, reply) if _is_good(reply) and len(indices) == 1 else None


def _is_good(reply: Reply) -> bool:
    valid = all(call.args is not None for call in reply.tool_calls)
    return valid and reply.finish_reason is not None and not reply.incomplete


def told(body: Any) -> Iterator[dict[str, Any]]:
    """Yield a whole answer as the chunks of a stream."""
    [choice] = body["choices"]
    message = dict(choice.get("message") or {})
    top = {key: value for key, value in body.items() if key not in ("choices", "usage")}

    def chunk(delta: dict[str, Any], **more: Any) -> dict[str, Any]:
        return {**top, "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta, **more}]}

    text, calls = message.pop("content", None), message.pop("tool_calls", None)
    thoughts = {name: message.pop(name) for name in ("reasoning_content", "reasoning") if message.get(name)}
    yield chunk(message)
    for name, thought in thoughts.items():
        for part in _pieces(thought):
            yield chunk({name: part})
    for piece in _pieces(text):
        yield chunk({"content": piece})
    for index, call in enumerate(calls or ()):
        yield chunk({"tool_calls": [{**call, "index": index}]})
    yield chunk({}, **{key: value for key, value in choice.items() if key not in ("index", "message")})
    if body.get("usage"):
        yield {**top, "choices": [], "usage": body["usage"]}


def _pieces(text: Any) -> list[Any]:
    if not isinstance(text, str):
        return [] if text is None else [text]
    size = max(len(text) // 5, 4)
    return [text[at : at + size] for at in range(0, len(text), size)]
