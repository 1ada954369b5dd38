"""Prices as hubs write them: USD, ratios, groups, tiers and expressions. Pure.

What a hub shows for "no price set" is an unknown price, never a number: New API's ratio 37.5, one-hub's 30 / 30.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Context, Decimal
from functools import lru_cache
from typing import Any

from hubmix.catalog.cells import count, items, mapping, number, text, tidy
from hubmix.catalog.pricing import Pricing, Tier

Groups = Mapping[str, Decimal]  # the groups that may call a model: name to the factor of its price

_PER_CALL = 1  # New API's quota_type for a flat price
_USD_PER_RATIO = Decimal(2)  # New API: 500,000 quota units are 1 USD, and ratio 1 is 1 unit a token
_USD_PER_CALL = Decimal("0.002")  # one-hub, type "times": 1,000 quota units at ratio 1
_NEW_API_UNSET = Decimal("37.5")
_ONE_HUB_UNSET = (Decimal(30), Decimal(30))
_EXACT = Context(prec=12)  # digits of a product of ratios, of which each is a float of 15 to 17
_BEYOND = 10**12
_LONGEST_EXPRESSION = 1_000  # characters

# No source shows the shape of AIHubMix's tiers; these are the names that lists of tiers use elsewhere.
_UPPER = ("up_to", "max", "max_tokens", "max_input_tokens", "max_prompt_tokens", "to", "end", "upper", "lte", "le")
_LOWER = ("min", "min_tokens", "min_input_tokens", "min_prompt_tokens", "from", "start", "lower", "gte", "ge")
_TIER_PRICES = ("input", "output", "cache_read", "cache_write")
_TIER_NAMES = ("name", "label", "title", "tier")
_TIERS_UNKNOWN = "the price depends on the length of the prompt, and the hub's tiers are not understood"


# ------------------------------------------------------------------------------------------------------------- AIHubMix


def aihubmix_pricing(value: Any) -> Pricing | None:
    """Read AIHubMix's `pricing`: USD per 1M tokens, perhaps with tiers."""
    get = mapping(value).get
    written = (get("input"), get("output"), get("cache_read"), get("cache_write"))
    try:
        pricing = _usd(*written)
    except TypeError:  # a list or an object in a cell
        pricing = _usd(*(price if isinstance(price, (int, float, str)) else None for price in written))
    listed = get("tiers")
    if listed:
        tiers = read_tiers(listed)
        return replace(pricing, tiers=tiers) if tiers else replace(pricing, note=_TIERS_UNKNOWN)
    return pricing if pricing.known else None


# A list of a thousand models has a few hundred different prices.
@lru_cache(maxsize=4096, typed=True)
def _usd(*written: Any) -> Pricing:
    prices: Any = map(number, written)
    return Pricing(*prices)


def read_tiers(listed: Any) -> tuple[Tier, ...]:
    """Read tiers with inclusive bounds; empty if they are not understood."""
    rows = items(listed)
    if not rows or len(rows) != len(listed) or any(not _is_tier(row) for row in rows):
        return ()
    bounds = [(_bound(row, _LOWER) or 0, _bound(row, _UPPER)) for row in rows]
    order = sorted(range(len(rows)), key=lambda at: (bounds[at][0], bounds[at][1] or _BEYOND))
    tiers: list[Tier] = []
    for place, at in enumerate(order):
        lower, upper = bounds[at]
        following = bounds[order[place + 1]][0] if place + 1 < len(order) else None
        if upper is None and following is not None:
            upper = following - 1
        previous = tiers[-1].up_to if tiers else -1
        if previous is None or (lower and not previous <= lower <= previous + 1) or (upper or _BEYOND) <= previous:
            return ()
        tiers.append(Tier(upper, **{name: number(rows[at].get(name)) for name in _TIER_PRICES}))
    return tuple(tiers)


def _is_tier(row: Mapping[str, Any]) -> bool:
    known = {*_UPPER, *_LOWER, *_TIER_PRICES, *_TIER_NAMES}
    return row.keys() <= known and number(row.get("input")) is not None and number(row.get("output")) is not None


