"""Agents survive a malformed call: the model reads the error and corrects itself.

No tool runs with incomplete arguments. Case 190 and similar ones.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from langchain.agents import create_agent
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.tools import FunctionTool

from tests.cases.ways import chat_hubmix, hubmix
from tests.support.answers import call_piece, calls, chunk, completion, error, events, text_stream, tool_call
from tests.support.scripted_hub import Request, ScriptedHub

BROKEN = ['{"a": 1, "b": 2', "not JSON", "[1, 2]", '{"a": 1, b: 2}']
GOOD = '{"a": 1, "b": 2}'


def script(*arguments: str, finish: str = "tool_calls", then: str = "It is 3.") -> Any:
    """Answer the first requests with calls of these arguments, then with a text."""

    def answer(request: Request) -> Any:
        number = request.number
        if number >= len(arguments):
            return text_stream(then) if request.stream else completion(then)
        if request.stream:
            piece = call_piece(0, id=f"c{number}", name="add", arguments=arguments[number])
            return events(calls(piece), chunk(finish))
        made = tool_call("add", arguments[number], id=f"c{number}")
        return completion(None, finish, tool_calls=[made])

    return answer


class Adder:
    """A tool that keeps what it was called with."""

    def __init__(self) -> None:
        self.ran: list[tuple[int, int]] = []

    def tool(self) -> Any:
        def add(a: int, b: int) -> int:
            """Add two numbers."""
            self.ran.append((a, b))
            return a + b

        return add


def langchain(hub: ScriptedHub, adder: Adder) -> str:
    agent = create_agent(chat_hubmix(hub), tools=[adder.tool()])
    return str(agent.invoke({"messages": [("user", "1+2")]})["messages"][-1].content)


def langchain_streamed(hub: ScriptedHub, adder: Adder) -> str:
    agent = create_agent(chat_hubmix(hub, streaming=True), tools=[adder.tool()])
    return str(agent.invoke({"messages": [("user", "1+2")]})["messages"][-1].content)


def langchain_async(hub: ScriptedHub, adder: Adder) -> str:
    agent = create_agent(chat_hubmix(hub, streaming=True), tools=[adder.tool()])
    return str(asyncio.run(agent.ainvoke({"messages": [("user", "1+2")]}))["messages"][-1].content)


def llamaindex(hub: ScriptedHub, adder: Adder) -> str:
    async def run() -> str:
        return str(await FunctionAgent(llm=hubmix(hub), tools=[FunctionTool.from_defaults(adder.tool())]).run("1+2"))

    return asyncio.run(run())


AGENTS = pytest.mark.parametrize("agent", [langchain, langchain_streamed, langchain_async, llamaindex])


@AGENTS
@pytest.mark.parametrize("broken", BROKEN)
def test_an_agent_goes_on_after_a_malformed_call(agent: Any, broken: str) -> None:
    adder = Adder()
    with ScriptedHub(script(broken, GOOD)) as hub:
        assert agent(hub, adder) == "It is 3."
    assert adder.ran == [(1, 2)]
    told = [message for message in hub.bodies[1]["messages"] if message["role"] == "tool"]
    assert "not executed" in str(told)


@pytest.mark.parametrize("ask", [langchain, langchain_streamed])
def test_a_call_that_its_limit_cut_is_not_asked_for_again(ask: Any) -> None:
    adder = Adder()
    with ScriptedHub(script('{"a": 1, "b"', finish="length")) as hub:
        ask(hub, adder)
        assert len(hub.requests) == 1
    assert adder.ran == []


@pytest.mark.parametrize("streaming", [False, True])
def test_a_model_that_does_not_learn_is_asked_once_more_only(streaming: bool) -> None:
    with ScriptedHub(script("no", "no", "no")) as hub:
        llm = chat_hubmix(hub, streaming=streaming).bind_tools([Adder().tool()])
        message = llm.invoke("1+2")
        assert len(hub.requests) == 2
    assert message.tool_calls == []
    assert {broken["id"] for broken in message.invalid_tool_calls} >= {"c1"}


@pytest.mark.parametrize("streaming", [False, True])
def test_the_first_answer_stays_one_if_the_second_fails(streaming: bool) -> None:
    first = script("no")

    def answer(request: Request) -> Any:
        return first(request) if request.number == 0 else error(500, "down")

    with ScriptedHub(answer) as hub:
        message = chat_hubmix(hub, streaming=streaming).bind_tools([Adder().tool()]).invoke("1+2")
    assert [broken["id"] for broken in message.invalid_tool_calls] == ["c0"]
    assert message.response_metadata["finish_reason"] == "tool_calls"
    assert message.usage_metadata is None or message.usage_metadata["total_tokens"] == 8


@pytest.mark.parametrize("streaming", [False, True])
def test_valid_calls_beside_a_malformed_one_run(streaming: bool) -> None:
    """The agent hears of the malformed one with the results of the others."""
    adder = Adder()

    def answer(request: Request) -> Any:
        if request.number:
            return text_stream("It is 3.") if request.stream else completion("It is 3.")
        if request.stream:
            pieces = [call_piece(i, id=f"c{i}", name="add", arguments=text) for i, text in enumerate((GOOD, "no"))]
            return events(calls(*pieces), chunk("tool_calls"))
        made = [tool_call("add", GOOD, id="c0"), tool_call("add", "no", id="c1")]
        return completion(None, "tool_calls", tool_calls=made)

    with ScriptedHub(answer) as hub:
        agent = create_agent(chat_hubmix(hub, streaming=streaming), tools=[adder.tool()])
        assert agent.invoke({"messages": [("user", "1+2")]})["messages"][-1].content == "It is 3."
        assert len(hub.requests) == 2
    assert adder.ran == [(1, 2)]
    told = {entry["tool_call_id"]: entry["content"] for entry in hub.bodies[1]["messages"] if entry["role"] == "tool"}
    assert told.keys() == {"c0", "c1"}


def test_structured_output_says_itself_what_was_wrong() -> None:
    with ScriptedHub(script("no", "no")) as hub:
        llm = chat_hubmix(hub).with_structured_output({"title": "add", "type": "object"}, method="function_calling")
        with pytest.raises(Exception, match="broken"):
            llm.invoke("1+2")
        assert len(hub.requests) == 1
