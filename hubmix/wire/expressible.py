"""What a call asks for and an API cannot say, found before anything is sent. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from hubmix.wire.api import Payload

# Parameters of the Responses API alone: a call that uses one can go nowhere else.
_RESPONSES_ONLY = (
    "previous_response_id", "conversation", "background", "prompt", "include", "truncation", "max_tool_calls",
    "context_management", "instructions", "text",
)  # fmt: skip
# Tools that the server runs. A vendor's own tool of such a type holds a key of that name (Zhipu's `web_search`).
_HOSTED = frozenset({
    "apply_patch", "code_interpreter", "computer", "computer_use", "computer_use_preview", "file_search",
    "image_generation", "local_shell", "mcp", "shell", "tool_search", "web_search", "x_search",
})  # fmt: skip
# Anthropic dates its own: web_search_20250305, code_execution_20250522. They pass to chat completions, unread here.
_ANTHROPIC_TOOL = re.compile(r"_\d{8}$")
_VERSIONED = ("web_search_",)  # web_search_preview, web_search_2025_08_26
# State that one account keeps: it means nothing at another hub, model or mirror.
_KEPT_BY_THE_SERVER = ("previous_response_id", "conversation", "background")
_UNSAYABLE_PARTS = frozenset({"input_audio", "audio_url", "video_url"})
ITEM_PARTS = frozenset({
    "additional_tools", "apply_patch_call_output", "computer_call_output", "configuration_update",
    "local_shell_call_output", "mcp_approval_response", "shell_call_output", "tool_search_output",
})  # fmt: skip
"""Content of a LangChain message that the Responses API takes as input items, and no other API at all."""
HINTS: dict[str, tuple[str, ...]] = {
    "responses": ("seed", "prediction"),
    "messages": (
        "seed",
        "prediction",
        "verbosity",
        "store",
        "prompt_cache_key",
        "prompt_cache_retention",
        "safety_identifier",
    ),
}
"""Hints that an API has no place for and that change no answer's meaning."""


class Wish(NamedTuple):
    """Something that not every API can say.

    Args:
        kind: the parameter, the type of a content part, or another word of `_UNSAYABLE`.
        name: how it is named to the caller.
    """

    kind: str
    name: str


def wishes_of(payload: Payload) -> list[Wish]:
    """Return what the payload asks for and some API cannot say.

    Neutral values (`n=1`, `stop=[]`, a penalty of 0) ask for nothing.
    """
    found = []
    if asked := _LIMITED.keys() & payload.keys():
        found = [Wish(name, _NAMES.get(name, name)) for name in _LIMITED if name in asked and _asks(name, payload)]
    for tool in payload.get("tools") or ():
        if kind := _kind_of(tool):
            found.append(Wish(kind, f"the tool {tool['type']!r}"))
    for message in payload.get("messages") or ():
        content = message.get("content")
        if isinstance(content, list):
            found += [Wish(kind, f"{kind} content") for part in content if (kind := _limited_part(part))]
        if "audio" in message:
            found.append(Wish(_AUDIO_OF_A_TURN, "audio"))
    return found


def lacking(api: str, wishes: Iterable[Wish]) -> tuple[str, ...]:
    """Name the wishes that an API cannot say, each once."""
    unsayable = _UNSAYABLE.get(api, frozenset())
    return tuple(dict.fromkeys(wish.name for wish in wishes if wish.kind in unsayable))


def server_state(payload: Payload) -> tuple[str, ...]:
    """Name the parameters that tie a call to one account, and so to one route."""
    return tuple(name for name in _KEPT_BY_THE_SERVER if payload.get(name))


def account_state(payload: Payload) -> tuple[str, ...]:
    """Name what the payload refers to and only one account can read."""
    return tuple(dict.fromkeys(_kept_by_an_account(payload)))


