"""Agents with a thinking Claude survive turn two without signatures on chat."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import HumanMessage
from llama_index.core.prompts import PromptTemplate
from pydantic import BaseModel

from tests.cases.ways import chat_hubmix, hubmix, run_agent
from tests.support.answers import completion, error, text_stream, tool_call
from tests.support.scripted_hub import Request, ScriptedHub

REFUSAL = (
    "messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found `tool_use`. When `thinking` is "
    "enabled, a final `assistant` message must start with a thinking block"
)


def weather(city: str) -> str:
    """The weather."""
    return f"Sunny in {city}."


def claude(request: Request) -> Any:
    """Answer as a hub with a Claude channel does."""
    if not request.after_tools:
        calls = [tool_call("weather", '{"city": "Oslo"}')]
        return completion(None, "tool_calls", reasoning_content="Hm.", tool_calls=calls)
    if "reasoning_effort" in request.body:
        return error(400, REFUSAL, type="invalid_request_error")
    return text_stream("It is sunny.") if request.stream else completion("It is sunny.")


@pytest.mark.parametrize("framework", ["langchain", "llamaindex"])
def test_thinking_is_left_off_in_the_turn_after_a_call(framework: str) -> None:
    settings = {"reasoning_effort": "low", **({} if framework == "langchain" else {"streaming": False})}
    with ScriptedHub(claude) as hub:
        kept = chat_hubmix(hub), hubmix(hub)  # models of equal settings share a hub, and what it learned
        assert "It is sunny." in run_agent(framework, hub, weather, **settings)
        assert ["reasoning_effort" in body for body in hub.bodies] == [True, True, False]
        assert "It is sunny." in run_agent(framework, hub, weather, **settings)
        assert ["reasoning_effort" in body for body in hub.bodies[3:]] == [True, False], kept


def test_the_trace_says_that_it_was_left_off(caplog: pytest.LogCaptureFixture) -> None:
    with ScriptedHub(claude) as hub:
        llm = chat_hubmix(hub, reasoning_effort="low").bind_tools([weather])
        first = llm.invoke("go")
        answer = llm.invoke([HumanMessage("go"), first, {"role": "tool", "content": "sunny", "tool_call_id": "call_1"}])
        assert "thinking left off" in str(answer.response_metadata["failover"]["attempts"][-1])
        llm.invoke([HumanMessage("go"), first, {"role": "tool", "content": "sunny", "tool_call_id": "call_1"}])
    warned = [record for record in caplog.records if record.levelname == "WARNING"]
    assert [record.getMessage() for record in warned if "thinking left off" in record.getMessage()] == [
        f"The model 'm' at {hub.root_url.removeprefix('http://')} refused a request; from now on: thinking left off: "
        "the history has no signatures."
    ]


class Person(BaseModel):
    name: str


@pytest.mark.parametrize("method", [None, "function_calling"])
@pytest.mark.parametrize("obeys", [True, False], ids=["calls", "answers with text"])
def test_structured_output_takes_a_way_that_works(method: Any, obeys: bool) -> None:
    def script(request: Request) -> Any:
        if request.body.get("tool_choice") not in (None, "auto"):
            return error(400, "Thinking may not be enabled when tool_choice forces tool use.")
        if request.body.get("tools") and obeys:
            return completion(None, "tool_calls", tool_calls=[tool_call("Person", '{"name": "Ann"}')])
        return completion('Here it is: {"name": "Ann"}')

    with ScriptedHub(script) as hub:
        llm = chat_hubmix(hub, reasoning_effort="low").with_structured_output(Person, method=method)
        assert llm.invoke("x") == Person(name="Ann")
        made = hubmix(hub, reasoning_effort="low", structured_output_method=method)
        assert made.structured_predict(Person, PromptTemplate("x")) == Person(name="Ann")
