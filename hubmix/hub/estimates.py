"""What a request can cost at most, before it is sent. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from hubmix.hub.budget import Estimate
from hubmix.wire.requirements import estimate_tokens

if TYPE_CHECKING:
    from hubmix.catalog import ModelInfo
    from hubmix.wire.api import Payload

_LONGEST_ANSWER = 4096  # tokens, if neither the call nor the catalog says how long an answer may be
_MILLION = Decimal(1_000_000)


def estimate_of(
    model: str,
    info: ModelInfo | None,
    payload: Payload,
    extra_body: Mapping[str, Any] | None = None,
    *,
    chat: bool = True,
) -> Estimate:
    """Return the most that a request can cost at the catalog's prices.

    Args:
        model: the model ID.
        info: what the catalog knows of it.
        payload: the request.
        extra_body: fields that are merged into its body.
        chat: whether the answer has output tokens to pay for.
    """
    pricing = info.pricing if info else None
    if pricing is None or not pricing.known or pricing.note:
        return Estimate(model, None)
    tokens = estimate_tokens(payload)
    pricing = pricing.at(tokens)
    if pricing.per_call is not None:
        return Estimate(model, pricing.per_call, by_call=True)
    if pricing.input is None or (chat and pricing.output is None):
        return Estimate(model, None)
    prompt = pricing.input * tokens / _MILLION
    if not chat or pricing.output is None:
        return Estimate(model, prompt)
    longest = _longest_answer({**payload, **(extra_body or {})}, info)
    return Estimate(model, prompt, pricing.output * longest / _MILLION, pricing.output)


def _longest_answer(body: Mapping[str, Any], info: ModelInfo | None) -> int:
    given = body.get("max_completion_tokens") or body.get("max_tokens") or body.get("max_output_tokens")
    known = info.max_output_tokens if info else None
    longest = given if isinstance(given, int) else known or _LONGEST_ANSWER
    choices = body.get("n")
    return longest * choices if isinstance(choices, int) and choices > 1 else longest
