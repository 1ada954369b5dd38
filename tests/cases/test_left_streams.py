"""Async streams that their reader leaves half read, as the loop ends."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage

import hubmix
import langchain_hubmix
import llamaindex_hubmix
from tests.cases.ways import chat_hubmix
from tests.cases.ways import hubmix as llamaindex_of
from tests.support.answers import chunk, events
from tests.support.scripted_hub import ScriptedHub

OURS = [Path(package.__path__[0]) for package in (hubmix, langchain_hubmix, llamaindex_hubmix)]
WORDS = [chunk(content=f"word {number} ") for number in range(400)]


async def begin(framework: str, hub: ScriptedHub) -> Any:
    """Return a stream of which one piece was read."""
    if framework == "langchain":
        stream = chat_hubmix(hub).astream("go")
    else:
        stream = await llamaindex_of(hub).astream_chat([ChatMessage(content="go")])
    await anext(stream)
    return stream


@pytest.mark.parametrize("traced", [False, True], ids=["plain", "traced"])
@pytest.mark.parametrize("held", [False, True], ids=["dropped", "held"])
@pytest.mark.parametrize("framework", ["langchain", "llamaindex"])
def test_stream_left_half_read_is_closed_once(
    framework: str, held: bool, traced: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loop that ends closes every generator it knows, and logs each closed twice."""
    if traced:
        pytest.importorskip("opentelemetry")
        monkeypatch.setattr("hubmix.hub.hub.observe", None)
        hubmix.instrument()
    failed: list[str] = []

    def note(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        failed.append(context["asyncgen"].ag_code.co_filename)

    async def read(hub: ScriptedHub) -> Any:
        asyncio.get_running_loop().set_exception_handler(note)
        stream = await begin(framework, hub)
        return stream if held else None

    with ScriptedHub(events(*WORDS, chunk("stop"), separate=True)) as hub:
        for _ in range(3):
            asyncio.run(read(hub))
    # The HTTP library's own generators have the trouble among themselves.
    assert [name for name in failed if any(Path(name).is_relative_to(folder) for folder in OURS)] == []
