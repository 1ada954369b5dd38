"""Which models can stand in for another: the pure rule behind `fallbacks="auto"`."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from hubmix.catalog.aliases import same_model
from hubmix.catalog.models import CAPABILITIES, ModelInfo


def nearest(
    model: ModelInfo, others: Iterable[ModelInfo], *, max_price_ratio: float = 1.5, limit: int = 3
) -> list[ModelInfo]:
    """Return the models that can stand in for `model`, best first.

    One can if it is of the same kind, has every capability that `model` is known to have, a context window known to be
    as large, and a price known and at most `max_price_ratio` times as high (three input tokens to one output token).
    The key's own list must not leave it out. It must be neither retired nor deprecated, and be served over an API of
    ours. What is not known of `model` is not asked of the others.

    They come by closeness of price, then of window, then by id. No vendor comes twice before every vendor came once,
    and the vendor of `model` comes last in each round: what takes a model down often takes down its vendor's others.
    The successor of a model that ends comes first, if it can stand in.
    """
    fitting = [other for other in others if _can_stand_in(model, other, Decimal(repr(float(max_price_ratio))))]
    ordered = sorted(fitting, key=lambda other: (*_distance(model, other), other.id))
    turns = _take_turns(ordered, model.owner)
    return sorted(turns, key=lambda other: other.id != model.successor)[:limit]


def _can_stand_in(model: ModelInfo, other: ModelInfo, ratio: Decimal) -> bool:
    if other.kind != model.kind or other.available is False or same_model(model.id, other.id):
        return False
    if other.retired or other.deprecated or not other.reachable:
        return False
    if any(getattr(model, name) and not getattr(other, name) for name in CAPABILITIES):
        return False
    if model.context_window is not None and (other.context_window or 0) < model.context_window:
        return False
    price = blended_price(model)
    if price is None:
        return True
    other_price = blended_price(other)
    return other_price is not None and other_price <= price * ratio


def blended_price(model: ModelInfo) -> Decimal | None:
    """Return USD per 1,000,000 tokens, three in four of them input.

    None if a price is missing or is by the call.
    """
    pricing = model.pricing
    if pricing is None or pricing.input is None or pricing.output is None:
        return None
    return (3 * pricing.input + pricing.output) / 4


def _distance(model: ModelInfo, other: ModelInfo) -> tuple[Decimal, int]:
    mine, theirs = blended_price(model), blended_price(other)
    price = abs(theirs - mine) if mine is not None and theirs is not None else Decimal(0)
    return price, abs((other.context_window or 0) - (model.context_window or 0))


def _take_turns(ordered: list[ModelInfo], own: str | None) -> list[ModelInfo]:
    rounds: dict[str | None, int] = {}
    turns: list[tuple[int, bool, int]] = []
    for position, other in enumerate(ordered):
        turn = rounds.get(other.owner, 0)
        rounds[other.owner] = turn + 1
        turns.append((turn, own is not None and other.owner == own, position))
    return [ordered[position] for _, _, position in sorted(turns)]