def _bound(row: Mapping[str, Any], names: Sequence[str]) -> int | None:
    return next((found for name in names if (found := count(row.get(name))) is not None), None)


# -------------------------------------------------------------------------------------------------------------- New API


def new_api_pricing(item: Mapping[str, Any]) -> Pricing | None:
    """Read an entry of New API's `/api/pricing`, at the group ratio 1.

    Input is model_ratio x 2 USD per 1M tokens, output x completion_ratio, cached x cache_ratio (1 if none is set),
    cache writes x create_cache_ratio (1.25 if none is set). `billing_expr` overrules all of them. Source:
    QuantumNous/new-api, model/pricing.go and setting/ratio_setting/cache_ratio.go.
    """
    if item.get("billing_mode") not in (None, "", "ratio"):
        return expression_pricing(item.get("billing_expr"))
    if item.get("quota_type") == _PER_CALL:
        price = number(item.get("model_price"))
        return None if price is None else Pricing(per_call=_price(price))
    ratio = number(item.get("model_ratio"))
    if ratio is None or ratio == _NEW_API_UNSET or (base := _price(ratio * _USD_PER_RATIO)) is None:
        return None
    audio = _times(base, item.get("audio_ratio"))
    return Pricing(
        input=base,
        output=_times(base, item.get("completion_ratio")),
        cache_read=_times(base, item.get("cache_ratio"), Decimal(1)),
        cache_write=_times(base, item.get("create_cache_ratio"), Decimal("1.25")),
        audio_input=audio,
        audio_output=None if audio is None else _times(audio, item.get("audio_completion_ratio")),
    )


def new_api_groups(item: Mapping[str, Any], payload: Mapping[str, Any]) -> Groups:
    """Return the groups that may call a model; "auto" is the first of `auto_groups`."""
    listed = mapping(payload.get("group_ratio"))
    ratios = {name: ratio for name, value in listed.items() if (ratio := number(value)) is not None}
    enabled = item.get("enable_groups")
    names = [name for name in enabled if isinstance(name, str)] if isinstance(enabled, list) else []
    if names and "all" not in names:
        ratios = {name: ratio for name, ratio in ratios.items() if name in names}
    usable = mapping(payload.get("usable_group"))
    found = {name: ratio for name, ratio in ratios.items() if not usable or name in usable}
    order = payload.get("auto_groups")
    first = next((name for name in order if name in ratios), None) if isinstance(order, list) else None
    # The groups of a list that names none of the usable ones are still better than none.
    return {**(found or ratios), **({"auto": ratios[first]} if first is not None and "auto" in usable else {})}


