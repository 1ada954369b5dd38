"""Tools: every form of choice, and only whole calls are executed."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage, ChatResponse, ToolCallBlock
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from llama_index_instrumentation import get_dispatcher
from llama_index_instrumentation.span_handlers import SimpleSpanHandler
from openai.types.chat import ChatCompletionMessageFunctionToolCall
from openai.types.chat.chat_completion_message_function_tool_call import Function
from pydantic import BaseModel

from hubmix.embedded import EmbeddedHub, Fault
from hubmix.errors import MalformedAnswerError
from llamaindex_hubmix import Hubmix
from tests.llamaindex.conftest import chats

Make = Callable[..., Hubmix]


def add(a: int, b: int) -> int:
    """Add two integers."""
    return a + b


def weather(city: str) -> str:
    """The weather of a city."""
    return f"It is sunny in {city}."


class Place(BaseModel):
    name: str


TOOLS = [FunctionTool.from_defaults(add), FunctionTool.from_defaults(weather)]
ASK = "What is the weather in Paris?"
ASK_TWICE = "What is the weather in Paris and in London?"
NAMED = {"type": "function", "function": {"name": "weather"}}


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({}, "auto"),
        ({"tool_choice": None}, "auto"),
        ({"tool_choice": "auto"}, "auto"),
        ({"tool_choice": "none"}, "none"),
        ({"tool_choice": "required"}, "required"),
        ({"tool_choice": "any"}, "required"),
        ({"tool_choice": "weather"}, NAMED),
        ({"tool_choice": NAMED}, NAMED),
        ({"tool_required": True}, "required"),
        ({"tool_choice": None, "tool_required": True}, "required"),
        ({"tool_choice": "weather", "tool_required": True}, NAMED),
    ],
)
def test_every_form_of_tool_choice(llm: Hubmix, server: EmbeddedHub, given: dict[str, Any], sent: Any) -> None:
    llm.chat_with_tools(TOOLS, user_msg=ASK, **given)
    assert chats(server)[0].get("tool_choice") == sent


def test_parallel_calls_are_off_or_left_to_the_vendor(llm: Hubmix, server: EmbeddedHub) -> None:
    llm.chat_with_tools(TOOLS, user_msg=ASK)
    llm.chat_with_tools(TOOLS, user_msg=ASK, allow_parallel_tool_calls=True)
    assert [body.get("parallel_tool_calls") for body in chats(server)] == [False, None]


def test_without_tools_nothing_of_tools_is_sent(llm: Hubmix, server: EmbeddedHub) -> None:
    llm.chat_with_tools([], user_msg=ASK, tool_choice="auto", tool_required=True)
    llm.chat([ChatMessage(ASK)], tools=[], tool_choice="auto", parallel_tool_calls=False)
    for body in chats(server):
        assert body.keys() == {"model", "messages"}


def test_long_descriptions_are_sent_whole(llm: Hubmix, server: EmbeddedHub) -> None:
    tool = FunctionTool.from_defaults(add, description="x" * 3_000)
    llm.chat_with_tools([tool], user_msg="hi")
    assert len(chats(server)[0]["tools"][0]["function"]["description"]) == 3_000


def test_the_history_is_left_alone(llm: Hubmix) -> None:
    history = [ChatMessage(role="system", content="Be kind.")]
    before = copy.deepcopy(history)
    llm.chat_with_tools(TOOLS, user_msg=ASK, chat_history=history)
    assert history == before


async def test_calls_come_out_alike_from_all_four(llm: Hubmix) -> None:
    kwargs: dict[str, Any] = {"tools": TOOLS, "user_msg": ASK_TWICE, "allow_parallel_tool_calls": True}
    responses = [
        llm.chat_with_tools(**kwargs),
        list(llm.stream_chat_with_tools(**kwargs))[-1],
        await llm.achat_with_tools(**kwargs),
        [r async for r in await llm.astream_chat_with_tools(**kwargs)][-1],
    ]
    found = [[(s.tool_name, s.tool_kwargs) for s in llm.get_tool_calls_from_response(r)] for r in responses]
    assert found == [[("weather", {"city": "Paris"}), ("weather", {"city": "London"})]] * 4
    assert all(r.message.blocks == responses[0].message.blocks for r in responses)


def test_one_call_where_the_hub_ignores_that_parallel_is_off(llm: Hubmix, server: EmbeddedHub) -> None:
    calls = [{"id": f"c{n}", "type": "function", "function": {"name": "weather", "arguments": "{}"}} for n in (1, 2)]
    message = {"role": "assistant", "content": None, "tool_calls": calls}
    body = {"id": "x", "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]}
    server.fault("*", Fault.answer(200, body))
    response = llm.chat_with_tools(TOOLS, user_msg=ASK)
    assert [s.tool_id for s in llm.get_tool_calls_from_response(response)] == ["c1"]


def test_predict_and_call(llm: Hubmix) -> None:
    assert str(llm.predict_and_call(TOOLS, ASK)) == "It is sunny in Paris."
    both = llm.predict_and_call(TOOLS, ASK_TWICE, allow_parallel_tool_calls=True)
    assert [str(source) for source in both.sources] == ["It is sunny in Paris.", "It is sunny in London."]


async def test_apredict_and_call(llm: Hubmix) -> None:
    assert str(await llm.apredict_and_call(TOOLS, ASK)) == "It is sunny in Paris."


async def test_a_verb_over_chat_is_one_span(llm: Hubmix) -> None:
    root, handler = get_dispatcher(), SimpleSpanHandler()
    root.add_span_handler(handler)
    try:
        llm.predict_and_call(TOOLS, ASK)
        await llm.apredict_and_call(TOOLS, ASK)
        llm.structured_predict(Place, PromptTemplate("name: Paris"))
    finally:
        root.span_handlers.remove(handler)
    made = [span.id_.partition("-")[0] for span in handler.completed_spans]
    assert [name for name in made if name.startswith("Hubmix.")] == [
        "Hubmix._prepare_chat_with_tools",
        "Hubmix.chat",
        "Hubmix.predict_and_call",
        "Hubmix._prepare_chat_with_tools",
        "Hubmix.achat",
        "Hubmix.apredict_and_call",
        "Hubmix.chat",
        "Hubmix.structured_predict",
    ]


def test_predict_and_call_without_tool_support_uses_a_prompt(make: Make, server: EmbeddedHub) -> None:
    llm = make("no-tools", is_function_calling_model=False)
    assert "sunny in Paris" in str(llm.predict_and_call(TOOLS, ASK))
    assert all("tools" not in body for body in chats(server))


def test_partial_calls_are_readable_at_every_step(llm: Hubmix) -> None:
    for response in llm.stream_chat_with_tools(TOOLS, user_msg=ASK, tool_choice="weather"):
        for selection in llm.get_tool_calls_from_response(response, error_on_no_tool_call=False):
            assert selection.tool_name == "weather"
            assert selection.tool_kwargs.keys() <= {"city"}


async def test_a_call_that_was_cut_short_is_never_executed(make: Make) -> None:
    llm = make(max_tokens=6)
    question = {"tools": TOOLS, "user_msg": "What is the weather in Llanfairpwllgwyngyll?", "tool_choice": "weather"}
    responses = [
        llm.chat_with_tools(**question),
        list(llm.stream_chat_with_tools(**question))[-1],
        await llm.achat_with_tools(**question),
    ]
    for response in responses:
        assert response.additional_kwargs["finish_reason"] == "length"
        block = response.message.blocks[-1]
        assert isinstance(block, ToolCallBlock)
        assert isinstance(block.tool_kwargs, str)
        with pytest.raises(MalformedAnswerError, match="max_tokens"):
            llm.get_tool_calls_from_response(response, error_on_no_tool_call=False)


def test_an_answer_in_words_is_an_error_only_if_asked(llm: Hubmix) -> None:
    response = llm.chat_with_tools(TOOLS, user_msg="Hello!")
    assert llm.get_tool_calls_from_response(response, error_on_no_tool_call=False) == []
    with pytest.raises(ValueError, match="Expected a tool call"):
        llm.get_tool_calls_from_response(response)


def test_a_whole_round_with_a_strict_thinking_model(make: Make, server: EmbeddedHub) -> None:
    llm = make("think-strict")
    history = [ChatMessage(role="user", content=ASK)]
    asked = llm.chat_with_tools(TOOLS, chat_history=history)
    (selection,) = llm.get_tool_calls_from_response(asked)
    result = ChatMessage(
        role="tool", content=weather(**selection.tool_kwargs), additional_kwargs={"tool_call_id": selection.tool_id}
    )
    answer = llm.chat_with_tools(TOOLS, chat_history=[*history, asked.message, result])
    assert "sunny in Paris" in str(answer.message.content)
    assert chats(server)[1]["messages"][1]["reasoning_content"]


# ---------------------------------------------------------------- what core's own tests ask of a function-calling model


def response_with(*calls: Any) -> ChatResponse:
    return ChatResponse(message=ChatMessage(role="assistant", additional_kwargs={"tool_calls": list(calls)}))


@pytest.mark.parametrize("arguments", ["this is no JSON", "null", "", None], ids=str)
def test_stored_calls_with_unreadable_arguments_have_none(llm: Hubmix, arguments: Any) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": arguments}}
    (selection,) = llm.get_tool_calls_from_response(response_with(call))
    assert (selection.tool_id, selection.tool_name, selection.tool_kwargs) == ("c1", "add", {})


def test_stored_calls_of_the_sdk_are_read(llm: Hubmix) -> None:
    call = ChatCompletionMessageFunctionToolCall(
        id="c1", type="function", function=Function(name="add", arguments='{"a": 1}')
    )
    assert llm.get_tool_calls_from_response(response_with(call))[0].tool_kwargs == {"a": 1}


def test_prepared_tools_can_be_sent_by_chat(llm: Hubmix, server: EmbeddedHub) -> None:
    prepared = llm._prepare_chat_with_tools(TOOLS, user_msg=ChatMessage(ASK), tool_required=True)
    assert [tool["function"]["name"] for tool in prepared["tools"]] == ["add", "weather"]
    assert prepared["tool_choice"] == "required"
    llm.chat(**prepared)
    assert chats(server)[0]["tools"] == prepared["tools"]


def test_tools_may_be_given_to_chat_itself(llm: Hubmix, server: EmbeddedHub) -> None:
    llm.chat([ChatMessage(ASK)], tools=TOOLS, tool_choice="weather")
    assert chats(server)[0]["tool_choice"] == NAMED
    assert [tool["function"]["name"] for tool in chats(server)[0]["tools"]] == ["add", "weather"]
