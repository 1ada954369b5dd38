"""`hubmix.trace`: the way of any answer or error, as text and as a timeline."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from llama_index.core.base.llms.types import ChatMessage, ChatResponse

import hubmix
from hubmix import ConfigurationError
from hubmix.batch.rows import Row, Rows
from hubmix.errors import AllModelsFailedError, ServerError
from hubmix.wire import Reply
from hubmix.wire.trace import Attempt, Trace

WAY = Trace(
    "a",
    "b",
    [
        Attempt("a", "error", kind="server", status=503, latency_ms=12.0, hub="hub.example", api="chat"),
        Attempt("b", "ok", status=200, waited_ms=500.0, latency_ms=40.0, hub="hub.example", api="responses"),
    ],
)
MESSAGE = AIMessage("hi", response_metadata={"failover": WAY.to_dict()})
FAILED = AllModelsFailedError("No model answered.", [ServerError("down")], attempts=WAY.attempts[:1], model="a")


@pytest.mark.parametrize(
    "value",
    [
        WAY,
        Reply(trace=WAY),
        MESSAGE,
        ChatResponse(message=ChatMessage(content="hi"), additional_kwargs={"failover": WAY.to_dict()}),
        {"messages": [HumanMessage("hello"), MESSAGE]},
        {"raw": MESSAGE, "parsed": None, "parsing_error": None},
        [HumanMessage("hello"), MESSAGE],
        SimpleNamespace(generations=[[SimpleNamespace(message=MESSAGE)]]),
        MESSAGE.response_metadata,
        WAY.to_dict(),
        Row(0, "hello", Reply(trace=WAY)),
        Rows([Row(0, "hello", Reply(trace=WAY))]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_trace_is_found_in_every_kind_of_answer(value: Any) -> None:
    assert hubmix.trace(value).to_dict() == WAY.to_dict()


def test_trace_of_an_error_has_its_attempts() -> None:
    found = hubmix.trace(FAILED)
    assert (found.requested, found.served, found.attempts) == ("a", None, WAY.attempts[:1])


def test_trace_of_a_wrapped_error_is_found() -> None:
    outer = RuntimeError("outer")
    outer.__cause__ = FAILED
    assert hubmix.trace(outer).attempts == WAY.attempts[:1]


def test_text_has_one_line_an_attempt() -> None:
    assert str(WAY).split("\n") == [
        "a → b",
        "  ✗ failed: a at hub.example over chat, 12 ms (server, HTTP 503)",
        "  ✓ answered: b at hub.example over responses, 40 ms, waited 500 ms",
    ]


@pytest.mark.parametrize("value", ["text", None, 1, AIMessage("hi"), [], {}])
def test_value_without_a_trace_is_said(value: Any) -> None:
    with pytest.raises(ConfigurationError, match="There is no trace"):
        hubmix.trace(value)
