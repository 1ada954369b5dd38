"""A hub that serves Claude over `/v1/messages`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hubmix import Hub
from hubmix.embedded import EmbeddedHub
from tests.support.claude import MODELS


@pytest.fixture(scope="module")
def running() -> Iterator[EmbeddedHub]:
    with EmbeddedHub(models=MODELS) as server:
        yield server


@pytest.fixture
def hub(hub: Hub) -> Hub:
    hub.models.refresh()
    return hub
