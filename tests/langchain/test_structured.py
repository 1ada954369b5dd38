"""Structured output: every schema and method, and one clear error."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from pydantic import BaseModel, model_validator
from pydantic.v1 import BaseModel as BaseModelV1
from typing_extensions import TypedDict

from hubmix import ConfigurationError, Hub, RefusalError, StructuredOutputError
from hubmix.embedded import EmbeddedHub, Fault
from langchain_hubmix import ChatHubmix
from langchain_hubmix._structured import METHODS

if TYPE_CHECKING:
    from collections.abc import Callable

    Chat = Callable[..., ChatHubmix]


class Person(BaseModel):
    """A person."""

    name: str
    age: int


class OldPerson(BaseModelV1):
    """A person."""

    name: str
    age: int


class PersonDict(TypedDict):
    """A person."""

    name: str
    age: int


JSON_SCHEMA = {
    "title": "person",
    "description": "A person.",
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
}
ANNA = "The person's name is 'Anna' and her age is 42."


def as_dict(parsed: Any) -> dict[str, Any]:
    return dict(parsed)


@pytest.mark.parametrize("method", [None, *METHODS])
@pytest.mark.parametrize("schema", [Person, OldPerson, PersonDict, JSON_SCHEMA])
async def test_every_schema_by_every_method(server: EmbeddedHub, chat: Chat, schema: Any, method: Any) -> None:
    llm = chat().with_structured_output(schema, method=method)
    parsed = llm.invoke(ANNA)
    assert as_dict(parsed) == {"name": "Anna", "age": 42}
    assert isinstance(parsed, schema if schema in (Person, OldPerson) else dict)
    assert await llm.ainvoke(ANNA) == parsed
    assert list(llm.stream(ANNA))[-1] == parsed
    assert [piece async for piece in llm.astream(ANNA)][-1] == parsed


def test_dicts_stream_as_they_grow(server: EmbeddedHub, chat: Chat) -> None:
    for method in METHODS:
        pieces = list(chat().with_structured_output(JSON_SCHEMA, method=method).stream(ANNA))
        assert len(pieces) > 1
        assert set(pieces[0]) < {"name", "age"} or pieces[0]["name"] != "Anna"


@pytest.mark.parametrize("strict", [None, True, False])
def test_what_is_asked(server: EmbeddedHub, chat: Chat, strict: bool | None) -> None:
    chat().with_structured_output(Person, method="function_calling", strict=strict).invoke(ANNA)
    body = server.requests[-1].json
    assert body["tool_choice"] == {"type": "function", "function": {"name": "Person"}}
    assert body["tools"][0]["function"].get("strict") is strict
    assert "response_format" not in body
    chat().with_structured_output(Person, method="json_schema", strict=strict).invoke(ANNA)
    body = server.requests[-1].json
    assert body["response_format"]["json_schema"]["strict"] is (strict is not False)  # as ChatOpenAI does
    assert body["response_format"]["json_schema"]["name"] == "Person"
    assert not {"tools", "tool_choice", "ls_structured_output_format"} & body.keys()


def test_json_mode_sends_the_schema_and_keeps_the_messages(server: EmbeddedHub, chat: Chat) -> None:
    llm = chat().with_structured_output(Person, method="json_mode")
    for history in (
        [HumanMessage(ANNA)],
        [SystemMessage("Be brief."), HumanMessage(ANNA)],
        [SystemMessage(["Be", " brief."]), HumanMessage(ANNA)],
    ):
        before = [message.model_copy(deep=True) for message in history]
        llm.invoke(history)
        assert history == before
        first = server.requests[-1].json["messages"][0]
        assert first["role"] == "system"
        assert '"properties"' in json.dumps(first["content"]).replace('\\"', '"')
    assert chat().with_structured_output(None, method="json_mode").invoke("JSON, with key 'a', please") is not None


@pytest.mark.parametrize("form", ["whole", "inner", "flat"])
@pytest.mark.parametrize("method", METHODS)
def test_a_response_format_is_a_schema_too(server: EmbeddedHub, chat: Chat, method: Any, form: str) -> None:
    inner = {"name": "person", "strict": True, "schema": {k: v for k, v in JSON_SCHEMA.items() if k != "title"}}
    whole: dict[str, Any] = {"type": "json_schema", "json_schema": inner}
    given = {"whole": whole, "inner": inner, "flat": {"type": "json_schema", **inner}}[form]
    assert chat().with_structured_output(given, method=method).invoke(ANNA) == {"name": "Anna", "age": 42}
    body = server.requests[-1].json
    if method == "json_schema":
        sent = body["response_format"]["json_schema"]
        assert (sent["name"], sent["strict"]) == ("person", True)
        assert sent["schema"] == {**inner["schema"], "additionalProperties": False}  # what strict mode requires
        chat().with_structured_output(given, method=method, strict=False).invoke(ANNA)
        assert server.requests[-1].json["response_format"]["json_schema"]["strict"] is False
    elif method == "function_calling":
        assert (body["tools"][0]["function"]["name"], body["tools"][0]["function"]["strict"]) == ("person", True)


@pytest.mark.parametrize("method", METHODS)
def test_a_schema_without_a_title(server: EmbeddedHub, chat: Chat, method: Any) -> None:
    schema = {name: value for name, value in JSON_SCHEMA.items() if name != "title"}
    assert chat().with_structured_output(schema, method=method).invoke(ANNA) == {"name": "Anna", "age": 42}


def test_further_tools_beside_a_schema(server: EmbeddedHub, chat: Chat) -> None:
    def weather(city: str) -> str:
        """The weather."""
        return city

    chat().with_structured_output(Person, method="json_schema", tools=[weather]).invoke(ANNA)
    body = server.requests[-1].json
    assert body["tools"][0]["function"]["name"] == "weather"
    assert "response_format" in body


def test_what_does_not_fit_together_is_refused(chat: Chat) -> None:
    for wrong in (
        {"method": "json"},
        {"method": "json_mode", "strict": True},
        {"method": "function_calling", "tools": [JSON_SCHEMA]},
    ):
        with pytest.raises(ConfigurationError):
            chat().with_structured_output(Person, **wrong)
    with pytest.raises(ConfigurationError):
        chat().with_structured_output(None, method="json_schema")


@pytest.mark.parametrize("method", ["json_schema", "json_mode"])
def test_a_model_that_ignores_the_schema(server: EmbeddedHub, chat: Chat, method: Any) -> None:
    llm = chat(model="embedded/no-schema").with_structured_output(Person, method=method)
    server.fault("embedded/no-schema", completion(content="Anna is 42."))
    with pytest.raises(
        StructuredOutputError, match=rf"embedded/no-schema.*{method}.*not JSON.*Another method"
    ) as caught:
        llm.invoke(ANNA)
    assert caught.value.model == "embedded/no-schema"
    assert caught.value.request_id


def completion(finish: str = "stop", **message: Any) -> Fault:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
    return Fault.answer(200, {"id": "a", "object": "chat.completion", "model": "m", "choices": [choice]})


def call(arguments: str, name: str = "Person") -> list[dict[str, Any]]:
    return [{"id": "c", "type": "function", "function": {"name": name, "arguments": arguments}}]


@pytest.mark.parametrize(
    ("method", "answer", "what"),
    [
        ("function_calling", {"content": "Anna"}, "did not call 'Person'"),
        ("function_calling", {"content": None, "tool_calls": call("{}", "other")}, "did not call 'Person'"),
        ("function_calling", {"content": None, "tool_calls": call('{"name": "An')}, "broken"),
        ("function_calling", {"content": None, "tool_calls": call('{"name": "Anna"}')}, "does not fit Person"),
        ("json_schema", {"content": "[1]"}, "list, not an object"),
        ("json_schema", {"content": '{"name": "Anna"}'}, "does not fit Person"),
        ("json_schema", {"content": '```json\n{"name": "An'}, "not JSON"),
    ],
)
@pytest.mark.parametrize("include_raw", [False, True])
def test_every_way_not_to_follow(
    server: EmbeddedHub, chat: Chat, method: Any, answer: dict[str, Any], what: str, include_raw: bool
) -> None:
    server.fault("embedded/extract", completion(**answer))
    llm = chat().with_structured_output(Person, method=method, include_raw=include_raw)
    if not include_raw:
        with pytest.raises(StructuredOutputError, match=what):
            llm.invoke(ANNA)
        return
    result = llm.invoke(ANNA)
    assert isinstance(result["raw"], AIMessage)
    assert result["parsed"] is None
    assert isinstance(result["parsing_error"], StructuredOutputError)
    assert what in str(result["parsing_error"])


@pytest.mark.parametrize("schema", [JSON_SCHEMA, PersonDict])
def test_a_dict_comes_as_the_model_gave_it(server: EmbeddedHub, chat: Chat, schema: Any) -> None:
    """An error would end the agent; LangChain's middleware can mend a partial dict."""
    server.fault("embedded/extract", completion(content='{"name": "Anna"}'), times=2)
    llm = chat().with_structured_output(schema, method="json_schema")
    assert llm.invoke(ANNA) == list(llm.stream(ANNA))[-1] == {"name": "Anna"}


