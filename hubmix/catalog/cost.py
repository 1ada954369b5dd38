"""What a call cost: its token counts times the model's prices, in exact decimals."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from hubmix.catalog.models import ModelInfo
from hubmix.catalog.pricing import Pricing
from hubmix.wire import Usage, read_usage
from hubmix.wire.values import Cost

PER = Decimal(1_000_000)
# Claude through AIHubMix: a cache write costs 1.25 times the input price (2 times with a lifetime of one hour), a read
# 0.1 times. Used only where its usage has `claude_cache_tokens_details`. Source: AIHubMix, "OpenAI upgrade: Claude".
CLAUDE_WRITE = Decimal("1.25")
CLAUDE_WRITE_HOUR = Decimal(2)
CLAUDE_READ = Decimal("0.1")


def cost_of(model: str, info: ModelInfo | None, usage: Usage | Mapping[str, Any] | None) -> Cost:
    """Return the cost of one call.

    Args:
        model: the id that answered, for the result.
        info: what the catalog knows of it, or None.
        usage: a `Usage`, a hub's `usage` object as it came, or LangChain's `usage_metadata`.

    Returns:
        A `Cost`; if a price is missing that this call needed, one with `complete=False` and no total.
    """
    pricing = info.pricing if info else None
    if pricing is None or not pricing.known or pricing.note:
        return Cost(model)
    if pricing.per_call is not None:
        return Cost(model, total=pricing.per_call, per_call=pricing.per_call, complete=True)
    counts = as_usage(usage)
    return Cost(model) if counts is None else _by_tokens(model, pricing.at(counts.input_tokens), counts)


def as_usage(usage: Usage | Mapping[str, Any] | None) -> Usage | None:
    """Return token counts from any of the forms that `cost_of` takes."""
    if usage is None or isinstance(usage, Usage):
        return usage
    if "input_token_details" in usage or "output_token_details" in usage:
        return _from_langchain(usage)
    return read_usage(dict(usage))


def _by_tokens(model: str, pricing: Pricing, usage: Usage) -> Cost:
    read, written = usage.cache_read or 0, usage.cache_creation or 0
    heard, spoken = usage.audio_input or 0, usage.audio_output or 0
    # Cached and audio tokens are inside the prompt count; what is left is charged at the plain price.
    prompt = max(usage.input_tokens - read - written - heard, 0)
    completion = max(usage.output_tokens - spoken, 0)
    cache_read, cache_write = _cache_prices(pricing, usage)
    audio_parts = (_price(heard, pricing.audio_input), _price(spoken, pricing.audio_output))
    parts: dict[str, Any] = {
        "input": _price(prompt, pricing.input),
        "output": _price(completion, pricing.output),
        "cache_read": _price(read, cache_read),
        "cache_write": _written(written, usage, pricing, cache_write),
        "audio": _sum(audio_parts),
    }
    total = _sum(tuple(parts.values()))
    return Cost(model, total=total, complete=total is not None, **parts)


def _price(tokens: int, per_million: Decimal | None) -> Decimal | None:
    # No tokens need no price: an embedding model without an output price is priced in full.
    if tokens == 0:
        return Decimal(0)
    return None if per_million is None else per_million * tokens / PER


def _sum(parts: tuple[Decimal | None, ...]) -> Decimal | None:
    return None if None in parts else sum((part for part in parts if part is not None), Decimal(0))


def _cache_prices(pricing: Pricing, usage: Usage) -> tuple[Decimal | None, Decimal | None]:
    if pricing.input is None or not _claude_details(usage):
        return pricing.cache_read, pricing.cache_write
    read = pricing.input * CLAUDE_READ if pricing.cache_read is None else pricing.cache_read
    write = pricing.input * CLAUDE_WRITE if pricing.cache_write is None else pricing.cache_write
    return read, write


def _written(written: int, usage: Usage, pricing: Pricing, price: Decimal | None) -> Decimal | None:
    hour = min(_hour_tokens(usage), written)
    hour_price = None if pricing.input is None else pricing.input * CLAUDE_WRITE_HOUR
    return _sum((_price(written - hour, price), _price(hour, hour_price)))


def _hour_tokens(usage: Usage) -> int:
    tokens = _claude_details(usage).get("cache_write_1_hour_input_tokens")
    return tokens if isinstance(tokens, int) and tokens > 0 else 0


def _claude_details(usage: Usage) -> Mapping[str, Any]:
    details = usage.raw.get("claude_cache_tokens_details")
    return details if isinstance(details, Mapping) else {}


def _from_langchain(usage: Mapping[str, Any]) -> Usage:
    inputs, outputs = usage.get("input_token_details") or {}, usage.get("output_token_details") or {}
    return Usage(
        input_tokens=usage.get("input_tokens") or 0,
        output_tokens=usage.get("output_tokens") or 0,
        total_tokens=usage.get("total_tokens") or 0,
        cache_read=inputs.get("cache_read"),
        cache_creation=inputs.get("cache_creation"),
        reasoning=outputs.get("reasoning"),
        audio_input=inputs.get("audio"),
        audio_output=outputs.get("audio"),
    )
