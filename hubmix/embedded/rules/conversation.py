"""What a rule sees of a request: the last question, what was said before it, and what the tools have answered since."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ToolResult:
    """The answer of one call that was made since the last question."""

    name: str
    arguments: Mapping[str, Any]
    text: str


@dataclass(frozen=True, slots=True)
class Conversation:
    """A chat's messages, read.

    Args:
        system: The texts of system and developer messages.
        user: The last user text.
        earlier: Role and text of the messages before it (no tool messages).
        results: The tools' answers since the last user message.
        media: What was sent beside text in the last user message and the tools' answers: ``image``, ``audio``,
            ``file``, ``video``.
    """

    system: str
    user: str
    earlier: tuple[tuple[str, str], ...] = ()
    results: tuple[ToolResult, ...] = ()
    media: tuple[str, ...] = ()

    @property
    def everything(self) -> str:
        """All text, for measuring."""
        return "\n".join([self.system, *(text for _, text in self.earlier), self.user, *(r.text for r in self.results)])


_MEDIA = {"image_url": "image", "input_audio": "audio", "audio": "audio", "file": "file", "video_url": "video"}


def text_of(content: object) -> str:
    """The text of a message's content, whichever of its forms it has."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        parts = [part.get("text") or part.get("refusal") or "" for part in content if isinstance(part, Mapping)]
        return "\n".join(part for part in parts if part)
    return ""


def read(messages: Sequence[Mapping[str, Any]]) -> Conversation:
    """The conversation that these messages are. Unknown roles count as the user's."""
    last_user = max((i for i, m in enumerate(messages) if _speaks_as_user(m)), default=-1)
    user_parts: list[str] = []
    start = last_user
    while start >= 0 and _speaks_as_user(messages[start]):
        user_parts.insert(0, text_of(messages[start].get("content")))
        start -= 1
    earlier = [
        (str(m.get("role")), text_of(m.get("content")))
        for m in messages[: start + 1]
        if m.get("role") in ("user", "assistant")
    ]
    system = [text_of(m.get("content")) for m in messages if m.get("role") in ("system", "developer")]
    return Conversation(
        system="\n\n".join(text for text in system if text),
        user="\n".join(part for part in user_parts if part) if len(user_parts) > 1 else (user_parts or [""])[0],
        earlier=tuple((role, text) for role, text in earlier if text),
        results=tuple(_results(messages[last_user + 1 :])),
        media=tuple(_media(messages[max(start + 1, 0) :])),
    )


def _speaks_as_user(message: Mapping[str, Any]) -> bool:
    return message.get("role") not in ("system", "developer", "assistant", "tool", "function")


def _results(messages: Sequence[Mapping[str, Any]]) -> list[ToolResult]:
    calls: dict[str, tuple[str, Mapping[str, Any]]] = {}
    found: list[ToolResult] = []
    for message in messages:
        for call in message.get("tool_calls") or ():
            function = call.get("function") or {}
            calls[str(call.get("id"))] = (str(function.get("name")), _arguments(function.get("arguments")))
        if message.get("role") == "tool":
            name, arguments = calls.get(str(message.get("tool_call_id")), (str(message.get("name") or "tool"), {}))
            found.append(ToolResult(name, arguments, text_of(message.get("content"))))
    return found


def _arguments(text: object) -> Mapping[str, Any]:
    try:
        value = json.loads(str(text or "{}"))
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _media(messages: Sequence[Mapping[str, Any]]) -> list[str]:
    found: list[str] = []
    for message in messages:
        content = message.get("content")
        for part in content if isinstance(content, list) else ():
            kind = _MEDIA.get(part.get("type", ""))
            if kind is not None:
                found.append(kind)
    return found
