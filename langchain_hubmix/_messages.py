"""LangChain messages to the OpenAI wire. Pure.

`to_wire` is written for long histories: plain text costs well under a microsecond a message, no pydantic model is
dumped, and the caller's messages stay as they are.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hubmix.plugin.correction import not_executed
from hubmix.wire.fields import CITABLE
from langchain_hubmix._content import NOT_CONTENT, is_cited, own_form, part_of
from langchain_hubmix._errors import ConfigurationError
from langchain_hubmix._openai_items import is_item, items_of_openai
from langchain_hubmix._output_items import OUTPUT_ITEMS
from langchain_hubmix._tools import uncut

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from langchain_core.messages import BaseMessage

PROVIDER = "hubmix"
"""The value of `response_metadata["model_provider"]`, and the name of the block translator."""

_dumps = json.JSONEncoder(ensure_ascii=False, default=str).encode


def to_wire(messages: Sequence[BaseMessage]) -> list[dict[str, Any]]:
    """Return the messages of a chat completion as plain dicts.

    Args:
        messages: A history as LangChain keeps it, from whichever provider its messages came. It is not changed.

    Returns:
        One dict per message. A human message with Anthropic's `tool_result` blocks becomes one `tool` message per
        result. The reasoning of an assistant message is under `hubmix_reasoning`: it is sent in the form that the hub
        accepts.

    Raises:
        ConfigurationError: A message or content block that cannot be sent.

    Example:
        ```python
        from langchain_core.messages import HumanMessage
        from langchain_hubmix._messages import to_wire

        assert to_wire([HumanMessage("Hello")]) == [{"role": "user", "content": "Hello"}]
        ```
    """
    wire: list[dict[str, Any]] = []
    message: Any
    for message in messages:
        writer = _WRITERS.get(message.type)
        if writer is None:
            raise ConfigurationError(
                f"A message of type {message.type!r} ({type(message).__name__}) cannot be sent to a chat model. "
                "Send human, ai, system, tool, function or chat messages; apply RemoveMessage to the history first."
            )
        writer(message, wire)
        # Asked of assistant messages alone: pydantic raises and unwinds for each field that is missing.
        if writer is _assistant and (broken := message.invalid_tool_calls):
            _answer_invalid(broken, message, messages, wire)
    return wire


def _answer_invalid(
    broken: list[Any], message: BaseMessage, messages: Sequence[BaseMessage], wire: list[dict[str, Any]]
) -> None:
    """Answer the invalid calls that no tool message answers.

    Vendors refuse a history with an open call.
    """
    answered = {getattr(message, "tool_call_id", None) for message in messages}
    extras = message.additional_kwargs.get("tool_call_extras") or {}
    for call in broken:
        is_custom = "custom" in (extras.get(call["id"]) or {})  # free text, which is no mistake
        if call["id"] not in answered and not is_custom:
            told = not_executed(call.get("error"), uncut(call["args"] or ""))
            wire.append({"role": "tool", "tool_call_id": call["id"], "content": told})


def _user(message: Any, wire: list[dict[str, Any]]) -> None:
    content = message.content
    if type(content) is not str:
        blocks = _without_tool_results(content, wire)
        if blocks is None:
            return
        wire.append(_named(message, {"role": "user", "content": _content(blocks), **_citable(blocks)}))
        return
    wire.append(_named(message, {"role": "user", "content": content}))


def _system(message: Any, wire: list[dict[str, Any]]) -> None:
    content = message.content
    # LangChain's convention for a developer message; nothing is ever renamed here by the model's name.
    role = message.additional_kwargs.get("__openai_role__", "system")
    wire.append(_named(message, {"role": role, "content": content if type(content) is str else _content(content)}))


def _chat(message: Any, wire: list[dict[str, Any]]) -> None:
    content = message.content
    wire.append(
        _named(message, {"role": message.role, "content": content if type(content) is str else _content(content)})
    )


def _function(message: Any, wire: list[dict[str, Any]]) -> None:
    content = message.content
    wire.append(
        {"role": "function", "name": message.name, "content": content if type(content) is str else _content(content)}
    )


def _tool(message: Any, wire: list[dict[str, Any]]) -> None:
    content = message.content
    wire.append(
        {
            "role": "tool",
            "tool_call_id": message.tool_call_id,
            "content": content if type(content) is str else _content(content),
        }
    )


def _assistant(message: Any, wire: list[dict[str, Any]]) -> None:
    content, extras = message.content, message.additional_kwargs
    listed = type(content) is not str
    text = _said(content, message) if listed else content
    out: dict[str, Any] = _named(message, {"role": "assistant", "content": text})
    wire.append(out)
    if not (listed or extras or message.tool_calls or message.invalid_tool_calls):
        return
    calls = _calls(message, content if listed else ())
    if calls:
        out["tool_calls"] = calls
        out["content"] = text or None
    elif "function_call" in extras:
        out["function_call"] = extras["function_call"]
        out["content"] = text or None
    if listed or extras:
        reasoning = _reasoning(message, content if listed else ())
        if reasoning is not None:
            out["hubmix_reasoning"] = reasoning
        audio = extras.get("audio")
        if isinstance(audio, dict) and audio.get("id"):
            out["audio"] = {"id": audio["id"]}
            out["content"] = text or None


_WRITERS: dict[str, Callable[[Any, list[dict[str, Any]]], None]] = {
    "human": _user,
    "HumanMessageChunk": _user,
    "ai": _assistant,
    "AIMessageChunk": _assistant,
    "system": _system,
    "SystemMessageChunk": _system,
    "tool": _tool,
    "ToolMessageChunk": _tool,
    "function": _function,
    "FunctionMessageChunk": _function,
    "chat": _chat,
    "ChatMessageChunk": _chat,
}


def _named(message: Any, out: dict[str, Any]) -> dict[str, Any]:
    name = message.name
    if name:
        out["name"] = name
    return out


def _content(blocks: Sequence[Any]) -> str | list[dict[str, Any]]:
    """Return content parts; text alone becomes one string, which all backends read."""
    parts = [part for block in blocks if (part := part_of(block)) is not None]
    if all(part.get("type") == "text" and len(part) == 2 for part in parts):
        return "\n".join(part["text"] for part in parts)
    return parts


def _citable(blocks: Sequence[Any]) -> dict[str, Any]:
    """Return the content as the Messages API cites it, if a document is to be cited."""
    if not any(map(is_cited, blocks)):
        return {}
    parts = (own_form(block) if is_cited(block) else part_of(block) for block in blocks)
    return {CITABLE: [part for part in parts if part is not None]}


def _without_tool_results(blocks: Sequence[Any], wire: list[dict[str, Any]]) -> Sequence[Any] | None:
    """Send Anthropic's `tool_result` blocks ahead; None if nothing else was said."""
    if not any(isinstance(block, dict) and block.get("type") == "tool_result" for block in blocks):
        return blocks
    rest = []
    for block in blocks:
        if isinstance(block, dict) and block.get("type") == "tool_result":
            content = block.get("content") or ""
            wire.append(
                {
                    "role": "tool",
                    "tool_call_id": block.get("tool_use_id"),
                    "content": content if isinstance(content, str) else _content(content),
                }
            )
        else:
            rest.append(block)
    return rest or None


