"""Readers of single fields: any JSON value in, one plain value out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from hubmix.wire.values import Usage

# Names that vendors use and gateways pass on, in small letters, and the OpenAI wire's own. Measured: New API of 2025
# and one-api leave Claude's and Gemini's words as they are. A word not in this table is passed on unchanged.
FINISH_REASONS: dict[str, str] = {
    **{name: name for name in ("stop", "length", "tool_calls", "content_filter", "function_call")},
    **dict.fromkeys(("tool_use", "tool_call"), "tool_calls"),
    **dict.fromkeys(("end_turn", "stop_sequence", "eos", "eos_token", "complete"), "stop"),
    **dict.fromkeys(("max_tokens", "max_output_tokens"), "length"),
    **dict.fromkeys(("model_length", "model_context_window_exceeded"), "length"),
    **dict.fromkeys(("refusal", "sensitive", "content_filtered", "safety", "recitation"), "content_filter"),
    **dict.fromkeys(("blocklist", "prohibited_content", "spii", "model_armor", "image_safety"), "content_filter"),
    "malformed_function_call": "error",
}

# Words by which a vendor says that it broke off; those that end in "_error" or begin with "error" say it too.
_FAILURES = frozenset({
    "abort", "aborted", "cancelled", "canceled", "failed", "failure", "insufficient_system_resource", "interrupted",
    "overloaded", "timeout",
})  # fmt: skip

_BEYOND = 10**15  # tokens

REASONING_FIELDS = ("reasoning_content", "reasoning", "thinking")
_TEXT_PART = frozenset({"type", "text"})


class Content(NamedTuple):
    """The field `content`, apart by kind; `other` holds the remaining parts."""

    text: str = ""
    thinking: str = ""
    refusal: str = ""
    images: Sequence[Any] = ()
    other: Sequence[Any] = ()


def read_content(content: Any) -> Content:
    """Return a message's content apart by kind, from text, parts, an object or null."""
    if content is None:
        return Content()
    if isinstance(content, str):
        return Content(content)
    if isinstance(content, list):
        return _read_parts(content)
    # Cloudflare answers structured output with the object itself.
    return Content(json.dumps(content, ensure_ascii=False))


def _read_parts(parts: list[Any]) -> Content:
    text: list[str] = []
    thinking: list[str] = []
    refusal: list[str] = []
    images: list[Any] = []
    other: list[Any] = []
    for part in parts:
        kind = part.get("type") if isinstance(part, dict) else None
        if isinstance(part, str):
            text.append(part)
        elif not isinstance(part, dict):
            continue
        elif kind in ("thinking", "reasoning"):
            thinking.append(_thinking_text(part))
            if part.get("signature"):
                other.append(part)
        elif isinstance(part.get("text"), str):
            text.append(part["text"])
            if part.keys() - _TEXT_PART:
                other.append(part)
        elif isinstance(part.get("refusal"), str):
            refusal.append(part["refusal"])
        elif kind in ("image_url", "image", "output_image"):
            images.append(part)
        else:  # Mistral's references to its sources, among others
            other.append(part)
    return Content("".join(text), "".join(thinking), "".join(refusal), images, other)


def _thinking_text(part: Mapping[str, Any]) -> str:
    thought = part.get("thinking", part.get("text", part.get("summary")))
    if isinstance(thought, list):  # Mistral nests text parts inside its thinking part
        return "".join(str(t.get("text", "")) if isinstance(t, dict) else str(t) for t in thought)
    return thought if isinstance(thought, str) else ""


def read_finish_reason(value: Any) -> tuple[str | None, str | None]:
    """Return (standard name, name as it came if it differs).

    An empty string is none: one-api puts it on every chunk. A word that names a failure is "error".
    """
    if not isinstance(value, str) or not value:
        return None, None
    standard = "error" if names_failure(value) else FINISH_REASONS.get(value.lower(), value)
    return standard, (value if standard != value else None)


def names_failure(finish_reason: str | None) -> bool:
    """Return True if the vendor's word says that it broke off.

    Example:
        >>> names_failure("network_error"), names_failure("stop")
        (True, False)
    """
    word = (finish_reason or "").lower()
    return word in _FAILURES or word.startswith("error") or word.endswith("_error")


def _count(*values: Any) -> int | None:
    """Return the first number of tokens, also as text; absurd ones are none."""
    for value in values:
        if value is None:
            continue
        if isinstance(value, str) and len(value) < 16 and value.isascii() and value.isdigit():
            value = int(value)
        if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < _BEYOND:
            return int(value)
    return None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


_NAMES = ("type", "id", "call_id", "name", "status", "role")


