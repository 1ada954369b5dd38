"""The gateways' lists of models, prices and money."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from urllib.parse import urlsplit

import pytest

from hubmix import AuthenticationError, ModelCatalog, RateLimitedError
from hubmix.hub.balance import abalance, ask_balance, balance
from hubmix.presets import CUSTOM
from hubmix.transport.get import converse
from hubmix.wire import read_reply
from tests.cassettes.playback import play
from tests.gateway.pages import Pages, hub_for, recorded, request_id
from tests.gateway.table import GATEWAYS, Case, table

ACCOUNTS = ("new-api", "new-api-2025", "one-api")  # gateways whose account has no limit

TABLE = table()
FETCHED = [case for case in TABLE.values() if all(each.method == "GET" for each in recorded(case))]


def named(name: str, gateways: Sequence[str] = GATEWAYS) -> list[Case]:
    return [TABLE[gateway, name] for gateway in gateways if (gateway, name) in TABLE]


def by_id(case: Case) -> str:
    return case.id


@pytest.mark.parametrize("waits", [True, False], ids=["sync", "async"])
@pytest.mark.parametrize("case", FETCHED, ids=by_id)
async def test_every_page_comes_as_it_was_recorded(case, waits):
    hub = hub_for(case)
    with play(case.path):
        for came in recorded(case):
            path = "/" + urlsplit(came.uri).path
            page = hub.get(path) if waits else await hub.aget(path)
            assert (page.status, page.body) == (came.status, came.response_body)
            assert page.headers.get("x-oneapi-request-id") == request_id(came)


# ------------------------------------------------------------------------------------------------ models and prices


@pytest.mark.parametrize("case", [*named("models", ACCOUNTS), *named("account_empty_models")], ids=by_id)
@pytest.mark.parametrize("waits", [True, False], ids=["sync", "async"])
async def test_models_are_those_of_the_key(case, waits):
    hub = hub_for(case)
    with play(case.path, spare=[TABLE[case.gateway, "pricing"].path]):
        found = hub.models.list(kind=None) if waits else await hub.models.alist(kind=None)
    assert sorted(found.ids) == case.steps[0].models


@pytest.mark.parametrize("case", [each for each in named("pricing") if each.steps[0].prices], ids=by_id)
def test_prices_are_in_dollars_for_a_million_tokens(case):
    hub = hub_for(case)
    with play(case.path, spare=[TABLE[case.gateway, "models"].path]):
        found = {name: hub.models.get(name).pricing for name in case.steps[0].prices}
    assert {name: [float(price.input), float(price.output)] for name, price in found.items()} == case.steps[0].prices


def test_a_gateway_without_prices_still_lists_its_models():
    hub = hub_for(TABLE["one-api", "pricing"])
    with play(TABLE["one-api", "pricing"].path, spare=[TABLE["one-api", "models"].path]):
        model = hub.models.get("gpt-4o")
    assert model.pricing is None


@pytest.mark.parametrize("case", [*named("models_bad_key", ACCOUNTS), *named("models_no_key", ACCOUNTS)], ids=by_id)
def test_a_key_that_is_not_good_is_said_to_be_so(case):
    hub = hub_for(case)
    with play(case.path, spare=[TABLE[case.gateway, "pricing"].path]):
        if case.gateway == "one-api":
            with pytest.raises(AuthenticationError):
                hub.models.list()
        else:  # its prices are public, and so the models are known all the same
            assert "gpt-4o" in hub.models.list().ids
            assert "401" in str(hub.models.info().last_error)


# ------------------------------------------------------------------------------------------------ money


@pytest.mark.parametrize("waits", [True, False], ids=["sync", "async"])
@pytest.mark.parametrize("gateway", ACCOUNTS)
async def test_a_key_without_a_limit_hides_the_account(gateway, waits):
    cases = [TABLE[gateway, name] for name in ("billing_subscription", "billing_usage")]
    pages = Pages(recorded(cases[0]) + recorded(cases[1]))
    ask = {"dialect": "generic", "base_url": "http://127.0.0.1:3000/v1"}
    found = balance(pages, **ask) if waits else await abalance(pages, **ask)
    assert cases[0].steps[0].balance == "unlimited"
    assert found.unlimited
    assert found.remaining is None
    assert found.used == pytest.approx(Decimal(str(cases[1].steps[0].spent)))
    assert "100000000" not in str(found) + repr(found.to_dict())


@pytest.mark.parametrize("case", [*named("account_empty_balance"), *named("billing_subscription_v1")], ids=by_id)
def test_an_empty_account_behind_such_a_key_is_not_called_rich(case):
    pages = Pages(recorded(case))
    if case.name == "billing_subscription_v1":
        assert pages.get("/dashboard/billing/subscription").status == 200
        return
    found = balance(pages, dialect="generic", base_url="http://127.0.0.1:3000/v1")
    assert (found.unlimited, found.remaining) == (case.steps[0].balance == "unlimited", None)


@pytest.mark.parametrize("case", named("billing_metered"), ids=by_id)
def test_what_is_left_on_a_limited_key_is_granted_less_used(case):
    pages = recorded(case)
    paid = read_reply(json.loads(pages[2].response_body))
    assert paid.text == case.steps[2].text
    assert (paid.usage.input_tokens, paid.usage.output_tokens, paid.usage.total_tokens) == case.steps[2].usage[:3]
    for granted, used in ((0, 1), (3, 4)):
        found = balance(Pages([pages[granted], pages[used]]), dialect="generic", base_url="http://127.0.0.1:3000/v1")
        spent = Decimal(str(case.steps[used].spent))
        assert found.used == pytest.approx(spent)
        assert found.remaining == pytest.approx(Decimal(str(case.steps[granted].balance)) - spent)


def test_new_api_says_at_once_what_a_key_has_used():
    pages = Pages(recorded(TABLE["new-api", "usage_token"]))
    found = balance(pages, dialect="new-api", base_url="http://127.0.0.1:3002/v1")
    assert (found.unlimited, found.used) == (True, Decimal("0.001412"))
    assert "/dashboard/billing/subscription" not in pages.asked


@pytest.mark.parametrize("gateway", ACCOUNTS[1:])
def test_older_gateways_are_asked_the_older_way(gateway):
    cases = [TABLE[gateway, name] for name in ("usage_token", "billing_subscription", "billing_usage")]
    pages = Pages(page for case in cases for page in recorded(case))
    assert balance(pages, dialect="new-api", base_url="http://127.0.0.1:3000/v1").unlimited
    assert pages.asked[-3:] == ["/api/usage/token", "/dashboard/billing/subscription", "/dashboard/billing/usage"]


@pytest.mark.parametrize("case", named("billing_bad_key"), ids=by_id)
def test_the_balance_of_a_wrong_key_is_an_error(case):
    with pytest.raises(AuthenticationError):
        balance(Pages(recorded(case)), dialect="generic", base_url="http://127.0.0.1:3000/v1")


@pytest.mark.parametrize("case", named("limit_ip"), ids=by_id)
def test_too_many_questions_about_money_are_a_rate_limit(case):
    subscription = recorded(TABLE[case.gateway, "billing_subscription"])
    with pytest.raises(RateLimitedError) as caught:
        balance(Pages(subscription + recorded(case)), dialect="generic", base_url="http://127.0.0.1:3000/v1")
    assert caught.value.retry_after == (180 if case.gateway == "new-api" else None)


def test_the_status_page_says_what_the_sums_are_in():
    page = recorded(TABLE["one-api", "status"])
    assert json.loads(page[0].response_body)["data"]["quota_per_unit"] == 500_000
    pages = Pages(page + recorded(TABLE["one-api", "billing_metered"])[:2])
    assert converse(ask_balance("generic", ""), pages, timeout=1).remaining == Decimal("0.5")
    assert pages.asked[0] == "/api/status"


# ------------------------------------------------------------------------------------------------ one-hub


def one_hub(*names: str) -> Pages:
    return Pages(page for name in names for page in recorded(TABLE["one-hub", name]))


def test_one_hub_is_known_by_its_own_lists():
    pages = one_hub("available_model", "user_group_map", "models", "pricing")
    models = ModelCatalog(pages, base_url="http://127.0.0.1:3004/v1", sources=CUSTOM.catalog_sources, cache_dir=None)
    expected = TABLE["one-hub", "available_model"].steps[0].prices
    found = {name: models.get(name).pricing for name in expected}
    assert {name: [float(price.input), float(price.output)] for name, price in found.items()} == expected
    assert models.get("gpt-4o-mini").pricing is None
    assert sorted(models.list(kind=None).ids) == TABLE["one-hub", "models"].steps[0].models
    paid = read_reply(json.loads(recorded(TABLE["one-hub", "billing_metered"])[2].response_body))
    charged = TABLE["one-hub", "billing_metered"].steps[4].spent
    assert models.cost("gpt-4o", paid.usage).total == Decimal(str(charged))


def test_one_hub_says_what_is_left_and_refuses_a_wrong_key():
    pages = recorded(TABLE["one-hub", "billing_metered"])
    ask = {"dialect": "generic", "base_url": "http://127.0.0.1:3004/v1"}
    assert balance(Pages([pages[3], pages[4]]), **ask).remaining == Decimal("0.48")
    found = balance(one_hub("billing_subscription", "billing_usage", "usage_token"), **ask)
    assert (found.remaining, found.used) == (Decimal("199.54118"), Decimal("0.45882"))
    with pytest.raises(AuthenticationError):
        balance(one_hub("billing_bad_key"), **ask)
