"""The tools that a message asks for, and the arguments of their calls."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

from hubmix.embedded.conversation import ToolResult
from hubmix.embedded.rules.fill import fill, subjects_in
from hubmix.embedded.words import is_question, key_words, name_words, stem, word_set

# Words in a tool's name that say nothing of what it is about.
_VERBS = set(map(stem, word_set("get set fetch find list create make do run call compute calculate my tool agent")))
# What a sign or word between two numbers means, as the word in a tool's name.
_SIGNS = {"+": "add", "plus": "add", "-": "subtract", "minus": "subtract", "*": "multiply", "×": "multiply"}
_SIGNS |= {"times": "multiply", "/": "divide", "÷": "divide", "over": "divide"}
_TOKEN = re.compile(rf"(?<=[\d)])\s*({'|'.join(map(re.escape, _SIGNS))})\s*(?=[\d(])|([^\W_]+)")
_FREE_TEXT = {"query", "question", "input", "text", "q", "request"}
_JOINS = re.compile(r"[\s\"'”]*(?:,|&|\band\b|\bor\b|\bvs\b)(?:\W*\b(?:and|or|in|at|for)\b)*[\s\"'“]*", re.I)


@dataclass(frozen=True, slots=True, eq=False)
class Tool:
    """A function that may be called."""

    name: str
    description: str
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def about(self) -> set[str]:
        """The stems of its name that say what it is about."""
        return name_words(self.name) - _VERBS

    def shares(self, text: str) -> int:
        """Return how many words of its description a text has."""
        return len((set(key_words(self.description)) - _VERBS) & set(key_words(text)))


class Call(NamedTuple):
    """A call of a function, its arguments as JSON text."""

    name: str
    arguments: str


def asked(tools: Sequence[Tool], text: str, done: Sequence[ToolResult] = ()) -> list[Call]:
    """Return the calls that a message asks for and that are not made yet."""
    own = [tool for tool in tools if tool.name != "handoff"]
    calls = [call for tool, span in _wanted(own, text) for call in calls_of(tool, span)]
    for tool in tools if not calls else ():
        listed = re.findall(r"['\"]([\w ]+)['\"]: ['\"](.*?)['\"][,}]", tool.description)
        for agent, _ in _wanted([Tool(*one) for one in listed], text)[:1] if tool.name == "handoff" else ():
            arguments = {"to_agent": agent.name, "reason": f"The request asks for {agent.name}."}
            calls.append(Call(tool.name, json.dumps(arguments)))
    made = [(result.name, dict(result.arguments)) for result in done]
    return [call for call in calls if (call.name, json.loads(call.arguments)) not in made]


def forced(tools: Sequence[Tool], text: str, done: Sequence[ToolResult] = ()) -> list[Call]:
    """Return the calls that a message asks for, else of the best uncalled tool."""
    called = {result.name for result in done}
    fresh = [tool for tool in tools if tool.name not in called] or tools
    return asked(tools, text, done) or calls_of(max(fresh, key=lambda tool: tool.shares(text)), text)


def calls_of(tool: Tool, text: str) -> list[Call]:
    """Return the calls of a tool, one for each joined name if it takes one text."""
    properties = tool.parameters.get("properties") or {}
    keys = [key for key in tool.parameters.get("required") or properties if key in properties]
    single = len(keys) == 1 and keys[0] not in _FREE_TEXT and properties[keys[0]].get("type") == "string"
    arguments = fill({"type": "object", **tool.parameters}, text)
    names = _joined(text) if single else []
    all_arguments = [{**arguments, keys[0]: name} for name in names] if len(names) > 1 else [arguments]
    return list(dict.fromkeys(Call(tool.name, json.dumps(one, ensure_ascii=False)) for one in all_arguments))


def _wanted(tools: Sequence[Tool], text: str) -> list[tuple[Tool, str]]:
    """Return the tools that a message asks for, each with its part of the message.

    A tool is asked for by its whole name, else by a word of its name, else by two words of its description; a single
    tool that takes a free text gets any question that shares a word with its description.
    """
    starts = _starts(tools, text)
    ends = dict(pairwise([*sorted(starts.values()), len(text)]))
    spans = {tool: text[at if at > min(starts.values()) else 0 : ends[at]] for tool, at in starts.items()}
    if spans or not tools:
        return [(tool, span if re.search(r"\d", span) or subjects_in(span) else text) for tool, span in spans.items()]
    best = max(tools, key=lambda tool: tool.shares(text))
    open_question = is_question(text) and _FREE_TEXT & set(best.parameters.get("properties") or ())
    return [(best, text)] if best.shares(text) >= (1 if open_question else 2) else []


def _starts(tools: Sequence[Tool], text: str) -> dict[Tool, int]:
    """Return where the text names each tool, as a whole or by a word."""
    whole = {tool: re.search(rf"(?<!\w){re.escape(tool.name)}(?!\w)", text, re.I) for tool in tools}
    named = {tool: match.start() for tool, match in whole.items() if match}
    tokens = [(m.start(), stem(_SIGNS[m[1].lower()] if m[1] else m[2])) for m in _TOKEN.finditer(text)]
    found = {tool: [at for at, word in tokens if word in tool.about] for tool in tools if not named}
    return named or {tool: places[0] for tool, places in found.items() if places}


def _joined(text: str) -> list[str]:
    """Return the longest run of names that a message joins with commas or `and`."""
    runs: list[list[str]] = [[]]
    end = 0
    for name in sorted(subjects_in(text), key=text.find):
        at = text.find(name, end)
        if not _JOINS.fullmatch(text[end:at]):
            runs.append([])
        runs[-1].append(name)
        end = at + len(name)
    return max(runs, key=len)