def _said(blocks: Sequence[Any], message: Any) -> str | list[dict[str, Any]]:
    """What an assistant message said, as one text, without a hub's own pictures."""
    parts = []
    ours = message.response_metadata.get("model_provider") == PROVIDER
    for block in blocks:
        kind = block.get("type") if isinstance(block, dict) else None
        if is_item(kind) or (ours and kind not in ("text", None)):
            continue
        if (part := part_of(block)) is not None and (part.get("type") != "text" or part["text"]):
            parts.append(part)
    if all(part.get("type") == "text" and len(part) == 2 for part in parts):
        return "".join(part["text"] for part in parts)
    return parts


def _calls(message: Any, blocks: Sequence[Any]) -> list[dict[str, Any]]:
    """The calls of an assistant message, broken ones included: answers refer to them."""
    calls = message.tool_calls
    broken = message.invalid_tool_calls
    extras = message.additional_kwargs.get("tool_call_extras") or {}
    wire = [_call(call["id"], call["name"], _dumps(call["args"]), extras) for call in calls] if calls else []
    if broken:
        wire += [_call(call["id"], call["name"], uncut(call["args"] or ""), extras) for call in broken]
    if blocks and not wire:  # a history written in Anthropic's format, with the calls in the content only
        wire = [
            _call(block.get("id"), block.get("name"), _dumps(block.get("input", block.get("args")) or {}), extras)
            for block in blocks
            if isinstance(block, dict) and block.get("type") in ("tool_use", "tool_call")
        ]
    return wire


def _call(call_id: str | None, name: str | None, arguments: str, extras: dict[str, Any]) -> dict[str, Any]:
    extra = extras.get(call_id or "")
    if extra and "custom" in extra:
        return {"id": call_id, "type": "custom", "custom": {"name": name or "", "input": extra["custom"]}}
    call = {"id": call_id, "type": "function", "function": {"name": name or "", "arguments": arguments}}
    return {**call, **extra} if extra else call


def _reasoning(message: Any, blocks: Sequence[Any]) -> dict[str, Any] | None:
    """What the model thought, and which route made it."""
    extras, about = message.additional_kwargs, message.response_metadata
    ours = about.get("model_provider") == PROVIDER
    details = extras.get("reasoning_details") if ours else None
    items = extras.get(OUTPUT_ITEMS) if ours else items_of_openai(message)
    text = extras.get("reasoning_content") or extras.get("reasoning")
    if not isinstance(text, str):
        text = "".join(_thought(block) for block in blocks if isinstance(block, dict))
    if not text and not details and not items:
        return None
    found = {"model": about.get("model_name") if ours else None, "text": text, "details": details}
    if items:
        found |= {"items": items, "api": "responses"}
    if ours:
        found |= {name: about[name] for name in ("hub", "api") if about.get(name)}
    return found


def _thought(block: dict[str, Any]) -> str:
    if block.get("type") not in NOT_CONTENT:
        return ""
    thought = block.get("reasoning") or block.get("thinking") or block.get("reasoning_content")
    if isinstance(thought, dict):  # Bedrock's
        thought = thought.get("text")
    return thought if isinstance(thought, str) else ""
