"""Keys, money, lists and prices."""

from __future__ import annotations

import pytest

from hubmix.embedded import EmbeddedHub
from hubmix.embedded.accounts import STATES, Accounts
from tests.embedded.client import chat, send

LATE = {"short", "empty", "model_denied"}


@pytest.mark.parametrize("state", sorted(STATES))
def test_the_states_of_a_key(state: str) -> None:
    with EmbeddedHub(keys={"sk-test": state}) as hub:
        answer, listed = chat(hub, key="sk-test"), send(hub, "GET", "/v1/models", key="sk-test")
    assert (answer.status == 200) == (state == "good")
    assert (listed.status == 200) == (state == "good" or state in LATE)
    assert answer.status in (200, 401, 403)


def test_keys_that_are_not_there(hub: EmbeddedHub) -> None:
    assert chat(hub, key=None).status == chat(hub, key="sk-unknown").status == 401
    assert chat(hub, key="sk-embedded-3").status == 400
    assert chat(hub, key=None, headers={"x-api-key": "sk-embedded"}).status == 200


def test_a_key_can_be_registered_and_changed_while_it_runs(hub: EmbeddedHub) -> None:
    hub.accounts.set("sk-other", "good")
    assert chat(hub, key="sk-other").status == 200
    hub.accounts.set("sk-other", "expired")
    assert chat(hub, key="sk-other").status == 401


def test_a_minute_has_so_many_calls() -> None:
    now = [0.0]
    accounts = Accounts(rate_limit=2, clock=lambda: now[0])
    assert [accounts.over_limit("sk-embedded") for _ in range(4)] == [False, False, True, True]
    now[0] = 59.9
    assert accounts.over_limit("sk-embedded")
    now[0] = 60.0
    assert not accounts.over_limit("sk-embedded")


def test_above_the_limit_the_body_is_empty() -> None:
    with EmbeddedHub(rate_limit=1) as hub:
        chat(hub)
        answer = chat(hub)
        assert send(hub, "GET", "/v1/models").status == 200
    assert (answer.status, answer.text) == (429, "")
    assert "content-type" not in answer.headers
    assert "retry-after" not in answer.headers


def test_a_granted_key_is_spent_by_its_calls() -> None:
    with EmbeddedHub(keys={"sk-test": 0.000_001}) as hub:
        before = send(hub, "GET", "/dashboard/billing/subscription", key="sk-test").json
        assert chat(hub, "Hello there, how are you today?", key="sk-test").status == 200
        assert chat(hub, key="sk-test").status == 401
    assert before["soft_limit_usd"] == 0.000_001


def test_a_call_costs_what_the_prices_say(hub: EmbeddedHub) -> None:
    usage = chat(hub, "Hello").json["usage"]
    cost = (usage["prompt_tokens"] * 0.15 + usage["completion_tokens"] * 0.6) / 1e6
    spent = send(hub, "GET", "/dashboard/billing/usage").json["total_usage"]
    assert spent == pytest.approx(cost * 100, abs=1e-6)
    chat(hub, "Hello", model="embedded/text")
    assert send(hub, "GET", "/v1/dashboard/billing/usage").json["total_usage"] == spent


def test_an_unlimited_key_looks_rich(hub: EmbeddedHub) -> None:
    assert send(hub, "GET", "/dashboard/billing/subscription").json["hard_limit_usd"] == 100_000_000
    usage = send(hub, "GET", "/api/usage/token/").json["data"]
    assert usage["unlimited_quota"]
    assert usage["total_granted"] == 10 * 500_000


def test_empty_account_of_aihubmix_has_nothing_left() -> None:
    with EmbeddedHub("aihubmix", keys={"sk-test": "empty"}) as hub:
        assert send(hub, "GET", "/dashboard/billing/remain", key="sk-test").json["total_usage"] == 0


def test_aihubmix_says_what_remains() -> None:
    with EmbeddedHub("aihubmix", balance=3.0) as hub:
        assert send(hub, "GET", "/dashboard/billing/remain").json["total_usage"] == 3.0
    with EmbeddedHub("one-api") as hub:
        assert send(hub, "GET", "/dashboard/billing/remain").status == 404


def test_the_models_of_each_hub(hub: EmbeddedHub, one_api: EmbeddedHub, aihubmix: EmbeddedHub) -> None:
    lists = {where.dialect: send(where, "GET", "/v1/models").json for where in (hub, one_api, aihubmix)}
    for listed in lists.values():
        ids = [model["id"] for model in listed["data"]]
        assert {"embedded/extract", "gpt-4o-mini", "embedded/rerank"} <= set(ids)
        assert {model["created"] for model in listed["data"]} == {1_626_777_600}
    assert lists["new-api"]["success"]
    assert "object" not in lists["aihubmix"]
    assert send(aihubmix, "GET", "/v1/models", key=None).status == 200
    assert send(hub, "GET", "/v1/models", key=None).status == 401