def expression_pricing(expression: Any) -> Pricing | None:
    """Read New API's `billing_expr`: a sum of products of `p`, `c` and numbers.

    It gives USD per 1M tokens. Anything else (`len`, `cr`, conditions) is an unknown price.
    """
    written = text(expression)
    if written is None or len(written) > _LONGEST_EXPRESSION:
        return None
    try:
        factors = _linear(ast.parse(written, mode="eval").body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    if factors.keys() - {"p", "c"} or any(not 0 <= factor < _BEYOND for factor in factors.values()):
        return None
    prompt, completion = (tidy(factors.get(name, Decimal(0))) for name in ("p", "c"))
    # `p` and `c` are all tokens, cached and spoken ones too.
    return Pricing(prompt, completion, prompt, prompt, prompt, completion)


def _linear(node: ast.expr) -> dict[str, Decimal]:
    """Return the factor of each variable, and under "" the constant.

    Raises:
        ValueError: the expression is no sum of products.
    """
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "tier":
        if len(node.args) == 2 and not node.keywords and isinstance(node.args[0], ast.Constant):
            return _linear(node.args[1])
    elif isinstance(node, ast.Name):
        return {node.id: Decimal(1)}
    elif isinstance(node, ast.Constant) and (value := number(node.value)) is not None:
        return {"": value} if value else {}
    elif isinstance(node, ast.BinOp):
        left, right = _linear(node.left), _linear(node.right)
        if isinstance(node.op, ast.Add):
            names = left.keys() | right.keys()
            return {name: left.get(name, Decimal(0)) + right.get(name, Decimal(0)) for name in names}
        constant, other = (left, right) if left.keys() <= {""} else (right, left)
        if isinstance(node.op, ast.Mult) and constant.keys() <= {""}:
            return {name: factor * constant.get("", Decimal(0)) for name, factor in other.items()}
    raise ValueError("this is no sum of products")


# -------------------------------------------------------------------------------------------------- one-hub and LiteLLM


def one_hub_pricing(value: Any) -> Pricing | None:
    """Read one-hub's `price`: x 2 USD per 1M tokens, or x 0.002 USD per call."""
    price = mapping(value)
    prices = (number(price.get("input")), number(price.get("output")))
    if prices[0] is None or prices == _ONE_HUB_UNSET:
        return None
    if price.get("type") == "times":
        return Pricing(per_call=_price(prices[0] * _USD_PER_CALL))
    if price.get("type") not in (None, "tokens"):
        return None
    both = (None if amount is None else _price(amount * _USD_PER_RATIO) for amount in prices)
    return _pricing(dict(zip(("input", "output"), both, strict=True)))


def one_hub_groups(names: Any, groups: Mapping[str, Any]) -> Groups:
    """Return the groups that may call a model, with their ratios."""
    known = names if isinstance(names, list) else []
    found = {name: number(mapping(groups.get(name)).get("ratio")) for name in known if isinstance(name, str)}
    return {name: ratio for name, ratio in found.items() if ratio is not None}


def litellm_pricing(info: Mapping[str, Any]) -> Pricing | None:
    """Read LiteLLM's `model_info`: USD for one token."""
    names = {
        "input": "input_cost_per_token",
        "output": "output_cost_per_token",
        "cache_read": "cache_read_input_token_cost",
        "cache_write": "cache_creation_input_token_cost",
        "audio_input": "input_cost_per_audio_token",
        "audio_output": "output_cost_per_audio_token",
    }
    found = {name: number(info.get(source)) for name, source in names.items()}
    pricing = _pricing({name: None if price is None else _price(price * 1_000_000) for name, price in found.items()})
    # LiteLLM writes 0 for models that its price list does not have.
    return pricing if pricing.known and not pricing.free else None


# --------------------------------------------------------------------------------------------------------------- groups


def in_group(pricing: Pricing, groups: Groups, chosen: str | None) -> Pricing:
    """Return the price for a key of the chosen group.

    If no group is chosen, or the hub does not list it, the price is that of the "default" group, or the first one. It
    is not complete unless every group has the same ratio.
    """
    if not groups:
        return pricing
    if chosen is not None and chosen in groups:
        return _scaled(pricing, groups[chosen])
    ratio = groups.get("default", next(iter(groups.values())))
    scaled = _scaled(pricing, ratio)
    if chosen is None and len(set(groups.values())) == 1:
        return scaled
    shown = ", ".join(f"{name} x {ratio.normalize():f}" for name, ratio in groups.items())
    why = "the key's group is not known" if chosen is None else f"the group {chosen!r} is not listed for this model"
    return replace(scaled, note=f"{why}; it lists {shown}. Set Hub(price_group=...)")


def _scaled(pricing: Pricing, ratio: Decimal) -> Pricing:
    if ratio == 1:
        return pricing
    return _pricing({name: _price(price * ratio) for name, price in pricing.prices().items()}, note=pricing.note)


def _pricing(prices: Mapping[str, Decimal | None], note: str = "") -> Pricing:
    values: dict[str, Any] = dict(prices)
    return Pricing(**values, note=note)


def _times(base: Decimal, ratio: Any, default: Decimal | None = None) -> Decimal | None:
    factor = number(ratio)
    factor = default if factor is None else factor
    return None if factor is None else _price(base * factor)


def _price(amount: Decimal) -> Decimal | None:
    # Each ratio may be a number that one would believe, and their product none. A hub writes 2.5 / 0.3 as
    # 8.333333333333334: the last of its digits are not the price's.
    return tidy(_EXACT.plus(amount)) if amount < _BEYOND else None
