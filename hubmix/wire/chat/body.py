"""The chat payload as one route takes it. Costs little if nothing changes.

The message converters make the same payload for every model. Two things depend on the route: the field in which the
reasoning of earlier turns goes back, and signatures and cache markers, which mean something only to one model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hubmix.wire.api import BodyOptions, Payload
from hubmix.wire.fields import CITABLE, THINKING_BLOCKS, kept_blocks

REASONING_KEY = "hubmix_reasoning"
_OWN_KEYS = frozenset({REASONING_KEY, CITABLE})  # of a message, and of no hub's


def chat_body(payload: Payload, options: BodyOptions) -> dict[str, Any]:
    """Return the body of a chat completion for one route.

    Messages and tools that need no change are shared with the payload.
    """
    model = options.model
    body = dict(payload)
    changed = model != payload.get("model")
    body["model"] = options.model_id
    body["messages"] = [
        _shape_message(message, options, changed) if changed or not _OWN_KEYS.isdisjoint(message) else message
        for message in payload.get("messages", ())
    ]
    if options.extra_body:
        body.update(options.extra_body)
    tools = body.get("tools")
    if not tools:  # gateways refuse an empty list, and a tool_choice without tools
        body.pop("tools", None)
        body.pop("tool_choice", None)
        body.pop("parallel_tool_calls", None)
    elif changed:
        body["tools"] = [_without_marker(t) for t in tools]
    if options.stream:
        body["stream"] = True
        # Without it New API drops the usage, and may drop a finish_reason with it (read in its source).
        if body.setdefault("stream_options", {"include_usage": True}) == {"include_usage": False}:
            del body["stream_options"]  # that is the default, and some vendors refuse the field
    return body


def _shape_message(message: Any, options: BodyOptions, changed: bool) -> Any:
    reasoning = message.get(REASONING_KEY)
    cited = CITABLE in message
    content = message.get("content")
    marked = changed and (
        "cache_control" in message or (isinstance(content, list) and any("cache_control" in p for p in content))
    )
    if reasoning is None and not marked and not cited:
        return message
    shaped = {k: v for k, v in message.items() if k not in (REASONING_KEY, CITABLE)}
    if marked:
        shaped.pop("cache_control", None)
        if isinstance(content, list):
            shaped["content"] = [_without_marker(p) for p in content]
    if reasoning is not None:
        _put_reasoning(shaped, reasoning, options)
    return shaped


def _put_reasoning(message: dict[str, Any], reasoning: Mapping[str, Any], options: BodyOptions) -> None:
    """Give reasoning back: signatures only to their route, plain text to any."""
    text, details = reasoning.get("text"), reasoning.get("details")
    own = options.made(reasoning, "chat") and kept_blocks(details) is None
    if own and isinstance(details, Mapping) and details.get("type") == THINKING_BLOCKS:
        message[THINKING_BLOCKS] = details["blocks"]
    elif details and own and options.reasoning_replay != "reasoning_content":
        message["reasoning_details"] = details
    # The plain text goes along in every case: strict thinking models (DeepSeek, Kimi) answer 400 without it.
    if text:
        message["reasoning_content"] = text


def _without_marker(part: Any) -> Any:
    if isinstance(part, dict) and "cache_control" in part:
        return {k: v for k, v in part.items() if k != "cache_control"}
    return part
