"""One call has one id, name and arguments text, in any pieces and any repetition."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.cases.ways import SYNC, Way, order_tool, run_agent
from tests.support.answers import Answer, call_piece, calls, chunk, completion, events, tool_call, whole_or_stream
from tests.support.scripted_hub import ScriptedHub

Serve = Callable[..., ScriptedHub]
TEA, JAM = '{"item": "tea"}', '{"item": "jam"}'
ONE, TWO = [("order", {"item": "tea"})], [("order", {"item": "tea"}), ("order", {"item": "jam"})]
END = chunk("tool_calls")


def streamed(*pieces: dict[str, Any]) -> Answer:
    """Return a stream with one piece of a call an event."""
    return events(chunk(role="assistant", content=None), *map(calls, pieces), END)


def whole(*entries: dict[str, Any]) -> Answer:
    """Return a whole answer with these calls."""
    return completion(None, "tool_calls", tool_calls=list(entries))


def order(arguments: Any, id: str = "c1") -> dict[str, Any]:
    """Return a whole call of the tool."""
    return tool_call("order", arguments, id)


piece = call_piece
BEGUN = piece(0, "c1", "order", "")
TOLD: dict[str, tuple[Answer, list[Any]]] = {
    # QuantumNous/new-api#6223: the bridge to the Responses API sends the call once more at its end.
    "again under another index": (streamed(BEGUN, piece(0, arguments=TEA), piece(1, "c1", "order", TEA)), ONE),
    "again in a whole body": (whole(order(TEA), order(TEA)), ONE),
    # danny-avila/LibreChat#13987
    "arguments on another index": (
        streamed(piece(2, "c1", "order", ""), piece(1, arguments='{"item": '), piece(1, arguments='"tea"}')),
        ONE,
    ),
    # Soju06/codex-lb#284
    "arguments repeated": (streamed(BEGUN, piece(0, arguments=TEA), piece(0, arguments=TEA)), ONE),
    "arguments three times": (whole(order(TEA * 3)), ONE),
    "arguments in snapshots": (streamed(BEGUN, *(piece(0, arguments=TEA[:end]) for end in (4, 9, len(TEA)))), ONE),
    "an empty object first": (streamed(piece(0, "c1", "order", "{}"), piece(0, arguments=TEA)), ONE),
    # quarkiverse/quarkus-langchain4j#2642, BerriAI/litellm#20480
    "encoded twice": (whole(order(json.dumps(TEA))), ONE),
    "encoded twice, streamed": (streamed(BEGUN, piece(0, arguments=json.dumps(TEA))), ONE),
    "encoded twice behind": (streamed(BEGUN, piece(0, arguments=TEA), piece(0, "c1", "order", json.dumps(TEA))), ONE),
    # mozilla-ai/any-llm#1148
    "two under one id": (streamed(piece(0, "c1", "order", TEA), piece(0, "c1", "order", JAM)), TWO),
    "two glued": (whole(order(TEA + JAM)), TWO),
    "two glued, streamed": (streamed(BEGUN, piece(0, arguments=TEA + JAM)), TWO),
    "two under one index": (streamed(piece(0, "c1", "order", TEA), piece(0, "c2", "order", JAM)), TWO),
    "two of one id in a whole body": (whole(order(TEA), order(JAM)), TWO),
    "two without index and id": (streamed(piece(name="order", arguments=TEA), piece(name="order", arguments=JAM)), TWO),
    # openclaw/openclaw#127603
    "name in pieces": (streamed(piece(0, "c1", "or", ""), piece(0, name="der", arguments=TEA)), ONE),
    "name on every piece": (streamed(piece(0, "c1", "order", TEA[:5]), piece(0, name="order", arguments=TEA[5:])), ONE),
    "an id for every piece": (streamed(piece(0, "c1", "order", TEA[:5]), piece(0, "c9", arguments=TEA[5:])), ONE),
    # A server fills the old field as well.
    "legacy too": (completion(None, "tool_calls", tool_calls=[order(TEA)], function_call=order(TEA)["function"]), ONE),
    # GitHub Copilot splits Claude's text and calls into two choices.
    "in a second choice": (
        events(chunk(content="hm"), chunk(index=1, tool_calls=[piece(0, "c1", "order", TEA)]), END),
        ONE,
    ),
}


@pytest.mark.parametrize("way", SYNC, ids=str)
@pytest.mark.parametrize("told", TOLD)
def test_call_is_read_however_it_is_told(told: str, way: Way, serve: Serve) -> None:
    """The answer's framing decides, so whole and streamed calls read each alike."""
    answer, expected = TOLD[told]
    found = way.ask(serve(answer))
    assert (found.calls, found.invalid) == (expected, [])
    assert len(set(found.call_ids)) == len(expected)


