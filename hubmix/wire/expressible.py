"""What a call asks for and an API cannot say, found before anything is sent. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from hubmix.wire.api import Payload

# Parameters of the Responses API alone: a call that uses one can go nowhere else.
_RESPONSES_ONLY = (
    "previous_response_id",
    "conversation",
    "background",
    "prompt",
    "include",
    "truncation",
    "max_tool_calls",
    "context_management",
    "instructions",
    "text",
)
# Tools that the server runs. A vendor's own tool of such a type holds a key of that name (Zhipu's `web_search`).
_HOSTED = frozenset(
    {
        "apply_patch",
        "code_interpreter",
        "computer",
        "computer_use",
        "computer_use_preview",
        "file_search",
        "image_generation",
        "local_shell",
        "mcp",
        "shell",
        "tool_search",
        "web_search",
        "x_search",
    }
)
# Anthropic dates its own: web_search_20250305, code_execution_20250522. They pass to chat completions, unread here.
_ANTHROPIC_TOOL = re.compile(r"_\d{8}$")
_VERSIONED = ("web_search_",)  # web_search_preview, web_search_2025_08_26
# State that one account keeps: it means nothing at another hub, model or mirror.
_KEPT_BY_THE_SERVER = ("previous_response_id", "conversation", "background")
_UNSAYABLE_PARTS = frozenset({"input_audio", "audio_url", "video_url"})
ITEM_PARTS = frozenset(
    {
        "additional_tools",
        "apply_patch_call_output",
        "computer_call_output",
        "configuration_update",
        "local_shell_call_output",
        "mcp_approval_response",
        "shell_call_output",
        "tool_search_output",
    }
)
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


def inexpressible(api: str, payload: Payload) -> tuple[str, ...]:
    """Name what the payload asks for and the API cannot say.

    Args:
        api: the name of an API.
        payload: the chat payload. Neutral values (`n=1`, `stop=[]`, a penalty of 0) ask for nothing.
    """
    finder = _FINDERS.get(api)
    return tuple(dict.fromkeys(finder(payload))) if finder is not None else ()


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


def _not_in_chat(payload: Payload) -> Iterator[str]:
    for name in _RESPONSES_ONLY:
        if payload.get(name) is not None:
            yield name
    for tool in payload.get("tools") or ():
        if is_hosted(tool):
            yield f"the tool {tool['type']!r}"
    yield from _parts_among(payload, ITEM_PARTS)


def _not_in_responses(payload: Payload) -> Iterator[str]:
    if (payload.get("n") or 1) != 1:
        yield "n"
    for name in ("stop", "logit_bias", "audio", "frequency_penalty", "presence_penalty"):
        if payload.get(name):
            yield name
    for tool in payload.get("tools") or ():
        kind = tool.get("type") if isinstance(tool, Mapping) else None
        if isinstance(kind, str) and _ANTHROPIC_TOOL.search(kind):
            yield f"the tool {kind!r}"
    if set(payload.get("modalities") or ()) - {"text"}:
        yield "modalities"
    yield from _parts_among(payload, _UNSAYABLE_PARTS)
    if any("audio" in message for message in payload.get("messages") or ()):
        yield "audio"


def _not_in_messages(payload: Payload) -> Iterator[str]:
    if (payload.get("n") or 1) != 1:
        yield "n"
    for name in ("logprobs", "top_logprobs", "logit_bias", "audio", "frequency_penalty", "presence_penalty"):
        if payload.get(name):
            yield name
    for tool in payload.get("tools") or ():
        if is_hosted(tool):
            yield f"the tool {tool['type']!r}"
    for name in _RESPONSES_ONLY:
        if name != "context_management" and payload.get(name) is not None:
            yield name
    if set(payload.get("modalities") or ()) - {"text"}:
        yield "modalities"
    wanted = payload.get("response_format")
    if isinstance(wanted, Mapping) and wanted.get("type") == "json_object":
        yield "response_format of the type json_object"
    yield from _parts_among(payload, _UNSAYABLE_PARTS | ITEM_PARTS)


def _parts_among(payload: Payload, kinds: frozenset[str]) -> Iterator[str]:
    for message in payload.get("messages") or ():
        content = message.get("content")
        for part in content if isinstance(content, list) else ():
            if isinstance(part, Mapping) and part.get("type") in kinds:
                yield f"{part['type']} content"


_FINDERS = {"chat": _not_in_chat, "responses": _not_in_responses, "messages": _not_in_messages}
