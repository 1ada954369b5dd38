"""Structured output as ChatOpenAI gives it: cases 100, 160-181, 511, 513."""

from __future__ import annotations

import json
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import LLMToolSelectorMiddleware
from langchain.agents.structured_output import ProviderStrategy, ToolStrategy
from langchain_core.messages import AIMessage
from langchain_core.tools import tool
from llama_index.core.prompts import PromptTemplate
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from hubmix import Hub, RefusalError, StructuredOutputError
from langchain_hubmix import ChatHubmix, _errors
from tests.cases.ways import chat_hubmix, hubmix
from tests.support.answers import chunk, completion, events, text_stream, tool_call
from tests.support.scripted_hub import Request, ScriptedHub


class City(BaseModel):
    """A city."""

    name: str = Field(description="Its name.")
    people: int | None = None


class CityDict(TypedDict):
    """A city."""

    name: str


OBJECT = '{"name": "Paris", "people": 2}'
PARIS = City(name="Paris", people=2)
PROMPT = PromptTemplate("which?")
AROUND = {
    "think": f"<think>\nThe user wants {{name, people}}. Paris it is.\n</think>\n\n{OBJECT}",
    "draft": f'<think>\nDraft: {{"name": "Rome", "people": 1}}? No.\n</think>\n{OBJECT}',
    "behind": f"```json\n{OBJECT}\n```\nHere {{name}} is the city.",
    "another object before": f'{{"thought": "hm"}} {OBJECT}',
    "fence": f"Sure!\n```\n{OBJECT}\n```",
}


@pytest.mark.parametrize("text", AROUND.values(), ids=AROUND)
@pytest.mark.parametrize("method", ["json_schema", "json_mode", "text"])
def test_other_text_around_the_object_is_no_obstacle(text: str, method: Any) -> None:
    with ScriptedHub(completion(text)) as hub:
        assert hubmix(hub, structured_output_method=method).structured_predict(City, PROMPT) == PARIS
        if method != "text":
            assert chat_hubmix(hub).with_structured_output(City, method=method).invoke("which?") == PARIS


@pytest.mark.parametrize("text", AROUND.values(), ids=AROUND)
def test_nor_while_it_is_streamed(text: str) -> None:
    with ScriptedHub(text_stream(text)) as hub:
        llm = hubmix(hub, structured_output_method="json_schema")
        assert list(llm.stream_structured_predict(City, PROMPT))[-1] == PARIS
        assert list(chat_hubmix(hub).with_structured_output(City).stream("which?"))[-1] == PARIS


@pytest.mark.parametrize("text", [text for name, text in AROUND.items() if name != "another object before"])
def test_nor_in_the_arguments_of_the_call(text: str) -> None:
    with ScriptedHub(completion(None, "tool_calls", tool_calls=[tool_call("City", text)])) as hub:
        assert chat_hubmix(hub).with_structured_output(City, method="function_calling").invoke("which?") == PARIS
        llm = hubmix(hub, structured_output_method="function_calling")
        assert llm.structured_predict(City, PROMPT) == PARIS


class Cities(BaseModel):
    """All fields have defaults, so that every object fits."""

    cities: list[City] = []
    country: str = "?"


@pytest.mark.parametrize("finish_reason", ["stop", "length"])
@pytest.mark.parametrize("method", ["json_schema", "json_mode", "function_calling"])
def test_part_of_a_cut_object_is_no_object(method: Any, finish_reason: str) -> None:
    cut = '{"cities": [{"name": "Paris"}, {"name": "Ro'

    def script(request: Request) -> Any:
        if request.body.get("tools"):
            return completion(None, finish_reason, tool_calls=[tool_call("Cities", cut)])
        return text_stream(cut, finish_reason) if request.stream else completion(cut, finish_reason)

    with ScriptedHub(script) as hub:
        with pytest.raises(StructuredOutputError):
            chat_hubmix(hub).with_structured_output(Cities, method=method).invoke("x")
        with pytest.raises(StructuredOutputError):
            list(chat_hubmix(hub).with_structured_output(Cities, method=method).stream("x"))
        with pytest.raises(StructuredOutputError):
            hubmix(hub, structured_output_method=method).structured_predict(Cities, PROMPT)


# ------------------------------------------------------------------------------------------------------- what is asked


def weather(city: str) -> str:
    """The weather."""
    return city