def test_the_rich_catalog_is_aihubmixs_alone(hub: EmbeddedHub, one_api: EmbeddedHub, aihubmix: EmbeddedHub) -> None:
    assert [send(where, "GET", "/api/v1/models").status for where in (hub, one_api)] == [404, 404]
    answer = send(aihubmix, "GET", "/api/v1/models", key=None)
    by_id = {model["model_id"]: model for model in answer.json["data"]}
    assert by_id["embedded/think"]["features"] == "thinking,tools,function_calling,structured_outputs"
    assert by_id["embedded/text"]["context_length"] == 2048
    assert by_id["embedded/extract"]["pricing"] == {"input": 0.15, "output": 0.6, "cache_read": 0.075}
    assert answer.headers["cache-control"] == "public, max-age=300, stale-while-revalidate=300"
    assert all("rule without intelligence" in model["desc"] for model in by_id.values())


def test_an_unchanged_catalog_is_not_sent_twice(aihubmix: EmbeddedHub) -> None:
    tag = send(aihubmix, "GET", "/api/v1/models").headers["etag"]
    again = send(aihubmix, "GET", "/api/v1/models", headers={"If-None-Match": tag})
    assert (again.status, again.text, again.headers["etag"]) == (304, "", tag)
    other = send(aihubmix, "GET", "/api/v1/models?type=embedding", headers={"If-None-Match": tag})
    assert {model["types"] for model in other.json["data"]} == {"embedding"}


def test_the_catalog_is_filtered_by_its_parameters(aihubmix: EmbeddedHub) -> None:
    def ids(query: str) -> set[str]:
        return {model["model_id"] for model in send(aihubmix, "GET", f"/api/v1/models?{query}").json["data"]}

    assert ids("features=thinking,tools") == {"embedded/think", "embedded/think-strict"}
    assert ids("modalities=video") == {"embedded/vision"}
    assert ids("model=RERANK") == {"embedded/rerank"}


def test_prices_are_ratios_of_two_dollars(hub: EmbeddedHub) -> None:
    by_name = {model["model_name"]: model for model in send(hub, "GET", "/api/pricing", key=None).json["data"]}
    think = by_name["embedded/think"]
    assert think["model_ratio"] * 2 == pytest.approx(0.55)
    assert think["model_ratio"] * 2 * think["completion_ratio"] == pytest.approx(2.2)
    assert think["model_ratio"] * 2 * think["cache_ratio"] == pytest.approx(0.275)
    assert by_name["embedded/text"]["model_ratio"] == 0


def test_own_models_with_fields_of_their_own() -> None:
    models = {
        "gpt-4o": {"context_length": 64, "price": (2.5, 10.0, 1.25)},
        "deepseek-reasoner": "think",
        "tiny-embedder": {"rule": "embed", "dimensions": 8},
    }
    with EmbeddedHub("aihubmix", models=models) as hub:
        catalog = {model["model_id"]: model for model in send(hub, "GET", "/api/v1/models").json["data"]}
        assert catalog["gpt-4o"]["pricing"]["output"] == 10.0
        assert catalog["deepseek-reasoner"]["developer_name"] == "deepseek"
        assert chat(hub, "word " * 100, model="gpt-4o").error["code"] == "context_length_exceeded"
        assert chat(hub, model="deepseek-reasoner").message["reasoning_content"]
        vector = send(hub, "POST", "/v1/embeddings", {"model": "tiny-embedder", "input": "a"}).json["data"][0][
            "embedding"
        ]
        assert len(vector) == 8


def test_ratios_give_back_the_price() -> None:
    with EmbeddedHub("new-api", models={"flash": {"price": (0.3, 2.5, 0.03)}}) as hub:
        (flash,) = [one for one in send(hub, "GET", "/api/pricing").json["data"] if one["model_name"] == "flash"]
        price = flash["model_ratio"] * 2
        assert price * flash["completion_ratio"] == pytest.approx(2.5, rel=1e-12)
        assert price * flash["cache_ratio"] == pytest.approx(0.03, rel=1e-12)


@pytest.mark.parametrize("path", ["/", "/chat/completions", "/models", "/anything"])
def test_without_v1_there_is_a_web_page(hub: EmbeddedHub, path: str) -> None:
    for method in ("GET", "POST"):
        answer = send(hub, method, path)
        assert answer.status == 200
        assert answer.text.startswith("<!doctype html>")


@pytest.mark.parametrize(
    "path", ["/v1/nothing", "/v1/responses", "/api/nothing", "/v1/models/a/b", "/dashboard/billing/nothing"]
)
def test_unknown_paths_are_named(hub: EmbeddedHub, path: str) -> None:
    answer = send(hub, "GET", path)
    assert (answer.status, answer.error["message"]) == (404, f"Invalid URL (GET {path})")
