"""The most that a request can cost: tiers, groups, and prices that are not known."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from hubmix.catalog import ModelInfo, Pricing
from hubmix.catalog.pricing import Tier
from hubmix.hub.estimates import estimate_of

TIERS = (Tier(100, Decimal(1), Decimal(2)), Tier(None, Decimal(10), Decimal(20)))


def payload(text: str) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": text}], "max_tokens": 10}


@pytest.mark.parametrize(("text", "output_price"), [("hi", 2), ("a long question " * 100, 20)])
def test_estimate_takes_the_tier_of_the_prompt(text: str, output_price: int) -> None:
    info = ModelInfo("m", pricing=Pricing(Decimal(1), Decimal(2), tiers=TIERS))
    assert estimate_of("m", info, payload(text)).output_price == output_price


@pytest.mark.parametrize("pricing", [None, Pricing(), Pricing(Decimal(1), Decimal(2), note="the group is not known")])
def test_incomplete_price_is_no_estimate(pricing: Pricing | None) -> None:
    assert estimate_of("m", ModelInfo("m", pricing=pricing), payload("hi")).input is None
