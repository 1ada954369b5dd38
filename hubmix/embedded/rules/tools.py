"""Which tools a message asks for, and with what arguments."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hubmix.embedded.rules import literals as lit
from hubmix.embedded.rules.conversation import ToolResult
from hubmix.embedded.rules.schema import fill
from hubmix.embedded.rules.text import is_question, key_words, name_words, stem, word_set, words

# Verbs that begin the names of tools and say nothing of what they are about.
_VERBS = {
    stem(word)
    for word in word_set(
        "get set fetch find list create make do run call compute calculate lookup use my the tool function"
    )
}
# Words and signs that mean what a tool's name says in another word.
_MEANT = {
    "add": "+ plus sum addition total",
    "subtract": "- minus difference subtraction",
    "multiply": "* × times product multiplication",
    "divide": "/ ÷ over quotient division",
    "weather": "forecast temperature",
}
_ONLY_BETWEEN_NUMBERS = {"times", "over"}  # anywhere else they are about something else
_SAME = {
    stem(sign): stem(word)
    for word, signs in _MEANT.items()
    for sign in signs.split()
    if sign not in _ONLY_BETWEEN_NUMBERS
}
_OPERATOR = re.compile(r"(?<=[\d)])\s*([-+*/×÷]|times|plus|minus|over)\s*(?=[\d(])")
_FREE_TEXT = {"query", "question", "input", "text", "q", "search", "__arg1", "request"}
_ENOUGH = 2.0
_JOINS = re.compile(r",|&|\b(?:and|or|versus|vs)\b", re.I)
_SHORT_GAP = 30


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that may be called."""

    name: str
    description: str
    parameters: Mapping[str, Any]

    @property
    def properties(self) -> Mapping[str, Any]:
        """The schemas of its arguments by name."""
        found = self.parameters.get("properties")
        return found if isinstance(found, Mapping) else {}


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a function, its arguments as JSON text."""

    name: str
    arguments: str


def tool(function: Mapping[str, Any]) -> Tool:
    """The tool of a request's `function` object."""
    parameters = function.get("parameters")
    return Tool(
        str(function["name"]),
        str(function.get("description") or ""),
        parameters if isinstance(parameters, Mapping) else {},
    )


def asked(tools: Sequence[Tool], text: str, done: Sequence[ToolResult] = ()) -> list[Call]:
    """The calls that a message asks for and that have not been made yet; empty where it asks for none."""
    handoff = next((one for one in tools if one.name == "handoff" and "to_agent" in one.properties), None)
    own = [one for one in tools if one is not handoff]
    scored = [(score(one, text), one) for one in own]
    wanted = [one for value, one in scored if value >= _ENOUGH]
    if not wanted:
        wanted = _for_a_question(own, text)
    if handoff is not None and not wanted:
        call = _hand_over(handoff, text)
        return [] if call is None or _is_done(call, done) else [call]
    if wanted and not any(one.name.lower() in text.lower() for one in wanted):
        best = max(value for value, _ in scored)
        named = [one for one in wanted if _keyword_at(one, text) is not None]
        wanted = named or [one for value, one in scored if value == best][:1]
    calls = [call for one in wanted for call in calls_of(one, _span(one, wanted, text))]
    return [call for call in calls if not _is_done(call, done)]


def forced(tools: Sequence[Tool], text: str, done: Sequence[ToolResult] = ()) -> list[Call]:
    """The calls where at least one must be made: those asked for, else the tool that fits best of those not called."""
    calls = asked(tools, text, done)
    if calls:
        return calls
    called = {result.name for result in done}
    best = max([one for one in tools if one.name not in called] or tools, key=lambda one: score(one, text))
    return calls_of(best, text)


def calls_of(one: Tool, text: str) -> list[Call]:
    """The calls of one tool: several where its one text argument fits several names of the message."""
    explicit = _explicit(one, text)
    if explicit is not None:
        return [_call(one, explicit)]
    known = lit.read(text)
    key = _subject_key(one)
    subjects = _joined(known.subjects, text) if key is not None else []
    if key is None or len(subjects) < 2:
        return [_call(one, _arguments(one, text, known))]
    calls = []
    for subject in subjects:
        calls.append(_call(one, {**_arguments(one, text, lit.read(text)), key: subject.value}))
    return list(dict.fromkeys(calls))


def _joined(subjects: Sequence[lit.Literal], text: str) -> list[lit.Literal]:
    """The longest run of names that the message joins with commas or a short ``and in``."""
    runs: list[list[lit.Literal]] = []
    for subject in sorted(subjects, key=lambda literal: literal.at):
        last = runs[-1][-1] if runs else None
        between = text[last.at + len(last.value) : subject.at] if last else ""
        if last is not None and len(between) <= _SHORT_GAP and _JOINS.search(between):
            runs[-1].append(subject)
        else:
            runs.append([subject])
    return max(runs, key=len, default=[])


