"""A hub's answer to ChatResponse: pure. The other direction is `_messages.py`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llama_index.core.base.llms.types import (
    AudioBlock,
    ChatMessage,
    ChatResponse,
    CitationBlock,
    CompletionResponse,
    ContentBlock,
    ImageBlock,
    LogProb,
    MessageRole,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)

from hubmix.wire import Reply, ToolCall, Usage
from llamaindex_hubmix._messages import INVALID_CALLS, ORIGIN, OUTPUT_ITEMS, REASONING_DETAILS, REASONING_MODEL


def chat_response(reply: Reply, *, delta: str | None = None, single_call: bool = False) -> ChatResponse:
    """The response for a whole answer, or the last one of a stream.

    Args:
        reply: The answer as the hub's reader gave it.
        delta: "" for the end of a stream.
        single_call: Keep the first tool call only: parallel calls were switched off, which some hubs drop on the way
            to the vendor (measured on New API of 2025).
    """
    calls = reply.tool_calls[:1] if single_call else reply.tool_calls
    return ChatResponse(
        message=_message(reply, calls),
        raw=_raw(reply),
        delta=delta,
        logprobs=_logprobs(reply.logprobs),
        additional_kwargs=_details(reply),
    )


def completion_response(response: ChatResponse) -> CompletionResponse:
    """The answer for the `complete` verbs, with reasoning in `reasoning_content`."""
    extras = {**response.message.additional_kwargs, **response.additional_kwargs}
    if thoughts := [block.content for block in response.message.blocks if isinstance(block, ThinkingBlock)]:
        extras["reasoning_content"] = "".join(thought or "" for thought in thoughts)
    return CompletionResponse(
        text=response.message.content or "",
        additional_kwargs=extras,
        raw=response.raw,
        logprobs=response.logprobs,
        delta=response.delta,
    )


def legacy_call(call_id: str, name: str, arguments: str) -> dict[str, Any]:
    """Return a call in the wire's form, for `additional_kwargs["tool_calls"]`.

    Core's own streaming programs look nowhere else.
    """
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


# ------------------------------------------------------------------------------------------------------ message


def _message(reply: Reply, calls: list[ToolCall]) -> ChatMessage:
    extras: dict[str, Any] = {}
    if calls:
        extras["tool_calls"] = [_legacy(call) for call in calls]
        if invalid := [_invalid(call) for call in calls if _must_not_run(call)]:
            extras[INVALID_CALLS] = invalid
    if reply.refusal:
        extras["refusal"] = reply.refusal
    if reply.audio and reply.audio.get("id"):
        extras["reference_audio_id"] = reply.audio["id"]
    if reply.items:
        extras[OUTPUT_ITEMS] = reply.items
    if (reply.items or reply.reasoning_details) and (origin := _origin(reply)):
        extras[ORIGIN] = origin
    return ChatMessage(role=MessageRole.ASSISTANT, blocks=_blocks(reply, calls), additional_kwargs=extras)


def _origin(reply: Reply) -> dict[str, Any]:
    found = {"model": reply.served or reply.model, "hub": reply.hub, "api": reply.api}
    return {name: value for name, value in found.items() if value} if reply.api else {}


def _blocks(reply: Reply, calls: list[ToolCall]) -> list[ContentBlock]:
    blocks: list[ContentBlock] = []
    if reply.reasoning or reply.reasoning_details:
        blocks.append(_thinking(reply))
    text = reply.text or str((reply.audio or {}).get("transcript") or "")
    # Always there, so that `content` is "" and not None if the answer is a tool call, streamed or not.
    blocks.append(TextBlock(text=text))
    blocks.extend(_citations(reply.citations.get("annotations")))
    if reply.audio and (sound := _audio_block(reply.audio)) is not None:
        blocks.append(sound)
    images = reply.images if isinstance(reply.images, list) else ()
    blocks.extend(block for image in images if (block := _image_block(image)) is not None)
    blocks.extend(_tool_block(call) for call in calls)
    return blocks


def _thinking(reply: Reply) -> ThinkingBlock:
    extra: dict[str, Any] = {REASONING_MODEL: reply.served or reply.model}
    if reply.reasoning_details and not reply.items:  # the items hold them too
        extra[REASONING_DETAILS] = reply.reasoning_details
    tokens = reply.usage.reasoning if reply.usage else None
    return ThinkingBlock(content=reply.reasoning or None, num_tokens=tokens or None, additional_information=extra)


def _tool_block(call: ToolCall) -> ToolCallBlock:
    # A dict says that the call may be executed; a text is what arrived of one that must not be (or a custom tool gets).
    kwargs = call.arguments if call.args is None or call.kind == "custom" else call.args
    return ToolCallBlock(tool_call_id=call.id, tool_name=call.name, tool_kwargs=kwargs)


def _must_not_run(call: ToolCall) -> bool:
    # The input of a custom tool is free text: that it is no JSON says nothing.
    return call.args is None and call.kind != "custom"


def _legacy(call: ToolCall) -> dict[str, Any]:
    if call.kind == "custom":
        wire: dict[str, Any] = {"id": call.id, "type": "custom", "custom": {"name": call.name, "input": call.arguments}}
    else:
        wire = legacy_call(call.id, call.name, call.arguments)
    return wire | call.extra if call.extra else wire


def _invalid(call: ToolCall) -> dict[str, Any]:
    return {"id": call.id, "name": call.name, "arguments": call.arguments, "error": call.error}


def _citations(annotations: Any) -> list[CitationBlock]:
    found = (_citation(note) for note in (annotations if isinstance(annotations, list) else ()))
    return [block for block in found if block is not None]


def _citation(annotation: Any) -> CitationBlock | None:
    """A citation of chat completions (nested) or of the Responses API (flat)."""
    if not isinstance(annotation, dict):
        return None
    cited = annotation.get("url_citation", annotation)
    cited = cited if isinstance(cited, dict) else {}
    source = next((cited[key] for key in ("url", "file_id") if isinstance(cited.get(key), str)), None)
    if source is None:
        return None
    where = {key: cited[key] for key in ("start_index", "end_index", "index") if isinstance(cited.get(key), int)}
    return CitationBlock(
        cited_content=TextBlock(text=str(cited.get("content") or "")),
        source=source,
        title=str(cited.get("title") or cited.get("filename") or ""),
        additional_location_info=where,
    )


# A hub may put anything at all into the fields below. What cannot be read is left out here, and is still in `raw`.


def _audio_block(audio: Mapping[str, Any]) -> AudioBlock | None:
    data, sound_format = audio.get("data"), audio.get("format")
    if not isinstance(data, str) or not data.isascii() or not data:
        return None
    return AudioBlock(audio=data.encode(), format=sound_format if isinstance(sound_format, str) else None)


def _image_block(image: Any) -> ImageBlock | None:
    if isinstance(image, dict):
        image = image.get("image_url", image.get("url"))
        image = image.get("url") if isinstance(image, dict) else image
    if not isinstance(image, str) or not image:
        return None
    head, separator, data = image.partition(";base64,")
    try:
        if separator and head.startswith("data:"):
            return ImageBlock(image=data.encode(), image_mimetype=head.removeprefix("data:") or None)
        return ImageBlock(url=image)
    except ValueError:
        return None


# ------------------------------------------------------------------------------------------------------ details


def _raw(reply: Reply) -> dict[str, Any]:
    """The answer as it came, with `usage` at the top for TokenCountingHandler.

    Groq and Moonshot put it elsewhere.
    """
    raw = reply.raw
    if reply.usage is not None and not raw.get("usage"):
        return {**raw, "usage": dict(reply.usage.raw)}
    return raw


def _details(reply: Reply) -> dict[str, Any]:
    details: dict[str, Any] = {}
    if reply.usage is not None:
        details.update(token_counts(reply.usage))
    found = {
        "finish_reason": reply.finish_reason,
        "native_finish_reason": reply.native_finish_reason,
        "model": reply.served or reply.model,
        "id": reply.id,
        "request_id": reply.request_id,
        "system_fingerprint": reply.system_fingerprint,
        "service_tier": reply.service_tier,
        "refusal": reply.refusal,
        "logprobs": reply.logprobs,
        "incomplete": reply.incomplete,
        "extra": reply.extra,
    }
    details.update((key, value) for key, value in found.items() if value)
    return details | reply.citations | reply.provenance()


def token_counts(usage: Usage) -> dict[str, Any]:
    """Return the counts under LlamaIndex's names; `raw` has what the hub said."""
    counts: dict[str, Any] = {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
    }
    details = {
        "reasoning_tokens": usage.reasoning,
        "cached_tokens": usage.cache_read,
        "cache_creation_tokens": usage.cache_creation,
    }
    counts.update((key, value) for key, value in details.items() if value is not None)
    return counts


def _logprobs(logprobs: Mapping[str, Any] | None) -> list[list[LogProb]] | None:
    """For each token the alternatives that were asked for, or the token itself."""
    content = logprobs.get("content") if logprobs else None
    if not isinstance(content, list) or not content:
        return None
    return [[_logprob(one) for one in _alternatives(token)] for token in content if isinstance(token, dict)]


def _alternatives(token: dict[str, Any]) -> list[dict[str, Any]]:
    given = token.get("top_logprobs")
    return [one for one in given if isinstance(one, dict)] if isinstance(given, list) and given else [token]


def _logprob(found: Mapping[str, Any]) -> LogProb:
    token, logprob, data = found.get("token"), found.get("logprob"), found.get("bytes")
    return LogProb(
        token=token if isinstance(token, str) else "",
        logprob=logprob if isinstance(logprob, (int, float)) else 0.0,
        bytes=[byte for byte in data if isinstance(byte, int)] if isinstance(data, list) else [],
    )
