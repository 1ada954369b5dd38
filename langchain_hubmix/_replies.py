"""The hub's answers to LangChain messages. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from langchain_core.messages import AIMessage
from langchain_core.messages.ai import InputTokenDetails, OutputTokenDetails, UsageMetadata
from langchain_core.messages.tool import invalid_tool_call, tool_call
from langchain_core.outputs import ChatGeneration, ChatResult

from langchain_hubmix._messages import PROVIDER
from langchain_hubmix._output_items import OUTPUT_ITEMS
from langchain_hubmix._structured import parsed_of

if TYPE_CHECKING:
    from hubmix.wire import Reply, ToolCall, Usage


def from_reply(reply: Reply, target: Any = None) -> AIMessage:
    """Return a whole answer as a LangChain message.

    Args:
        reply: what the hub answered.
        target: the pydantic class that was the `response_format`, if one was.

    Returns:
        A message with text as `content`; reasoning in `additional_kwargs["reasoning_content"]` (and
        `["reasoning_details"]`, exactly as it came); an object of `target` in `additional_kwargs["parsed"]`; valid and
        invalid tool calls apart; token counts in `usage_metadata`; and everything else in `response_metadata`.
    """
    name = reply.extra.get("name")
    return AIMessage(
        content=reply.text,
        name=name if isinstance(name, str) else None,
        additional_kwargs=message_extras(reply, target),
        response_metadata={"model_provider": PROVIDER, **metadata(reply)},
        tool_calls=[tool_call(name=c.name, args=c.args, id=c.id) for c in reply.tool_calls if c.args is not None],
        invalid_tool_calls=[
            invalid_tool_call(name=c.name, args=c.arguments, id=c.id, error=c.error)
            for c in reply.tool_calls
            if c.args is None
        ],
        usage_metadata=usage_metadata(reply.usage),
    )


def generation_info(reply: Reply) -> dict[str, Any]:
    """Return what callbacks read besides the message."""
    found = {"finish_reason": reply.finish_reason, "logprobs": reply.logprobs}
    return {name: value for name, value in found.items() if value is not None}


def chat_result(reply: Reply, target: Any = None) -> ChatResult:
    """Return a whole answer as LangChain's result: one generation a choice."""
    for other in reply.choices:  # what came once, for all of them
        other.served, other.request_id, other.id = reply.served, reply.request_id, reply.id
    return ChatResult(
        generations=[
            ChatGeneration(message=from_reply(one, target), generation_info=generation_info(one))
            for one in (reply, *reply.choices)
        ],
        llm_output={
            "token_usage": dict(reply.usage.raw) if reply.usage is not None else {},
            "model_name": reply.served or reply.model,
        },
    )


def message_extras(reply: Reply, target: Any = None) -> dict[str, Any]:
    """Return the `additional_kwargs` of a whole message."""
    extras: dict[str, Any] = {}
    if reply.reasoning:
        extras["reasoning_content"] = reply.reasoning
    if reply.refusal:
        extras["refusal"] = reply.refusal
    if reply.audio:
        extras["audio"] = reply.audio
    extras.update(closing_extras(reply, target))
    return extras


def closing_extras(reply: Reply, target: Any = None) -> dict[str, Any]:
    """Return the part of `additional_kwargs` that a stream carries in its last chunk.

    Pieces of it would not merge.
    """
    extras: dict[str, Any] = {}
    if target is not None and (parsed := parsed_of(target, reply.text)) is not None:
        extras["parsed"] = parsed
    if reply.items:  # they hold the reasoning too
        extras[OUTPUT_ITEMS] = reply.items
    elif reply.reasoning_details:
        extras["reasoning_details"] = reply.reasoning_details
    if reply.images:
        extras["images"] = reply.images
    call_extras = {call.id: extra for call in reply.tool_calls if (extra := _call_extra(call))}
    if call_extras:
        extras["tool_call_extras"] = call_extras
    return extras


def _call_extra(call: ToolCall) -> dict[str, Any]:
    """Return what a vendor needs back with a call, such as Gemini's thought signature."""
    return {**call.extra, "custom": call.arguments} if call.kind == "custom" else call.extra


def metadata(reply: Reply) -> dict[str, Any]:
    """`response_metadata` of a whole answer, or of a stream's last chunk.

    LangChain adds up what repeats.
    """
    found: dict[str, Any] = {
        "model_name": reply.served or reply.model,
        "model_version": reply.model if reply.served and reply.model != reply.served else None,
        "finish_reason": reply.finish_reason,
        "native_finish_reason": reply.native_finish_reason,
        "id": reply.id,
        "request_id": reply.request_id,
        "created": reply.created,
        "system_fingerprint": reply.system_fingerprint,
        "service_tier": reply.service_tier,
        "logprobs": reply.logprobs,
        **reply.citations,
    }
    kept = {name: value for name, value in found.items() if value is not None}
    if reply.usage is not None:
        kept["token_usage"] = dict(reply.usage.raw)
    if reply.incomplete:
        kept["incomplete"] = True
    kept |= reply.provenance()
    if extra := {name: value for name, value in reply.extra.items() if name != "output" or not reply.items}:
        kept["extra"] = extra
    return kept


def usage_metadata(usage: Usage | None) -> UsageMetadata | None:
    """Token counts under LangChain's names, as whole numbers for its counters."""
    if usage is None:
        return None
    counts: dict[str, Any] = {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
    }
    inputs, outputs = InputTokenDetails(), OutputTokenDetails()
    if usage.cache_read is not None:
        inputs["cache_read"] = usage.cache_read
    if usage.cache_creation is not None:
        inputs["cache_creation"] = usage.cache_creation
    if usage.audio_input is not None:
        inputs["audio"] = usage.audio_input
    if usage.reasoning is not None:
        outputs["reasoning"] = usage.reasoning
    if usage.audio_output is not None:
        outputs["audio"] = usage.audio_output
    if inputs:
        counts["input_token_details"] = inputs
    if outputs:
        counts["output_token_details"] = outputs
    # langchain-core 1.8 declares the details with a `NotRequired` that mypy does not see on Python 3.10.
    return cast("UsageMetadata", counts)
