"""One embedded hub for the session; each test sees its own requests only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from hubmix.embedded import EmbeddedHub
from langchain_hubmix import ChatHubmix

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(scope="session")
def _server() -> Iterator[EmbeddedHub]:
    with EmbeddedHub() as server:
        yield server


@pytest.fixture
def server(_server: EmbeddedHub) -> EmbeddedHub:
    _server.clear()
    return _server


@pytest.fixture
def chat(server: EmbeddedHub) -> Callable[..., ChatHubmix]:
    """Makes a chat model of the embedded hub: `chat(model="embedded/think")`."""

    def make(model: str = "embedded/extract", **fields: Any) -> ChatHubmix:
        return ChatHubmix(model=model, base_url=server.base_url, api_key=server.api_key, **fields)

    return make
