"""A hub without a key: its public list can be read, nothing else is sent."""

from __future__ import annotations

import pytest

from hubmix import ConfigurationError, Hub
from hubmix.embedded import EmbeddedHub

QUESTION = {"model": "embedded/echo", "messages": [{"role": "user", "content": "Hello"}]}


def test_the_public_list_needs_no_key() -> None:
    with EmbeddedHub(dialect="aihubmix") as server, Hub("aihubmix", base_url=server.base_url) as hub:
        assert "embedded/echo" in hub.models.list().ids
        asked = [request for request in server.requests if request.path.endswith("/api/v1/models")]
        assert asked
        assert not any("authorization" in {name.lower() for name in request.headers} for request in server.requests)


async def test_the_public_list_needs_no_key_in_asyncio_either() -> None:
    with EmbeddedHub(dialect="aihubmix") as server:
        async with Hub("aihubmix", base_url=server.base_url) as hub:
            assert "embedded/echo" in (await hub.models.alist()).ids
        assert not any("authorization" in {name.lower() for name in request.headers} for request in server.requests)


def test_a_call_still_needs_one() -> None:
    with EmbeddedHub(dialect="aihubmix") as server, Hub("aihubmix", base_url=server.base_url) as hub:
        hub.models.list()
        asked = len(server.requests)
        with pytest.raises(ConfigurationError, match="No key"):
            hub.chat(QUESTION)
        assert len(server.requests) == asked
