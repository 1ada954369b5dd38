"""Another model than the one asked for, and the price of it (case 403)."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any

import pytest

from hubmix import Hub
from hubmix.catalog import ModelInfo, Pricing
from hubmix.hub import served
from hubmix.hub.registry import resolve_hub
from hubmix.hub.served import Served, served_model
from tests.cases.ways import WAYS, Way
from tests.support.answers import Answer, body, chunk, completion_body, events, usage, usage_event
from tests.support.scripted_hub import Request, ScriptedHub

COUNTS = usage(1_000_000, 0)
PRICES = {"cheap": 1, "gpt-new": 5}
PAGES = {
    "/api/v1/models": body(
        {
            "success": True,
            "data": [
                {"model_id": model, "types": "llm", "pricing": {"input": price, "output": 10}}
                for model, price in PRICES.items()
            ],
        }
    ),
    "/v1/models": body({"object": "list", "data": [{"id": model} for model in (*PRICES, "auto")]}),
}


def answered(model: str, **headers: str) -> Callable[[Request], Answer]:
    def answer(request: Request) -> Answer:
        if not request.stream:
            return body({**completion_body("hi"), "model": model, "usage": COUNTS}, **headers)
        said = [chunk(content="hi", top={"model": model}), chunk("stop", top={"model": model})]
        stream = events(*said, {**usage_event(**COUNTS), "model": model})
        return Answer(stream.body, content_type=stream.content_type, headers=headers)

    return answer


@pytest.fixture
def ask(serve: Callable[..., ScriptedHub]) -> Callable[..., Any]:
    def ask(way: Way, asked: str, script: Any, pages: Any = None, preset: Any = "aihubmix", **settings: Any) -> Any:
        server = serve(script, pages=pages or PAGES)
        # The hub that the classes find for the same settings.
        hub = resolve_hub(hub=preset, base_url=server.base_url, api_key="sk-test")
        hub.models.refresh()
        with hub.spending() as spent:
            outcome = way.ask(server, hub_source=preset, model=asked, **settings)
        return outcome, spent, server

    return ask


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize(
    ("said", "headers"),
    [
        ("gpt-new", {"X_Aihubmix_Fallback": "true", "X_Aihubmix_Model": "gpt-new"}),
        ("gpt-new", {}),
        ("cheap", {"X_Aihubmix_Model": "gpt-new"}),
        ("cheap", {"X_Aihubmix_Router_Resolved_Model": "gpt-new", "X_Aihubmix_Model": "cheap"}),
    ],
)
def test_model_that_answered_is_billed_and_named(way: Way, said: str, headers: Mapping[str, str], ask: Any) -> None:
    outcome, spent, _ = ask(way, "cheap", answered(said, **headers))
    assert (outcome.model, outcome.about["model_requested"]) == ("gpt-new", "cheap")
    assert (outcome.about["cost"]["total"], outcome.about["cost"]["complete"]) == (5.0, True)
    assert (outcome.trace["requested"], outcome.trace["substituted"], outcome.trace["served"]) == (
        "cheap",
        "cheap",
        "gpt-new",
    )
    assert spent.by_model == {"gpt-new": Decimal(5)}


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_unknown_name_in_the_body_is_a_version_of_the_model(way: Way, ask: Any) -> None:
    outcome, spent, _ = ask(way, "cheap", answered("cheap-2026-08-06"))
    assert outcome.model == "cheap"
    assert "model_requested" not in outcome.about
    assert "substituted" not in outcome.trace
    assert spent.total == 1


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("router", ["auto", "auto:balanced", "auto:quality_first", "auto:latency_critical"])
def test_router_is_a_chat_model_billed_as_its_choice(way: Way, router: str, ask: Any) -> None:
    script = answered("gpt-new", X_Aihubmix_Router_Resolved_Model="gpt-new")
    outcome, spent, server = ask(way, router, script, session="conversation-1")
    assert (server.models, outcome.model, spent.total) == ([router], "gpt-new", 5)
    assert server.requests[0].headers["x-aihubmix-session-id"] == "conversation-1"


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_other_gateways_bill_what_was_asked_for(way: Way, ask: Any) -> None:
    """New API bills the requested id, whatever the body says (read in its source)."""
    prices = [{"model_name": name, "quota_type": 0, "model_ratio": ratio / 2} for name, ratio in PRICES.items()]
    pages = {"/api/pricing": body({"success": True, "data": prices}), "/v1/models": PAGES["/v1/models"]}
    outcome, spent, _ = ask(way, "cheap", answered("gpt-new"), pages, None)
    assert (outcome.model, outcome.about["model_requested"], spent.by_model) == ("gpt-new", "cheap", {"cheap": 1})


def find(name: str) -> ModelInfo | None:
    known = {"a": "a", "openai/a": "a", "b": "b"}
    return ModelInfo(known[name], pricing=Pricing(Decimal(1), Decimal(1))) if name in known else None


@pytest.mark.parametrize(
    ("asked", "headers", "named", "expected"),
    [
        ("a", {}, "a", Served("a", "a")),
        ("a", {}, "openai/a", Served("a", "a")),
        ("openai/a", {}, "a", Served("openai/a", "openai/a")),
        ("a", {}, None, Served("a", "a")),
        ("a", {}, 5, Served("a", "a")),
        ("a", {}, "b", Served("b", "b", True)),
        ("a", {"x-aihubmix-model": "b"}, "a", Served("b", "b", True)),
        ("a", {"x-aihubmix-model": "new"}, "b", Served("b", "b", True)),
        ("a", {"x-aihubmix-model": "new"}, "a", Served("new", "a", True)),
        ("auto", {}, "new", Served("new", "auto", True)),
        ("a", {"x-aihubmix-model": " "}, "a", Served("a", "a")),
        ("a", {"x-aihubmix-model": "b\nc\x1b[2J"}, "a", Served("b c\\x1b[2J", "a", True)),
    ],
)
def test_served_model_of_headers_and_body(asked: str, headers: dict[str, str], named: Any, expected: Served) -> None:
    assert served_model(asked, headers, named, find, bills_served=True) == expected


# ---- the end of a model


@pytest.fixture
def nothing_said() -> Iterator[None]:
    served.forget_warnings()
    yield
    served.forget_warnings()


@pytest.mark.usefixtures("nothing_said")
@pytest.mark.parametrize("way", WAYS, ids=str)
def test_end_in_a_header_is_warned_of_once(way: Way, serve: Callable[..., ScriptedHub]) -> None:
    server = serve(answered("m", Deprecation="@1790000000", Sunset="Wed, 11 Nov 2026 23:59:59 GMT"))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(2):
            way.ask(server)
    told = [str(one.message) for one in caught if one.category is DeprecationWarning and "'m'" in str(one.message)]
    assert len(told) == 1
    assert "ends on Wed, 11 Nov 2026" in told[0]


@pytest.mark.usefixtures("nothing_said")
@pytest.mark.parametrize("stage", [{"retire_stage": "deprecating"}, {"retired_at": "2999-01-01"}])
def test_end_in_the_catalog_names_the_successor(stage: dict[str, str], serve: Callable[..., ScriptedHub]) -> None:
    rows = [{"model_id": "gpt-old", "types": "llm", "successor_model": "gpt-new", **stage}]
    pages = {"/api/v1/models": body({"success": True, "data": rows})}
    server = serve(answered("gpt-old"), pages=pages)
    hub = Hub("aihubmix", base_url=server.base_url, api_key="sk-test", catalog_refresh=False)
    hub.models.refresh()
    with pytest.warns(DeprecationWarning, match=r"'gpt-old'.*Use 'gpt-new'"):
        hub.chat({"model": "gpt-old", "messages": [{"role": "user", "content": "hi"}]})
    assert hub.models.get("gpt-old").successor == "gpt-new"


def test_substitution_survives_json() -> None:
    from hubmix.wire.trace import Trace

    trace = Trace("a", "b", [], substituted="a")
    assert Trace.from_dict(json.loads(json.dumps(trace.to_dict()))) == trace
    assert "chosen by the hub for a" in trace._repr_html_()
    assert "substituted" not in Trace("a", "a").to_dict()
