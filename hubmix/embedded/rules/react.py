"""The ReAct protocol in plain text: ``Thought: … Action: … Action Input: {…}``, then ``Thought: … Answer: …``.

Recognised by a prompt that explains the format (LlamaIndex's ReActAgent puts it into the system message). The tools
are read from the prompt, the calls made so far from the assistant's own messages, their results from ``Observation:``
messages.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from hubmix.embedded.rules import extract
from hubmix.embedded.rules.conversation import Conversation, ToolResult, text_of
from hubmix.embedded.rules.tools import Tool, asked

_TOOL = re.compile(
    r"> Tool Name: (?P<name>.+)\nTool Description: (?P<description>(?:.|\n)*?)\nTool Args: (?P<args>\{.*\})"
)
_ACTION = re.compile(r"Action: *(?P<name>[^\n(]+?) *\n+Action Input: *(?P<input>\{.*\})", re.S)


def is_react(messages: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the prompt asks for the ReAct format."""
    return any(
        "Action Input:" in text and "Thought:" in text and "Tool Name:" in text
        for text in (text_of(message.get("content")) for message in messages[:2])
    )


def answer(messages: Sequence[Mapping[str, Any]]) -> str:
    """The next step: an action the question asks for and that was not taken yet, else the answer."""
    prompt = next(text_of(m.get("content")) for m in messages if "Tool Name:" in text_of(m.get("content")))
    question, results = _read(messages)
    calls = asked(_tools(prompt), question, results)
    if calls:
        call = calls[0]
        thought = "The current language of the user is: English. I need to use a tool to help me answer the question."
        return f"Thought: {thought}\nAction: {call.name}\nAction Input: {call.arguments}"
    said = Conversation(system="", user=question, results=tuple(results))
    found = extract.from_results(said) if results else extract.answer(said)
    return (
        f"Thought: I can answer without using any more tools. I'll use the user's language to answer\nAnswer: {found}"
    )


def _tools(prompt: str) -> list[Tool]:
    found = []
    for match in _TOOL.finditer(prompt):
        try:
            parameters = json.loads(match["args"])
        except ValueError:
            parameters = {}
        found.append(Tool(match["name"].strip(), match["description"], parameters))
    return found


def _read(messages: Sequence[Mapping[str, Any]]) -> tuple[str, list[ToolResult]]:
    question = ""
    results: list[ToolResult] = []
    pending: tuple[str, Mapping[str, Any]] | None = None
    for message in messages:
        text = text_of(message.get("content")).strip()
        role = message.get("role")
        if text.startswith("Observation:"):
            name, arguments = pending or ("tool", {})
            results.append(ToolResult(name, arguments, text.removeprefix("Observation:").strip()))
        elif role == "user":
            question, results = text, []
        elif role == "assistant" and (match := _ACTION.search(text)):
            try:
                arguments = json.loads(match["input"].replace("'", '"'))
            except ValueError:
                arguments = {}
            pending = (match["name"].strip(), arguments)
    return question, results