def score(one: Tool, text: str) -> float:
    """How much a message asks for a tool: words of its name count double, words of its description once."""
    if re.search(rf"(?<!\w){re.escape(one.name)}(?!\w)", text, re.I):
        return 10.0
    said = _said(text)
    named = {_same(part) for part in name_words(one.name)} - _VERBS
    described = {_same(word) for word in key_words(one.description)} - named - _VERBS
    return 2.0 * len(named & said) + 1.0 * len(described & said)


def _said(text: str) -> set[str]:
    text, operators = _without_operators(text), _OPERATOR.findall(text)
    found = {_same(word) for word in key_words(text)} | {
        _same(stem(word)) for word in words(text) if stem(word) in _SAME
    }
    return found | {_operation(sign) for sign in operators}


def _without_operators(text: str) -> str:
    """The text with blanks for the words between numbers: "3 times 4" is not about time."""
    return _OPERATOR.sub(lambda match: " " * len(match.group()), text)


def _operation(sign: str) -> str:
    return {"times": stem("multiply"), "over": stem("divide")}.get(sign) or _SAME[stem(sign)]


def _same(word: str) -> str:
    return _SAME.get(word, word)


def _for_a_question(tools: Sequence[Tool], text: str) -> list[Tool]:
    """A single tool that takes a free question gets any question that shares a word with its description."""
    if not is_question(text) and not re.match(
        r"(?i)\s*(?:search|look|find|what|who|when|where|why|how|which|tell)\b", text
    ):
        return []
    fitting = [one for one in tools if score(one, text) >= 1.0 and set(one.properties) & _FREE_TEXT]
    return fitting[:1] if len(fitting) == 1 else []


def _keyword_at(one: Tool, text: str) -> int | None:
    direct = text.lower().find(one.name.lower())
    if direct >= 0:
        return direct
    named = {_same(part) for part in name_words(one.name)} - _VERBS
    for match in re.finditer(r"[^\W_]+", _without_operators(text)):
        if _same(stem(match.group())) in named:
            return match.start()
    operator = _OPERATOR.search(text)
    return operator.start(1) if operator and _operation(operator.group(1)) in named else None


def _span(one: Tool, wanted: Sequence[Tool], text: str) -> str:
    """The part of the message that belongs to a tool where several are asked for: from its word to the next one's."""
    starts = {other.name: at for other in wanted if (at := _keyword_at(other, text)) is not None}
    if len(wanted) < 2 or one.name not in starts or len(set(starts.values())) < 2:
        return text
    later = [at for at in starts.values() if at > starts[one.name]]
    first = starts[one.name] == min(starts.values())
    span = text[0 if first else starts[one.name] : min(later) if later else len(text)]
    known = lit.read(span)
    return span if known.subjects or known.numbers else text


def _explicit(one: Tool, text: str) -> dict[str, Any] | None:
    """The arguments of a call that the message spells out: ``multiply(3, 4)``, ``multiply(a=3, b=4)``."""
    match = re.search(rf"(?<!\w){re.escape(one.name)}\(([^()]*)\)", text)
    if match is None:
        return None
    try:
        parsed = ast.parse(f"f({match.group(1)})", mode="eval").body
    except SyntaxError:
        return None
    if not isinstance(parsed, ast.Call):
        return None
    try:
        values = dict(zip(one.properties, (ast.literal_eval(value) for value in parsed.args), strict=False))
        values |= {keyword.arg: ast.literal_eval(keyword.value) for keyword in parsed.keywords if keyword.arg}
    except ValueError:
        return None
    missing = set(one.parameters.get("required") or ()) - set(values)
    return values if not missing else None


def _subject_key(one: Tool) -> str | None:
    required = [key for key in one.parameters.get("required") or one.properties if key in one.properties]
    texts = [key for key in required if _is_free_text(one.properties[key])]
    return texts[0] if len(texts) == 1 and len(required) == 1 and texts[0] not in _FREE_TEXT else None


def _is_free_text(schema: object) -> bool:
    return isinstance(schema, Mapping) and schema.get("type") == "string" and "enum" not in schema


def _hand_over(one: Tool, text: str) -> Call | None:
    listed = re.search(r"\{.*\}", one.description, re.S)
    try:
        agents = ast.literal_eval(listed.group()) if listed else {}
    except (ValueError, SyntaxError):
        return None
    said = {stem(word) for word in words(text)}
    for name, description in agents.items() if isinstance(agents, dict) else ():
        named = set(name_words(str(name))) - {"agent"} - _VERBS
        described = set(key_words(str(description))) - {"agent", "useful", "help"}
        if str(name).lower() in text.lower() or (named and named <= said) or len(described & said) >= 2:
            reason = f"The request asks for {name}."
            return _call(one, {"to_agent": str(name), "reason": reason})
    return None


def _arguments(one: Tool, text: str, literals: lit.Literals) -> dict[str, Any]:
    value = fill({"type": "object", **one.parameters}, text, literals=literals)
    return value if isinstance(value, dict) else {}


def _call(one: Tool, arguments: Any) -> Call:
    return Call(one.name, json.dumps(arguments, ensure_ascii=False))


def _is_done(call: Call, done: Sequence[ToolResult]) -> bool:
    return any(result.name == call.name and dict(result.arguments) == json.loads(call.arguments) for result in done)