def other(x: str) -> str:
    """Another one."""
    return x


def by_agent(strategy: Any) -> Any:
    def ask(llm: ChatHubmix) -> None:
        create_agent(llm, tools=[weather], response_format=strategy).invoke({"messages": [("user", "hi")]})

    return ask


PATHS = {
    "with_structured_output": lambda llm: llm.with_structured_output(City).invoke("hi"),
    "response_format of the model": lambda llm: llm.model_copy(update={"response_format": City}).invoke("hi"),
    "response_format of a call": lambda llm: llm.invoke("hi", response_format=City),
    "bind": lambda llm: llm.bind(response_format=City).invoke("hi"),
    "bind_tools": lambda llm: llm.bind_tools([weather], response_format=City).invoke("hi"),
    "ProviderStrategy": by_agent(ProviderStrategy(City)),
    "ProviderStrategy, strict": by_agent(ProviderStrategy(City, strict=True)),
}


@pytest.mark.parametrize("ask", PATHS.values(), ids=PATHS)
def test_a_schema_is_strict_by_every_path(ask: Any) -> None:
    with ScriptedHub(completion(OBJECT)) as hub:
        ask(chat_hubmix(hub))
        asked = hub.bodies[0]["response_format"]["json_schema"]
        assert (asked["name"], asked["strict"]) == ("City", True)
        assert asked["schema"]["additionalProperties"] is False
        assert sorted(asked["schema"]["required"]) == ["name", "people"]
        assert "default" not in json.dumps(asked)


def test_strict_may_be_switched_off() -> None:
    with ScriptedHub(completion(OBJECT)) as hub:
        assert chat_hubmix(hub).with_structured_output(City, strict=False).invoke("hi") == PARIS
        assert hub.bodies[0]["response_format"]["json_schema"]["strict"] is False


@pytest.mark.parametrize(
    ("facts", "sent"),
    [
        ({}, "response_format"),
        ({"structured_output": True}, "response_format"),
        ({"structured_output": False}, "tools"),
    ],
    ids=["unknown", "has it", "lacks it"],
)
def test_function_calling_is_used_only_if_schemas_are_missing(facts: Any, sent: str) -> None:
    def script(request: Request) -> Any:
        calls = {"tool_calls": [tool_call("City", OBJECT)]}
        return completion(None, "tool_calls", **calls) if "tools" in request.body else completion(OBJECT)

    with ScriptedHub(script) as server:
        hub = Hub(base_url=server.base_url, api_key="sk-test", model_overrides={"m": facts})
        assert ChatHubmix(model="m", hub=hub).with_structured_output(City).invoke("hi") == PARIS
        assert server.bodies[0].keys() & {"response_format", "tools"} == {sent}


# ------------------------------------------------------------------------------------------------- what comes back


@pytest.mark.parametrize("schema", [CityDict, {"title": "City", **City.model_json_schema()}], ids=["typed", "dict"])
@pytest.mark.parametrize("method", ["json_schema", "function_calling", "json_mode"])
def test_a_dict_comes_as_the_model_gave_it(schema: Any, method: Any) -> None:
    def script(request: Request) -> Any:
        if "tools" not in request.body:
            return completion('{"other": 1}')
        name = request.body["tools"][0]["function"]["name"]
        return completion(None, "tool_calls", tool_calls=[tool_call(name, '{"other": 1}')])

    with ScriptedHub(script) as hub:
        assert chat_hubmix(hub).with_structured_output(schema, method=method).invoke("hi") == {"other": 1}


def test_a_middleware_recovers_from_a_malformed_selection() -> None:
    tools = [tool(weather), tool(other)]

    def script(request: Request) -> Any:
        if "response_format" in request.body:
            return completion('{"tool": ["weather"]}')
        return completion("done")

    selector = LLMToolSelectorMiddleware(max_tools=1, on_parsing_failure="all", max_retries=1)
    with ScriptedHub(script) as hub:
        agent = create_agent(chat_hubmix(hub), tools=tools, middleware=[selector])
        assert agent.invoke({"messages": [("user", "x")]})["messages"][-1].content == "done"


