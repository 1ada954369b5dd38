"""Vectors and ranks: order, batches, bounds, empty input."""

from __future__ import annotations

import asyncio
import copy
import math
import threading
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.documents import Document

from hubmix import ConfigurationError, HubmixError
from hubmix.embedded import EmbeddedHub, Fault
from langchain_hubmix import HubmixEmbeddings, HubmixRerank

if TYPE_CHECKING:
    from collections.abc import Callable

TEXTS = [f"text number {i}" for i in range(25)]


@pytest.fixture
def embeddings(server: EmbeddedHub) -> Callable[..., HubmixEmbeddings]:
    def make(**fields: Any) -> HubmixEmbeddings:
        return HubmixEmbeddings(
            **{"model": "embedded/embed", "base_url": server.base_url, "api_key": server.api_key, **fields}
        )

    return make


@pytest.fixture
def rerank(server: EmbeddedHub) -> Callable[..., HubmixRerank]:
    def make(**fields: Any) -> HubmixRerank:
        return HubmixRerank(
            **{"model": "embedded/rerank", "base_url": server.base_url, "api_key": server.api_key, **fields}
        )

    return make


def close(a: list[float], b: list[float]) -> bool:
    return len(a) == len(b) and all(math.isclose(x, y, abs_tol=1e-6) for x, y in zip(a, b, strict=True))


async def test_vectors_come_in_the_order_of_the_texts(server: EmbeddedHub, embeddings: Any) -> None:
    one_by_one = [embeddings().embed_query(text) for text in TEXTS]
    server.clear()
    model = embeddings(chunk_size=4, max_concurrency=3)

    def check(vectors: list[list[float]]) -> None:
        assert all(close(a, b) for a, b in zip(vectors, one_by_one, strict=True))
        bodies = sorted((request.json["input"] for request in server.requests), key=lambda texts: TEXTS.index(texts[0]))
        assert [text for batch in bodies for text in batch] == TEXTS
        assert max(map(len, bodies)) == 4
        server.clear()

    check(model.embed_documents(TEXTS))
    check(await model.aembed_documents(TEXTS))
    assert close(await model.aembed_query(TEXTS[0]), one_by_one[0])


def test_batches_by_size(server: EmbeddedHub, embeddings: Any) -> None:
    embeddings(max_chars=10, max_concurrency=1).embed_documents(["aaaa", "bbbb", "cccc", "d" * 50, "e"])
    assert [request.json["input"] for request in server.requests] == [["aaaa", "bbbb"], ["cccc"], ["d" * 50], ["e"]]


async def test_no_texts_need_no_request(server: EmbeddedHub, embeddings: Any) -> None:
    assert embeddings().embed_documents([]) == []
    assert await embeddings().aembed_documents([]) == []
    assert server.requests == []


async def test_texts_may_come_one_by_one(server: EmbeddedHub, embeddings: Any) -> None:
    listed = embeddings().embed_documents(TEXTS)
    assert embeddings().embed_documents(text for text in TEXTS) == listed
    assert await embeddings().aembed_documents(text for text in TEXTS) == listed
    with pytest.raises(ConfigurationError, match="use embed_query"):
        embeddings().embed_documents("one text")


async def test_an_empty_text_is_found_before_anything_is_sent(server: EmbeddedHub, embeddings: Any) -> None:
    texts = [*TEXTS, "", "x"]
    with pytest.raises(ConfigurationError, match="Text 25 of 27 is empty"):
        embeddings(chunk_size=2).embed_documents(texts)
    with pytest.raises(ConfigurationError, match="Text 25 of 27 is empty"):
        await embeddings(chunk_size=2).aembed_documents(texts)
    with pytest.raises(ConfigurationError, match="Text 0 of 1 is empty"):
        embeddings().embed_query("")
    with pytest.raises(ConfigurationError, match="is a int"):
        embeddings().embed_documents(["a", 5])
    assert server.requests == []


def test_dimensions_and_the_rest_are_sent(server: EmbeddedHub, embeddings: Any) -> None:
    assert len(embeddings(dimensions=32).embed_query("a")) == 32
    assert len(embeddings().embed_query("a")) == 256
    assert close(embeddings(encoding_format="base64").embed_query("a"), embeddings().embed_query("a"))
    embeddings(user="u", extra_body={"task": "x"}).embed_query("a")
    body = server.requests[-1].json
    assert (body["user"], body["task"], body["input"]) == ("u", "x", ["a"])