def _kept_by_an_account(payload: Payload) -> Iterator[str]:
    if payload.get("prompt"):
        yield "a stored prompt"
    for message in payload.get("messages") or ():
        content = message.get("content")
        for part in content if isinstance(content, list) else ():
            held = (part, part.get("file"), part.get("image_url")) if isinstance(part, Mapping) else ()
            if any(isinstance(one, Mapping) and one.get("file_id") for one in held):
                yield "a file ID"
        audio = message.get("audio")
        if isinstance(audio, Mapping) and audio.get("id"):
            yield "the ID of an earlier audio answer"
    for tool in payload.get("tools") or ():
        if isinstance(tool, Mapping) and tool.get("vector_store_ids"):
            yield "a vector store"
        container = tool.get("container") if isinstance(tool, Mapping) else None
        if isinstance(container, str) or (isinstance(container, Mapping) and container.get("file_ids")):
            yield "a container"


def dropped_hints(api: str, payload: Payload) -> tuple[str, ...]:
    """Name the hints that the API has no place for, and that can be left out."""
    return tuple(name for name in HINTS.get(api, ()) if payload.get(name) is not None)


def is_hosted(tool: Any) -> bool:
    """Whether a tool is one that the server runs, as the Responses API writes it."""
    kind = tool.get("type") if isinstance(tool, Mapping) else None
    if not isinstance(kind, str) or kind in tool or _ANTHROPIC_TOOL.search(kind):
        return False
    return kind in _HOSTED or kind.startswith(_VERSIONED) or (kind == "custom" and "name" in tool)


def _kind_of(tool: Any) -> str | None:
    kind = tool.get("type") if isinstance(tool, Mapping) else None
    if not isinstance(kind, str) or kind == "function":
        return None
    return _DATED_TOOL if _ANTHROPIC_TOOL.search(kind) else _HOSTED_TOOL if is_hosted(tool) else None


def _limited_part(part: Any) -> str | None:
    kind = part.get("type") if isinstance(part, Mapping) else None
    return kind if isinstance(kind, str) and (kind in _UNSAYABLE_PARTS or kind in ITEM_PARTS) else None


def _asks(name: str, payload: Payload) -> bool:
    return bool(_LIMITED[name](payload[name]))


def _is_given(value: Any) -> bool:
    return value is not None


# What asks for something beyond what every API can say, by parameter.
_LIMITED: dict[str, Callable[[Any], object]] = {
    "n": lambda value: (value or 1) != 1,
    **dict.fromkeys(("logprobs", "top_logprobs", "stop", "logit_bias", "audio"), bool),
    **dict.fromkeys(("frequency_penalty", "presence_penalty"), bool),
    **dict.fromkeys(_RESPONSES_ONLY, _is_given),
    "modalities": lambda value: set(value or ()) - {"text"},
    "response_format": lambda value: isinstance(value, Mapping) and value.get("type") == "json_object",
}
_NAMES = {"response_format": "response_format of the type json_object"}
_HOSTED_TOOL, _DATED_TOOL, _AUDIO_OF_A_TURN = "a hosted tool", "a dated tool", "audio of an earlier turn"
_IN_CHAT_ALONE = frozenset({"n", "logit_bias", "audio", "frequency_penalty", "presence_penalty", "modalities"})
_UNSAYABLE: dict[str, frozenset[str]] = {
    "chat": frozenset({*_RESPONSES_ONLY, _HOSTED_TOOL, *ITEM_PARTS}),
    "responses": frozenset({*_IN_CHAT_ALONE, "stop", _DATED_TOOL, _AUDIO_OF_A_TURN, *_UNSAYABLE_PARTS}),
    "messages": frozenset(
        {
            *_IN_CHAT_ALONE,
            "logprobs",
            "top_logprobs",
            "response_format",
            _HOSTED_TOOL,
            *(name for name in _RESPONSES_ONLY if name != "context_management"),
            *_UNSAYABLE_PARTS,
            *ITEM_PARTS,
        }
    ),
}
