"""Every recording as what hub A answers, with a healthy hub B to go on to.

The request that was recorded does not matter here: A gives the recorded bytes to any call over their API. What must
come of it is the scope and the action of its kind, as the table of expectations names it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from langchain_core.documents import Document
from llama_index.core.schema import NodeWithScore, TextNode

from hubmix import Hub, HubmixError, StreamInterruptedError
from hubmix.failover.breakers import REGISTRY
from langchain_hubmix import HubmixEmbeddings
from langchain_hubmix import HubmixRerank as LangChainRerank
from llamaindex_hubmix import HubmixEmbedding, HubmixRerank
from tests.cases.ways import Way
from tests.gateway.played import PLAYED, Played
from tests.support.answers import Answer, ranking, vectors, whole_or_stream
from tests.support.responses import message, whole_or_response
from tests.support.scripted_hub import Request, ScriptedHub

KEY_A, KEY_B, CODE_A, HEADER_A = "sk-aaaa-only-for-a", "sk-bbbb-only-for-b", "CODE-OF-A", "header of a"
TEXTS = ["Paris is in France.", "Oslo is in Norway."]
FROM_B = "from b"


# ------------------------------------------------------------------------------------------------------ the two hubs


class Pair:
    """Hub A, which plays a recording, and hub B, which is well."""

    def __init__(self) -> None:
        self._asked = 0
        self.a, self.b = ScriptedHub(()), ScriptedHub(_good)
        self.other = Hub(base_url=self.b.base_url, api_key=KEY_B)

    @property
    def key_of_a(self) -> str:
        """Hub A's key, a new one for each call.

        Model objects of one key share what was learned of the hub.
        """
        return f"{KEY_A}-{self._asked}"

    def begin(self, played: Played) -> None:
        REGISTRY.reset()
        self._asked += 1
        self.a.script = played.answer
        self.a.requests.clear()
        self.b.requests.clear()

    def close(self) -> None:
        self.other.close()
        self.a.close()
        self.b.close()


def _good(request: Request) -> Answer:
    if request.path.endswith("/embeddings"):
        return vectors(request.body["input"])
    if request.path.endswith("/rerank"):
        return ranking(0.1, 0.9)
    if request.path.endswith("/responses"):
        return whole_or_response(message(FROM_B), stream=request.stream)
    return whole_or_stream(FROM_B, stream=request.stream)


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    made = Pair()
    yield made
    made.close()


def ask(played: Played, way: Way, pair: Pair) -> Any:
    """Return the outcome of a chat, or what the vectors or the ranking came to."""
    own = {"api_key": pair.key_of_a, "app_code": CODE_A, "default_headers": {"X-Own": HEADER_A}}
    settings = {**own, "fallbacks": [pair.other]}
    if played.verb == "embed":
        return _embed(way, {**settings, "model": "e", "base_url": pair.a.base_url, "max_retries": 0})
    if played.verb == "rerank":
        return _rerank(way, {**settings, "model": "r", "base_url": pair.a.base_url, "max_retries": 0})
    return way.ask(pair.a, api=played.verb, **settings)


def _embed(way: Way, settings: dict[str, Any]) -> list[list[float]]:
    if way.framework == "langchain":
        langchain = HubmixEmbeddings(**settings)
        return langchain.embed_documents(TEXTS) if way.waits else asyncio.run(langchain.aembed_documents(TEXTS))
    llamaindex = HubmixEmbedding(**settings)
    if way.waits:
        return llamaindex.get_text_embedding_batch(TEXTS)
    return asyncio.run(llamaindex.aget_text_embedding_batch(TEXTS))


def _rerank(way: Way, settings: dict[str, Any]) -> list[Any]:
    if way.framework == "langchain":
        documents, langchain = [Document(text) for text in TEXTS], LangChainRerank(**settings)
        if way.waits:
            return list(langchain.compress_documents(documents, "where?"))
        return list(asyncio.run(langchain.acompress_documents(documents, "where?")))
    nodes, llamaindex = [NodeWithScore(node=TextNode(text=text)) for text in TEXTS], HubmixRerank(**settings)
    if way.waits:
        return list(llamaindex.postprocess_nodes(nodes, query_str="where?"))
    return list(asyncio.run(llamaindex.apostprocess_nodes(nodes, query_str="where?")))


# ------------------------------------------------------------------------------------------------------- what is seen


def check(played: Played, way: Way, pair: Pair) -> None:
    """Ask once, and check who answered, the trace, and that nothing of A reached B."""
    pair.begin(played)
    said, error = None, None
    try:
        said = ask(played, way, pair)
    except HubmixError as caught:
        error = caught
    assert len(pair.a.requests) == 1
    assert len(pair.b.requests) == played.helped
    check_nothing_of_a(pair)
    if played.helped:
        assert error is None
        check_answer_of_b(played, said, pair)
    elif played.step.fails:
        check_error(played, error)
    else:
        assert error is None


def check_nothing_of_a(pair: Pair) -> None:
    for request in pair.b.requests:
        assert request.headers["authorization"] == f"Bearer {KEY_B}"
        sent = json.dumps([request.path, dict(request.headers), request.body])
        assert not [secret for secret in (KEY_A, CODE_A, HEADER_A, pair.a.base_url) if secret in sent]


def check_answer_of_b(played: Played, said: Any, pair: Pair) -> None:
    if played.verb in ("embed", "rerank"):
        assert len(said) == len(TEXTS)
        return
    assert said.text == FROM_B
    assert "".join(said.pieces) in (FROM_B, "")
    hubs = [urlsplit(hub.base_url).netloc for hub in (pair.a, pair.b)]
    first, last = said.trace["attempts"]
    assert (first["hub"], first["outcome"]) == (hubs[0], "error")
    assert played.wire or first["kind"] == (played.step.fails or played.step.weak)
    assert (last["hub"], last["outcome"]) == (hubs[1], "ok")


def check_error(played: Played, error: HubmixError | None) -> None:
    assert error is not None
    assert error.kind == played.step.fails
    assert [attempt.kind for attempt in error.attempts] == [played.step.fails]
    assert KEY_A not in str(error)
    if isinstance(error, StreamInterruptedError):
        assert error.partial.text == played.step.partial


def in_turn() -> list[Any]:
    """Give every third recording one of its ways; the slow test has all of both."""
    ways = [(played, played.ways[number % len(played.ways)]) for number, played in enumerate(PLAYED[::3])]
    return [pytest.param(played, way, id=f"{played.id}-{way}") for played, way in ways]


@pytest.mark.parametrize(("played", "way"), in_turn())
def test_a_recorded_answer_ends_at_the_hub_its_scope_calls_for(played: Played, way: Way, pair: Pair) -> None:
    check(played, way, pair)


@pytest.mark.slow
@pytest.mark.parametrize("played", PLAYED, ids=lambda played: played.id)
def test_a_recorded_answer_ends_alike_in_every_way(played: Played, pair: Pair) -> None:
    for way in played.ways:
        check(played, way, pair)
