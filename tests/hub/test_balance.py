"""What is left on a key, each hub's way, by recordings or documented answers."""

from __future__ import annotations

import json
import pickle
from decimal import Decimal
from typing import Any

import pytest

from hubmix.catalog import Fetched
from hubmix.errors import AuthenticationError, HubConnectionError, HubmixError, QuotaExceededError, RateLimitedError
from hubmix.hub.balance import (
    SILENT_NOTE,
    UNLIMITED_NOTE,
    Balance,
    Unit,
    abalance,
    balance,
    read_remain,
    read_subscription,
    read_unit,
)
from hubmix.presets import Dialect
from tests.support.catalog_fakes import FakeFetch, ok, recorded

BASE = "http://127.0.0.1:3000/v1"
REMAIN, TOKEN, STATUS = "//dashboard/billing/remain", "//api/usage/token/", "//api/status"
SUBSCRIPTION, USAGE = "//dashboard/billing/subscription", "//dashboard/billing/usage"


def ask(answers: Any, dialect: Dialect = "new-api") -> Balance:
    return balance(FakeFetch(answers), dialect=dialect, base_url=BASE)


@pytest.mark.parametrize(
    ("gateway", "used"), [("new-api", "0.00012"), ("new-api-2025", "0.00012"), ("one-api", "0.00024")]
)
async def test_a_limited_key(gateway: str, used: str) -> None:
    answers = recorded(gateway, "billing_metered")
    found = ask(answers)
    assert (found.granted, found.used) == (Decimal("0.5"), Decimal(used))
    assert found.remaining == Decimal("0.5") - Decimal(used)
    assert (found.unlimited, found.currency, found.note) == (False, "USD", "")
    assert found.source == "dashboard/billing/subscription"
    assert await abalance(FakeFetch(answers), dialect="new-api", base_url=BASE) == found


@pytest.mark.parametrize("gateway", ["new-api", "new-api-2025", "one-api"])
@pytest.mark.parametrize("case", ["billing_subscription", "account_empty_balance"])
@pytest.mark.parametrize("dialect", ["new-api", "generic", "aihubmix"])
def test_an_unlimited_key_is_never_a_hundred_million(gateway: str, case: str, dialect: Dialect) -> None:
    found = ask(recorded(gateway, case), dialect)
    assert (found.unlimited, found.remaining, found.granted, found.note) == (True, None, None, UNLIMITED_NOTE)
    assert "100000000" not in str(found).replace(",", "")


def test_new_api_of_2026_says_what_an_unlimited_key_used() -> None:
    found = ask(recorded("new-api", "usage_token"))
    assert (found.unlimited, found.remaining, found.used) == (True, None, Decimal("0.001412"))
    assert str(found) == "unlimited key; the account's balance is not visible (USD 0.001412 used)"


def test_new_api_of_2026_a_limited_key() -> None:
    data = {"total_granted": 1_000_000, "total_used": 250_000, "total_available": 750_000, "unlimited_quota": False}
    found = ask({TOKEN: ok({"code": True, "data": data})})
    assert (found.remaining, found.granted, found.used) == (Decimal("1.5"), 2, Decimal("0.5"))
    assert str(found) == "USD 1.5 left of 2"


@pytest.mark.parametrize("gateway", ["new-api", "new-api-2025", "one-api"])
async def test_a_wrong_key_is_an_error(gateway: str) -> None:
    answers = recorded(gateway, "billing_bad_key")
    with pytest.raises(AuthenticationError) as error:
        ask(answers)
    assert error.value.status == 401
    assert error.value.request_id
    with pytest.raises(AuthenticationError):
        await abalance(FakeFetch(answers), dialect="generic", base_url=BASE)


def test_aihubmix_says_what_remains_under_another_name() -> None:
    assert ask({REMAIN: ok({"total_usage": 12.34})}, "aihubmix") == Balance(
        remaining=Decimal("12.34"), source="dashboard/billing/remain"
    )


def test_aihubmix_in_quota_units() -> None:
    status = ok({"data": {"display_in_currency": False, "quota_per_unit": 500_000}})
    assert ask({STATUS: status, REMAIN: ok({"total_usage": 617_000})}, "aihubmix").remaining == Decimal("1.234")


def test_aihubmix_without_that_page_uses_the_other_two() -> None:
    found = ask({SUBSCRIPTION: ok({"soft_limit_usd": 20}), USAGE: ok({"total_usage": 550})}, "aihubmix")
    assert (found.remaining, found.used) == (Decimal("14.5"), Decimal("5.5"))


