"""An answer ends with a finish reason that names an end and comes last."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hubmix import StreamInterruptedError
from tests.cases.ways import STREAMS, SYNC, Way, order_tool
from tests.support.answers import Answer, call_piece, calls, chunk, completion, events, usage_event, whole_or_stream
from tests.support.scripted_hub import ScriptedHub

Serve = Callable[..., ScriptedHub]
FAILURES = (
    *("error", "network_error", "error_finish", "overloaded_error", "abort", "cancelled", "failed"),
    *("insufficient_system_resource", "timeout"),
)


def half(finish_reason: str, *, stream: bool, text: str = "The capital of") -> Answer:
    """Return half an answer that ends with this word."""
    if not stream:
        return completion(text, finish_reason)
    return events(chunk(role="assistant", content=text), chunk(finish_reason))


@pytest.mark.parametrize("way", SYNC, ids=str)
@pytest.mark.parametrize("word", FAILURES)
def test_named_failure_is_no_end(word: str, way: Way, serve: Serve) -> None:
    """A finish reason can name a failure (NousResearch/hermes-agent#92161)."""
    with pytest.raises(StreamInterruptedError) as caught:
        way.ask(serve(half(word, stream=way.stream)))
    assert caught.value.partial.text == "The capital of"


@pytest.mark.parametrize("way", SYNC, ids=str)
@pytest.mark.parametrize("word", ["network_error", "abort"])
def test_named_failure_before_a_word_asks_the_fallback(word: str, way: Way, serve: Serve) -> None:
    hub = serve(
        lambda asked: (
            half(word, stream=asked.stream, text="" if asked.stream else "half")
            if asked.model == "m"
            else whole_or_stream("whole", stream=asked.stream)
        )
    )
    assert way.ask(hub, fallbacks=["b"]).text == "whole"
    assert hub.models == ["m", "b"]


@pytest.mark.parametrize("way", STREAMS, ids=str)
@pytest.mark.parametrize("early", [["stop", None], ["stop", "stop"], [None, "tool_calls"]])
def test_reason_before_content_is_taken_back(early: list[Any], way: Way, serve: Serve) -> None:
    """Bridges put "stop" on the first or every chunk (su-kaka/gcli2api#403)."""
    pieces = [chunk(early[0], role="assistant", content=""), chunk(early[1], reasoning_content="hm")]
    found = way.ask(serve(events(*pieces, chunk(content="half an ans"), chunk("length"), usage_event())))
    assert (found.text, found.reasoning, found.finish_reason) == ("half an ans", "hm", "length")
    assert found.usage == (5, 3, 8)


@pytest.mark.parametrize("way", STREAMS, ids=str)
def test_early_stop_alone_is_no_end(way: Way, serve: Serve) -> None:
    found = way.ask(serve(events(chunk("stop", role="assistant", content=""), chunk(content="half"))))
    assert (found.text, found.incomplete) == ("half", True)


@pytest.mark.parametrize("way", STREAMS, ids=str)
def test_call_cut_behind_an_early_stop_does_not_run(way: Way, serve: Serve) -> None:
    order, ran = order_tool()
    first = [chunk("stop", role="assistant", reasoning_content="hm"), calls(call_piece(0, "c1", "order", ""))]
    with pytest.raises(StreamInterruptedError):
        way.ask(serve(events(*first)), tools=[order])
    assert ran == []


@pytest.mark.parametrize("way", STREAMS, ids=str)
@pytest.mark.parametrize("reasons", [["tool_calls", "stop"], ["tool_calls", "", "stop"], ["tool_calls", "tool_calls"]])
def test_first_of_several_reasons_counts(reasons: list[str], way: Way, serve: Serve) -> None:
    """Gemini behind New API of 2025 sends "tool_calls", then "stop"."""
    called = calls(call_piece(0, "c1", "order", '{"item": "tea"}'))
    assert way.ask(serve(events(called, *map(chunk, reasons)))).finish_reason == "tool_calls"


@pytest.mark.parametrize("way", STREAMS, ids=str)
@pytest.mark.parametrize("done", [True, False])
def test_no_reason_is_noticed_with_and_without_done(done: bool, way: Way, serve: Serve) -> None:
    """`[DONE]` alone does not prove an end: gateways add it to a cut stream."""
    hub = serve(events(chunk(content="half"), done=done))
    if done:
        assert way.ask(hub).incomplete
        return
    with pytest.raises(StreamInterruptedError) as caught:
        way.ask(hub)
    assert caught.value.partial.text == "half"


@pytest.mark.parametrize("way", SYNC, ids=str)
@pytest.mark.parametrize(
    ("word", "standard"),
    [("sensitive", "content_filter"), ("content_filtered", "content_filter"), ("model_length", "length")],
)
def test_vendors_words_have_standard_names(word: str, standard: str, way: Way, serve: Serve) -> None:
    found = way.ask(serve(half(word, stream=way.stream)))
    assert (found.finish_reason, found.about["native_finish_reason"]) == (standard, word)
