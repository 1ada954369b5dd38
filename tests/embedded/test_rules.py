"""The rules on their own: tools, copied sentences, prompts of chains."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from hubmix.embedded.chat.request import read_chat
from hubmix.embedded.conversation import ToolResult
from hubmix.embedded.models import Registry, pieces
from hubmix.embedded.rules import respond
from hubmix.embedded.rules.extract import best_sentences, question_in
from hubmix.embedded.rules.tools import Tool, asked, forced

TEXT = {"type": "string"}
NUMBER = {"type": "integer"}


def _tool(name: str, description: str = "", **properties: Any) -> Tool:
    return Tool(name, description, {"type": "object", "properties": properties, "required": list(properties)})


WEATHER = _tool("get_weather", "Get the weather at a location.", location=TEXT)
TIME = _tool("get_time", "Current time in a city", city=TEXT)
ADD = _tool("add", "Add two numbers", a=NUMBER, b=NUMBER)
MULTIPLY = _tool("multiply", "Multiply two numbers", a=NUMBER, b=NUMBER)
MAGIC = _tool("magic_function", "Apply a magic function to an input.", input=NUMBER)
SEARCH = _tool("search_docs", "Search the documentation of the hub", query=TEXT)
ALL = [WEATHER, TIME, ADD, MULTIPLY, MAGIC, SEARCH]


def _said(model: str, *texts: str, system: str = "", **extra: Any) -> str:
    roles = ["user" if index % 2 == 0 else "assistant" for index in range(len(texts))]
    messages = [{"role": role, "content": text} for role, text in zip(roles, texts, strict=True)]
    if system:
        messages.insert(0, {"role": "system", "content": system})
    found = Registry.of().find(model)
    assert found is not None
    return "".join(respond(found, read_chat({"model": model, "messages": messages, **extra})).text)


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        ("What is the weather in San Francisco, CA?", [("get_weather", {"location": "San Francisco, CA"})]),
        ("What's the weather in Paris, France?", [("get_weather", {"location": "Paris, France"})]),
        ("what is the weather in paris", [("get_weather", {"location": "paris"})]),
        (
            "What's the weather in Paris, Oslo and Rome?",
            [("get_weather", {"location": place}) for place in ("Paris", "Oslo", "Rome")],
        ),
        (
            "What is the weather in Paris and the time in Oslo?",
            [("get_weather", {"location": "Paris"}), ("get_time", {"city": "Oslo"})],
        ),
        ("What is the value of magic_function(3)? Use the tool.", [("magic_function", {"input": 3})]),
        ("multiply(b=4, a=3)", [("multiply", {"b": 4, "a": 3})]),
        ("What is 3 times 4?", [("multiply", {"a": 3, "b": 4})]),
        ("What is 20 + 22?", [("add", {"a": 20, "b": 22})]),
        ("Multiply 6 by 7", [("multiply", {"a": 6, "b": 7})]),
        ("How does the hub handle failover?", [("search_docs", {"query": "How does the hub handle failover?"})]),
        ("Hello!", []),
        ("Tell me a joke about cats.", []),
        ("Thanks, that is all.", []),
    ],
)
def test_what_a_message_asks_for(text: str, calls: list[tuple[str, Any]]) -> None:
    assert [(call.name, json.loads(call.arguments)) for call in asked(ALL, text)] == calls


def test_a_forced_call_is_made_with_what_there_is() -> None:
    (call,) = forced(
        [_tool("greet", "Generate a greeting in a style", style=TEXT)], "Using the tool, greet like a Pirate."
    )
    assert json.loads(call.arguments) == {"style": "Pirate"}
    (call,) = forced([MAGIC], "Hello!")
    assert json.loads(call.arguments) == {"input": 0}
    assert [call.name for call in forced([MAGIC, TIME], "Hello!", [ToolResult("magic_function", {}, "3")])] == [
        "get_time"
    ]  # an agent that must call on and on comes to its last tool


def test_a_hand_over_to_the_agent_that_is_named_or_described() -> None:
    listed = "{'WriterAgent': 'Writes reports', 'MathAgent': 'Does arithmetic with numbers'}"
    handoff = _tool(
        "handoff", f"Useful for handing off.\nCurrently available agents:\n{listed}\n", to_agent=TEXT, reason=TEXT
    )
    (call,) = asked([handoff, WEATHER], "Let the writer agent write about Oslo")
    assert json.loads(call.arguments)["to_agent"] == "WriterAgent"
    (call,) = asked([handoff, WEATHER], "Do some arithmetic with these numbers")
    assert json.loads(call.arguments)["to_agent"] == "MathAgent"
    assert [call.name for call in asked([handoff, WEATHER], "weather in Oslo")] == ["get_weather"]
    assert asked([handoff], "Hello") == []


def test_nothing_is_said_that_was_not_given() -> None:
    text = "Oslo lies in Norway. Rome lies in Italy. Dr. Smith lives in Rome."
    assert best_sentences("Who lives in Rome?", text) in text
    assert best_sentences("What do whales eat?", text) == ""
    assert (
        _said("embedded/extract", f"Context:\n{text}\nQuestion: What do whales eat?") == "The given text does not say."
    )


def test_the_question_of_a_prompt() -> None:
    assert question_in("Context: a\nQuestion: What is b?\nAnswer:") == "What is b?"
    assert question_in("It rains. Is it cold? I wonder.") == "Is it cold?"
    assert question_in("just this") == "just this"


@pytest.mark.parametrize(
    "prompt",
    [
        "Answer the question based only on the following context:\n{text}\n\nQuestion: {question}\n",
        "Use the following pieces of retrieved context to answer.\nQuestion: {question} \nContext: {text} \nAnswer:",
        "Sources:\n[1] a.md: {text}\n\nQuestion: {question}",
        "<context>{text}</context> {question}",
    ],
)
def test_context_however_it_is_given(prompt: str) -> None:
    text, question = "The port is 3000. The host is loopback.", "Which port?"
    assert _said("embedded/extract", prompt.format(text=text, question=question)).endswith("The port is 3000.")


def test_context_in_system_message_answers_the_question() -> None:
    system = "Answer from the context.\n<context>\nThe port is 3000. The host is loopback.\n</context>"
    assert _said("embedded/extract", "Which port?", system=system) == "The port is 3000."


QA = """Context information is below.
---------------------
Paris is the capital of France.

