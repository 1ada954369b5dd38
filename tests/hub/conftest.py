"""One embedded hub for these tests, and a watch over what they leave behind."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from hubmix import Hub
from hubmix.embedded import EmbeddedHub

MODEL, OTHER = "embedded/lorem:40", "embedded/echo"


@pytest.fixture(scope="module")
def running() -> Iterator[EmbeddedHub]:
    with EmbeddedHub() as server:
        # The first call of a process loads the SDK, which takes longer than the limits that are tested.
        with Hub(base_url=server.base_url, api_key=server.api_key) as hub:
            hub.chat({"model": OTHER, "messages": [{"role": "user", "content": "hello"}]})
        yield server


@pytest.fixture
def server(running: EmbeddedHub) -> EmbeddedHub:
    running.clear()
    return running


@pytest.fixture
def hub(server: EmbeddedHub) -> Iterator[Hub]:
    with Hub(base_url=server.base_url, api_key=server.api_key) as made:
        yield made


@pytest.fixture(autouse=True)
def no_thread_left(running: EmbeddedHub) -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(10)  # one that is ending may take its time on a busy machine; one that stays is found below
    left = [thread for thread in set(threading.enumerate()) - before if thread.is_alive()]
    assert not [t for t in left if not t.name.startswith(("asyncio_", "AnyIO"))], left
