"""HubmixEmbedding: batches, order, bounds, cache, and failures."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from llama_index.core.callbacks import CallbackManager, CBEventType, LlamaDebugHandler
from llama_index.core.schema import TextNode
from llama_index.core.storage.kvstore import SimpleKVStore

from hubmix.embedded import EmbeddedHub, Fault
from hubmix.errors import ConfigurationError, ServerError
from llamaindex_hubmix import HubmixEmbedding

TEXTS = [f"text number {n}" for n in range(25)]


def sent(server: EmbeddedHub) -> list[Any]:
    return [request.json for request in server.requests if request.path.endswith("/embeddings")]


def test_one_text_and_one_query(embedding: HubmixEmbedding, server: EmbeddedHub) -> None:
    assert embedding.get_text_embedding("a cat") == embedding.get_query_embedding("a cat")
    assert [body["input"] for body in sent(server)] == [["a cat"], ["a cat"]]


async def test_sync_and_async_agree(embedding: HubmixEmbedding) -> None:
    assert embedding.get_text_embedding("a cat") == await embedding.aget_text_embedding("a cat")
    assert embedding.get_query_embedding("a cat") == await embedding.aget_query_embedding("a cat")
    assert embedding.get_text_embedding_batch(TEXTS) == await embedding.aget_text_embedding_batch(TEXTS)


@pytest.mark.parametrize("show_progress", [False, True])
async def test_batches_keep_their_order(
    server: EmbeddedHub, show_progress: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tqdm.tqdm.monitor_interval", 0)  # no thread that watches the bar
    embedding = HubmixEmbedding("embedded/embed", embed_batch_size=4)
    expected = [embedding.get_text_embedding(text) for text in TEXTS]
    server.clear()
    assert embedding.get_text_embedding_batch(TEXTS, show_progress=show_progress) == expected
    assert await embedding.aget_text_embedding_batch(TEXTS, show_progress=show_progress) == expected
    assert sorted(len(body["input"]) for body in sent(server)) == [1, 1] + [4] * 12


async def test_no_texts_need_no_request(embedding: HubmixEmbedding, server: EmbeddedHub) -> None:
    assert embedding.get_text_embedding_batch([]) == await embedding.aget_text_embedding_batch([]) == []
    assert sent(server) == []


def test_dimensions_and_user_are_sent(server: EmbeddedHub) -> None:
    embedding = HubmixEmbedding("embedded/embed", dimensions=16, user="u1", extra_body={"task": "retrieval"})
    assert len(embedding.get_text_embedding("x")) == 16
    body = sent(server)[0]
    assert (body["dimensions"], body["user"], body["task"]) == (16, "u1", "retrieval")


@pytest.mark.parametrize("workers", [1, 3])
async def test_no_more_requests_at_once_than_workers(server: EmbeddedHub, workers: int) -> None:
    embedding = HubmixEmbedding("embedded/embed", embed_batch_size=1, num_workers=workers)
    running, most = 0, 0
    ask = embedding.hub.aembed

    async def watched(*args: Any) -> Any:
        nonlocal running, most
        running += 1
        most = max(most, running)
        try:
            return await ask(*args)
        finally:
            running -= 1

    embedding.hub.aembed = watched  # type: ignore[method-assign]  # to see how many run at once
    try:
        await embedding.aget_text_embedding_batch(TEXTS)
    finally:
        del embedding.hub.aembed
    assert most == workers


async def test_a_failure_leaves_no_request_behind(server: EmbeddedHub) -> None:
    server.fault("embedded/embed", Fault.answer(500))
    server.fault("embedded/embed", Fault.stall(), times=None)
    embedding = HubmixEmbedding("embedded/embed", embed_batch_size=1, num_workers=3, max_retries=0)
    with pytest.raises(ServerError, match="embedded/embed"):
        await embedding.aget_text_embedding_batch(TEXTS[:5])
    assert asyncio.all_tasks() == {asyncio.current_task()}


def test_no_other_model_is_ever_asked(server: EmbeddedHub) -> None:
    server.fault("embedded/embed", Fault.error("model_not_found"), times=None)
    with pytest.raises(ConfigurationError, match="fallbacks"):
        HubmixEmbedding("embedded/embed", fallbacks=["embedded/embed-small"])
    with pytest.raises(Exception, match="embedded/embed"):
        HubmixEmbedding("embedded/embed", max_retries=0).get_text_embedding("x")
    assert {body["model"] for body in sent(server)} == {"embedded/embed"}


@pytest.mark.parametrize("wrong", [None, 1])
def test_what_is_no_text_is_found_before_anything_is_sent(
    embedding: HubmixEmbedding, server: EmbeddedHub, wrong: Any
) -> None:
    with pytest.raises(ConfigurationError, match=f"Text 1 of 2 is a {type(wrong).__name__}, not a string"):
        embedding.get_text_embedding_batch(["a", wrong])
    assert server.requests == []


def test_an_empty_text_is_found_before_anything_is_sent(embedding: HubmixEmbedding, server: EmbeddedHub) -> None:
    with pytest.raises(ConfigurationError, match="Text 1 of 2 is empty"):
        embedding.get_text_embedding_batch(["a", ""])
    assert sent(server) == []


async def test_the_cache_is_asked_first(server: EmbeddedHub) -> None:
    embedding = HubmixEmbedding("embedded/embed", embeddings_cache=SimpleKVStore())
    first = embedding.get_text_embedding_batch(TEXTS[:3])
    assert embedding.get_text_embedding_batch(TEXTS[:3]) == first
    assert await embedding.aget_text_embedding_batch(TEXTS[:3]) == first
    assert len(sent(server)) == 1


async def test_events_come_once_a_batch(server: EmbeddedHub, events: list[Any]) -> None:
    debug = LlamaDebugHandler(print_trace_on_end=False)
    embedding = HubmixEmbedding("embedded/embed", embed_batch_size=10, callback_manager=CallbackManager([debug]))
    embedding.get_text_embedding_batch(TEXTS)
    await embedding.aget_text_embedding_batch(TEXTS)
    names = [event.class_name() for event in events]
    assert names.count("EmbeddingStartEvent") == names.count("EmbeddingEndEvent") == 6
    assert len(debug.get_event_pairs(CBEventType.EMBEDDING)) == 6
    chunks = [event.chunks for event in events if event.class_name() == "EmbeddingEndEvent"]
    # The batches of the async call run side by side: the one that is answered first ends first.
    assert sorted(text for batch in chunks for text in batch) == sorted(TEXTS * 2)


def test_it_is_a_transformation(embedding: HubmixEmbedding) -> None:
    node = embedding([TextNode(text="a cat")])[0]
    assert node.embedding == embedding.get_text_embedding("a cat")


def test_both_names_of_the_model(server: EmbeddedHub) -> None:
    assert HubmixEmbedding(model_name="m").model == HubmixEmbedding(model="m").model_name == HubmixEmbedding("m").model
    assert HubmixEmbedding("m").to_payload()["model"] == "m"


def test_a_parameter_of_openais_class_says_what_to_do(server: EmbeddedHub) -> None:
    with pytest.raises(ConfigurationError, match="leave it out"):
        HubmixEmbedding("m", api_version="2024-02-01")
    assert HubmixEmbedding("m", mode="text_search").hub  # one model serves texts and queries