def test_an_answer_cut_at_its_limit_says_so(server: EmbeddedHub, chat: Chat) -> None:
    for method in ("json_schema", "function_calling"):
        llm = chat(max_tokens=6).with_structured_output(Person, method=method)
        with pytest.raises(StructuredOutputError, match="raise max_tokens"):
            llm.invoke(ANNA)
        with pytest.raises(StructuredOutputError, match="raise max_tokens"):
            list(llm.stream(ANNA))


def test_a_refusal(server: EmbeddedHub, chat: Chat) -> None:
    for method in METHODS:
        llm = chat(model="embedded/refuse").with_structured_output(Person, method=method)
        with pytest.raises(RefusalError, match="embedded/refuse"):
            llm.invoke(ANNA)
        with pytest.raises(RefusalError):
            list(llm.stream(ANNA))
        raw = chat(model="embedded/refuse").with_structured_output(Person, method=method, include_raw=True).invoke(ANNA)
        assert isinstance(raw["parsing_error"], RefusalError)


def test_include_raw(server: EmbeddedHub, chat: Chat) -> None:
    result = chat().with_structured_output(Person, include_raw=True, method="function_calling").invoke(ANNA)
    assert result["parsed"] == Person(name="Anna", age=42)
    assert result["raw"].tool_calls
    assert result["parsing_error"] is None