@pytest.mark.parametrize("framework", ["langchain", "llamaindex"])
@pytest.mark.parametrize("told", ["again under another index", "two under one id"])
def test_agent_runs_each_call_once(told: str, framework: str, serve: Serve) -> None:
    tool, ran = order_tool()
    answer, expected = TOLD[told]
    hub = serve(lambda asked: whole_or_stream("done", stream=asked.stream) if asked.after_tools else answer)
    assert run_agent(framework, hub, tool) == "done"
    assert sorted(ran) == sorted(arguments["item"] for _, arguments in expected)  # LangGraph runs them in threads


NAMELESS = streamed(BEGUN, piece(0, arguments=TEA), piece(1, arguments=JAM))


@pytest.mark.parametrize("framework", ["langchain", "llamaindex"])
def test_call_without_a_name_is_of_the_only_tool(framework: str, serve: Serve) -> None:
    """A re-chunker drops id and name of the second call (BerriAI/litellm#39796)."""
    tool, ran = order_tool()
    hub = serve(lambda asked: whole_or_stream("done", stream=asked.stream) if asked.after_tools else NAMELESS)
    assert run_agent(framework, hub, tool) == "done"
    assert sorted(ran) == ["jam", "tea"]  # LangGraph runs them in threads


@pytest.mark.parametrize("way", SYNC, ids=str)
def test_call_without_a_name_is_invalid(way: Way, serve: Serve) -> None:
    found = way.ask(serve(NAMELESS))
    assert (found.calls, found.invalid) == (ONE, [""])


def test_agent_hears_of_an_invalid_call_and_goes_on(serve: Serve) -> None:
    """The call is answered with the reason, and does not run with made-up arguments."""
    tool, ran = order_tool()
    bad = streamed(piece(0, "c1", "order", TEA), piece(1, "c2", "order", '{"item": "jam",}'))
    hub = serve(lambda asked: whole_or_stream("done", stream=asked.stream) if asked.after_tools else bad)
    assert run_agent("llamaindex", hub, tool) == "done"
    assert ran == ["tea"]
    results = {m["tool_call_id"]: m["content"] for m in hub.bodies[-1]["messages"] if m["role"] == "tool"}
    assert "not valid JSON" in results["c2"]
    assert {call["id"] for m in hub.bodies[-1]["messages"] for call in m.get("tool_calls", ())} == set(results)


@pytest.mark.parametrize("way", SYNC, ids=str)
@pytest.mark.parametrize("written", ["line one\nline\ttwo", "a\u0001b", "\r\n"])
def test_control_characters_in_arguments_are_read(written: str, way: Way, serve: Serve) -> None:
    """Gemini, Kimi, llama.cpp write raw newlines there (MoonshotAI/kimi-cli#1580)."""
    text = f'{{"item": "{written}"}}'
    found = way.ask(serve(streamed(BEGUN, piece(0, arguments=text)) if way.stream else whole(order(text))))
    assert (found.calls, found.invalid) == ([("order", {"item": written})], [])


@pytest.mark.parametrize("way", SYNC, ids=str)
@pytest.mark.parametrize(
    "cut", ['{"item": "te', '{"item": "tea"', '{"item": "line\n', '"{\\"item\\": ', TEA + '{"item":']
)
def test_cut_arguments_stay_invalid(cut: str, way: Way, serve: Serve) -> None:
    found = way.ask(serve(streamed(BEGUN, piece(0, arguments=cut)) if way.stream else whole(order(cut))))
    assert found.invalid == ["order"]
    assert found.calls in ([], ONE)