@pytest.mark.parametrize("method", ["json_schema", "function_calling", "json_mode"])
def test_a_content_filter_is_a_refusal(method: Any) -> None:
    with ScriptedHub(completion("Here is", "content_filter")) as hub:
        llm = chat_hubmix(hub).with_structured_output(City, method=method)
        with pytest.raises(RefusalError, match="content filter") as caught:
            llm.invoke("hi")
        assert isinstance(caught.value, _errors._ModelRefusalError)
        assert caught.value.raw_message.text == "Here is"
        with pytest.raises(RefusalError, match="content filter"):
            hubmix(hub, structured_output_method=method).structured_predict(City, PROMPT)


def test_a_whole_object_is_none_the_less_read() -> None:
    with ScriptedHub(completion(OBJECT, "content_filter")) as hub:
        assert chat_hubmix(hub).with_structured_output(City).invoke("hi") == PARIS


@pytest.mark.parametrize("content", [[{"type": "refusal", "refusal": "No."}], [{"type": "refusal", "refusal": ""}]])
def test_refusal_block_of_another_model_is_a_refusal(content: Any) -> None:
    with ScriptedHub(completion("x")) as hub:
        parser = chat_hubmix(hub).with_structured_output(City).last
    with pytest.raises(RefusalError, match="refused"):
        parser.invoke(AIMessage(content))


def test_streamed_refusal_in_structured_output_is_raised() -> None:
    pieces = events(chunk(refusal="I can"), chunk(refusal="not."), chunk("stop"))
    with ScriptedHub(pieces) as hub, pytest.raises(RefusalError, match="I cannot"):
        list(chat_hubmix(hub).with_structured_output(City).stream("x"))


def test_a_refusal_is_a_standard_block_whole_and_streamed() -> None:
    pieces = events(chunk(refusal="I can"), chunk(refusal="not."), chunk("stop"))

    def script(request: Request) -> Any:
        return pieces if request.stream else completion(None, refusal="I cannot.")

    with ScriptedHub(script) as hub:
        llm = chat_hubmix(hub)
        whole = llm.invoke("x")
        streamed = None
        for piece in llm.stream("x"):
            streamed = piece if streamed is None else streamed + piece
        for message in (whole, streamed):
            assert [block.get("value", block)["refusal"] for block in message.content_blocks] == ["I cannot."]


def test_an_agent_can_be_told_to_raise_at_a_refusal() -> None:
    middleware = pytest.importorskip("langchain.agents.middleware.model_refusal")
    with ScriptedHub(completion(None, refusal="I cannot.")) as hub:
        agent = create_agent(chat_hubmix(hub), middleware=[middleware.ModelRefusalMiddleware()])
        with pytest.raises(_errors._ModelRefusalError):
            agent.invoke({"messages": [("user", "x")]})


@pytest.mark.parametrize("method", ["json_schema", "function_calling", "json_mode"])
def test_the_output_schema_is_that_of_the_model(method: Any) -> None:
    llm = ChatHubmix(model="m", api_key="sk-test").with_structured_output(City, method=method)
    assert llm.get_output_schema().model_json_schema()["properties"].keys() == {"name", "people"}


def test_a_class_as_response_format_gives_parsed() -> None:
    def script(request: Request) -> Any:
        return text_stream(AROUND["fence"]) if request.stream else completion(AROUND["fence"])

    with ScriptedHub(script) as hub:
        llm = chat_hubmix(hub).bind(response_format=City)
        assert llm.invoke("x").additional_kwargs["parsed"] == PARIS
        assert [piece.additional_kwargs.get("parsed") for piece in llm.stream("x")][-1] == PARIS
    with ScriptedHub(completion("no object")) as hub:
        assert "parsed" not in chat_hubmix(hub, response_format=City).invoke("x").additional_kwargs


def test_a_strategy_of_tools_asks_for_a_call() -> None:
    with ScriptedHub(completion(None, "tool_calls", tool_calls=[tool_call("City", OBJECT)])) as hub:
        agent = create_agent(chat_hubmix(hub), tools=[], response_format=ToolStrategy(City))
        assert agent.invoke({"messages": [("user", "x")]})["structured_response"] == PARIS
        assert "response_format" not in hub.bodies[0]


def test_no_object_at_all_is_one_clear_error() -> None:
    with ScriptedHub(completion("Paris, of course.")) as hub:
        with pytest.raises(StructuredOutputError, match="not JSON"):
            chat_hubmix(hub).with_structured_output(City).invoke("x")
        with pytest.raises(StructuredOutputError, match="no JSON"):
            hubmix(hub, structured_output_method="text").structured_predict(City, PROMPT)