@pytest.mark.parametrize(
    ("status", "unit"),
    [
        (None, Unit()),
        ({}, Unit()),
        ({"data": None}, Unit()),
        ({"data": {"quota_per_unit": 0}}, Unit()),
        ({"data": {"display_in_currency": True, "quota_per_unit": 100_000}}, Unit(Decimal(1), Decimal(100_000))),
        ({"data": {"quota_display_type": "TOKENS"}}, Unit(Decimal(500_000))),
        ({"data": {"quota_display_type": "CNY", "usd_exchange_rate": 7.3}}, Unit(Decimal("7.3"))),
        ({"data": {"quota_display_type": "USD"}}, Unit()),
    ],
)
def test_the_unit_that_a_hub_shows(status: Any, unit: Unit) -> None:
    assert read_unit(status) == unit


def test_a_hub_that_shows_yuan_is_converted() -> None:
    found = read_subscription({"soft_limit_usd": 73}, {"total_usage": 730}, Unit(Decimal("7.3")))
    assert found == Balance(remaining=Decimal(9), granted=Decimal(10), used=Decimal(1))


@pytest.mark.parametrize(
    "answers",
    [
        {},
        {SUBSCRIPTION: Fetched(200, {}, b"<!doctype html>"), TOKEN: Fetched(200, {}, b"<!doctype html>")},
        {SUBSCRIPTION: ok({"error": {"message": "database"}})},
        {SUBSCRIPTION: ok([])},
        {SUBSCRIPTION: ok({"soft_limit_usd": "much"})},
        {TOKEN: Fetched(301, {"location": "/elsewhere"}, b"")},
    ],
)
@pytest.mark.parametrize("dialect", ["new-api", "generic", "aihubmix"])
def test_a_hub_that_does_not_say(answers: Any, dialect: Dialect) -> None:
    found = ask(answers, dialect)
    assert (found.remaining, found.note, str(found)) == (None, SILENT_NOTE, SILENT_NOTE)


def test_what_was_granted_alone_is_not_what_is_left() -> None:
    found = ask({SUBSCRIPTION: ok({"soft_limit_usd": 5})})
    assert (found.remaining, found.granted) == (None, 5)
    assert "granted" in found.note


def test_an_overdrawn_account() -> None:
    found = ask({SUBSCRIPTION: ok({"soft_limit_usd": 1}), USAGE: ok({"total_usage": 150})})
    assert (found.remaining, str(found)) == (Decimal("-0.5"), "USD -0.5 left of 1")
    assert ask({REMAIN: ok({"total_usage": -3.5})}, "aihubmix").remaining == Decimal("-3.5")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Fetched(429, {}, b""), RateLimitedError),
        (Fetched(500, {}, b"{}"), HubmixError),
        (Fetched(403, {}, b'{"error":{"code":"insufficient_user_quota","message":"no"}}'), QuotaExceededError),
        (HubConnectionError("refused"), HubConnectionError),
    ],
)
def test_a_hub_that_fails_is_an_error(answer: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        ask({TOKEN: answer})


def test_a_status_page_that_fails_does_not_matter() -> None:
    for status in (HubConnectionError("refused"), Fetched(500, {}, b""), Fetched(200, {}, b"<html>")):
        assert ask({STATUS: status, REMAIN: ok({"total_usage": 1})}, "aihubmix").remaining == 1


def test_the_status_is_asked_without_the_key_and_money_with_it() -> None:
    fetch = FakeFetch({REMAIN: ok({"total_usage": 1})})
    balance(fetch, dialect="aihubmix", base_url=BASE)
    assert fetch.authorized == {STATUS: False, REMAIN: True}


def test_it_is_a_value() -> None:
    found = Balance(Decimal("1.5"), Decimal(2), source="x")
    assert pickle.loads(pickle.dumps(found)) == found
    assert json.loads(json.dumps(found.to_dict()))["remaining"] == 1.5
    assert "&lt;" in Balance(note="<b>")._repr_html_()


@pytest.mark.parametrize(
    ("subscription", "used", "left"),
    [(5, 0.13999999999999999, "4.9986"), (0.5, 0.012000000000000002, "0.49988"), ("0.3", 10.000000000000002, "0.2")],
)
def test_balance_shows_no_float_noise(subscription: Any, used: float, left: str) -> None:
    found = read_subscription({"soft_limit_usd": subscription}, {"total_usage": used}, Unit())
    assert str(found.remaining) == left


def test_other_currency_is_shown_to_a_millionth() -> None:
    found = read_remain({"total_usage": 10}, Unit(per_usd=Decimal("7.3")))
    assert str(found.remaining) == "1.369863"
