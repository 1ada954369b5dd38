"""One hub of each dialect for the tests that only ask."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hubmix.embedded import EmbeddedHub


@pytest.fixture(scope="session")
def _hubs() -> Iterator[dict[str, EmbeddedHub]]:
    names = ("new-api", "one-api", "aihubmix")
    hubs = {name: EmbeddedHub(name, models=["gpt-4o-mini"], keys=["sk-test"]) for name in names}  # type: ignore[arg-type]
    for hub in hubs.values():
        hub.start()
    yield hubs
    for hub in hubs.values():
        hub.close()


def _lent(hub: EmbeddedHub) -> Iterator[EmbeddedHub]:
    hub.clear()
    yield hub
    hub.clear()


@pytest.fixture
def hub(_hubs: dict[str, EmbeddedHub]) -> Iterator[EmbeddedHub]:
    """New API."""
    yield from _lent(_hubs["new-api"])


@pytest.fixture
def one_api(_hubs: dict[str, EmbeddedHub]) -> Iterator[EmbeddedHub]:
    """one-api."""
    yield from _lent(_hubs["one-api"])


@pytest.fixture
def aihubmix(_hubs: dict[str, EmbeddedHub]) -> Iterator[EmbeddedHub]:
    """AIHubMix, as its documentation has it."""
    yield from _lent(_hubs["aihubmix"])
