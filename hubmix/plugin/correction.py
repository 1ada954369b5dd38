"""Ask a model once more if none of its tool calls can be executed. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hubmix.wire import Reply, ToolCall

# The model sees what it wrote, but not the whole of an endless repetition.
_MOST_CHARACTERS = 2_000


def correction(body: Mapping[str, Any], reply: Reply) -> dict[str, Any] | None:
    """Return the request that tells a model what was wrong with its calls, or None.

    An agent takes an answer without an executable call for its last one and would end without a word. An answer that
    was cut by its token limit, or by a broken connection, would be cut again.

    Args:
        body: the body of the request.
        reply: its answer.
    """
    calls = reply.tool_calls
    if not body.get("tools") or not calls or reply.finish_reason == "length" or reply.incomplete:
        return None
    if isinstance(body.get("tool_choice"), Mapping):
        return None  # no agent asked for this one tool; structured output says itself what was wrong
    if any(call.args is not None or call.kind == "custom" for call in calls):
        return None  # the agent goes on with these, and hears of the others with their results
    said: dict[str, Any] = {
        "role": "assistant",
        "content": reply.text or None,
        "tool_calls": [_call(call) for call in calls],
    }
    if reply.reasoning or reply.reasoning_details:
        model = reply.served or reply.model
        said["hubmix_reasoning"] = {"model": model, "text": reply.reasoning, "details": reply.reasoning_details}
    told = [
        {"role": "tool", "tool_call_id": call.id, "content": not_executed(call.error, call.arguments)} for call in calls
    ]
    return {**body, "messages": [*body["messages"], said, *told]}


def _call(call: ToolCall) -> dict[str, Any]:
    # Vendors refuse a history whose arguments are no JSON; what the model wrote stands in the tool's answer.
    function = {"name": call.name, "arguments": "{}"}
    return {"id": call.id, "type": "function", "function": function, **call.extra}


def not_executed(error: str | None, arguments: str | None) -> str:
    """Return what a tool "answers" to a call that was not executed."""
    why = error or "its arguments are no JSON object"
    wrote = f" You wrote: {arguments[:_MOST_CHARACTERS]}" if arguments else ""
    return f"The call was not executed: {why}. Call the tool again with valid JSON arguments.{wrote}"