def named_objects(values: Any) -> list[dict[str, Any]]:
    """Return the objects of a list, each as `named`."""
    return [named(value) for value in values if isinstance(value, dict)] if isinstance(values, list) else []


def named(value: Any) -> dict[str, Any]:
    """Return a copy of an object without a name that is a list or an object.

    Readers compare names with known ones, and keep things by them.
    """
    if not isinstance(value, dict):
        return {}
    wrong = [name for name in _NAMES if isinstance(value.get(name), (dict, list))]
    return {name: held for name, held in value.items() if name not in wrong}


def read_usage(raw: Any) -> Usage | None:
    """Return the token counts of any vendor's `usage`, or None.

    Two shapes leave cached tokens out of the prompt count and are corrected here: Claude through AIHubMix
    (`claude_cache_tokens_details` is present) and Claude through New API of 2025 (more cached than prompt tokens).
    The total is the sum of both counts; `raw` keeps what the vendor said.
    """
    if not isinstance(raw, dict):
        return None
    # New API of 2026 sends `input_tokens: 0` with the real `prompt_tokens`: the OpenAI name wins.
    prompt = _count(raw.get("prompt_tokens"), raw.get("input_tokens"))
    completion = _count(raw.get("completion_tokens"), raw.get("output_tokens"))
    total = _count(raw.get("total_tokens"))
    if prompt is None and completion is None and total is None:
        return None
    inputs = _mapping(raw.get("prompt_tokens_details")) or _mapping(raw.get("input_tokens_details"))
    outputs = _mapping(raw.get("completion_tokens_details")) or _mapping(raw.get("output_tokens_details"))
    claude = _mapping(raw.get("claude_cache_tokens_details"))
    read, written = _cache_counts(raw, inputs, claude)
    if prompt is None:
        prompt = max(total - completion, 0) if total is not None and completion is not None else 0
    apart = (read or 0) + (written or 0)
    if apart and (claude or (read or 0) > prompt):
        if total is not None and total == prompt + (completion or 0):
            total += apart
        prompt += apart
    completion = completion if completion is not None else max((total or 0) - prompt, 0)
    reasoning = _count(outputs.get("reasoning_tokens"), raw.get("reasoning_tokens"))
    # xAI and Gemini's bridges leave reasoning out of the completion, and bill it as output.
    uncounted = (total or 0) - prompt - completion
    if uncounted > 0 or (reasoning or 0) > completion:
        completion += reasoning or uncounted
    return Usage(
        input_tokens=prompt,
        output_tokens=completion,
        total_tokens=prompt + completion,
        cache_read=read,
        cache_creation=written,
        reasoning=reasoning,
        audio_input=_count(inputs.get("audio_tokens")),
        audio_output=_count(outputs.get("audio_tokens")),
        raw=raw,
    )


def _cache_counts(
    raw: Mapping[str, Any], inputs: Mapping[str, Any], claude: Mapping[str, Any]
) -> tuple[int | None, int | None]:
    """Return the prompt tokens that were read from a cache, and written to it."""
    read = (raw.get(name) for name in ("prompt_cache_hit_tokens", "cached_tokens", "num_cached_tokens"))
    written = (inputs.get(name) for name in ("cache_write_tokens", "cached_creation_tokens", "cache_creation_tokens"))
    kept, made = "cache_read_input_tokens", "cache_creation_input_tokens"
    return (
        _count(inputs.get("cached_tokens"), *read, claude.get(kept), raw.get(kept)),
        _count(*written, claude.get(made), raw.get(made)),
    )


def chunk_usage(chunk: Mapping[str, Any]) -> Usage | None:
    """Return the usage of an answer or a chunk, wherever a vendor puts it."""
    usage = read_usage(chunk.get("usage")) or read_usage(_mapping(chunk.get("x_groq")).get("usage"))
    choices = chunk.get("choices")
    if usage is None and isinstance(choices, list):
        for choice in choices:
            usage = usage or read_usage(_mapping(choice).get("usage"))
    return usage


CITABLE = "hubmix_citable"
"""The key of a message that holds its content with documents as the Messages API cites them."""

ANTHROPIC_BLOCKS = "anthropic_blocks"
"""The type of `reasoning_details` that holds an answer of the Messages API, block by block."""


THINKING_BLOCKS = "thinking_blocks"
"""The type of `reasoning_details` that holds LiteLLM's field of this name."""


def kept_blocks(details: Any) -> list[dict[str, Any]] | None:
    """Return the blocks that an earlier answer kept in `reasoning_details`, or None."""
    if (
        isinstance(details, Mapping)
        and details.get("type") == ANTHROPIC_BLOCKS
        and isinstance(details.get("blocks"), list)
    ):
        return [block for block in details["blocks"] if isinstance(block, dict)]
    return None