async def test_include_raw_streams_the_answer_and_never_raises(server: EmbeddedHub, chat: Chat) -> None:
    for model in ("embedded/extract", "embedded/refuse"):
        llm = chat(model=model).with_structured_output(Person, method="json_schema", include_raw=True)
        whole = llm.invoke(ANNA)
        assert (await llm.ainvoke(ANNA))["parsed"] == whole["parsed"]
        for pieces in (list(llm.stream(ANNA)), [piece async for piece in llm.astream(ANNA)]):
            assert sum("raw" in piece for piece in pieces) > 2
            result = sum(pieces[1:], pieces[0])
            assert (result["raw"].text, result["parsed"]) == (whole["raw"].text, whole["parsed"])
            assert type(result["parsing_error"]) is type(whole["parsing_error"])
        assert type(whole) is dict
        assert isinstance(whole["parsing_error"], RefusalError if model == "embedded/refuse" else type(None))


def test_a_validator_that_stumbles_over_a_half_object(server: EmbeddedHub, chat: Chat) -> None:
    class Checked(Person):
        @model_validator(mode="before")
        @classmethod
        def _whole(cls, found: dict[str, Any]) -> dict[str, Any]:
            return {"name": found["name"].strip(), "age": found["age"]}

    for method in METHODS:
        llm = chat().with_structured_output(Checked, method=method)
        assert list(llm.stream(ANNA))[-1] == Checked(name="Anna", age=42)


def test_the_method_comes_from_the_catalog_where_it_is_known() -> None:
    with EmbeddedHub("aihubmix") as rich:
        hub = Hub("aihubmix", base_url=rich.base_url, api_key=rich.api_key)

        def method(model: str) -> str:
            ChatHubmix(model=model, hub=hub).with_structured_output(Person).invoke(ANNA)
            return "json_schema" if "response_format" in rich.requests[-1].json else "function_calling"

        assert method("embedded/extract") == "json_schema"  # ChatOpenAI's default
        hub.models.list()
        assert method("embedded/extract") == "json_schema"
        assert method("embedded/no-schema") == "function_calling"


def test_disabled_streaming_still_streams_the_result(server: EmbeddedHub, chat: Chat) -> None:
    llm = chat(disable_streaming=True).with_structured_output(Person)
    assert list(llm.stream(ANNA)) == [Person(name="Anna", age=42)]
