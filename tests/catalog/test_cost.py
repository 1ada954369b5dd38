"""What a call cost, and which models can stand in for another."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from hubmix.catalog import Cost, ModelInfo, Pricing
from hubmix.catalog.cost import cost_of
from hubmix.catalog.substitutes import nearest
from hubmix.wire import Usage, read_usage

CLAUDE = ModelInfo("claude", pricing=Pricing(Decimal(3), Decimal(15), Decimal("0.3"), Decimal("3.75")))
GPT = ModelInfo("gpt", pricing=Pricing(Decimal("2.5"), Decimal(10), Decimal("1.25")))
VECTORS = ModelInfo("vectors", kind="embedding", pricing=Pricing(input=Decimal("0.02")))


def usage(prompt: int, completion: int, **more: Any) -> Usage:
    return Usage(prompt, completion, prompt + completion, **more)


def test_tokens_times_prices_exactly() -> None:
    cost = cost_of("gpt", GPT, usage(1_000, 500))
    assert (cost.input, cost.output, cost.total) == (Decimal("0.0025"), Decimal("0.005"), Decimal("0.0075"))
    assert (cost.complete, cost.model, cost.currency) == (True, "gpt", "USD")


def test_cached_tokens_are_inside_the_prompt_and_cheaper() -> None:
    cost = cost_of(
        "gpt", GPT, {"prompt_tokens": 1_000, "completion_tokens": 0, "prompt_tokens_details": {"cached_tokens": 800}}
    )
    assert (cost.input, cost.cache_read) == (Decimal("0.0005"), Decimal("0.001"))
    assert cost.total == Decimal("0.0015")


def test_claude_through_aihubmix_has_cached_tokens_on_top() -> None:
    raw = {
        "prompt_tokens": 22,
        "completion_tokens": 810,
        "total_tokens": 832,
        "prompt_tokens_details": {"cached_tokens": 6_266},
        "claude_cache_tokens_details": {"cache_creation_input_tokens": 0, "cache_read_input_tokens": 6_266},
    }
    cost = cost_of("claude", CLAUDE, raw)
    assert cost.input == Decimal(22) * 3 / 1_000_000
    assert cost.cache_read == Decimal("6266") * Decimal("0.3") / 1_000_000
    assert cost.total == Decimal("0.0140958")
    assert cost_of("claude", CLAUDE, read_usage(raw)) == cost


def test_writing_to_the_cache_for_an_hour_costs_twice_the_input() -> None:
    details = {"cache_creation_input_tokens": 1_000, "cache_write_1_hour_input_tokens": 400}
    raw = {"prompt_tokens": 10, "completion_tokens": 0, "claude_cache_tokens_details": details}
    cost = cost_of("claude", CLAUDE, raw)
    assert cost.cache_write == (600 * Decimal("3.75") + 400 * Decimal(6)) / 1_000_000
    # The documented multiples stand in where the list has no cache prices.
    bare = ModelInfo("claude", pricing=Pricing(Decimal(3), Decimal(15)))
    assert cost_of("claude", bare, raw).cache_write == cost.cache_write


def test_reasoning_is_inside_the_completion() -> None:
    raw = {"prompt_tokens": 0, "completion_tokens": 1_000, "completion_tokens_details": {"reasoning_tokens": 900}}
    assert cost_of("gpt", GPT, raw).total == Decimal("0.01")


def test_langchains_usage_metadata() -> None:
    metadata = {
        "input_tokens": 1_000,
        "output_tokens": 100,
        "total_tokens": 1_100,
        "input_token_details": {"cache_read": 800},
        "output_token_details": {"reasoning": 50},
    }
    assert cost_of("gpt", GPT, metadata) == cost_of("gpt", GPT, usage(1_000, 100, cache_read=800))
    assert cost_of("gpt", GPT, {"input_tokens": 1_000, "output_tokens": 100}).total == Decimal("0.0035")


@pytest.mark.parametrize(
    ("info", "counts"),
    [
        (None, usage(10, 10)),
        (ModelInfo("m"), usage(10, 10)),
        (ModelInfo("m", pricing=Pricing()), usage(10, 10)),
        (VECTORS, usage(10, 10)),
        (GPT, None),
        (GPT, {}),
        (GPT, usage(10, 10, cache_creation=5)),
        (GPT, usage(10, 10, audio_input=5)),
        (ModelInfo("m", pricing=Pricing(output=Decimal(1))), usage(10, 10)),
    ],
)
def test_an_unknown_price_gives_no_total_and_never_zero(info: ModelInfo | None, counts: Any) -> None:
    cost = cost_of("m", info, counts)
    assert (cost.total, cost.complete) == (None, False)
    assert str(cost) == "cost unknown"


def test_what_is_known_of_an_incomplete_cost_is_given() -> None:
    cost = cost_of("gpt", GPT, usage(1_000, 100, cache_creation=500))
    assert (cost.input, cost.output, cost.cache_write) == (Decimal("0.00125"), Decimal("0.001"), None)


def test_a_price_that_the_call_did_not_need_may_be_unknown() -> None:
    assert cost_of("vectors", VECTORS, {"prompt_tokens": 1_000_000, "total_tokens": 1_000_000}).total == Decimal("0.02")


def test_flat_and_free() -> None:
    flat = ModelInfo("m", pricing=Pricing(per_call=Decimal("0.04")))
    assert cost_of("m", flat, None) == Cost("m", Decimal("0.04"), per_call=Decimal("0.04"), complete=True)
    free = cost_of("m", ModelInfo("m", pricing=Pricing(Decimal(0), Decimal(0))), usage(5, 5))
    assert (free.total, free.complete, str(free)) == (0, True, "USD 0")


def test_audio_has_its_own_price() -> None:
    talking = ModelInfo("m", pricing=Pricing(Decimal(2), Decimal(8), audio_input=Decimal(40), audio_output=Decimal(80)))
    cost = cost_of("m", talking, usage(1_000, 500, audio_input=900, audio_output=400))
    assert cost.total == (100 * Decimal(2) + 100 * Decimal(8) + 900 * Decimal(40) + 400 * Decimal(80)) / 1_000_000


def test_a_cost_goes_into_json() -> None:
    cost = cost_of("gpt", GPT, usage(1, 1))
    data = json.loads(json.dumps(cost.to_dict()))
    assert data["exact"] == "0.0000125"
    assert data["total"] == pytest.approx(0.0000125)
    assert data["complete"] is True
    assert cost_of("gpt", None, None).to_dict()["total"] is None
    assert str(cost) == "USD 0.0000125"


def model(name: str, amount: str | None = "2", **known: Any) -> ModelInfo:
    pricing = None if amount is None else Pricing(Decimal(amount), Decimal(amount))
    return ModelInfo(name, pricing=pricing, **({"context_window": 100_000, "owner": "other"} | known))


class TestNearest:
    primary = model("primary", tools=True, owner="own")

    def names(self, *others: ModelInfo, primary: ModelInfo | None = None, **limits: Any) -> list[str]:
        return [other.id for other in nearest(primary or self.primary, others, **limits)]

    def test_only_what_can_do_the_same(self) -> None:
        fit = model("fit", tools=True)
        assert self.names(
            fit,
            self.primary,
            model("openai/PRIMARY", tools=True),
            model("no tools", tools=False),
            model("perhaps tools"),
            model("small window", tools=True, context_window=99_999),
            model("unknown window", tools=True, context_window=None),
            model("dear", "3.01", tools=True),
            model("unknown price", None, tools=True),
            model("vectors", tools=True, kind="embedding"),
            model("not for this key", tools=True, available=False),
        ) == ["fit"]

    def test_unknown_facts_of_the_model_are_not_required(self) -> None:
        unknown = ModelInfo("unknown")
        assert self.names(model("a"), model("b", None), primary=unknown) == ["a", "b"]

    def test_by_closeness_of_price_then_window_then_id(self) -> None:
        others = [
            model("cheaper", "1", tools=True, owner="c"),
            model("b", "1.9", tools=True, owner="b"),
            model("wide", "1.9", tools=True, owner="w", context_window=900_000),
            model("a", "1.9", tools=True, owner="a"),
        ]
        assert self.names(*others, limit=9) == self.names(*reversed(others), limit=9) == ["a", "b", "wide", "cheaper"]

    def test_vendors_take_turns_and_the_models_own_comes_last(self) -> None:
        others = [
            model("own-1", "2", tools=True, owner="own"),
            model("x-1", "1.9", tools=True, owner="x"),
            model("x-2", "1.8", tools=True, owner="x"),
            model("y-1", "1.7", tools=True, owner="y"),
        ]
        assert self.names(*others, limit=9) == ["x-1", "y-1", "own-1", "x-2"]
        assert self.names(*others, limit=1) == ["x-1"]

    def test_the_successor_comes_first_if_it_can_stand_in(self) -> None:
        ending = model("old", tools=True, owner="own", successor="new")
        others = [model("x", tools=True, owner="x"), model("new", "1", tools=True, owner="own")]
        assert self.names(*others, primary=ending) == ["new", "x"]
        assert self.names(others[0], model("new", "5", tools=True, owner="own"), primary=ending) == ["x"]

    def test_the_price_ratio_is_a_limit(self) -> None:
        dear = model("dear", "5", tools=True)
        assert self.names(dear, max_price_ratio=2.5) == ["dear"]
        assert self.names(dear, max_price_ratio=2.4) == []

    def test_a_free_model_is_replaced_by_free_ones(self) -> None:
        assert self.names(model("free", "0"), model("cheap", "0.01"), primary=model("gift", "0", owner="o")) == ["free"]
