"""The LlamaIndex part of the demo."""

from __future__ import annotations

from hubmix import Hub
from hubmix.embedded import EmbeddedHub
from llamaindex_hubmix.demo import query


def test_the_demo_answers_with_its_sources(server: EmbeddedHub) -> None:
    hub = Hub(base_url=server.base_url, api_key=server.api_key)
    documents = [
        ("failover", "# Title\n\nA stream changes its model only before its first word."),
        ("cats", "Cats purr."),
    ]
    written: list[str] = []
    query(hub, "embedded/extract", "embedded/embed", documents, written.append)
    text = "".join(written)
    assert "A: A stream changes its model only before its first word." in text
    assert "Sources: failover (" in text
    assert text.endswith("of 2 paragraphs\n")
