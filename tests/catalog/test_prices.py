"""Prices as hubs write them, held against New API's own recorded ledger."""

from __future__ import annotations

import json
import warnings
from decimal import Decimal
from typing import Any

import pytest

from hubmix.catalog import Fetched, ModelInfo, Pricing
from hubmix.catalog.cost import cost_of
from hubmix.catalog.prices import aihubmix_pricing, expression_pricing, in_group, read_tiers
from hubmix.catalog.pricing import Tier
from hubmix.catalog.readers import read_aihubmix, read_litellm, read_one_hub, read_openai
from tests.cassettes.format import load
from tests.catalog.test_catalog import AIHUBMIX, MODELS, PRICING, catalog
from tests.support.catalog_fakes import RECORDINGS, FakeFetch, ids_answer, ok

UNIT = Decimal(1) / 500_000  # USD


def answers(case: str) -> list[Any]:
    """The JSON of every answer of a recording."""
    text = (RECORDINGS / "new-api" / f"{case}.yaml").read_text("utf-8")
    return [json.loads(each.response_body) for each in load(text).interactions]


def hub_of_2026(**settings: Any) -> Any:
    pages = {PRICING: ok(answers("pricing_2026")[0]), MODELS: ok(answers("models_endpoint_types")[0])}
    return catalog(FakeFetch(pages), sources=("new-api", "openai"), **settings)


@pytest.mark.parametrize(
    ("case", "group"),
    [
        ("billing_tiered_only", None),
        ("billing_tiered_leftover", None),
        ("billing_tiered_only", "default"),
        ("billing_group_vip", "vip"),
        ("billing_group_auto", "auto"),
        ("billing_group_dear", "dear"),
    ],
)
def test_cost_is_what_the_ledger_of_the_gateway_says(case: str, group: str | None) -> None:
    before, answer, after = answers(case)
    charged = (after["data"]["total_used"] - before["data"]["total_used"]) * UNIT
    cost = hub_of_2026(price_group=group).cost(answer["model"], answer["usage"])
    assert cost.complete
    assert charged - UNIT < cost.total <= charged  # the gateway rounds up to whole units


def test_group_of_the_key_decides_unless_all_are_alike() -> None:
    usage = {"prompt_tokens": 1_000_000, "completion_tokens": 0}
    unknown = hub_of_2026()
    assert unknown.cost("gpt-4o-mini", usage).complete is False
    assert unknown.cost("gpt-4o-mini", usage).total is None
    assert "vip x 0.5" in unknown.get("gpt-4o-mini").pricing.note
    assert unknown.cost("gpt-5-mini", usage).total == Decimal("0.25")  # one group may call it
    assert hub_of_2026(price_group="vip").cost("gpt-4o-mini", usage).total == Decimal("0.075")


def test_group_that_is_not_listed_is_said_with_those_that_are() -> None:
    models = hub_of_2026(price_group="gold")
    with pytest.warns(UserWarning, match=r"lists no group 'gold'.*auto, dear, default, vip"):
        models.refresh()
    cost = models.cost("gpt-4o-mini", {"prompt_tokens": 1, "completion_tokens": 1})
    assert (cost.total, cost.complete) == (None, False)


def test_group_survives_pickling_and_says_nothing_on_other_hubs() -> None:
    import pickle

    from hubmix import Hub

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        hub = pickle.loads(pickle.dumps(Hub(api_key="sk-test", price_group="vip")))
        models = catalog(FakeFetch({MODELS: ids_answer("m")}), price_group="vip")
        assert models.list().ids == ["m"]
    assert hub.models._cache.settings.price_group == "vip"


@pytest.mark.parametrize("model", ["no-price", "kimi-k2", "tiered-long"])
def test_gateways_word_for_no_price_is_no_price(model: str) -> None:
    """37.5 is what New API shows for a model without a ratio."""
    models = hub_of_2026()
    assert models.get(model).pricing is None
    assert models.cost(model, {"prompt_tokens": 10, "completion_tokens": 10}).total is None
    assert model not in models.list(max_input_price=100, available="any").ids


def test_overrides_give_the_price_that_a_hub_hides() -> None:
    models = hub_of_2026(overrides={"no-price": {"pricing": {"input": 75, "output": 75}}})
    assert models.cost("no-price", {"prompt_tokens": 1_000_000, "completion_tokens": 0}).total == 75


@pytest.mark.parametrize(
    ("expression", "prices"),
    [
        ('tier("base", p * 0.5 + c * 2)', ("0.5", "2")),
        ("p * 0.5 + c * 2", ("0.5", "2")),
        ("2 * (p + 4 * c)", ("2", "8")),
        ("p + c", ("1", "1")),
        ("c * 3", ("0", "3")),
        ("p * 0.5 + c * 2 + 0", ("0.5", "2")),
    ],
)
def test_sum_of_products_is_a_price(expression: str, prices: tuple[str, str]) -> None:
    found = expression_pricing(expression)
    assert (found.input, found.output) == tuple(map(Decimal, prices))
    assert (found.cache_read, found.cache_write) == (found.input, found.input)


