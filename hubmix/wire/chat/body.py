"""The request as one candidate takes it: pure, and free of charge where there is nothing to change.

What the two message converters make is the same for every model. Two things depend on who is asked: reasoning of
earlier turns goes back under the name the hub takes it by, and signatures and cache markers mean something only to the
model they came from or were set for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

REASONING_KEY = "hubmix_reasoning"
TakesBack = Literal["reasoning_details", "reasoning_content", "both"]


def shape(
    payload: Mapping[str, Any], model: str, takes_back: TakesBack, extra_body: Mapping[str, Any] | None
) -> dict[str, Any]:
    """The body that is sent to one candidate.

    Args:
        payload: What the framework's converter made, for the model the user asked for.
        model: The candidate's model ID.
        takes_back: How the hub takes reasoning of earlier turns (see :class:`hubmix.presets.Preset`).
        extra_body: Fields of the user's, merged last.

    Returns:
        A new dict; messages and tools that need no change are shared with the payload.
    """
    body = dict(payload)
    changed = model != payload.get("model")
    body["model"] = model
    body["messages"] = [_shape_message(m, model, takes_back, changed) for m in payload.get("messages", ())]
    tools = payload.get("tools")
    if not tools:  # gateways refuse an empty list, and a tool_choice without tools
        body.pop("tools", None)
        body.pop("tool_choice", None)
        body.pop("parallel_tool_calls", None)
    elif changed:
        body["tools"] = [_without_marker(t) for t in tools]
    if extra_body:
        body.update(extra_body)
    return body


def _shape_message(message: Any, model: str, takes_back: TakesBack, changed: bool) -> Any:
    reasoning = message.get(REASONING_KEY)
    if reasoning is None and not changed:
        return message
    content = message.get("content")
    marked = changed and (
        "cache_control" in message or (isinstance(content, list) and any("cache_control" in p for p in content))
    )
    if reasoning is None and not marked:
        return message
    shaped = {k: v for k, v in message.items() if k != REASONING_KEY}
    if marked:
        shaped.pop("cache_control", None)
        if isinstance(content, list):
            shaped["content"] = [_without_marker(p) for p in content]
    if reasoning is not None:
        _put_reasoning(shaped, reasoning, model, takes_back)
    return shaped


def _put_reasoning(message: dict[str, Any], reasoning: Mapping[str, Any], model: str, takes_back: TakesBack) -> None:
    """Give reasoning back: signatures only to the model that made them, the plain text to any."""
    text, details = reasoning.get("text"), reasoning.get("details")
    own = reasoning.get("model") in (None, model)
    if details and own and takes_back != "reasoning_content":
        message["reasoning_details"] = details
    # The plain text goes along in every case: strict thinking models (DeepSeek, Kimi) answer 400 without it.
    if text:
        message["reasoning_content"] = text


def _without_marker(part: Any) -> Any:
    if isinstance(part, dict) and "cache_control" in part:
        return {k: v for k, v in part.items() if k != "cache_control"}
    return part
