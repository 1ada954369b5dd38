"""The APIs of a hub, one row each."""

from __future__ import annotations

from typing import Any

from hubmix.wire.api import Api, BodyOptions, Payload
from hubmix.wire.chat.body import chat_body
from hubmix.wire.chat.reply import read_reply
from hubmix.wire.chat.stream import StreamReader
from hubmix.wire.messages.body import messages_body
from hubmix.wire.messages.reply import read_message
from hubmix.wire.messages.stream import StreamReader as MessagesReader
from hubmix.wire.responses.body import responses_body
from hubmix.wire.responses.reply import read_response
from hubmix.wire.responses.stream import StreamReader as ResponsesReader
from hubmix.wire.values import EmbeddingReply, Reply, RerankReply
from hubmix.wire.vectors import read_embeddings, read_rerank


def _choices(payload: Payload) -> int:
    return payload.get("n") or 1


def _read_chat(data: Any, payload: Payload) -> Reply:
    return read_reply(data, n=_choices(payload), tools=payload.get("tools"))


def _stream_chat(payload: Payload) -> StreamReader:
    return StreamReader(_choices(payload), payload.get("tools"))


def _read_response(data: Any, payload: Payload) -> Reply:
    return read_response(data, tools=payload.get("tools"))


def _stream_response(payload: Payload) -> ResponsesReader:
    return ResponsesReader(payload.get("tools"))


def _read_message(data: Any, payload: Payload) -> Reply:
    return read_message(data)


def _stream_message(payload: Payload) -> MessagesReader:
    return MessagesReader()


def _plain_body(payload: Payload, options: BodyOptions) -> dict[str, Any]:
    return {**payload, "model": options.model_id, **(options.extra_body or {})}


def _read_embeddings(data: Any, payload: Payload) -> EmbeddingReply:
    texts = payload.get("input")
    return read_embeddings(data, len(texts) if isinstance(texts, list) else 1)


def _read_rerank(data: Any, payload: Payload) -> RerankReply:
    return read_rerank(data, len(payload.get("documents") or ()))


CHAT = Api("chat", "chat/completions", chat_body, _read_chat, stream=_stream_chat)
RESPONSES = Api("responses", "responses", responses_body, _read_response, stream=_stream_response)
MESSAGES = Api(
    "messages",
    "messages",
    messages_body,
    _read_message,
    stream=_stream_message,
    headers=(("anthropic-version", "2023-06-01"),),
    # Gateways read either this header or `Authorization`, depending on the channel.
    key_header="x-api-key",
)
EMBEDDINGS = Api("embeddings", "embeddings", _plain_body, _read_embeddings, other_models=False)
RERANK = Api("rerank", "rerank", _plain_body, _read_rerank)
APIS: dict[str, Api[Any]] = {api.name: api for api in (CHAT, RESPONSES, MESSAGES, EMBEDDINGS, RERANK)}
