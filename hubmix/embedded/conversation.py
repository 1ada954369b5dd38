"""A chat request, and its messages as a conversation."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

_MEDIA = {"image_url": "image", "input_audio": "audio", "audio": "audio", "file": "file", "video_url": "video"}


Message = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A chat completion request that passed the checks."""

    model: str
    messages: tuple[Message, ...]
    tools: tuple[Mapping[str, Any], ...] = ()
    tool_choice: str | Mapping[str, Any] = "auto"
    parallel: bool = True
    response_format: Mapping[str, Any] | None = None
    stop: tuple[str, ...] = ()
    max_tokens: int | None = None
    n: int = 1
    stream: bool = False
    usage_asked: bool = False
    logprobs: bool = False
    top_logprobs: int = 0


class ToolResult(NamedTuple):
    """The result of a call that was made since the last question."""

    name: str
    arguments: Mapping[str, Any]
    text: str


class Conversation(NamedTuple):
    """System text, last and earlier user texts, tool results and media since."""

    system: str
    user: str
    earlier: str = ""
    results: Sequence[ToolResult] = ()
    media: Sequence[str] = ()


def text_of(content: object) -> str:
    """Return the text of a message's content, a string or a list of parts."""
    if isinstance(content, list):
        parts = [part.get("text") or part.get("refusal") for part in content if isinstance(part, Mapping)]
        return "\n".join(filter(None, parts))
    return content if isinstance(content, str) else ""


def read(messages: Sequence[Mapping[str, Any]]) -> Conversation:
    """Return the conversation of a request; unknown roles count as the user."""
    roles = [str(message.get("role")) for message in messages]
    texts = [text_of(message.get("content")) for message in messages]
    others = ("system", "developer", "assistant", "tool", "function")
    last = max((index for index, role in enumerate(roles) if role not in others), default=-1)
    calls = {call.get("id"): call["function"] for message in messages for call in message.get("tool_calls") or ()}
    results, media = list[ToolResult](), list[str]()
    for index, message in enumerate(messages[max(0, last) :], max(0, last)):
        content = message.get("content")
        media += (
            [_MEDIA[part["type"]] for part in content if part["type"] in _MEDIA] if isinstance(content, list) else []
        )
        if roles[index] == "tool":
            call = calls.get(message.get("tool_call_id"), {"name": message.get("name") or "tool"})
            results.append(ToolResult(str(call["name"]), json_object(call.get("arguments")), texts[index]))
    system = [text for role, text in zip(roles, texts, strict=True) if role in ("system", "developer")]
    earlier = [text for role, text in zip(roles[: max(0, last)], texts, strict=False) if role not in others]
    return Conversation("\n\n".join(system), texts[last] if last >= 0 else "", "\n".join(earlier), results, media)


def json_object(text: object) -> dict[str, Any]:
    """Return a JSON object; {} for a text that is none."""
    try:
        value = json.loads(str(text))
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
