"""Citations of any form are read or left out; nothing untyped is raised. Case 510."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.messages import AIMessage
from llama_index.core.base.llms.types import CitationBlock

from tests.cases.ways import WAYS, Outcome, Way
from tests.support.answers import Answer, chunk, completion_body, encoded, events
from tests.support.scripted_hub import Request, ScriptedHub

Serve = Callable[..., ScriptedHub]
GOOD = {"type": "url_citation", "url_citation": {"url": "https://a.example", "title": "A"}}
UNREADABLE: list[Any] = [
    *(True, 5, 1.5, "https://x", {"a": 1}, [None], [1], ["https://x"], [[]], [{}]),
    *([{"type": "url_citation", "url_citation": 5}], [{"type": "url_citation"}]),
    [{"type": "url_citation", "url_citation": {"url": ["x"], "title": 5, "start_index": "x", "end_index": None}}],
]


def cited(notes: Any) -> Callable[[Request], Answer]:
    def answer(request: Request) -> Answer:
        if not request.stream:
            return Answer(encoded(completion_body("Hello.", annotations=notes)))
        return events(chunk(content="Hel"), chunk(content="lo.", annotations=notes), chunk("stop"))

    return answer


def urls(said: Outcome) -> list[Any]:
    """Return the URLs that the framework's own blocks cite."""
    if isinstance(said.message, AIMessage):
        blocks = [block for block in said.message.content_blocks if block["type"] == "text"]
        return [note["url"] for block in blocks for note in block.get("annotations", []) if "url" in note]
    return [block.source for block in said.message.blocks if isinstance(block, CitationBlock)]


@pytest.mark.parametrize("notes", UNREADABLE, ids=repr)
@pytest.mark.parametrize("way", WAYS, ids=str)
def test_citations_that_cannot_be_read_are_left_out(way: Way, notes: Any, serve: Serve) -> None:
    said = way.ask(serve(cited(notes)))
    assert (said.text, urls(said)) == ("Hello.", [])


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_readable_citation_stays_among_unreadable_ones(way: Way, serve: Serve) -> None:
    said = way.ask(serve(cited([None, GOOD, 5, {"type": "url_citation", "url_citation": 5}])))
    assert (said.text, urls(said)) == ("Hello.", ["https://a.example"])
