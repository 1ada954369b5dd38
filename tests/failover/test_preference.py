"""`prefer=`: only the order of the user's routes changes."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from hubmix.errors import ConfigurationError
from hubmix.failover.breakers import HubBreakers
from hubmix.failover.measurements import Measurements
from hubmix.failover.options import CallOptions
from hubmix.failover.preference import measured_as, preferred
from hubmix.failover.route import Route
from hubmix.wire.apis import CHAT
from tests.support.fake_time import FakeHub

HUB = FakeHub(HubBreakers(("https://hub.example/v1", "https://mirror.example/v1")))
ROUTES = [Route(model, HUB, CHAT, mirror) for model in "abc" for mirror in (None, "https://mirror.example/v1")]
PRICES = {"a": Decimal(3), "b": None, "c": Decimal(1)}


def order(prefer: Any, measurements: Measurements | None = None) -> tuple[str, str | None]:
    found, reason = preferred(
        ROUTES, prefer, lambda route: PRICES[route.model], streaming=False, measurements=measurements or Measurements()
    )
    assert [route.mirror is None for route in found] == [True, False] * 3
    return "".join(route.model for route in found if route.mirror is None), reason


def test_users_order_is_the_default() -> None:
    assert order("order") == ("abc", None)


def test_cheapest_goes_first_and_unknown_last() -> None:
    assert order("price") == ("cab", "price 1.000000 USD < 3.000000 USD")


def test_fastest_goes_first() -> None:
    measured = Measurements()
    for model, seconds in (("a", 0.5), ("b", 0.2), ("c", 0.9)):
        measured.answered(measured_as(Route(model, HUB, CHAT), streaming=False), seconds)
    assert order("latency", measured) == ("bac", "latency 0.20 s < 0.50 s (1 calls)")


def test_sole_route_has_no_order() -> None:
    assert preferred(ROUTES[:2], "latency", lambda route: None, streaming=True) == (ROUTES[:2], None)


def test_unknown_preference_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="prefer must be one of"):
        CallOptions(prefer="speed")  # type: ignore[arg-type]
