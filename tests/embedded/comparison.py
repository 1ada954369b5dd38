"""Compare the shapes of a gateway's recorded answer and the embedded hub's."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from hubmix.embedded import EmbeddedHub
from tests.cassettes.shapes import difference, shape, stream_difference, stream_shape
from tests.embedded.recordings import Exchange
from tests.embedded.situations import Situation

_CHAT_MODELS = ("gpt-4o-mini", "gpt-4o", "o3-mini", "claude-3-7-sonnet-20250219", "gemini-2.0-flash")
_MODELS_OF_RESPONSES = (
    "gpt-5-mini",
    "gpt-5-codex",
    "claude-sonnet-4-5",
    "kimi-k2",
    "no-price",
    "tiered-leftover",
    "tiered-only",
)
_OTHERS = {
    "gemini-2.5-pro": "extract",
    "deepseek-reasoner": "think",
    "text-embedding-3-small": "embed",
    "jina-reranker-v2-base-multilingual": "rerank",
    "a-model-of-nobody": "extract",
}
ONE_API_ID = "x-oneapi-request-id"
_HEADERS = (ONE_API_ID, "x-new-api-version", "retry-after", "location")


def hub_in(dialect: Any, situation: Situation) -> EmbeddedHub:
    """Return a hub in the situation of a recording."""
    models = {**dict.fromkeys((*_CHAT_MODELS, *_MODELS_OF_RESPONSES), situation.model), **_OTHERS}
    unregistered = situation.key in ("unknown", None)
    state = "good" if situation.key == "suffixed" or situation.key is None else situation.key
    keys: Mapping[str, str | float] = {} if unregistered else {"sk-test": state}
    hub = EmbeddedHub(dialect, models=models, keys=keys, rate_limit=situation.rate_limit)
    for fault in situation.by_dialect.get(dialect, situation.faults):
        hub.fault("/*", fault)
    return hub


def ask(hub: EmbeddedHub, exchange: Exchange, key: str | float | None) -> tuple[int, Mapping[str, str], str]:
    """Send the recorded request; return status, headers and text."""
    headers = {"content-type": "application/json"}
    if key is not None:
        headers["authorization"] = "Bearer sk-test" + ("-3" if key == "suffixed" else "")
    connection = http.client.HTTPConnection(urlsplit(hub.root_url).netloc, timeout=5)
    try:
        body = exchange.body.encode() if exchange.method == "POST" else None
        connection.request(exchange.method, exchange.path, body, headers)
        response = connection.getresponse()
        found = {name.lower(): value for name, value in response.getheaders()}
        return response.status, found, response.read().decode()
    finally:
        connection.close()


def differences(exchange: Exchange, status: int, headers: Mapping[str, str], answer: str) -> list[str]:
    """Return a line for each difference in shape."""
    lines = [] if status == exchange.status else [f"status {exchange.status} became {status}"]
    expected, actual = exchange.headers.get("content-type"), headers.get("content-type")
    if expected != actual:
        lines.append(f"content-type {expected} became {actual}")
    lines += [f"header {name}" for name in _HEADERS if (name in exchange.headers) != (name in headers)]
    if expected == "text/event-stream":
        return lines + stream_difference(stream_shape(exchange.answer), stream_shape(answer))
    return lines + difference(shape(_value(exchange.answer)), shape(_value(answer)))


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
