"""Structured output by every method, in every verb; core's holes stay closed."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.callbacks import CallbackManager, CBEventType, LlamaDebugHandler
from llama_index.core.program import FunctionCallingProgram
from llama_index.core.prompts import ChatPromptTemplate, PromptTemplate
from llama_index.core.types import PydanticProgramMode
from pydantic import BaseModel, Field

from hubmix import Hub
from hubmix.embedded import EmbeddedHub, Fault
from hubmix.errors import RefusalError, StructuredOutputError
from hubmix.plugin.structured import response_format
from llamaindex_hubmix import Hubmix
from tests.llamaindex.conftest import chats


class City(BaseModel):
    """A city."""

    name: str
    population: int


class Free(BaseModel):
    facts: dict[str, str] = Field(default_factory=dict)


Make = Callable[..., Hubmix]
PROMPT = PromptTemplate("{text}")
TEXT = "name: Paris, population: 2102650"
PARIS = City(name="Paris", population=2_102_650)
METHODS = ["json_schema", "function_calling", "json_mode", "text"]


async def every_way(llm: Hubmix, **kwargs: Any) -> dict[str, Any]:
    asked: dict[str, Any] = {"output_cls": City, "prompt": PROMPT, "text": TEXT, **kwargs}
    return {
        "structured_predict": llm.structured_predict(**asked),
        "astructured_predict": await llm.astructured_predict(**asked),
        "stream_structured_predict": list(llm.stream_structured_predict(**asked))[-1],
        "astream_structured_predict": [o async for o in await llm.astream_structured_predict(**asked)][-1],
    }


@pytest.mark.parametrize("method", METHODS)
async def test_every_method_in_every_verb(make: Make, server: EmbeddedHub, method: Any) -> None:
    found = await every_way(make(structured_output_method=method, system_prompt="Be exact."))
    assert found == dict.fromkeys(found, PARIS)
    bodies = chats(server)
    assert len(bodies) == 4
    for body in bodies:
        assert body["messages"][0] == {"role": "system", "content": "Be exact."}
        assert ("tools" in body, "response_format" in body) == (method == "function_calling", method.startswith("json"))
        if method == "function_calling":
            assert body["tool_choice"] == {"type": "function", "function": {"name": "City"}}


@pytest.mark.parametrize("method", METHODS)
def test_a_streamed_object_grows(make: Make, method: Any) -> None:
    steps = list(make(structured_output_method=method).stream_structured_predict(City, PROMPT, text=TEXT))
    assert len(steps) > 1
    assert isinstance(steps[-1], City)
    names = [step.model_dump().get("name") for step in steps]
    assert names[-1] == "Paris"
    assert all("Paris".startswith(name) for name in names if name)


async def test_as_structured_llm(make: Make) -> None:
    structured = make().as_structured_llm(City)
    messages = [ChatMessage(role="user", content=TEXT)]
    assert structured.chat(messages).raw == PARIS
    assert (await structured.achat(messages)).raw == PARIS
    assert list(structured.stream_chat(messages))[-1].raw == PARIS
    assert [r async for r in await structured.astream_chat(messages)][-1].raw == PARIS
    assert structured.complete(TEXT).raw == PARIS


# ----------------------------------------------------------------------------------------------------- which method


def hub_that_says(server: EmbeddedHub, **facts: Any) -> Hub:
    return Hub(base_url=server.base_url, api_key=server.api_key, model_overrides={"embedded/extract": facts})


@pytest.mark.parametrize(
    ("facts", "sent"),
    [
        ({"structured_output": True}, "response_format"),
        ({"structured_output": False, "tools": True}, "tools"),
        ({}, "tools"),
        ({"structured_output": False, "tools": False}, None),
    ],
    ids=["schemas", "tools", "unknown", "neither"],
)
def test_the_catalog_chooses_the_strongest_method(server: EmbeddedHub, facts: Any, sent: str | None) -> None:
    llm = Hubmix("embedded/extract", hub=hub_that_says(server, **facts))
    assert llm.structured_predict(City, PROMPT, text=TEXT) == PARIS
    assert chats(server)[0].keys() & {"response_format", "tools"} == ({sent} if sent else set())


@pytest.mark.parametrize(
    ("mode", "sent"),
    [(PydanticProgramMode.FUNCTION, {"tools"}), (PydanticProgramMode.LLM, set())],
    ids=["function", "llm"],
)
def test_the_program_mode_of_llama_index_decides(make: Make, server: EmbeddedHub, mode: Any, sent: set[str]) -> None:
    assert make(pydantic_program_mode=mode).structured_predict(City, PROMPT, text=TEXT) == PARIS
    assert chats(server)[0].keys() & {"response_format", "tools"} == sent


def test_a_model_without_tools_gets_no_tool_choice(make: Make, server: EmbeddedHub) -> None:
    llm = make("no-tools", is_function_calling_model=False)
    assert llm.structured_predict(City, PROMPT, llm_kwargs={"tool_choice": "required"}, text=TEXT) == PARIS
    assert "tool_choice" not in chats(server)[0]


def test_strict_only_where_the_schema_allows_it() -> None:
    assert response_format(City)["json_schema"]["strict"] is True
    assert response_format(City)["json_schema"]["schema"]["additionalProperties"] is False
    assert response_format(Free)["json_schema"]["strict"] is False


def test_a_generic_class_has_a_name_that_vendors_take() -> None:
    from typing import Generic, TypeVar

    T = TypeVar("T")

    class Box(BaseModel, Generic[T]):
        item: T

    assert response_format(Box[int])["json_schema"]["name"] == "Box_int_"


# --------------------------------------------------------------------------------------------------------- failures


async def test_a_model_that_ignores_the_schema_is_one_clear_error(make: Make, server: EmbeddedHub) -> None:
    llm = make("no-schema", structured_output_method="json_schema")
    question = "Where is Paris? Context: Paris is in France."
    with pytest.raises(
        StructuredOutputError, match=r"embedded/no-schema.* gave no City: the answer is no JSON"
    ) as caught:
        llm.structured_predict(City, PROMPT, text=question)
    assert caught.value.request_id
    with pytest.raises(StructuredOutputError):
        await llm.astructured_predict(City, PROMPT, text=question)
    with pytest.raises(StructuredOutputError):
        list(llm.stream_structured_predict(City, PROMPT, text=question))
    with pytest.raises(StructuredOutputError):
        [_ async for _ in await llm.astream_structured_predict(City, PROMPT, text=question)]


def whole(content: str) -> Fault:
    message = {"role": "assistant", "content": content}
    return Fault.answer(200, {"id": "x", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})


def test_an_object_between_code_fences_is_read(make: Make, server: EmbeddedHub) -> None:
    server.fault("*", whole('Here it is:\n```json\n{"name": "Paris", "population": 1}\n```'))
    found = make(structured_output_method="text").structured_predict(City, PROMPT, text=TEXT)
    assert found == City(name="Paris", population=1)


def test_a_missing_field_is_named(make: Make, server: EmbeddedHub) -> None:
    server.fault("*", whole('{"name": "Paris"}'))
    with pytest.raises(StructuredOutputError, match="population: Field required"):
        make(structured_output_method="json_schema").structured_predict(City, PROMPT, text=TEXT)


def test_an_answer_cut_short_says_to_raise_max_tokens(make: Make) -> None:
    for method in METHODS:
        with pytest.raises(StructuredOutputError, match="max_tokens"):
            make(structured_output_method=method, max_tokens=5).structured_predict(City, PROMPT, text=TEXT)


def test_a_refusal_is_its_own_error(make: Make) -> None:
    with pytest.raises(RefusalError, match="refused"):
        make("refuse").structured_predict(City, PROMPT, text=TEXT)


# ----------------------------------------------------------------------------------------------------- good manners


async def test_parameters_of_the_call_are_passed_on(make: Make, server: EmbeddedHub) -> None:
    kwargs = {"temperature": 0.5, "tool_choice": "auto", "allow_parallel_tool_calls": True}
    before = copy.deepcopy(kwargs)
    await every_way(make(), llm_kwargs=kwargs)
    assert kwargs == before
    assert all(body["temperature"] == 0.5 for body in chats(server))
    assert all(body["tool_choice"] == {"type": "function", "function": {"name": "City"}} for body in chats(server))


async def test_callbacks_come_once_a_call(make: Make) -> None:
    debug = LlamaDebugHandler(print_trace_on_end=False)
    await every_way(make(callback_manager=CallbackManager([debug])))
    assert len(debug.get_event_pairs(CBEventType.LLM)) == 4


def test_the_prompt_is_left_alone(make: Make) -> None:
    prompt = ChatPromptTemplate(message_templates=[ChatMessage(role="user", content="{text}")])
    make(structured_output_method="text").structured_predict(City, prompt, text=TEXT)
    assert prompt.output_parser is None
    assert prompt.message_templates[0].content == "{text}"


def test_structured_events_are_sent(make: Make, events: list[Any]) -> None:
    make().structured_predict(City, PROMPT, text=TEXT)
    list(make().stream_structured_predict(City, PROMPT, text=TEXT))
    names = [event.class_name() for event in events]
    assert names.count("LLMStructuredPredictStartEvent") == names.count("LLMStructuredPredictEndEvent") == 2
    assert "LLMStructuredPredictInProgressEvent" in names


async def test_cores_own_program_works_too(make: Make) -> None:
    program = FunctionCallingProgram.from_defaults(output_cls=City, prompt=PROMPT, llm=make())
    assert program(text=TEXT) == PARIS
    assert await program.acall(text=TEXT) == PARIS
    assert list(program.stream_call(text=f"Call City with {TEXT}"))[-1] == PARIS
