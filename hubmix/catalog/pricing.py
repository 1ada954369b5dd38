"""What a model costs, as a value."""

from __future__ import annotations

from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any

from hubmix._text import plain


@dataclass(frozen=True, slots=True)
class Tier:
    """The prices of prompts up to a length: USD per 1,000,000 tokens.

    Attributes:
        up_to: the longest prompt in tokens, inclusive; None for no bound.
    """

    up_to: int | None = None
    input: Decimal | None = None
    output: Decimal | None = None
    cache_read: Decimal | None = None
    cache_write: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Pricing:
    """What a model costs: USD per 1,000,000 tokens, or a flat price per call.

    None is "not known", 0 is "free".

    Attributes:
        input, output: prompt and completion tokens.
        cache_read, cache_write: prompt tokens that were read from, or written to, the vendor's prompt cache.
        audio_input, audio_output: audio tokens.
        per_call: USD for one call.
        tiers: the prices by the length of the prompt, shortest first; empty if the length does not matter.
        note: why a cost at these prices has no total; "" if it has one.
    """

    input: Decimal | None = None
    output: Decimal | None = None
    cache_read: Decimal | None = None
    cache_write: Decimal | None = None
    audio_input: Decimal | None = None
    audio_output: Decimal | None = None
    per_call: Decimal | None = None
    tiers: tuple[Tier, ...] = ()
    note: str = ""

    @property
    def known(self) -> bool:
        """Whether a call can be priced at all."""
        return self.per_call is not None or self.input is not None or self.output is not None or bool(self.tiers)

    @property
    def free(self) -> bool | None:
        """Whether nothing is charged; None if the price is not known."""
        if not self.known:
            return None
        return not any((self.per_call, self.input, self.output, *(tier.input or tier.output for tier in self.tiers)))

    def at(self, prompt_tokens: int) -> Pricing:
        """Return the prices for a prompt of this length; unknown ones beyond every tier."""
        if not self.tiers:
            return self
        for tier in self.tiers:
            if tier.up_to is None or prompt_tokens <= tier.up_to:
                return Pricing(tier.input, tier.output, tier.cache_read, tier.cache_write, note=self.note)
        return Pricing(note=self.note)

    def prices(self) -> dict[str, Decimal]:
        """Return the known prices by name, without the tiers."""
        found = {name: getattr(self, name) for name in PRICE_NAMES}
        return {name: value for name, value in found.items() if value is not None}

    def to_dict(self) -> dict[str, Any]:
        """Return the known prices as floats, with `tiers` and `note` if there are any."""
        values: dict[str, Any] = {name: float(value) for name, value in self.prices().items()}
        if self.tiers:
            values["tiers"] = [_tier_dict(tier) for tier in self.tiers]
        return {**values, "note": self.note} if self.note else values

    def __str__(self) -> str:
        if self.per_call is not None:
            return f"{plain(self.per_call)} per call"
        if not self.known:
            return "unknown"
        written = " / ".join("?" if price is None else plain(price) for price in (self.input, self.output))
        return f"{written}, more for long prompts" if self.tiers else written


PRICE_NAMES = ("input", "output", "cache_read", "cache_write", "audio_input", "audio_output", "per_call")


def _tier_dict(tier: Tier) -> dict[str, Any]:
    values = {item.name: getattr(tier, item.name) for item in fields(Tier)}
    return {name: float(value) if isinstance(value, Decimal) else value for name, value in values.items()}