@pytest.mark.parametrize(
    "expression",
    ["len <= 200000 ? tier('a', p) : tier('b', p * 2)", "p * 0.5 + cr * 0.1", "p * c", "p * 0.5 + 3", "p - c",
     "p / 2",
     "p ** 2", "-p", "f(p)", "tier(p)", "__import__('os')", "", None, 5, "p *",
     "(" * 5_000, "p + " * 400 + "p", "p*'a'"],
)  # fmt: skip
def test_any_other_expression_is_an_unknown_price(expression: Any) -> None:
    assert expression_pricing(expression) is None


# ---- tiers


@pytest.mark.parametrize(
    "listed",
    [
        [{"up_to": 200_000, "input": 1, "output": 2}, {"input": 2, "output": 4}],
        [{"min": 0, "max": 200_000, "input": 1, "output": 2}, {"min": 200_001, "input": 2, "output": 4}],
        [{"from": 200_001, "input": "2", "output": 4}, {"from": 0, "input": "1", "output": 2}],
        [{"max_tokens": 200_000, "input": 1, "output": 2, "name": "short"}, {"label": "long", "input": 2, "output": 4}],
    ],
)
def test_tier_is_that_of_the_whole_prompt(listed: list[Any]) -> None:
    info = ModelInfo("m", pricing=aihubmix_pricing({"input": 1, "output": 2, "tiers": listed}))
    for prompt, total in ((200_000, "0.2"), (200_001, "0.400002")):
        usage = {"prompt_tokens": prompt, "completion_tokens": 0}
        assert cost_of("m", info, usage).total == Decimal(total)


@pytest.mark.parametrize(
    "listed",
    [
        "cheap",
        [None],
        [{"condition": "len > 5", "input": 1, "output": 2}],
        [{"up_to": 5, "input": 1}],
        [{"input": 1, "output": 1}, {"input": 2, "output": 2}],
        [{"min": 0, "max": 5, "input": 1, "output": 1}, {"min": 9, "input": 2, "output": 2}],
        [{"up_to": 5, "input": 1, "output": 1, "unit": "thousand"}],
    ],
)
def test_tiers_that_are_not_understood_give_no_total(listed: Any) -> None:
    pricing = aihubmix_pricing({"input": 1, "output": 2, "tiers": listed})
    cost = cost_of("m", ModelInfo("m", pricing=pricing), {"prompt_tokens": 10, "completion_tokens": 10})
    assert (cost.total, cost.complete) == (None, False)
    assert pricing.input == 1
    assert "not understood" in pricing.note


def test_broken_cell_loses_no_other_price() -> None:
    pricing = aihubmix_pricing({"input": [1], "output": 2, "cache_read": {}})
    assert (pricing.input, pricing.output, pricing.cache_read) == (None, 2, None)


def test_prompt_longer_than_every_tier_has_no_price() -> None:
    tiers = read_tiers([{"up_to": 100, "input": 1, "output": 2}])
    assert tiers == (Tier(100, Decimal(1), Decimal(2)),)
    info = ModelInfo("m", pricing=Pricing(Decimal(1), Decimal(2), tiers=tiers))
    assert cost_of("m", info, {"prompt_tokens": 101, "completion_tokens": 0}).total is None
    assert info.pricing.to_dict()["tiers"][0]["up_to"] == 100
    assert str(info.pricing) == "1 / 2, more for long prompts"


def test_row_of_the_router_is_no_price() -> None:
    rows = [
        {"model_id": name, "types": "llm", "pricing": {"input": 0, "output": 0}}
        for name in ("auto", "auto:balanced", "free")
    ]
    models = catalog(FakeFetch({AIHUBMIX: ok({"success": True, "data": rows})}), sources=("aihubmix",))
    assert (models.get("auto").pricing, models.get("auto:balanced").free) == (None, None)
    assert models.get("free").free is True


# ---- one-hub and LiteLLM


def one_hub(price: dict[str, Any], ratio: float = 1) -> ModelInfo:
    pages = {
        PRICING: Fetched(404, {}, b"{}"),
        MODELS: ok({"data": [{"id": "m", "created": 1_677_649_963, "owned_by": "未知"}]}),
        "//api/available_model": ok({"success": True, "data": {"m": {"groups": ["default"], "price": price}}}),
        "//api/user_group_map": ok({"success": True, "data": {"default": {"ratio": ratio}}}),
    }
    sources = ("new-api", "openai", "one-hub", "litellm")
    models = catalog(FakeFetch(pages), sources=sources)
    info: ModelInfo = models.get("m")
    assert models.info().source == ("one-hub", "openai")
    assert (models.info().last_error, info.owner) == (None, None)
    return info