Oslo is the capital of Norway.
---------------------
Given the context information and not prior knowledge, answer the query.
Query: What is the capital of Norway?
Answer: """
REFINE = """The original query is as follows: What is the capital of Norway?
We have provided an existing answer: Oslo is the capital of Norway.
We have the opportunity to refine the existing answer (only if needed) with some more context below.
------------
Paris is big.
------------
Given the new context, refine the original answer to better answer the query.
Refined Answer: """
CONDENSE = """Given the following conversation between a user and an AI assistant and a follow up question from user,
rephrase the follow up question to be a standalone question.

Chat History:
user: What is the capital of France?
assistant: Paris.
Follow Up Input: How many people live there?
Standalone question:"""
SCHEMA = """Extract the city: Oslo is in Norway.
Here's a JSON schema to follow:
{{"properties": {{"name": {{"type": "string"}}, "country": {{"type": "string"}}}}, "required": ["name", "country"],
"type": "object"}}

Output a valid JSON object but do not repeat the schema.
"""


@pytest.mark.parametrize(
    ("prompt", "answer"),
    [
        (QA, "Oslo is the capital of Norway."),
        (REFINE, "Oslo is the capital of Norway."),
        (CONDENSE, "How many people live there (France)?"),
        (SCHEMA, '{"name": "Oslo", "country": "Norway"}'),
    ],
)
def test_the_prompts_of_chains(prompt: str, answer: str) -> None:
    assert _said("embedded/extract", prompt) == answer


REACT = """You have access to the following tools:
> Tool Name: get_weather
Tool Description: get_weather(city: str) -> str
Current weather of a city
Tool Args: {"properties": {"city": {"title": "City", "type": "string"}}, "required": ["city"], "type": "object"}

```
Thought: I need to use a tool to help me answer the question.
Action: tool name (one of get_weather) if using a tool.
Action Input: the input to the tool, in a JSON format
```
"""


def test_react_acts_once_for_each_subject_and_then_answers() -> None:
    first = _said("embedded/extract", "What is the weather in Paris and Oslo?", system=REACT)
    assert first.endswith('Action: get_weather\nAction Input: {"city": "Paris"}')
    talk = ["What is the weather in Paris and Oslo?", first, "Observation: 21 degrees"]
    second = _said("embedded/extract", *talk, system=REACT)
    assert second.endswith('Action Input: {"city": "Oslo"}')
    third = _said("embedded/extract", *talk, second, "Observation: 9 degrees", system=REACT)
    assert third.endswith("Answer: Paris: 21 degrees\nOslo: 9 degrees")


@pytest.mark.parametrize("text", ["", " ", "one two", "Zwölf\n\n  Boxkämpfer!", "你好，世界", "a" * 50, "\t", "x  "])
def test_pieces_are_the_text(text: str) -> None:
    assert "".join(pieces(text)) == text


@pytest.mark.parametrize(
    "text",
    ["hello there " * 15_000, "\n" * 60_000 + "x", " " * 60_000 + "x", "A " * 40_000, "'" * 40_000, "-----\n" * 9_000,
     "json {" * 9_000, "word, " * 15_000, "Alice met Bob in Paris, France. " * 4_000],
    ids=["words", "lines", "blanks", "capitals", "quotes", "dashes", "braces", "commas", "names"],
)  # fmt: skip
def test_no_text_takes_long(text: str) -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": _tool("f", place=TEXT, n=NUMBER).parameters}}
    started = time.process_time()
    _said("embedded/extract", text)
    _said("embedded/extract", text, tools=[tool], tool_choice="required")
    assert time.process_time() - started < 5  # a quadratic pattern takes minutes
