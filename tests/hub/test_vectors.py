"""Embeddings and rerank say who answered and what it cost, as chat does."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

import hubmix
from hubmix import Hub
from hubmix.embedded import EmbeddedHub, Fault

TEXTS = ["one", "two", "three", "four", "five"]
EMBED = {"model": "embedded/embed", "input": TEXTS}
RERANK = {"model": "embedded/rerank", "query": "two", "documents": TEXTS}
TOO_LONG = {"error": {"message": "batch size is invalid, it should not be larger than 2.", "type": "vendor"}}


async def both(hub: Hub, name: str, payload: dict[str, Any]) -> tuple[Any, Any]:
    return getattr(hub, name)(payload), await getattr(hub, f"a{name}")(payload)


@pytest.mark.parametrize(("name", "payload"), [("embed", EMBED), ("rerank", RERANK)])
async def test_answer_names_hub_model_api_and_price(name: str, payload: dict[str, Any]) -> None:
    with EmbeddedHub() as server:
        hub = Hub(base_url=server.base_url, api_key=server.api_key)
        hub.models.refresh()
        for reply in await both(hub, name, payload):
            assert (reply.served, reply.api) == (payload["model"], "embeddings" if name == "embed" else "rerank")
            assert reply.hub in server.base_url
            assert reply.cost.complete
            assert reply.cost.total > 0
            assert [attempt.outcome for attempt in hubmix.trace(reply).attempts] == ["ok"]
            assert pickle.loads(pickle.dumps(reply)) == copy.deepcopy(reply) == reply
        await hub.aclose()


async def test_cost_of_a_split_list_is_that_of_all_its_parts() -> None:
    with EmbeddedHub() as server:
        hub = Hub(base_url=server.base_url, api_key=server.api_key)
        hub.models.refresh()
        whole = hub.embed(EMBED)
        server.fault("embedded/embed", Fault.answer(400, TOO_LONG))
        for reply in await both(hub, "embed", EMBED):
            assert (reply.vectors, reply.usage.total_tokens) == (whole.vectors, whole.usage.total_tokens)
            assert (reply.cost.total, reply.cost.complete) == (whole.cost.total, True)
        hub.close()
        await hub.aclose()


def test_total_is_unknown_where_one_part_is() -> None:
    with EmbeddedHub() as server:
        hub = Hub(base_url=server.base_url, api_key=server.api_key)
        hub.models.refresh()
        cost = hub.embed(EMBED).cost
        assert cost is not None
        unknown = type(cost)(cost.model)
        assert (cost + cost).total == 2 * (cost.total or 0)
        assert (cost + unknown).total is None
        assert not (cost + unknown).complete
        assert (cost + unknown).input == cost.input
        hub.close()