async def test_concurrency_is_bounded(server: EmbeddedHub, embeddings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    running, most, lock = 0, 0, threading.Lock()
    model = embeddings(chunk_size=1, max_concurrency=3)
    embed, aembed = type(model.hub).embed, type(model.hub).aembed

    def enter(step: int) -> None:
        nonlocal running, most
        with lock:
            running += step
            most = max(most, running)

    def counted(self: Any, *args: Any) -> Any:
        enter(1)
        try:
            return embed(self, *args)
        finally:
            enter(-1)

    async def acounted(self: Any, *args: Any) -> Any:
        enter(1)
        try:
            return await aembed(self, *args)
        finally:
            enter(-1)

    monkeypatch.setattr(type(model.hub), "embed", counted)
    monkeypatch.setattr(type(model.hub), "aembed", acounted)
    model.embed_documents(TEXTS)
    assert 1 <= most <= 3
    most = 0
    await model.aembed_documents(TEXTS)
    assert most == 3


def test_a_failed_request_is_tried_again_with_the_same_model(server: EmbeddedHub, embeddings: Any) -> None:
    model = embeddings(chunk_size=10)
    server.fault("embedded/embed", Fault.answer(503))
    assert len(model.embed_documents(TEXTS)) == 25
    assert {request.model for request in server.requests} == {"embedded/embed"}
    assert len(server.requests) == 4
    server.fault("embedded/embed", Fault.answer(400, {"error": {"message": "no", "code": "invalid_request"}}), times=9)
    with pytest.raises(HubmixError):
        model.embed_documents(TEXTS)
    model.hub.reset_health()


async def test_a_failed_request_ends_the_others(server: EmbeddedHub, embeddings: Any) -> None:
    refused = Fault.answer(400, {"error": {"message": "no", "code": "invalid_request"}})
    model = embeddings(chunk_size=1, max_concurrency=2)
    server.fault("embedded/embed", refused)
    with pytest.raises(HubmixError):
        model.embed_documents(TEXTS)
    assert len(server.requests) < 25
    server.clear()
    server.fault("embedded/embed", refused)
    before = asyncio.all_tasks()
    with pytest.raises(HubmixError):
        await model.aembed_documents(TEXTS)
    assert asyncio.all_tasks() == before
    await asyncio.sleep(0.02)
    assert len(server.requests) < 25


async def test_progress_is_shown_on_request(embeddings: Any, capsys: pytest.CaptureFixture[str]) -> None:
    embeddings(chunk_size=10).embed_documents(TEXTS)
    await embeddings(chunk_size=10).aembed_documents(TEXTS)
    assert capsys.readouterr().err == ""
    embeddings(chunk_size=10, show_progress=True).embed_documents(TEXTS)
    assert "25/25" in capsys.readouterr().err
    await embeddings(chunk_size=10, show_progress=True).aembed_documents(TEXTS)
    assert "25/25" in capsys.readouterr().err


DOCUMENTS = [
    Document("It rained all day.", metadata={"a": 1}, id="r"),
    Document("The cat sat on the mat.", metadata={"b": 2}, id="c"),
    Document("A dog barked.", id="d"),
]


async def test_documents_come_best_first_as_copies(server: EmbeddedHub, rerank: Any) -> None:
    before = copy.deepcopy(DOCUMENTS)
    ranker = rerank()
    for ranked in (
        ranker.compress_documents(DOCUMENTS, "Where did the cat sit?"),
        await ranker.acompress_documents(DOCUMENTS, "Where did the cat sit?"),
    ):
        assert len(ranked) == 3
        assert (ranked[0].id, ranked[0].metadata["b"]) == ("c", 2)
        scores = [document.metadata["relevance_score"] for document in ranked]
        assert scores == sorted(scores, reverse=True)
    assert before == DOCUMENTS


async def test_top_n(server: EmbeddedHub, rerank: Any) -> None:
    assert len(rerank(top_n=2).compress_documents(DOCUMENTS, "cat")) == 2
    assert len(rerank(top_n=9).compress_documents(DOCUMENTS, "cat")) == 3
    assert server.requests[-1].json["top_n"] == 3
    rerank().compress_documents(DOCUMENTS, "cat")
    assert server.requests[-1].json["top_n"] == 3  # some endpoints answer 400 without it
    for best in (
        rerank().rerank(["a", "a cat"], "cat", top_n=1),
        await rerank().arerank(["a", "a cat"], "cat", top_n=1),
    ):
        assert [entry["index"] for entry in best] == [1]
        assert best[0]["relevance_score"] > 0
    with pytest.raises(ConfigurationError, match="1 or more, not 0"):
        rerank(top_n=2).rerank(["a"], "cat", top_n=0)


async def test_a_vendor_that_does_not_know_top_n(server: EmbeddedHub, rerank: Any) -> None:
    everything = {"results": [{"index": i, "relevance_score": i / 3} for i in range(3)]}
    for _ in range(2):
        server.fault("embedded/rerank", Fault.answer(200, everything))
    best = rerank(top_n=1).compress_documents(DOCUMENTS, "cat")
    assert [document.page_content for document in best] == [DOCUMENTS[2].page_content]
    assert len(await rerank(top_n=1).acompress_documents(DOCUMENTS, "cat")) == 1


async def test_no_documents_need_no_request(server: EmbeddedHub, rerank: Any) -> None:
    assert list(rerank().compress_documents([], "cat")) == []
    assert list(await rerank().acompress_documents([], "cat")) == []
    assert rerank().rerank([], "cat") == []
    assert server.requests == []


def test_a_rerank_is_tried_again(server: EmbeddedHub, rerank: Any) -> None:
    server.fault("embedded/rerank", Fault.answer(503))
    ranker = rerank()
    assert ranker.compress_documents(DOCUMENTS, "cat")
    assert len(server.requests) == 2
    ranker.hub.reset_health()
