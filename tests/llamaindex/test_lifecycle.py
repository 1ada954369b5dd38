"""Copies, pickles, workers, loops, threads, and streams left unread."""

from __future__ import annotations

import asyncio
import copy
import gc
import json
import logging
import multiprocessing
import pickle
import threading
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.schema import Document

import hubmix
import llamaindex_hubmix
from hubmix import FailoverPolicy, Hub
from hubmix._compat import http
from hubmix.embedded import EmbeddedHub, Fault
from hubmix.errors import HubmixError, ServerError, StreamInterruptedError
from llamaindex_hubmix import Hubmix, HubmixEmbedding, HubmixRerank
from tests.llamaindex.conftest import chats, until
from tests.support.processes import warm

Make = Callable[..., Hubmix]
MESSAGES = [ChatMessage(role="user", content="What is a kiwi? Context: The kiwi is a bird.")]
ANSWER = "The kiwi is a bird."
OURS = [Path(package.__path__[0]) for package in (hubmix, llamaindex_hubmix)]


def everything(server: EmbeddedHub) -> list[Any]:
    connection = {"base_url": server.base_url, "api_key": server.api_key}
    return [
        Hubmix("embedded/extract", fallbacks=["embedded/echo"], failover=FailoverPolicy(max_retries=0), **connection),
        HubmixEmbedding("embedded/embed", dimensions=8, **connection),
        HubmixRerank("embedded/rerank", top_n=1, **connection),
    ]


# ----------------------------------------------------------------------------------------------- copies and pickles


@pytest.mark.parametrize("used", [False, True], ids=["fresh", "used"])
@pytest.mark.parametrize("make_copy", [copy.copy, copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))])
def test_a_copy_works_like_the_original(
    server: EmbeddedHub, make_copy: Callable[[Any], Any], used: bool, caplog: pytest.LogCaptureFixture
) -> None:
    for original in everything(server):
        if used and isinstance(original, Hubmix):
            original.chat(MESSAGES)
        twin = make_copy(original)
        assert type(twin) is type(original)
        assert twin.to_dict() == original.to_dict()
        assert twin.hub.base_url == server.base_url
        if isinstance(twin, Hubmix):
            assert ANSWER in str(twin.chat(MESSAGES))
            assert twin.failover == FailoverPolicy(max_retries=0)
    assert "Removing unpickleable" not in caplog.text


async def test_a_pickle_of_what_was_used_in_a_loop_works(make: Make) -> None:
    llm = make()
    await llm.achat(MESSAGES)
    twin = pickle.loads(pickle.dumps(llm))
    assert ANSWER in str(await twin.achat(MESSAGES))


def test_a_model_with_a_hub_of_its_own_pickles(server: EmbeddedHub) -> None:
    hub = Hub(base_url=server.base_url, api_key=server.api_key, timeout=7)
    twin = pickle.loads(pickle.dumps(Hubmix("embedded/extract", hub=hub)))
    assert twin.hub.timeout == 7
    assert ANSWER in str(twin.chat(MESSAGES))


def test_a_model_with_an_http_client_copies_and_pickles(server: EmbeddedHub, caplog: pytest.LogCaptureFixture) -> None:
    with http().Client() as client:
        llm = Hubmix("embedded/extract", http_client=client)
        assert copy.deepcopy(llm).http_client is client
        twin = pickle.loads(pickle.dumps(llm))
        assert ANSWER in str(llm.chat(MESSAGES))
    assert twin.http_client is None
    assert ANSWER in str(twin.chat(MESSAGES))
    assert "Removing unpickleable" not in caplog.text


def test_to_dict_and_back(server: EmbeddedHub) -> None:
    for original in everything(server):
        stored = json.loads(original.to_json())
        twin = type(original).from_dict(stored, api_key=server.api_key)
        assert twin.to_dict() == original.to_dict()
        assert twin.hub.base_url == server.base_url


def test_the_constructor_takes_every_field_by_its_name(server: EmbeddedHub) -> None:
    for original in everything(server):
        fields = {name: getattr(original, name) for name in type(original).model_fields}
        assert type(original)(**fields).to_dict() == original.to_dict()


