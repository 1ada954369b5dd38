"""Making an object sends and reads nothing, even with a catalog on disk."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from hubmix import Hub
from hubmix.embedded import EmbeddedHub
from langchain_hubmix import ChatHubmix, HubmixEmbeddings, HubmixRerank
from llamaindex_hubmix import Hubmix, HubmixEmbedding
from llamaindex_hubmix import HubmixRerank as Reranker

WATCHED = ("open", "socket.connect", "socket.getaddrinfo", "os.listdir", "os.scandir", "subprocess.Popen")
_seen: list[str] = []
_watching = [False]


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if _watching[0] and event in WATCHED:
        _seen.append(f"{event} {args[:1]}")


@pytest.mark.parametrize("make", [ChatHubmix, HubmixEmbeddings, HubmixRerank, Hubmix, HubmixEmbedding, Reranker])
def test_making_an_object_does_no_io(
    make: Any, server: EmbeddedHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUBMIX_CACHE_DIR", str(tmp_path))
    given = {"base_url": server.base_url, "api_key": server.api_key}
    with Hub(**given) as hub:
        hub.models.refresh()
    assert list(tmp_path.iterdir())
    asked = len(server.requests)
    make(model="embedded/extract", **given)  # what a first object imports has been read by now
    sys.addaudithook(_hook)
    _seen.clear()
    _watching[0] = True
    try:
        made = make(model="embedded/extract", **given)
    finally:
        _watching[0] = False
    assert _seen == []
    assert len(server.requests) == asked
    assert made is not None
