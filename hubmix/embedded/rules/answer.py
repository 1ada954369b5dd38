"""From a request to an answer: which rule speaks, and where it is cut."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

from hubmix.embedded.conversation import ChatRequest, Conversation, read
from hubmix.embedded.models import EmbeddedModel, lorem_length, pieces
from hubmix.embedded.rules import extract, templates
from hubmix.embedded.rules.fill import fill
from hubmix.embedded.rules.tools import Call, Tool, asked, calls_of, forced
from hubmix.embedded.words import shorten

_LOREM = ("lorem", " ipsum", " dolor", " sit", " amet", ",", " consect", "etur", " adipisci", "ng", " elit", ".", " ")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a rule says, in the pieces that a stream sends."""

    text: tuple[str, ...] = ()
    calls: tuple[Call, ...] = ()
    reasoning: tuple[str, ...] = ()
    refusal: tuple[str, ...] = ()
    finish_reason: str = "stop"

    @property
    def tokens(self) -> int:
        """All tokens of the answer, reasoning included."""
        said = sum(map(len, (self.text, self.reasoning, self.refusal)))
        return said + sum(len(pieces(call.arguments)) + 3 for call in self.calls)


def respond(model: EmbeddedModel, request: ChatRequest, choice: int = 0) -> Answer:
    """Return the answer of a model's rule; later choices say their number."""
    limit = min(request.max_tokens or model.max_output, model.max_output)
    if model.rule == "lorem":
        return Answer(tuple(_LOREM[i % len(_LOREM)] for i in range(min(lorem_length(model.id), limit))))
    answer = _speak(model, request)
    text = "".join(answer.text) + (f" (choice {choice + 1})" if choice and answer.text else "")
    stops = [text.find(stop) for stop in request.stop if stop and stop in text]
    return _cut(replace(answer, text=tuple(pieces(text[: min(stops, default=len(text))]))), limit)


def _speak(model: EmbeddedModel, request: ChatRequest) -> Answer:
    conversation = read(request.messages)
    if model.rule == "refuse":
        return Answer(refusal=tuple(pieces("I can't help with that.")))
    if model.rule == "filter":
        return Answer(tuple(pieces("The answer begins, and then")), finish_reason="content_filter")
    if model.rule == "echo":
        return Answer(tuple(pieces(conversation.user)))
    if model.rule == "vision" and not request.tools:
        counts = ", ".join(f"{n} {kind}{'s' if n > 1 else ''}" for kind, n in Counter(conversation.media).items())
        return Answer(tuple(pieces(f"I was sent {counts or 'nothing but text'}. I am a rule and cannot look inside.")))
    calls = _calls(request, conversation)
    text = "" if calls else _text(model, request, conversation)
    step = f"I call {', '.join({call.name: 0 for call in calls})}" if calls else "I copy what the text says"
    thought = f'The user asks: "{shorten(conversation.user, 120)}". {step}.' if model.thinks else ""
    return Answer(
        tuple(pieces(text)), tuple(calls), tuple(pieces(thought)), finish_reason="tool_calls" if calls else "stop"
    )


def _source(conversation: Conversation) -> str:
    return "\n".join([conversation.user, *(result.text for result in conversation.results)])


def _calls(request: ChatRequest, conversation: Conversation) -> list[Call]:
    functions = [tool["function"] for tool in request.tools]
    tools = [Tool(f["name"], str(f.get("description") or ""), f.get("parameters") or {}) for f in functions]
    if isinstance(request.tool_choice, Mapping):
        name = request.tool_choice["function"]["name"]
        return calls_of(next(tool for tool in tools if tool.name == name), _source(conversation))
    if request.tool_choice == "required":
        calls = forced(tools, _source(conversation), conversation.results)
    else:
        calls = asked(tools, conversation.user, conversation.results) if request.tool_choice == "auto" else []
    return calls if request.parallel else calls[:1]


def _text(model: EmbeddedModel, request: ChatRequest, conversation: Conversation) -> str:
    source, results = _source(conversation), conversation.results
    wanted = request.response_format if model.keeps_schemas else None
    if wanted and wanted["type"] == "json_schema":
        made = fill(wanted["json_schema"]["schema"], extract.split_context(source)[0] or source)
        return json.dumps(made, ensure_ascii=False)
    step = templates.react(request.messages)  # its prompt holds schemas of tools, not of the answer
    in_system = templates.schema_in(conversation.system)
    written = templates.schema_in(source) or (in_system and (in_system[0], source))
    written = written or (templates.keys_in(source) if wanted else None)
    if written and not step:
        return json.dumps(fill(*written), ensure_ascii=False)
    prose = extract.from_results(results) if results else templates.condensed(conversation.user)
    prose = step or prose or extract.answer(conversation)
    return json.dumps({"answer": prose}, ensure_ascii=False) if wanted else prose


def _cut(answer: Answer, limit: int) -> Answer:
    """Return the first `limit` tokens of an answer, calls included."""
    if answer.tokens <= limit:
        return answer
    text = answer.text[: max(0, limit - len(answer.reasoning))]
    left = limit - len(answer.reasoning) - len(text)
    calls: list[Call] = []
    for call in answer.calls:
        if left >= 3:
            calls.append(Call(call.name, "".join(pieces(call.arguments)[: left - 3])))
        left -= 3 + len(pieces(call.arguments))
    return Answer(text, tuple(calls), answer.reasoning[:limit], answer.refusal[:limit], "length")
