"""`prefer=` and `hub.stats()` around real calls."""

from __future__ import annotations

from typing import Any

import pytest

from hubmix import CallOptions, Hub
from hubmix.embedded import EmbeddedHub, Fault
from hubmix.failover.measurements import MEASUREMENTS
from langchain_hubmix import ChatHubmix
from llamaindex_hubmix import Hubmix
from tests.hub.conftest import MODEL, OTHER

PAYLOAD: dict[str, Any] = {"model": OTHER, "messages": [{"role": "user", "content": "Hello"}]}


@pytest.fixture(autouse=True)
def nothing_measured() -> None:
    MEASUREMENTS.clear()


def test_cheaper_fallback_is_asked_first(server: EmbeddedHub) -> None:
    prices = {OTHER: {"pricing": {"input": "2", "output": "2"}}, MODEL: {"pricing": {"input": "1", "output": "1"}}}
    with Hub(base_url=server.base_url, api_key=server.api_key, model_overrides=prices) as hub:
        for make, ask in ((ChatHubmix, "invoke"), (Hubmix, "complete")):
            answer = getattr(make(model=OTHER, hub=hub, fallbacks=[MODEL], prefer="price"), ask)("Hello")
            known = getattr(answer, "response_metadata", None) or answer.additional_kwargs
            trace = known["failover"]
            assert (trace["requested"], trace["served"]) == (OTHER, MODEL)
            assert trace["chosen"].startswith("price 0.00")


async def test_faster_route_is_asked_first_once_both_are_measured(hub: Hub) -> None:
    options = CallOptions(fallbacks=(MODEL,), prefer="latency")
    first = [(await hub.achat(PAYLOAD, options)).served for _ in range(2)]
    assert first == [OTHER, MODEL]
    third = await hub.achat(PAYLOAD, options)
    assert third.trace is not None
    assert third.trace.chosen is not None
    assert third.trace.chosen.startswith("latency ")


def test_unhealthy_route_goes_behind_whatever_is_preferred(hub: Hub, server: EmbeddedHub) -> None:
    options = CallOptions(fallbacks=(MODEL,), prefer="latency")
    hub.chat(PAYLOAD, options)
    hub.chat({**PAYLOAD, "model": MODEL})
    server.fault(OTHER, Fault.error("vendor_503"), times=None)
    for _ in range(3):
        assert hub.chat(PAYLOAD, options).served == MODEL


def test_stats_show_calls_failures_and_speed(hub: Hub, server: EmbeddedHub) -> None:
    hub.chat(PAYLOAD)
    for _ in hub.stream_chat({**PAYLOAD, "model": MODEL}):
        pass
    server.fault(OTHER, Fault.error("vendor_503"), times=None)
    hub.chat(PAYLOAD, CallOptions(fallbacks=(MODEL,)))
    rows = {(row.model, row.streamed): row for row in hub.stats()}
    assert rows[OTHER, False].calls == 1
    assert rows[OTHER, False].failures >= 1
    assert rows[MODEL, True].calls == 1
    assert (rows[MODEL, True].tokens_per_s or 0) > 0
    assert "first_content_s" in repr(hub.stats())
    assert "<table" in hub.stats()._repr_html_()


def test_stats_of_another_key_are_its_own(hub: Hub, server: EmbeddedHub) -> None:
    hub.chat(PAYLOAD)
    with Hub(base_url=server.base_url, api_key="sk-other") as other:
        assert list(other.stats()) == []
