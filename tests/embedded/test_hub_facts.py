"""What hubs do since 2026: retirement, substitutes, tiers, groups, one-hub."""

from __future__ import annotations

import pytest

from hubmix.embedded import EmbeddedHub, Fault
from hubmix.embedded.models import Tier
from tests.embedded.client import chat, send

OLD = {"retire_stage": "retired", "retired_at": "2026-09-22T00:00:00Z", "successor": "gpt-5"}
TIERS = (Tier(10, 1.0, 2.0), Tier(None, 10.0, 20.0))


def test_retired_model_is_gone_and_names_its_successor() -> None:
    with EmbeddedHub("aihubmix", models={"gpt-4": OLD}) as hub:
        answer = chat(hub, model="gpt-4")
        (entry,) = (one for one in send(hub, "GET", "/api/v1/models").json["data"] if one["model_id"] == "gpt-4")
    assert (answer.status, answer.error["code"]) == (404, "model_retired")
    assert "gpt-5" in answer.error["message"]
    assert (entry["retire_stage"], entry["successor_model"]) == ("retired", "gpt-5")
    with EmbeddedHub("new-api", models={"gpt-4": OLD}) as hub:
        assert chat(hub, model="gpt-4").error["code"] == "model_not_found"


def test_another_model_answers_and_is_billed() -> None:
    models = {"cheap": {"price": (1.0, 1.0, 0.0)}, "asked": {"price": (9.0, 9.0, 0.0), "served_by": "cheap"}}
    with EmbeddedHub("aihubmix", models=models) as hub:
        answer = chat(hub, model="asked")
        usage = answer.json["usage"]
        assert answer.json["model"] == answer.headers["x-aihubmix-model"] == "cheap"
        assert answer.headers["x-aihubmix-fallback"] == "true"
        assert hub.accounts.used == pytest.approx(usage["total_tokens"] / 1e6)


@pytest.mark.parametrize(("asked", "policy"), [("auto", "cost"), ("auto:quality_first", "quality_first")])
def test_routers_of_aihubmix_resolve_a_model(asked: str, policy: str) -> None:
    with EmbeddedHub("aihubmix") as hub:
        answer = chat(hub, model=asked)
        assert answer.json["model"] == answer.headers["x-aihubmix-router-resolved-model"]
        assert answer.headers["x-aihubmix-router-policy"] == policy
    with EmbeddedHub("new-api") as hub:
        assert chat(hub, model=asked).status == 503


def test_tiers_price_by_the_length_of_the_prompt() -> None:
    with EmbeddedHub("aihubmix", models={"tiered": {"tiers": TIERS}}) as hub:
        entries = send(hub, "GET", "/api/v1/models").json["data"]
        usage = chat(hub, "A long question. " * 20, model="tiered").json["usage"]
        expected = (usage["prompt_tokens"] * 10 + usage["completion_tokens"] * 20) / 1e6
        assert hub.accounts.used == pytest.approx(expected)
    (entry,) = (one for one in entries if one["model_id"] == "tiered")
    assert [tier["max"] for tier in entry["pricing"]["tiers"]] == [10, None]
    with EmbeddedHub("new-api", models={"tiered": {"tiers": TIERS}}) as hub:
        data = send(hub, "GET", "/api/pricing").json["data"]
    (entry,) = (one for one in data if one["model_name"] == "tiered")
    assert entry["billing_mode"] == "tiered_expr"
    assert entry["billing_expr"] == 'len <= 10 ? tier("t0", p * 1.0 + c * 2.0) : tier("t1", p * 10.0 + c * 20.0)'


def test_group_of_the_key_multiplies_prices() -> None:
    with EmbeddedHub("new-api", groups={"default": 1, "vip": 0.5}, group="vip") as hub:
        page = send(hub, "GET", "/api/pricing").json
        usage = chat(hub).json["usage"]
        expected = (usage["prompt_tokens"] * 0.15 + usage["completion_tokens"] * 0.6) / 1e6 * 0.5
        assert hub.accounts.used == pytest.approx(expected)
    assert page["group_ratio"] == {"default": 1, "vip": 0.5}
    with pytest.raises(ValueError, match="no group 'dear'"):
        EmbeddedHub(group="dear")


def test_busy_gateway_says_so_on_every_path() -> None:
    with EmbeddedHub("new-api") as hub:
        hub.fault("*", "system_cpu_overloaded")
        hub.fault("/v1/models", "system_cpu_overloaded")
        for answer in (chat(hub), send(hub, "GET", "/v1/models")):
            assert (answer.status, answer.error["code"]) == (503, "system_cpu_overloaded")
        hub.fault("*", "model_price_error")
        assert (chat(hub).status, chat(hub).status) == (400, 200)


@pytest.mark.parametrize(
    ("state", "status", "type_", "words"),
    [
        ("expired", 401, "one_hub_error", "令牌已过期"),
        ("banned", 401, "one_hub_error", "无效的令牌"),
        ("model_denied", 404, "one_hub_error", "not supported for current token"),
        ("empty", 429, "system_error", "上游负载已饱和"),
    ],
)
def test_one_hub_speaks_of_keys_in_its_own_words(state: str, status: int, type_: str, words: str) -> None:
    with EmbeddedHub("one-hub", keys={"sk-test": state}) as hub:
        answer = chat(hub, key="sk-test")
    assert (answer.status, answer.error["type"]) == (status, type_)
    assert words in answer.error["message"]


def test_one_hub_leaves_a_bare_line_where_a_stream_was_cut() -> None:
    with EmbeddedHub("one-hub") as hub:
        hub.fault("*", Fault.cut(2), times=None)
        assert chat(hub, stream=True).text.endswith("data: unexpected EOF\n\n")
        body = {"model": "embedded/extract", "input": "hi", "stream": True}
        assert send(hub, "POST", "/v1/responses", body).text.endswith("\n\nunexpected EOF")


def test_one_hub_lists_prices_and_groups_without_a_key() -> None:
    with EmbeddedHub("one-hub", groups={"default": 2}) as hub:
        listed = send(hub, "GET", "/api/available_model", key=None).json["data"]["embedded/extract"]
        groups = send(hub, "GET", "/api/user_group_map", key=None).json["data"]
        busy = chat(hub, headers={"x-embedded-fault": "vendor_429"})
    assert listed["price"]["input"] * 2 * groups["default"]["ratio"] == pytest.approx(0.3)
    assert busy.error["message"].startswith("当前分组上游负载已饱和")


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.2", "example.com"])
def test_hub_listens_on_loopback_only(host: str) -> None:
    with pytest.raises(ValueError, match="loopback only"):
        EmbeddedHub(host=host)


def test_requests_are_kept_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hubmix.embedded.app.MAX_REQUESTS", 3)
    with EmbeddedHub() as hub:
        for number in range(5):
            chat(hub, str(number))
        assert [request.json["messages"][0]["content"] for request in hub.requests] == ["2", "3", "4"]