def test_errors_survive_the_way_between_processes(make: Make, server: EmbeddedHub) -> None:
    server.fault("*", Fault.answer(500), times=None)
    for kwargs in ({}, {"fallbacks": ["embedded/echo"]}):
        with pytest.raises(HubmixError) as caught:
            make(max_retries=0, **kwargs).chat(MESSAGES)
        twin = pickle.loads(pickle.dumps(caught.value))
        assert (type(twin), str(twin), twin.request_id) == (
            type(caught.value),
            str(caught.value),
            caught.value.request_id,
        )


# --------------------------------------------------------------------------------------------------- worker processes


_HARD_LIMIT = 150.0


def within_limit(work: Callable[[], Any]) -> Any:
    """Run `work` in a thread and give up after a while: a pool may hang."""
    pool = ThreadPoolExecutor(1, thread_name_prefix="within_limit")
    try:
        return pool.submit(work).result(timeout=_HARD_LIMIT)
    finally:
        for child in multiprocessing.active_children():
            child.join(timeout=1)
        pool.shutdown(wait=False, cancel_futures=True)


@pytest.fixture
def warm_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """LlamaIndex's workers, forked warm: the same pickles without the imports."""
    monkeypatch.setattr("llama_index.core.ingestion.pipeline.multiprocessing.get_context", lambda method: warm())


@pytest.mark.usefixtures("warm_workers")
def test_ingestion_with_two_workers(embedding: HubmixEmbedding) -> None:
    pipeline = IngestionPipeline(transformations=[SentenceSplitter(chunk_size=64, chunk_overlap=0), embedding])
    documents = [Document(text=f"Document {n} is short.") for n in range(4)]
    nodes = within_limit(lambda: pipeline.run(documents=documents, num_workers=2))
    assert len(nodes) == 4
    assert all(len(node.embedding) == 256 for node in nodes)


@pytest.mark.usefixtures("warm_workers")
def test_an_error_inside_a_worker_surfaces(server: EmbeddedHub) -> None:
    server.fault("embedded/embed", Fault.answer(500), times=None)
    pipeline = IngestionPipeline(transformations=[HubmixEmbedding("embedded/embed", max_retries=0)])
    documents = [Document(text=f"Document {n}.") for n in range(4)]
    with pytest.raises(ServerError, match="embedded/embed"):
        within_limit(lambda: pipeline.run(documents=documents, num_workers=2))


async def test_asynchronous_ingestion(embedding: HubmixEmbedding) -> None:
    pipeline = IngestionPipeline(transformations=[embedding])
    nodes = await pipeline.arun(documents=[Document(text=f"Document {n}.") for n in range(4)])
    assert all(node.embedding for node in nodes)


def test_asynchronous_ingestion_with_two_workers(server: EmbeddedHub) -> None:
    pipeline = IngestionPipeline(transformations=[HubmixEmbedding("embedded/embed", max_retries=0)], disable_cache=True)
    documents = [Document(text=f"Document {n}.") for n in range(4)]
    nodes = within_limit(lambda: asyncio.run(pipeline.arun(documents=documents, num_workers=2)))
    assert [len(node.embedding) for node in nodes] == [256] * 4
    server.fault("embedded/embed", Fault.answer(500), times=None)
    with pytest.raises(ServerError, match="embedded/embed"):
        within_limit(lambda: asyncio.run(pipeline.arun(documents=documents, num_workers=2)))


def test_the_key_does_not_change_the_cache_of_a_pipeline(server: EmbeddedHub) -> None:
    from llama_index.core.ingestion.pipeline import get_transformation_hash

    nodes = [Document(text="x")]
    one, other = (HubmixEmbedding("embedded/embed", base_url=server.base_url, api_key=key) for key in ("sk-a", "sk-b"))
    assert get_transformation_hash(nodes, one) == get_transformation_hash(nodes, other)


# ----------------------------------------------------------------------------------------------------- event loops