def test_one_hub_prices_are_two_dollars_a_ratio() -> None:
    """A running one-hub billed 0.02 USD for 1,000 + 1,000 tokens at 2.5 / 7.5."""
    info = one_hub({"type": "tokens", "input": 2.5, "output": 7.5})
    assert cost_of("m", info, {"prompt_tokens": 1_000, "completion_tokens": 1_000}).total == Decimal("0.02")
    assert one_hub({"type": "tokens", "input": 2.5, "output": 7.5}, 0.5).input_price == Decimal("2.5")
    assert one_hub({"type": "times", "input": 20, "output": 20}).pricing == Pricing(per_call=Decimal("0.04"))
    assert one_hub({"type": "tokens", "input": 30, "output": 30}).pricing is None
    assert one_hub({"type": "seconds", "input": 3, "output": 3}).pricing is None


def test_one_hub_without_its_second_page_is_read() -> None:
    entries = read_one_hub([{"data": {"m": {"groups": ["default"], "price": {"input": 1, "output": 2}}}}, None])
    assert entries["m"]["pricing"] == Pricing(Decimal(2), Decimal(4))


def test_one_api_is_not_asked_for_lists_of_others() -> None:
    fetch = FakeFetch({MODELS: ok({"data": [{"id": "m", "created": 1_626_777_600}]})})
    catalog(fetch, sources=("new-api", "openai", "one-hub", "litellm")).list()
    assert fetch.asked == [PRICING, MODELS]


def test_list_of_another_program_that_fails_is_no_failure() -> None:
    broken = Fetched(500, {}, b"<html>")
    fetch = FakeFetch({MODELS: ids_answer("m"), "//api/available_model": broken, "//model/info": Fetched(401, {}, b"")})
    models = catalog(fetch, sources=("new-api", "openai", "one-hub", "litellm"))
    assert (models.list().ids, models.info().last_error) == (["m"], None)
    assert fetch.asked == [PRICING, MODELS, "//api/available_model", "//model/info"]


def test_litellm_says_windows_modes_and_prices_a_token() -> None:
    info = {
        "mode": "responses",
        "max_input_tokens": 200_000,
        "input_cost_per_token": 2.5e-06,
        "output_cost_per_token": 1e-05,
        "cache_read_input_token_cost": 2.5e-07,
        "supports_vision": True,
        "supports_function_calling": None,
    }
    entry = read_litellm({"data": [{"model_name": "m", "model_info": info}, {"model_name": "e", "model_info": {}}]})[
        "m"
    ]
    assert (entry["kind"], entry["apis"], entry["context_window"]) == ("chat", {"responses"}, 200_000)
    assert (entry["vision"], "tools" in entry) == (True, False)
    prices = entry["pricing"]
    assert (prices.input, prices.output, prices.cache_read) == (Decimal("2.5"), 10, Decimal("0.25"))
    free = {"input_cost_per_token": 0, "output_cost_per_token": 0}
    assert "pricing" not in read_litellm({"data": [{"model_name": "m", "model_info": free}]})["m"]


def test_models_page_of_litellm_says_windows_and_modes() -> None:
    entry = read_openai({"data": [{"id": "m", "max_input_tokens": 8_192, "mode": "embedding"}]})["m"]
    assert (entry["context_window"], entry["kind"], entry["apis"]) == (8_192, "embedding", {"embeddings"})


# ---- APIs and the end of a model


@pytest.mark.parametrize(
    ("model", "apis"),
    [("o3-pro", {"responses"}), ("gpt-5-codex", {"chat"}), ("claude-sonnet-4-5", {"messages", "chat"})],
)
def test_endpoint_types_of_new_api_are_apis(model: str, apis: set[str]) -> None:
    assert hub_of_2026().get(model).apis == apis


def test_endpoints_of_aihubmix_are_apis_and_empty_means_chat() -> None:
    rows = [
        {"model_id": str(at), "types": "llm", "endpoints": word}
        for at, word in enumerate(("responses,claude_api", "", "gemini_api"))
    ]
    found = read_aihubmix({"data": [*rows, {"model_id": "e", "types": "embedding"}]})
    assert [found[str(at)]["apis"] for at in range(3)] == [{"responses", "messages"}, {"chat"}, {"gemini_api"}]
    assert "apis" not in found["e"]
    assert not ModelInfo("m", apis=found["2"]["apis"]).reachable


def test_in_group_without_groups_changes_nothing() -> None:
    pricing = Pricing(Decimal(1), Decimal(2))
    assert in_group(pricing, {}, "vip") is pricing
