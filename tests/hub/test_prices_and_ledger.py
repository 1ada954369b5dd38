"""What a call costs here is what the embedded hub's own ledger took for it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest

from hubmix import CallOptions, Hub, ModelNotFoundError
from hubmix.embedded import EmbeddedHub
from hubmix.embedded.models import Tier
from hubmix.hub import served
from tests.gateway.players import PLAYERS

MODELS: dict[str, dict[str, Any]] = {
    "cheap": {"price": (1.0, 2.0, 0.1)},
    "mapped": {"price": (9.0, 9.0, 0.9), "served_by": "cheap"},
    "tiered": {"tiers": (Tier(10, 1.0, 2.0), Tier(None, 10.0, 20.0))},
    "old": {"retire_stage": "retired", "retired_at": "2026-09-22T00:00:00Z", "successor": "cheap"},
    "going": {"retire_stage": "deprecating", "retired_at": "2999-01-01T00:00:00Z", "successor": "cheap"},
}


@pytest.fixture(autouse=True)
def nothing_said() -> Iterator[None]:
    served.forget_warnings()
    yield
    served.forget_warnings()


@pytest.fixture
def start() -> Iterator[Callable[..., tuple[EmbeddedHub, Hub]]]:
    running: list[EmbeddedHub] = []

    def begin(dialect: Any, **settings: Any) -> tuple[EmbeddedHub, Hub]:
        price_group = settings.pop("price_group", None)
        server = EmbeddedHub(dialect, models=MODELS, **settings).start()
        running.append(server)
        preset = "aihubmix" if dialect == "aihubmix" else None
        hub = Hub(preset, base_url=server.base_url, api_key=server.api_key, price_group=price_group)
        hub.models.refresh()
        return server, hub

    yield begin
    for server in running:
        server.close()


def cost(hub: Hub, model: str, text: str = "Say hello.") -> Any:
    return hub.chat({"model": model, "messages": [{"role": "user", "content": text}]}).cost


VIP = {"groups": {"default": 1, "vip": 0.5}, "group": "vip", "price_group": "vip"}
CHARGES: dict[str, tuple[Any, dict[str, Any], str]] = {
    "AIHubMix: a price": ("aihubmix", {}, "cheap"),
    "AIHubMix: another model answers": ("aihubmix", {}, "mapped"),
    "AIHubMix: the router": ("aihubmix", {}, "auto"),
    "AIHubMix: tiers": ("aihubmix", {}, "tiered"),
    "New API: a ratio": ("new-api", {}, "cheap"),
    "New API: a group": ("new-api", VIP, "cheap"),
    "one-hub: a ratio": ("one-hub", {}, "cheap"),
    "one-hub: a group": ("one-hub", VIP, "cheap"),
}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("player", PLAYERS, ids=repr)
@pytest.mark.parametrize(("dialect", "settings", "model"), CHARGES.values(), ids=CHARGES)
async def test_cost_is_what_the_ledger_took(
    dialect: Any, settings: dict[str, Any], model: str, player: Any, stream: bool, start: Any
) -> None:
    server, hub = start(dialect, **settings)
    for words in (1, 20):  # a short prompt and one of the next tier
        before = server.accounts.used
        with hub.spending() as spent:
            await player.ask(hub, model, player.start() * words, stream=stream)
        assert float(spent.total) == pytest.approx(server.accounts.used - before, abs=2e-6)


def test_unknown_group_gives_no_total(start: Any) -> None:
    _, hub = start("new-api", groups={"default": 1, "vip": 0.5})
    with hub.spending() as spent:
        assert cost(hub, "cheap").total is None
    assert (spent.total, spent.known) == (None, Decimal(0))


def test_retired_model_names_its_successor_and_falls_back(start: Any) -> None:
    _, hub = start("aihubmix")
    assert "old" not in hub.models.list().ids
    assert "old" in hub.models.list(retired=True).ids
    assert hub.models.get("old").successor == "cheap"
    with pytest.raises(ModelNotFoundError, match="cheap"):
        cost(hub, "old")
    reply = hub.chat(
        {"model": "old", "messages": [{"role": "user", "content": "hi"}]}, CallOptions(fallbacks=("cheap",))
    )
    assert (reply.served, len(reply.trace.attempts)) == ("cheap", 2)
    assert {"old", "going"}.isdisjoint(hub.candidates("cheap", CallOptions(fallbacks="auto")))


def test_deprecated_model_is_warned_of_once(start: Any) -> None:
    _, hub = start("aihubmix")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        cost(hub, "going")
        cost(hub, "going")
    told = [str(one.message) for one in caught if one.category is DeprecationWarning and "'going'" in str(one.message)]
    assert len(told) == 1
    assert "Use 'cheap'" in told[0]
