"""JSON asked for in words, ReAct, and LlamaIndex's standalone questions."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from hubmix.embedded.conversation import Conversation, ToolResult, json_object, text_of
from hubmix.embedded.rules.extract import answer, from_results
from hubmix.embedded.rules.fill import subjects_in, topic
from hubmix.embedded.rules.tools import Tool, asked

_KEYS = re.compile(r"(?:keys?\s+)?((?:['\"`]\w+['\"`](?:,\s*|\s+and\s+)?)+)(?:\s*keys?)?", re.I)
_NOISE = re.compile(r"Here's a JSON schema to follow:|Output a valid JSON object but do not repeat the schema\.|```\w*")
_TOOL = re.compile(r"> Tool Name: (.+)\nTool Description: ((?:.|\n)*?)\nTool Args: (\{.*\})")
_ACTION = re.compile(r"Action: *([^\n(]+?) *\n+Action Input: *(\{.*\})", re.S)
_CONDENSE = re.compile(
    r"standalone question.*?<?Chat History[:>](?P<history>.*?)<?Follow Up (?:Input|Message)[:>](?P<question>.*?)"
    r"<?Standalone question[:>]",
    re.S,
)


def schema_in(text: str) -> tuple[Mapping[str, Any], str] | None:
    """Return the JSON schema written in a text, and the text without it."""
    text = text.replace("{{", "{").replace("}}", "}") if '{{"' in text else text  # as LlamaIndex escapes its templates
    for match in list(re.finditer(r"\{\s*\"", text))[:50] if "json" in text.lower() else ():
        try:
            value, end = json.JSONDecoder().raw_decode(text, match.start())
        except ValueError:
            continue
        if isinstance(value.get("properties"), dict):
            return value, _NOISE.sub(" ", text[: match.start()] + text[end:]).strip()
    return None


def keys_in(text: str) -> tuple[Mapping[str, Any], str] | None:
    """Return a schema for the quoted keys of a text, and the text without them."""
    match = _KEYS.search(text) if "key" in text.lower() else None
    if match is None:
        return None
    names = re.findall(r"\w+", match[1].replace(" and ", " "))
    properties = {name: {"type": "string"} for name in names}
    return {"type": "object", "properties": properties, "required": names}, text.replace(match[0], " ")


def react(messages: Sequence[Mapping[str, Any]]) -> str | None:
    """Return the next step of LlamaIndex's ReAct protocol; None without one."""
    system = "".join(text_of(message.get("content")) for message in messages[:1])
    tools = [Tool(m[1].strip(), m[2], json_object(m[3])) for m in _TOOL.finditer(system)]
    question, results, action = "", list[ToolResult](), None
    for message in messages[1:] if tools else ():
        text = text_of(message.get("content")).strip()
        if text.startswith("Observation:") and action:
            arguments = json_object(action[2].replace("'", '"'))
            results.append(ToolResult(action[1], arguments, text.removeprefix("Observation:").strip()))
        elif message.get("role") == "user":
            question, results = text, []
        action = _ACTION.search(text) or action
    for call in asked(tools, question, results):
        thought = "Thought: I need to use a tool to help me answer the question."
        return f"{thought}\nAction: {call.name}\nAction Input: {call.arguments}"
    said = from_results(results) if results else answer(Conversation("", question))
    return f"Thought: I can answer without using any more tools.\nAnswer: {said}" if tools else None


def condensed(prompt: str) -> str | None:
    """Return the standalone question that a prompt asks for, or None.

    A short follow-up is joined with the subject of the question before it, unless it names its own.
    """
    match = _CONDENSE.search(prompt)
    if match is None:
        return None
    question, before = match["question"].strip(), re.findall(r"(?im)^\s*(?:user|human):(.*)", match["history"])
    if subjects_in(question) or not before:
        return question
    return f"{question.rstrip('?')} ({', '.join(subjects_in(before[-1])) or topic(before[-1])})?"
