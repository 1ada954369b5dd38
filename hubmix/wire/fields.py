"""Readers of single fields: each takes what stands in the JSON, whatever its type, and gives one plain value."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from hubmix.wire.values import Usage

# Names that vendors use and gateways pass on, and the OpenAI wire's own. Measured: New API of 2025 and one-api leave
# Claude's and Gemini's words as they are. A word not in this table is passed on unchanged.
FINISH_REASONS: dict[str, str] = {
    "tool_use": "tool_calls",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "STOP": "stop",
    "max_tokens": "length",
    "MAX_TOKENS": "length",
    "refusal": "content_filter",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "MODEL_ARMOR": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "MALFORMED_FUNCTION_CALL": "error",
}

_BEYOND = 10**15  # tokens

REASONING_FIELDS = ("reasoning_content", "reasoning", "thinking")
_DETAIL_TEXT = ("text", "thinking", "summary", "content")
# Keys of a reasoning detail whose pieces are joined; any other string that comes again with the same value stays.
_JOINED = frozenset({"text", "thinking", "summary", "content", "data", "signature", "thought", "thinking_signature"})


def read_content(content: Any) -> tuple[str, str, str, list[Any]]:
    """Text, thinking, refusal and images of a ``content`` field: a string, a list of parts, a JSON object or null."""
    if content is None:
        return "", "", "", []
    if isinstance(content, str):
        return content, "", "", []
    if isinstance(content, list):
        return _read_parts(content)
    # Cloudflare answers structured output with the object itself.
    return json.dumps(content, ensure_ascii=False), "", "", []


def _read_parts(parts: list[Any]) -> tuple[str, str, str, list[Any]]:
    text: list[str] = []
    thinking: list[str] = []
    refusal: list[str] = []
    images: list[Any] = []
    for part in parts:
        if isinstance(part, str):
            text.append(part)
        elif isinstance(part, dict):
            kind = part.get("type")
            if kind in ("thinking", "reasoning"):
                thinking.append(_thinking_text(part))
            elif isinstance(part.get("text"), str):
                text.append(part["text"])
            elif isinstance(part.get("refusal"), str):
                refusal.append(part["refusal"])
            elif kind in ("image_url", "image", "output_image"):
                images.append(part)
    return "".join(text), "".join(thinking), "".join(refusal), images


def _thinking_text(part: Mapping[str, Any]) -> str:
    thought = part.get("thinking", part.get("text", part.get("summary")))
    if isinstance(thought, list):  # Mistral nests text parts inside its thinking part
        return "".join(str(t.get("text", "")) if isinstance(t, dict) else str(t) for t in thought)
    return thought if isinstance(thought, str) else ""


def details_text(details: Any) -> str:
    """The readable text inside ``reasoning_details``, for vendors that send it nowhere else."""
    if isinstance(details, dict):
        details = [details]
    if not isinstance(details, list):
        return ""
    found: list[str] = []
    for detail in details:
        if isinstance(detail, dict):
            found.append(next((detail[k] for k in _DETAIL_TEXT if isinstance(detail.get(k), str) and detail[k]), ""))
    return "".join(found)


def join_details(whole: list[Any], piece: Any) -> None:
    """Add one streamed reasoning detail to those before it, in place.

    Pieces of one detail share their index, or follow each other with one type. A type or an id that differs starts a
    new detail: OpenRouter sends readable and encrypted reasoning under one index.
    """
    if not isinstance(piece, dict):
        whole.append(piece)
        return
    for known in reversed(whole):
        if isinstance(known, dict) and _same_detail(known, piece):
            _merge_detail(known, piece)
            return
        if piece.get("index") is None:
            break
    whole.append(dict(piece))


def _same_detail(known: Mapping[str, Any], piece: Mapping[str, Any]) -> bool:
    for key in ("index", "type", "id"):
        a, b = known.get(key), piece.get(key)
        if a is not None and b is not None and a != b:
            return False
    return known.get("index") == piece.get("index") or piece.get("index") is None or known.get("index") is None


def _merge_detail(known: dict[str, Any], piece: Mapping[str, Any]) -> None:
    for key, value in piece.items():
        before = known.get(key)
        if isinstance(value, str) and isinstance(before, str) and key != "type":
            if key in _JOINED:
                known[key] = before + value
            elif value != before:
                known[key] = before + value if before else value
        elif value is not None:
            known[key] = value


def join_detail_object(whole: dict[str, Any], piece: Mapping[str, Any]) -> None:
    """The same for AIHubMix, whose ``reasoning_details`` is an object: every string but ``type`` is a piece of text.

    Source: the accumulator that AIHubMix publishes in its unified inference page.
    """
    for key, value in piece.items():
        before = whole.get(key)
        if key != "type" and isinstance(value, str) and isinstance(before, str):
            whole[key] = before + value
        elif value is not None:
            whole[key] = value


def read_finish_reason(value: Any) -> tuple[str | None, str | None]:
    """(standard name, name as it came if it differs). An empty string is none: one-api puts it on every chunk."""
    if not isinstance(value, str) or not value:
        return None, None
    standard = FINISH_REASONS.get(value, value)
    return standard, (value if standard != value else None)


def _count(*values: Any) -> int | None:
    """The first that is a number of tokens; -1, NaN and what no model could count are none."""
    for value in values:
        if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < _BEYOND:
            return int(value)
    return None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def read_usage(raw: Any) -> Usage | None:
    """Token counts from any vendor's ``usage`` object, or None where there are none.

    Two shapes leave cached tokens out of the prompt count and are corrected here: Claude through AIHubMix
    (``claude_cache_tokens_details`` is present) and Claude through New API of 2025 (more cached than prompt tokens).
    """
    if not isinstance(raw, dict):
        return None
    # New API of 2026 sends `input_tokens: 0` beside the real `prompt_tokens`: the OpenAI name wins.
    prompt = _count(raw.get("prompt_tokens"), raw.get("input_tokens"))
    completion = _count(raw.get("completion_tokens"), raw.get("output_tokens"))
    total = _count(raw.get("total_tokens"))
    if prompt is None and completion is None and total is None:
        return None
    inputs = _mapping(raw.get("prompt_tokens_details")) or _mapping(raw.get("input_tokens_details"))
    outputs = _mapping(raw.get("completion_tokens_details")) or _mapping(raw.get("output_tokens_details"))
    claude = _mapping(raw.get("claude_cache_tokens_details"))
    read = _count(
        inputs.get("cached_tokens"),
        raw.get("prompt_cache_hit_tokens"),
        raw.get("cached_tokens"),
        raw.get("num_cached_tokens"),
        claude.get("cache_read_input_tokens"),
        raw.get("cache_read_input_tokens"),
    )
    written = _count(
        inputs.get("cache_write_tokens"),
        inputs.get("cached_creation_tokens"),
        inputs.get("cache_creation_tokens"),
        claude.get("cache_creation_input_tokens"),
        raw.get("cache_creation_input_tokens"),
    )
    if prompt is None:
        prompt = max(total - completion, 0) if total is not None and completion is not None else 0
    apart = (read or 0) + (written or 0)
    if apart and (claude or (read or 0) > prompt):
        if total is not None and total == prompt + (completion or 0):
            total += apart
        prompt += apart
    completion = completion if completion is not None else max((total or 0) - prompt, 0)
    return Usage(
        input_tokens=prompt,
        output_tokens=completion,
        total_tokens=total if total is not None else prompt + completion,
        cache_read=read,
        cache_creation=written,
        reasoning=_count(outputs.get("reasoning_tokens"), raw.get("reasoning_tokens")),
        audio_input=_count(inputs.get("audio_tokens")),
        audio_output=_count(outputs.get("audio_tokens")),
        raw=raw,
    )


def chunk_usage(chunk: Mapping[str, Any]) -> Usage | None:
    """The usage of a whole answer or a chunk: its own, Groq's ``x_groq.usage``, or inside a choice (Moonshot)."""
    usage = read_usage(chunk.get("usage")) or read_usage(_mapping(chunk.get("x_groq")).get("usage"))
    choices = chunk.get("choices")
    if usage is None and isinstance(choices, list):
        for choice in choices:
            usage = usage or read_usage(_mapping(choice).get("usage"))
    return usage


def arguments_text(value: Any) -> str:
    """Tool arguments as JSON text: they come as text, as an object (Ollama), empty or null."""
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False)


def check_arguments(text: str) -> tuple[dict[str, Any] | None, str | None]:
    """(parsed arguments, None), or (None, why the call must not be executed)."""
    if not text.strip():
        return {}, None
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError) as error:
        return None, f"the arguments are not valid JSON, probably cut short: {error}"
    if parsed is None:
        return {}, None
    if not isinstance(parsed, dict):
        return None, f"the arguments are a JSON {type(parsed).__name__}, not an object"
    return parsed, None
