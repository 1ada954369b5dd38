"""Agents and workflows of LlamaIndex, streaming and not."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from llama_index.core.agent.workflow import AgentStream, AgentWorkflow, FunctionAgent, ReActAgent, ToolCallResult
from llama_index.core.memory import Memory
from llama_index.core.tools import FunctionTool
from pydantic import BaseModel

from hubmix.embedded import EmbeddedHub, Fault
from hubmix.errors import MalformedAnswerError
from llamaindex_hubmix import Hubmix
from tests.llamaindex.conftest import chats

Make = Callable[..., Hubmix]


class Weather(BaseModel):
    """The weather of a city."""

    city: str
    sky: str


def weather(city: str) -> str:
    """The weather of a city."""
    return f"It is sunny in {city}."


def add(a: int, b: int) -> int:
    """Add two integers."""
    return a + b


ASK = "What is the weather in Paris?"
ASK_TWICE = "What is the weather in Paris and in London?"

streaming = pytest.mark.parametrize("streaming", [True, False], ids=["streaming", "whole"])


async def run(agent: Any, message: str, **kwargs: Any) -> tuple[Any, list[Any]]:
    handler = agent.run(user_msg=message, **kwargs)
    seen = [event async for event in handler.stream_events()]
    return await handler, seen


@streaming
async def test_a_function_agent_calls_its_tool(make: Make, server: EmbeddedHub, streaming: bool) -> None:
    agent = FunctionAgent(tools=[weather], llm=make(), system_prompt="You help.", streaming=streaming)
    answer, seen = await run(agent, ASK)
    assert str(answer) == "It is sunny in Paris."
    assert [call.tool_name for call in answer.tool_calls] == ["weather"]
    assert any(isinstance(event, ToolCallResult) for event in seen)
    assert any(isinstance(event, AgentStream) for event in seen) == streaming
    assert all(body["messages"][0]["role"] == "system" for body in chats(server))


@streaming
async def test_parallel_calls(make: Make, server: EmbeddedHub, streaming: bool) -> None:
    agent = FunctionAgent(tools=[weather], llm=make(), streaming=streaming)
    answer, _ = await run(agent, ASK_TWICE)
    # The agent runs both at once and lists each as it ends.
    assert {call.tool_kwargs["city"] for call in answer.tool_calls} == {"Paris", "London"}
    assert len(chats(server)) == 2
    assert [m["role"] for m in chats(server)[1]["messages"]] == ["user", "assistant", "tool", "tool"]


@streaming
async def test_parallel_calls_may_be_off(make: Make, server: EmbeddedHub, streaming: bool) -> None:
    agent = FunctionAgent(tools=[weather], llm=make(), streaming=streaming, allow_parallel_tool_calls=False)
    answer, _ = await run(agent, ASK_TWICE)
    assert [call.tool_kwargs["city"] for call in answer.tool_calls] == ["Paris", "London"]
    assert len(chats(server)) == 3
    assert all(body["parallel_tool_calls"] is False for body in chats(server))


async def test_the_first_tool_may_be_named(make: Make, server: EmbeddedHub) -> None:
    agent = FunctionAgent(tools=[weather, add], llm=make(), initial_tool_choice="weather")
    await run(agent, ASK)
    assert [body.get("tool_choice") for body in chats(server)] == [
        {"type": "function", "function": {"name": "weather"}},
        "auto",
    ]


@streaming
async def test_a_tool_may_answer_directly(make: Make, server: EmbeddedHub, streaming: bool) -> None:
    tool = FunctionTool.from_defaults(weather, return_direct=True)
    memory = Memory.from_defaults(session_id="s", token_limit=40_000)
    agent = FunctionAgent(tools=[tool], llm=make(), streaming=streaming)
    answer, _ = await run(agent, ASK, memory=memory)
    assert str(answer) == "It is sunny in Paris."
    assert len(chats(server)) == 1
    # The history now holds an assistant message with a tool_call_id, which no hub may see.
    answer, _ = await run(agent, "Thanks!", memory=memory)
    assert all("tool_call_id" not in m for m in chats(server)[-1]["messages"] if m["role"] == "assistant")


@streaming
@pytest.mark.parametrize("model", ["think", "think-strict"])
async def test_a_strict_thinking_model_completes_three_steps(
    make: Make, server: EmbeddedHub, model: str, streaming: bool
) -> None:
    agent = FunctionAgent(tools=[weather], llm=make(model), streaming=streaming, allow_parallel_tool_calls=False)
    answer, seen = await run(agent, ASK_TWICE)
    assert len(chats(server)) == 3
    assert "London" in str(answer)
    assert all(m["reasoning_content"] for m in chats(server)[-1]["messages"] if m["role"] == "assistant")
    if streaming:
        assert any(event.thinking_delta for event in seen if isinstance(event, AgentStream))


async def test_the_same_in_the_dialect_of_aihubmix(monkeypatch: pytest.MonkeyPatch) -> None:
    """There reasoning is an object with a signature, and must come back unchanged."""
    with EmbeddedHub("aihubmix") as hub:
        for streaming in (True, False):
            llm = Hubmix("embedded/think-strict", base_url=hub.base_url, api_key=hub.api_key)
            agent = FunctionAgent(tools=[weather], llm=llm, streaming=streaming, allow_parallel_tool_calls=False)
            answer, _ = await run(agent, ASK_TWICE)
            assert "London" in str(answer)
            said = [m for m in chats(hub)[-1]["messages"] if m["role"] == "assistant"]
            assert len(said) == 2
            assert all(m["reasoning_details"]["signature"] for m in said)
            hub.clear()
        await llm.hub.aclose()


@streaming
async def test_an_agent_gives_structured_output(make: Make, streaming: bool) -> None:
    agent = FunctionAgent(tools=[weather], llm=make(), streaming=streaming, output_cls=Weather)
    answer, _ = await run(agent, "What is the weather in Paris? city: Paris, sky: sunny")
    assert Weather.model_validate(answer.structured_response)


@streaming
async def test_agents_hand_over(make: Make, streaming: bool) -> None:
    llm = make()
    adder = FunctionAgent(
        name="adder",
        description="Adds numbers.",
        tools=[add],
        llm=llm,
        can_handoff_to=["weatherman"],
        streaming=streaming,
    )
    weatherman = FunctionAgent(
        name="weatherman", description="Knows the weather.", tools=[weather], llm=llm, streaming=streaming
    )
    workflow = AgentWorkflow(agents=[adder, weatherman], root_agent="adder")
    answer, seen = await run(workflow, "Ask the weatherman: what is the weather in Paris?")
    assert "sunny in Paris" in str(answer)
    assert answer.current_agent_name == "weatherman"
    assert [e.tool_name for e in seen if isinstance(e, ToolCallResult)] == ["handoff", "weather"]


async def test_a_workflow_chooses_the_kind_of_agent_by_the_model(make: Make) -> None:
    with_tools = AgentWorkflow.from_tools_or_functions([weather], llm=make())
    without = AgentWorkflow.from_tools_or_functions([weather], llm=make("no-tools", is_function_calling_model=False))
    assert isinstance(next(iter(with_tools.agents.values())), FunctionAgent)
    assert isinstance(next(iter(without.agents.values())), ReActAgent)


@streaming
async def test_a_react_agent(make: Make, server: EmbeddedHub, streaming: bool) -> None:
    agent = ReActAgent(tools=[weather], llm=make("no-tools"), streaming=streaming)
    answer, _ = await run(agent, ASK)
    assert "sunny in Paris" in str(answer)
    assert all("tools" not in body for body in chats(server))


@streaming
async def test_memory_goes_on_over_turns(make: Make, server: EmbeddedHub, streaming: bool) -> None:
    memory = Memory.from_defaults(session_id="s", token_limit=40_000)
    agent = FunctionAgent(tools=[weather], llm=make("think-strict"), streaming=streaming)
    await run(agent, ASK, memory=memory)
    await run(agent, "What is the weather in London?", memory=memory)
    roles = [m["role"] for m in chats(server)[-1]["messages"]]
    assert roles == ["user", "assistant", "tool", "assistant", "user", "assistant", "tool"]


@streaming
async def test_a_tool_call_cut_short_ends_the_agent_with_a_word_of_why(make: Make, streaming: bool) -> None:
    agent = FunctionAgent(tools=[weather], llm=make(max_tokens=6), streaming=streaming, initial_tool_choice="weather")
    with pytest.raises(MalformedAnswerError, match="max_tokens"):
        await run(agent, "What is the weather in Llanfairpwllgwyngyll?")


async def test_the_iterations_may_end_early_with_an_answer(make: Make, server: EmbeddedHub) -> None:
    agent = FunctionAgent(tools=[weather], llm=make(), early_stopping_method="generate")
    answer, _ = await run(agent, ASK, max_iterations=1)
    assert str(answer)
    assert chats(server)[-1]["messages"][-1]["role"] == "system"


async def test_the_events_of_a_run_are_json(make: Make) -> None:
    _, seen = await run(FunctionAgent(tools=[weather], llm=make("think")), ASK)
    for event in seen:
        if isinstance(event, AgentStream):
            assert json.dumps(event.model_dump(), default=str)
            assert isinstance(event.raw, dict)


async def test_an_agent_goes_on_with_the_next_model(make: Make, server: EmbeddedHub) -> None:
    server.fault("embedded/think", Fault.error("model_not_found"), times=None)
    agent = FunctionAgent(tools=[weather], llm=make("think", fallbacks=["embedded/extract"]))
    answer, _ = await run(agent, ASK)
    assert str(answer) == "It is sunny in Paris."
