"""Where a call goes on to depends on the other models' windows and prices."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from hubmix import Hub, errors
from hubmix.catalog import Pricing
from hubmix.embedded import EmbeddedHub, Fault
from tests.failover.conftest import SkippedTime
from tests.failover.ways import EVERY, FIRST, SECOND, THIRD, Way

FACTS: dict[str, dict[str, Any]] = {
    FIRST: {"context_window": 8000, "pricing": Pricing(input=1, output=1)},
    SECOND: {"context_window": 8000, "pricing": Pricing(input=1, output=1)},
    THIRD: {"context_window": 100_000, "pricing": Pricing(input=0, output=0)},
}


@pytest.fixture
async def knowing(server: EmbeddedHub) -> AsyncIterator[Hub]:
    """A hub whose catalog knows windows and prices."""
    hub = Hub(base_url=server.base_url, api_key=server.api_key, model_overrides=FACTS)
    await hub.models.arefresh()
    server.requests.clear()
    yield hub
    hub.close()
    await hub.aclose()


def asked(server: EmbeddedHub) -> list[str | None]:
    return [request.model for request in server.requests]


@pytest.mark.parametrize("way", EVERY, ids=str)
async def test_a_longer_request_goes_to_a_larger_window_or_nowhere(way: Way, server: EmbeddedHub, knowing: Hub) -> None:
    server.fault(FIRST, "vendor_400_context", times=None)
    answer = await way.ask(knowing, FIRST, SECOND, THIRD)
    assert answer.trace["served"] == THIRD
    assert asked(server) == [FIRST, THIRD]
    with pytest.raises(errors.ContextLengthError) as caught:
        await way.ask(knowing, FIRST, SECOND)
    assert [(attempt.model, attempt.outcome) for attempt in caught.value.attempts] == [
        (FIRST, "error"),
        (SECOND, "skipped"),
    ]


@pytest.mark.parametrize("way", EVERY, ids=str)
async def test_an_empty_account_goes_to_a_free_model_or_nowhere(way: Way, server: EmbeddedHub, knowing: Hub) -> None:
    server.fault(FIRST, "account_empty", times=None)
    answer = await way.ask(knowing, FIRST, SECOND, THIRD)
    assert answer.trace["served"] == THIRD
    assert asked(server) == [FIRST, THIRD]
    knowing.reset_health()
    with pytest.raises(errors.QuotaExceededError):
        await way.ask(knowing, FIRST, SECOND)


@pytest.mark.parametrize("way", EVERY, ids=str)
async def test_where_all_are_busy_the_first_to_come_back_is_waited_for(
    way: Way, server: EmbeddedHub, hub: Hub, skipped_time: SkippedTime
) -> None:
    server.fault(FIRST, "vendor_429", times=1)  # whose words ask for 20 s
    server.fault(SECOND, Fault.answer(429, {"error": {"message": "x", "code": "rate_limit_exceeded"}}, retry_after=9))
    answer = await way.ask(hub, FIRST, SECOND)
    assert answer.trace["served"] == SECOND
    assert asked(server) == [FIRST, SECOND, SECOND]
    assert skipped_time.waits == [pytest.approx(9, abs=1)]


@pytest.mark.parametrize("way", EVERY, ids=str)
async def test_a_website_behind_every_model_is_a_wrong_base_url(way: Way, server: EmbeddedHub, hub: Hub) -> None:
    server.fault("*", Fault.html(), times=None)
    with pytest.raises(errors.EndpointError, match="end in /v1"):
        await way.ask(hub, FIRST, SECOND)
    assert set(asked(server)) == {FIRST, SECOND}
