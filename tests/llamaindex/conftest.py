"""An embedded hub for every test, and the proof that nothing stays running."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import llama_index.core
import pytest
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index_instrumentation import get_dispatcher

from hubmix.embedded import EmbeddedHub
from llamaindex_hubmix import Hubmix, HubmixEmbedding, HubmixRerank

_PATIENCE = 30.0
# Threads of a pool that belongs to the process and not to a test: the event loop's own, and the workflows'.
# `_connection_worker_thread` is aiosqlite's, which LlamaIndex's workflows open.
_SHARED = ("asyncio_", "ThreadPoolExecutor")


@pytest.fixture(scope="session", autouse=True)
def encodings_of_core(clean_environment: None) -> Iterator[None]:
    """Use the tiktoken encoding that core ships; a worker would download it.

    Its pool never stops waiting for a worker whose download failed.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIKTOKEN_CACHE_DIR", str(Path(llama_index.core.__file__).parent / "_static" / "tiktoken_cache"))
        yield


@pytest.fixture(scope="session")
def running_hub() -> Iterator[EmbeddedHub]:
    with EmbeddedHub() as hub:
        yield hub


@pytest.fixture
def server(running_hub: EmbeddedHub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[EmbeddedHub]:
    """The embedded hub, as new, and the environment that points at it."""
    running_hub.clear()
    monkeypatch.setenv("HUBMIX_BASE_URL", running_hub.base_url)
    monkeypatch.setenv("HUBMIX_API_KEY", running_hub.api_key)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    llm = Hubmix(model="embedded/extract")
    llm.hub.reset_health()
    yield running_hub
    llm.hub.reset_health()
    running_hub.clear()


@pytest.fixture
def make(server: EmbeddedHub) -> Callable[..., Hubmix]:
    """A model of the embedded hub; ``embedded/`` may be left out of its name."""

    def build(model: str = "extract", **kwargs: Any) -> Hubmix:
        return Hubmix(model=model if "/" in model else f"embedded/{model}", **kwargs)

    return build


@pytest.fixture
def llm(make: Callable[..., Hubmix]) -> Hubmix:
    return make()


@pytest.fixture
def embedding(server: EmbeddedHub) -> HubmixEmbedding:
    return HubmixEmbedding(model="embedded/embed")


@pytest.fixture
def rerank(server: EmbeddedHub) -> HubmixRerank:
    return HubmixRerank(model="embedded/rerank", top_n=2)


@pytest.fixture(autouse=True)
def nothing_left_behind(running_hub: EmbeddedHub) -> Iterator[None]:
    """Fail a test that leaves a thread, a child process or an asyncio task."""
    before = set(threading.enumerate())
    yield
    deadline = time.monotonic() + _PATIENCE
    while (left := _left(before)) and time.monotonic() < deadline:
        gc.collect()
        time.sleep(0.01)
    assert not left, f"left running: {left}"


def _is_shared(name: str) -> bool:
    return name.startswith(_SHARED) or "_connection_worker_thread" in name


def _left(before: set[threading.Thread]) -> list[str]:
    threads = [t.name for t in threading.enumerate() if t not in before and not _is_shared(t.name)]
    return [*threads, *(child.name for child in multiprocessing.active_children())]


@pytest.fixture(autouse=True)
async def no_task_left() -> Any:
    """Fail a test that leaves a task; closing connections may take a moment."""
    yield
    deadline = time.monotonic() + _PATIENCE
    while (left := asyncio.all_tasks() - {asyncio.current_task()}) and time.monotonic() < deadline:
        await asyncio.wait(left, timeout=0.01)
    assert not left, f"tasks left running: {left}"


def chats(server: EmbeddedHub) -> list[Any]:
    """The bodies of the chat requests that arrived."""
    return [request.json for request in server.requests if request.path.endswith("/chat/completions")]


class _Collector(BaseEventHandler):
    events: list[Any] = []  # noqa: RUF012  (a pydantic field: each instance gets its own)

    def handle(self, event: Any, **kwargs: Any) -> None:
        self.events.append(event)


@pytest.fixture
def events() -> Iterator[list[Any]]:
    """Everything that reaches LlamaIndex's root dispatcher during the test."""
    root, collector = get_dispatcher(), _Collector()
    root.add_event_handler(collector)
    yield collector.events
    root.event_handlers.remove(collector)


async def until(condition: Callable[[], bool]) -> None:
    """Let the event loop run until something has happened; fail after ten seconds."""
    for _ in range(2_000):
        if condition():
            return
        await asyncio.sleep(0.005)
    pytest.fail("what the test waits for did not happen")
