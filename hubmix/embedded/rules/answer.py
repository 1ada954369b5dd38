"""From a request to an answer: which rule speaks, in which order, and where the answer is cut."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from hubmix.embedded.models import EmbeddedModel, lorem_length, pieces
from hubmix.embedded.rules import extract, prompted, react, templates
from hubmix.embedded.rules.conversation import Conversation, read
from hubmix.embedded.rules.schema import fill
from hubmix.embedded.rules.text import shorten
from hubmix.embedded.rules.tools import Call, Tool, asked, calls_of, forced, tool
from hubmix.embedded.validate import ChatRequest

_LOREM = ("lorem", " ipsum", " dolor", " sit", " amet", ",", " consect", "etur", " adipisci", "ng", " elit", ".", " ")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a rule says: text, calls, a refusal, and the reasoning before them, each in the pieces a stream sends."""

    text: tuple[str, ...] = ()
    calls: tuple[Call, ...] = ()
    reasoning: tuple[str, ...] = ()
    refusal: tuple[str, ...] = ()
    finish_reason: str = "stop"

    @property
    def tokens(self) -> int:
        """All tokens of the answer, reasoning among them."""
        return sum(map(len, (self.text, self.reasoning, self.refusal))) + sum(
            len(pieces(c.arguments)) + 3 for c in self.calls
        )


def respond(model: EmbeddedModel, request: ChatRequest, choice: int = 0) -> Answer:
    """The answer of a model's rule to a request.

    Args:
        model: Whose rule speaks.
        request: The request.
        choice: Which of `n` choices; those after the first say so at their end.
    """
    if model.rule == "lorem":
        count = min(lorem_length(model.id), request.max_tokens or model.max_output)
        return Answer(tuple(_LOREM[index % len(_LOREM)] for index in range(count)))
    answer = _speak(model, request)
    if choice and answer.text:
        answer = replace(answer, text=(*answer.text, *pieces(f" (choice {choice + 1})")))
    return _cut(_stopped(answer, request.stop), min(request.max_tokens or model.max_output, model.max_output))


def signature(thinking: str) -> str:
    """The signature of a reasoning text: whoever changes a letter of one or the other is found out."""
    return base64.b64encode(hashlib.sha256(b"embedded hub:" + thinking.encode()).digest()).decode()


def _speak(model: EmbeddedModel, request: ChatRequest) -> Answer:
    conversation = read(request.messages)
    if model.rule == "echo":
        return Answer(tuple(pieces(conversation.user)))
    if model.rule == "refuse":
        return Answer(refusal=tuple(pieces("I can't help with that.")))
    if model.rule == "filter":
        return Answer(tuple(pieces("The answer begins, and then")), finish_reason="content_filter")
    if model.rule == "vision" and not request.tools:
        return Answer(tuple(pieces(_describe(conversation))))
    answer = _extract(model, request, conversation)
    if not model.thinks:
        return answer
    return replace(answer, reasoning=tuple(pieces(_reasoning(conversation, answer))))


def _extract(model: EmbeddedModel, request: ChatRequest, conversation: Conversation) -> Answer:
    calls = _calls(request, conversation)
    if calls:
        return Answer(calls=tuple(calls if request.parallel else calls[:1]), finish_reason="tool_calls")
    if react.is_react(request.messages):
        return Answer(tuple(pieces(react.answer(request.messages))))
    wanted = _structure(model, request, conversation)
    if wanted is not None:
        return Answer(tuple(pieces(json.dumps(wanted, ensure_ascii=False))))
    return Answer(tuple(pieces(_prose(conversation))))


def _calls(request: ChatRequest, conversation: Conversation) -> list[Call]:
    if not request.tools or request.tool_choice == "none":
        return []
    tools = [tool(entry["function"]) for entry in request.tools]
    if isinstance(request.tool_choice, Mapping):
        name = request.tool_choice["function"]["name"]
        return calls_of(next(one for one in tools if one.name == name), _source(conversation, tools))
    if request.tool_choice == "required":
        return forced(tools, _source(conversation, tools), conversation.results)
    return asked(tools, conversation.user, conversation.results)


def _source(conversation: Conversation, tools: list[Tool]) -> str:
    """Where the arguments of a forced call are looked for: the last message, and all of them where it is short."""
    if conversation.results:
        return "\n".join([conversation.user, *(result.text for result in conversation.results)])
    if len(conversation.user) < 12 and conversation.earlier:
        return "\n".join([*(text for role, text in conversation.earlier if role == "user"), conversation.user])
    return conversation.user


def _structure(model: EmbeddedModel, request: ChatRequest, conversation: Conversation) -> Any:
    source = "\n".join([conversation.user, *(result.text for result in conversation.results)])
    wanted = request.response_format if model.keeps_schemas else None
    if wanted and wanted["type"] == "json_schema":
        given = extract.context_in(source) or source
        return fill(wanted["json_schema"]["schema"], given)
    for text in (source, f"{conversation.system}\n{source}"):
        asked_for = prompted.schema_in(text)
        if asked_for is not None:
            return fill(asked_for.schema, asked_for.text if text is source else source)
    if wanted:
        keys = prompted.keys_in(source) or prompted.keys_in(f"{conversation.system}\n{source}")
        return fill(keys.schema, keys.text) if keys else {"answer": _prose(conversation)}
    return None


def _prose(conversation: Conversation) -> str:
    if conversation.results:
        return extract.from_results(conversation)
    return templates.answer(conversation.user) or extract.answer(conversation)


def _describe(conversation: Conversation) -> str:
    if not conversation.media:
        return "Nothing but text was sent."
    counts = {kind: conversation.media.count(kind) for kind in dict.fromkeys(conversation.media)}
    listed = ", ".join(f"{count} {kind}{'s' if count > 1 else ''}" for kind, count in counts.items())
    return f"I was sent {listed}. I am a rule and cannot look inside."


def _reasoning(conversation: Conversation, answer: Answer) -> str:
    asked_for = shorten(conversation.user, 120)
    if answer.calls:
        names = ", ".join(dict.fromkeys(call.name for call in answer.calls))
        return f'The user asks: "{asked_for}". The tool that fits is {names}. I take its arguments from the message.'
    if conversation.results:
        return f'The user asks: "{asked_for}". The tools have answered. I repeat what they said.'
    return f'The user asks: "{asked_for}". I look for the sentences that share most words with it and copy them.'


def _stopped(answer: Answer, stops: tuple[str, ...]) -> Answer:
    text = "".join(answer.text)
    found = [at for stop in stops if stop and (at := text.find(stop)) >= 0]
    return replace(answer, text=tuple(pieces(text[: min(found)]))) if found else answer


def _cut(answer: Answer, limit: int) -> Answer:
    """The first `limit` tokens of an answer; a cut may fall inside the arguments of a call."""
    if answer.tokens <= limit:
        return answer
    reasoning, left = answer.reasoning[:limit], max(0, limit - len(answer.reasoning))
    text, left = answer.text[:left], max(0, left - len(answer.text))
    calls: list[Call] = []
    for call in answer.calls:
        if left < 3:
            break
        arguments = pieces(call.arguments)
        calls.append(Call(call.name, "".join(arguments[: left - 3])))
        left -= 3 + len(arguments)
    return Answer(text, tuple(calls), reasoning, answer.refusal[:limit], "length")
