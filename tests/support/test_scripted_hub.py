"""The scripted hub itself, and the ways to ask it."""

from __future__ import annotations

import pytest

from hubmix.errors import HubmixError
from tests.cases.ways import STREAMS, WAYS, Way, embed, order_tool, rerank, run_agent
from tests.support.answers import (
    DONE,
    Answer,
    call_piece,
    calls,
    chunk,
    completion,
    error,
    events,
    ranking,
    tool_call,
    usage_event,
    vectors,
    whole_or_stream,
)


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_every_way_reads_the_same_answer(way: Way, serve) -> None:
    hub = serve(lambda request: whole_or_stream("to be or not", stream=request.stream))
    outcome = way.ask(hub)
    assert (outcome.text, outcome.finish_reason, outcome.model) == ("to be or not", "stop", "m")
    assert [request.stream for request in hub.requests] == [way.stream]
    assert "".join(outcome.pieces) == ("to be or not" if way.stream else "")


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_every_way_passes_tools_and_reads_calls(way: Way, serve) -> None:
    whole = completion(None, "tool_calls", tool_calls=[tool_call("order", '{"item": "tea"}')])
    pieces = [calls(call_piece(0, "call_1", "order", '{"item":')), calls(call_piece(0, arguments=' "tea"}'))]
    stream = events(*pieces, chunk("tool_calls"), usage_event())
    hub = serve(lambda request: stream if request.stream else whole)
    outcome = way.ask(hub, tools=[order_tool()[0]])
    assert (outcome.calls, outcome.call_ids, outcome.invalid) == ([("order", {"item": "tea"})], ["call_1"], [])
    assert outcome.usage == (5, 3, 8)
    assert [tool["function"]["name"] for tool in hub.bodies[0]["tools"]] == ["order"]


@pytest.mark.parametrize("way", STREAMS, ids=str)
def test_a_body_that_aborts_cuts_the_connection(way: Way, serve) -> None:
    def pieces():
        yield b'data: {"choices": [{"index": 0, "delta": {"content": "half"}}]}\n\n'
        raise ConnectionAbortedError

    hub = serve(lambda request: Answer(pieces(), content_type="text/event-stream"))
    with pytest.raises(HubmixError):
        way.ask(hub)


@pytest.mark.parametrize("framework", ["langchain", "llamaindex"])
def test_an_agent_runs_its_tool_and_answers(framework: str, serve) -> None:
    call = calls(call_piece(0, "call_1", "order", '{"item": "tea"}'))

    def script(request):
        if request.after_tools:
            return whole_or_stream("done", stream=request.stream)
        whole = completion(None, "tool_calls", tool_calls=[tool_call("order", '{"item": "tea"}')])
        return events(call, chunk("tool_calls"), DONE, done=False) if request.stream else whole

    order, ran = order_tool()
    assert run_agent(framework, serve(script), order) == "done"
    assert ran == ["tea"]


def test_a_list_of_answers_repeats_its_last_one(serve) -> None:
    hub = serve([error(400, "no", type="invalid_request_error"), completion("yes")])
    with pytest.raises(HubmixError, match="no"):
        WAYS[0].ask(hub)
    assert [WAYS[0].ask(hub).text for _ in range(2)] == ["yes", "yes"]


def test_vectors_and_ranking_are_read(serve) -> None:
    hub = serve(lambda request: vectors(request.body["input"]))
    assert embed("langchain", hub) == embed("llamaindex", hub) == [0.0, 1.0, 2.0]
    assert rerank(serve(ranking(0.2, 0.1, 0.9)))[0] == ("c", 0.9)
