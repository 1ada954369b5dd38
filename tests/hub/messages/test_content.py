"""Cache marks, documents and structured output over `/v1/messages`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.utils.function_calling import convert_to_openai_tool
from llama_index.core.base.llms.types import (
    CacheControl,
    CachePoint,
    ChatMessage,
    CitableBlock,
    DocumentBlock,
    ImageBlock,
    TextBlock,
    ToolCallBlock,
)
from llama_index.core.prompts import PromptTemplate
from pydantic import BaseModel

from hubmix import Hub
from hubmix.embedded import EmbeddedHub
from langchain_hubmix import ChatHubmix
from llamaindex_hubmix import Hubmix
from tests.support.claude import BUDGET, CHAT, CLAUDE, RESPONSES, get_weather, sent

MARK = {"type": "ephemeral"}
PICTURE = "data:image/png;base64,iVBORw0KGgo="
PAPER = "data:application/pdf;base64,JVBERi0="


# ---- cache marks

PLACES = {
    "system": ("system", 0),
    "tools": ("tools", 0),
    "text": ("messages", 0, "content", 0),
    "image": ("messages", 0, "content", 1),
    "document": ("messages", 0, "content", 2),
    "answer": ("messages", 1, "content", 0),
    "result": ("messages", 2, "content", 0),
    "request": (),
}
CALL = {"name": "get_weather", "args": {"city": "Paris"}, "id": "toolu_1"}


def in_langchain(hub: Hub, place: str) -> None:
    def marked(name: str, part: dict[str, Any]) -> dict[str, Any]:
        return {**part, "cache_control": MARK} if name == place else part

    def text(name: str, words: str) -> dict[str, Any]:
        return marked(name, {"type": "text", "text": words})

    history = [
        SystemMessage([text("system", "Be short.")]),
        HumanMessage(
            [
                text("text", "What is the weather in Paris?"),
                marked("image", {"type": "image_url", "image_url": {"url": PICTURE}}),
                marked("document", {"type": "file", "file": {"file_data": PAPER, "filename": "a.pdf"}}),
            ]
        ),
        AIMessage([text("answer", "I look it up.")], tool_calls=[CALL]),
        ToolMessage([text("result", "sunny")], tool_call_id="toolu_1"),
    ]
    tool = marked("tools", convert_to_openai_tool(get_weather))
    whole = {"extra_body": {"cache_control": MARK}} if place == "request" else {}
    ChatHubmix(model=CLAUDE, hub=hub, **whole).bind_tools([tool]).invoke(history)


def in_llamaindex(hub: Hub, place: str) -> None:
    point = CachePoint(cache_control=CacheControl(type="ephemeral"))

    def marked(name: str, *blocks: Any) -> list[Any]:
        return [*blocks, *([point] if name == place else [])]

    call = ToolCallBlock(tool_name="get_weather", tool_kwargs={"city": "Paris"}, tool_call_id="toolu_1")
    paper = DocumentBlock(data=PAPER.partition(",")[2].encode(), title="a.pdf", document_mimetype="application/pdf")
    asked = [
        *marked("text", TextBlock(text="What is the weather in Paris?")),
        *marked("image", ImageBlock(url=PICTURE)),
        *marked("document", paper),
    ]
    history = [
        ChatMessage(role="system", blocks=marked("system", TextBlock(text="Be short."))),
        ChatMessage(role="user", blocks=asked),
        ChatMessage(role="assistant", blocks=[*marked("answer", TextBlock(text="I look it up.")), call]),
        ChatMessage(
            role="tool", blocks=marked("result", TextBlock(text="sunny")), additional_kwargs={"tool_call_id": "toolu_1"}
        ),
    ]
    tool = convert_to_openai_tool(get_weather)
    given = [{**tool, "cache_control": MARK} if place == "tools" else tool]
    whole = {"extra_body": {"cache_control": MARK}} if place == "request" else {}
    Hubmix(model=CLAUDE, hub=hub, **whole).chat(history, tools=given)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("ask", [in_langchain, in_llamaindex])
def test_cache_mark_arrives_where_it_stands(
    hub: Hub, server: EmbeddedHub, ask: Callable[[Hub, str], None], place: str
) -> None:
    ask(hub, place)
    ((path, body),) = sent(server)
    found: Any = body
    for step in PLACES[place]:
        found = found[step]
    assert (path, found.get("cache_control")) == ("messages", MARK)
    assert str(body).count("cache_control") == 1


# ---- documents to cite, and structured output


def cited_in_langchain(llm: ChatHubmix) -> None:
    document = {
        "type": "document",
        "title": "Cities",
        "source": {"type": "text", "media_type": "text/plain", "data": "Oslo is cold."},
        "citations": {"enabled": True},
    }
    llm.invoke([HumanMessage([document, {"type": "text", "text": "Which city is cold?"}])])


def cited_in_llamaindex(llm: Hubmix) -> None:
    page = CitableBlock(title="Cities", source="https://hub.example", content=[TextBlock(text="Oslo is cold.")])
    llm.chat([ChatMessage(role="user", blocks=[page, TextBlock(text="Which city is cold?")])])


@pytest.mark.parametrize(
    ("make", "ask", "kind"),
    [(ChatHubmix, cited_in_langchain, "document"), (Hubmix, cited_in_llamaindex, "search_result")],
)
def test_document_to_cite_goes_as_text_elsewhere(hub: Hub, server: EmbeddedHub, make: Any, ask: Any, kind: str) -> None:
    for model in (CLAUDE, CHAT, RESPONSES):
        ask(make(model=model, hub=hub))
    messages, chat, responses = [str(body) for _, body in sent(server)]
    assert f"'type': '{kind}'" in messages
    assert "'citations': {'enabled': True}" in messages
    for body in (chat, responses):
        assert "Oslo is cold." in body
        assert "Cities" in body
        assert "citations" not in body
        assert "hubmix_" not in body


class Person(BaseModel):
    """A person."""

    age: int


@pytest.mark.parametrize("framework", ["langchain", "llamaindex"])
def test_structured_output_with_a_budget_forces_no_tool(hub: Hub, server: EmbeddedHub, framework: str) -> None:
    settings = {"model": BUDGET, "hub": hub, "extra_body": {"thinking": {"type": "enabled", "budget_tokens": 9_000}}}
    if framework == "langchain":
        found = ChatHubmix(**settings).with_structured_output(Person).invoke("Anna is 42 years old.")
    else:
        found = Hubmix(**settings).structured_predict(Person, PromptTemplate("Anna is 42 years old."))
    assert found == Person(age=42)
    ((_, body),) = sent(server)
    assert body["max_tokens"] > 9_000  # the limit holds thinking and answer
    assert "tool_choice" not in body
