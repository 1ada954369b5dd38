"""A whole answer: from the JSON of `/chat/completions` to a `Reply`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hubmix.wire.chat.calls import only_tool
from hubmix.wire.chat.message import Message
from hubmix.wire.error_body import holds_error
from hubmix.wire.values import AnswerError, Delta, Reply


def read_reply(data: Any, *, n: int = 1, tools: Any = None) -> Reply:
    """Read a whole chat completion.

    Args:
        data: the decoded JSON, of any type.
        n: how many choices were asked for. Only above 1 do the indices of choices mean anything: New API of 2025 puts
            the number of Claude's content block there.
        tools: the tools of the request.

    Returns:
        The first choice; further ones, if asked for, in `choices`. It is `incomplete` if its finish reason names a
        failure.

    Raises:
        AnswerError: it is no answer: an error object, no choices, or not a chat completion at all.

    Example:
        ```python
        from hubmix.wire import read_reply

        reply = read_reply({"choices": [{"message": {"content": "Hello"}, "finish_reason": "stop"}]})
        assert reply.text == "Hello"
        ```
    """
    choices = [choice for choice in check_answer(data) if isinstance(choice, dict)]
    if not choices:
        raise AnswerError("no_choices", "The answer has no choices.", data)
    if n <= 1:
        return _read_choices(choices, data, tools)
    choices.sort(key=_choice_index)
    first, *others = [_read_choices([choice], data, tools) for choice in choices[:n]]
    first.choices = others
    for other in others:
        other.usage = None  # it is that of all choices together
    return first


def _choice_index(choice: Mapping[str, Any]) -> int:
    index = choice.get("index")
    return index if isinstance(index, int) else 0


def check_answer(data: Any) -> list[Any]:
    """Return the `choices` of an answer, or raise `AnswerError`."""
    if not isinstance(data, dict):
        raise AnswerError("undecodable", f"The answer is a JSON {type(data).__name__}, not a chat completion.", data)
    choices = data.get("choices")
    if not choices and holds_error(data):
        raise AnswerError("error_body", "The hub answered with an error under status 200.", data)
    if not isinstance(choices, list) or not choices:
        raise AnswerError("no_choices", "The answer has no choices.", data)
    return choices


def _read_choices(choices: list[dict[str, Any]], data: Mapping[str, Any], tools: Any) -> Reply:
    """Read the choices of one answer; later ones add what the first lacks (Copilot)."""
    message = Message(streamed=False, only_tool=only_tool(tools))
    message.read_envelope(data)
    for number, choice in enumerate(choices):
        said = choice.get("message") or choice.get("delta")
        said = said if isinstance(said, dict) else {}
        if choice.get("error"):
            raise AnswerError("error_body", "The hub put an error into the answer.", choice)
        if number:
            said = {key: said[key] for key in ("tool_calls", "function_call") if not message.calls and said.get(key)}
        elif not said and not choice.get("finish_reason"):
            raise AnswerError("no_choices", "The answer has a choice without a message.", data)
        if said or not number:
            message.read_choice({**choice, "delta": None, "message": said}, Delta())
    reply = message.read()
    reply.raw = dict(data)
    return reply