def test_one_model_in_a_hundred_loops(make: Make, server: EmbeddedHub) -> None:
    llm = make(max_retries=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        for _ in range(100):
            assert ANSWER in str(asyncio.run(llm.achat(MESSAGES)))
    assert len(chats(server)) == 100


def test_one_model_in_loops_of_many_threads(make: Make, server: EmbeddedHub) -> None:
    llm = make(max_retries=0)

    async def several() -> list[str]:
        return [str(r) for r in await asyncio.gather(*(llm.achat(MESSAGES) for _ in range(5)))]

    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.extend(asyncio.run(several()))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(found) == 40
    assert all(ANSWER in text for text in found)
    assert len(chats(server)) == 40


def test_sync_calls_from_many_threads(make: Make) -> None:
    llm = make()
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: str(llm.chat(MESSAGES)), range(40)))
    assert all(ANSWER in text for text in found)


async def test_sync_calls_work_inside_a_loop(llm: Hubmix) -> None:
    assert ANSWER in str(llm.chat(MESSAGES))
    assert ANSWER in str(list(llm.stream_chat(MESSAGES))[-1])


# -------------------------------------------------------------------------------------------------- abandoned streams


@pytest.fixture
def long_answer(make: Make) -> Hubmix:
    return make("lorem:400")


def test_abandoned_streams_do_not_lock_up(long_answer: Hubmix) -> None:
    """Garbage collection in the thread that holds the pool's lock locks others up."""
    threshold = gc.get_threshold()
    gc.set_threshold(20, 2, 2)
    try:

        def abandon() -> None:
            for _ in range(60):
                for number, _response in enumerate(long_answer.stream_chat(MESSAGES)):
                    if number == 3:
                        break

        thread = threading.Thread(target=abandon, daemon=True)
        thread.start()
        thread.join(30)
        assert not thread.is_alive()
    finally:
        gc.set_threshold(*threshold)
    assert list(long_answer.stream_chat(MESSAGES))[-1].additional_kwargs["finish_reason"]


async def test_abandoned_asynchronous_streams_leave_nothing(long_answer: Hubmix) -> None:
    for _ in range(20):
        async for _response in await long_answer.astream_chat(MESSAGES):
            break
        stream = await long_answer.astream_complete("x")
        await anext(stream)
        await stream.aclose()
    assert (await long_answer.achat(MESSAGES)).message.content


@pytest.mark.parametrize("verb", ["astream_chat", "astream_complete"])
@pytest.mark.parametrize("held", [False, True], ids=["dropped", "held"])
def test_a_loop_that_ends_with_a_stream_half_read_closes_it_once(long_answer: Hubmix, verb: str, held: bool) -> None:
    """asyncio closes all generators it knows at once, and logs double closing."""
    failed: list[str] = []

    def note(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        failed.append(context["asyncgen"].ag_code.co_filename)

    async def read() -> Any:
        asyncio.get_running_loop().set_exception_handler(note)
        stream = await getattr(long_answer, verb)(MESSAGES if verb == "astream_chat" else "x")
        await anext(stream)
        return stream if held else None

    for _ in range(5):
        asyncio.run(read())
    # httpx2's own generators have the trouble among themselves.
    assert [name for name in failed if any(Path(name).is_relative_to(folder) for folder in OURS)] == []


def test_a_stream_that_is_closed_ends(long_answer: Hubmix) -> None:
    stream = long_answer.stream_chat(MESSAGES)
    next(stream)
    stream.close()
    assert list(stream) == []


async def test_cancelling_a_stream_ends_it(long_answer: Hubmix, server: EmbeddedHub) -> None:
    server.fault("*", Fault.stall(3), times=None)
    seen = []

    async def read() -> None:
        async for response in await long_answer.astream_chat(MESSAGES):
            seen.append(response)

    task = asyncio.ensure_future(read())
    await until(lambda: bool(seen))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_a_stalled_stream_is_given_up(make: Make, server: EmbeddedHub) -> None:
    server.fault("*", Fault.stall(3), times=None)
    llm = make(failover=FailoverPolicy(idle_timeout=0.05))
    with pytest.raises(StreamInterruptedError):
        list(llm.stream_chat(MESSAGES))


def test_nothing_is_logged_beside_warnings(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        make().chat(MESSAGES)
        list(make().stream_chat(MESSAGES))
    assert caplog.records == []
