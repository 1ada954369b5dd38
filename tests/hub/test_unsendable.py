"""What cannot be sent is named in an error, and nothing reaches the hub."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from hubmix import ConfigurationError, Hub
from hubmix.embedded import EmbeddedHub
from hubmix.failover.options import CallOptions
from langchain_hubmix import ChatHubmix
from llamaindex_hubmix import Hubmix
from tests.hub.conftest import MODEL

RING: list[Any] = []
RING.append(RING)
LONE = "a\ud800b"
HELLO = [{"role": "user", "content": "Hello"}]

NOT_JSON: dict[str, dict[str, Any]] = {
    r"messages\[0\].content holds half a character \(U\+D800, a lone surrogate\) at position 1": {
        "messages": [{"role": "user", "content": LONE}]
    },
    "temperature is nan, and JSON has no such number": {"messages": HELLO, "temperature": float("nan")},
    "metadata.ratio is -inf, and JSON": {"messages": HELLO, "metadata": {"ratio": float("-inf")}},
    r"messages\[0\].content\[0\] is a bytes": {"messages": [{"role": "user", "content": [b"image"]}]},
    "metadata.day is a date, which JSON does not have": {"messages": HELLO, "metadata": {"day": date(2026, 1, 1)}},
    "a key of logit_bias is a tuple": {"messages": HELLO, "logit_bias": {(1, 2): 3}},
    "a key of metadata holds half a character": {"messages": HELLO, "metadata": {LONE: 1}},
    r"stop\[0\] holds itself": {"messages": HELLO, "stop": RING},
    "messages is a str and must be a list of mappings": {"messages": "Hello"},
    r"messages\[0\] is a str and must be a mapping": {"messages": ["Hello"]},
    "model is an int and must be a model ID": {"messages": HELLO, "model": 4},
}


async def in_a_stream(hub: Hub, payload: Any) -> None:
    async for _ in hub.astream_chat(payload):
        pass


WAYS: dict[str, Callable[[Hub, Any], object]] = {
    "chat": lambda hub, payload: hub.chat(payload),
    "stream_chat": lambda hub, payload: list(hub.stream_chat(payload)),
    "achat": lambda hub, payload: asyncio.run(hub.achat(payload)),
    "astream_chat": lambda hub, payload: asyncio.run(in_a_stream(hub, payload)),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("reason", NOT_JSON)
def test_a_value_that_is_no_json(hub: Hub, server: EmbeddedHub, way: str, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason) as raised:
        WAYS[way](hub, {"model": MODEL, **NOT_JSON[reason]})
    assert "Nothing was sent" in str(raised.value)
    assert str(raised.value).isascii()  # or the message itself could not be printed
    assert server.requests == []
    assert [state for state in hub.health() if state.state != "closed"] == []


def test_what_is_no_mapping_at_all(hub: Hub) -> None:
    with pytest.raises(ConfigurationError, match="it is a list and must be a mapping"):
        hub.chat(["Hello"])  # type: ignore[arg-type]  # the mistake


@pytest.mark.parametrize(
    "call",
    [
        lambda hub: hub.embed({"model": "embedded/embed", "input": [LONE]}),
        lambda hub: hub.rerank({"model": "embedded/rerank", "query": "q", "documents": [LONE]}),
        lambda hub: hub.chat({"model": MODEL, "messages": HELLO}, CallOptions(extra_body={"a": LONE})),
        lambda hub: ChatHubmix(model=MODEL, hub=hub).invoke(LONE),
        lambda hub: ChatHubmix(model=MODEL, hub=hub, temperature=float("nan")).invoke("Hello"),
        lambda hub: list(ChatHubmix(model=MODEL, hub=hub).stream("Hello", user=RING)),
        lambda hub: Hubmix(MODEL, hub=hub).complete(LONE),
        lambda hub: Hubmix(MODEL, hub=hub).complete("Hello", user=date(2026, 1, 1)),
        lambda hub: list(Hubmix(MODEL, hub=hub).stream_complete("Hello", temperature=float("nan"))),
    ],
)
def test_the_same_by_every_other_way(hub: Hub, server: EmbeddedHub, call: Callable[[Hub], object]) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot be sent: .+\. Nothing was sent\."):
        call(hub)
    assert server.requests == []


def test_the_error_holds_no_frame_of_the_client(hub: Hub) -> None:
    with pytest.raises(ConfigurationError) as raised:
        hub.chat({"model": MODEL, "messages": HELLO, "temperature": float("nan")})
    cause = raised.value.__cause__
    assert cause is not None
    assert traceback.extract_tb(cause.__traceback__) == []


@pytest.mark.parametrize("headers", [{"X-A": "é"}, {"X-A": "a\nb"}, {"X-A": LONE}, {"X-A": 3}])
def test_headers_that_cannot_be_sent(hub: Hub, server: EmbeddedHub, headers: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="the value of 'X-A' is not printable ASCII text"):
        Hub(base_url=server.base_url, api_key=server.api_key, default_headers=headers)
    with pytest.raises(ConfigurationError, match="the value of 'X-A'"):
        hub.chat({"model": MODEL, "messages": HELLO}, CallOptions(headers=headers))
    with pytest.raises(ConfigurationError, match="the name 'É'"):
        Hub(base_url=server.base_url, api_key=server.api_key, default_headers={"É": "a"})
    with pytest.raises(ConfigurationError, match="the value of 'X-A'"):
        hub.chat({"model": MODEL, "messages": HELLO}, CallOptions(headers={"X-A": None}))  # type: ignore[dict-item]
    assert server.requests == []
