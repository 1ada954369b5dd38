"""Fallbacks that by the catalog's word cannot do a request are passed over."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from hubmix import FailoverPolicy, Hub
from hubmix.embedded import EmbeddedHub
from hubmix.failover.options import CallOptions
from hubmix.wire import Reply
from tests.failover.ways import FIRST, SECOND, THIRD

PIXEL = "data:image/png;base64,iVBORw0KGgo="
TOOL = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}}}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object", "properties": {}}}}
NEEDS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "tools": ({"tools": [TOOL]}, {"tools": False}, "tools"),
    "a forced tool": ({"tools": [TOOL], "tool_choice": "required"}, {"tools": False}, "tools"),
    "images": ({"image_url": {"url": PIXEL}}, {"vision": False}, "images"),
    "audio": ({"input_audio": {"data": "AA==", "format": "wav"}}, {"audio": False}, "audio"),
    "files": (
        {"file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AA=="}},
        {"pdf": False},
        "files",
    ),
    "structured output": ({"response_format": SCHEMA}, {"structured_output": False}, "structured output"),
    "a long history": ({"text": "word " * 2000}, {"context_window": 1000}, "1000 tokens"),
}


def payload(need: dict[str, Any]) -> dict[str, Any]:
    (name, value), *_ = need.items()
    part = {"type": name, name: value}
    fields = ("tools", "response_format")
    content: Any = "Hello" if name in fields else [part]
    return {"model": FIRST, "messages": [{"role": "user", "content": content}], **(need if name in fields else {})}


@pytest.fixture
def ask(server: EmbeddedHub) -> Iterator[Any]:
    made: list[Hub] = []

    def call(need: dict[str, Any], facts: dict[str, dict[str, Any]], **policy: Any) -> Reply:
        hub = Hub(base_url=server.base_url, api_key=server.api_key, model_overrides=facts)
        made.append(hub)
        hub.models.refresh()
        server.fault(FIRST, "model_unknown", times=None)
        return hub.chat(payload(need), CallOptions(fallbacks=(SECOND, THIRD), policy=FailoverPolicy(**policy)))

    yield call
    for hub in made:
        hub.close()


def told(reply: Reply) -> list[tuple[str, str]]:
    assert reply.trace is not None
    return [(attempt.model, attempt.outcome) for attempt in reply.trace.attempts]


def asked(reply: Reply) -> list[str]:
    """Whom the hub was asked for, whatever the embedded hub makes of an image."""
    return [model for model, outcome in told(reply) if outcome != "skipped"]


@pytest.mark.parametrize("name", NEEDS)
def test_incapable_fallback_is_skipped_with_the_reason(name: str, ask: Any) -> None:
    need, lack, word = NEEDS[name]
    reply = ask(need, {SECOND: lack})
    assert told(reply) == [(FIRST, "error"), (SECOND, "skipped"), (THIRD, "ok")]
    assert word in reply.trace.attempts[1].reason


@pytest.mark.parametrize("name", NEEDS)
def test_what_is_not_known_is_tried(name: str, ask: Any) -> None:
    need, lack, _ = NEEDS[name]
    reply = ask(need, {SECOND: dict.fromkeys(lack)})
    assert SECOND in asked(reply)


@pytest.mark.parametrize("name", NEEDS)
def test_catalog_is_ignored_if_no_model_can_or_the_user_says_so(name: str, ask: Any) -> None:
    need, lack, _ = NEEDS[name]
    assert SECOND in asked(ask(need, {SECOND: lack, THIRD: lack}))
    assert SECOND in asked(ask(need, {SECOND: lack}, capability_filter=False))
