"""Indices, query engines, chat engines, ingestion and reranking."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import llama_index.core
import pytest
from llama_index.core import Document, SummaryIndex, VectorStoreIndex
from llama_index.core.callbacks import CallbackManager, CBEventType, LlamaDebugHandler
from llama_index.core.evaluation import RelevancyEvaluator
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
from pydantic import BaseModel

from hubmix.embedded import EmbeddedHub, Fault
from hubmix.errors import ConfigurationError, ServerError
from llamaindex_hubmix import Hubmix, HubmixEmbedding, HubmixRerank
from tests.llamaindex.conftest import chats

Make = Callable[..., Hubmix]

DOCUMENTS = [
    Document(text="Paris is the capital of France. The Seine flows through Paris."),
    Document(text="The kiwi is a bird that cannot fly. It lives in New Zealand."),
    Document(text="Copper melts at 1085 degrees Celsius. It conducts electricity well."),
]
QUESTION = "At how many degrees does copper melt?"


class Capital(BaseModel):
    """A capital and its country."""

    name: str
    country: str


@pytest.fixture
def index(embedding: HubmixEmbedding) -> VectorStoreIndex:
    return VectorStoreIndex.from_documents(DOCUMENTS, embed_model=embedding)


# ---------------------------------------------------------------------------------------------------- query engines


def test_a_query_answers_from_its_sources(index: VectorStoreIndex, llm: Hubmix) -> None:
    response = index.as_query_engine(llm=llm, similarity_top_k=1).query(QUESTION)
    assert "1085" in str(response)
    assert "Copper" in response.source_nodes[0].text


async def test_the_same_asynchronously(index: VectorStoreIndex, llm: Hubmix) -> None:
    response = await index.as_query_engine(llm=llm, similarity_top_k=1).aquery(QUESTION)
    assert "1085" in str(response)


def test_a_streamed_query(index: VectorStoreIndex, llm: Hubmix) -> None:
    response = index.as_query_engine(llm=llm, similarity_top_k=1, streaming=True).query(QUESTION)
    pieces = list(response.response_gen)
    # LlamaIndex before 0.14.25 gathers the whole answer in its synthesizer before it hands it on.
    assert len(pieces) > 3 or llama_index.core.__version__ == "0.14.24"
    assert "1085" in "".join(pieces)


async def test_a_streamed_query_asynchronously(index: VectorStoreIndex, llm: Hubmix) -> None:
    response = await index.as_query_engine(llm=llm, similarity_top_k=1, streaming=True, use_async=True).aquery(QUESTION)
    assert "1085" in "".join([piece async for piece in response.async_response_gen()])


@pytest.mark.parametrize("method", ["json_schema", "function_calling", "text"])
async def test_a_query_with_an_output_class(index: VectorStoreIndex, make: Make, method: Any) -> None:
    engine = index.as_query_engine(llm=make(structured_output_method=method), output_cls=Capital, similarity_top_k=1)
    assert isinstance(engine.query("Which capital? name and country").response, Capital)
    assert isinstance((await engine.aquery("Which capital? name and country")).response, Capital)


class Told(BaseModel):
    """What is known."""

    answer: str


@pytest.mark.parametrize("method", ["json_schema", "function_calling", "text"])
async def test_a_streamed_query_with_an_output_class(index: VectorStoreIndex, make: Make, method: Any) -> None:
    """Core shows of such a stream the field `answer` and nothing else."""
    llm, asked = make(structured_output_method=method), "How hot? answer: 1085"
    engine = index.as_query_engine(llm=llm, output_cls=Told, streaming=True, similarity_top_k=1)
    assert "1085" in list(engine.query(asked).response_gen)[-1]
    response = await engine.aquery(asked)
    assert "1085" in [piece async for piece in response.async_response_gen()][-1]


@pytest.mark.parametrize("mode", ["compact", "refine", "tree_summarize", "simple_summarize", "accumulate"])
def test_every_way_to_synthesize(index: VectorStoreIndex, llm: Hubmix, mode: Any) -> None:
    assert str(index.as_query_engine(llm=llm, response_mode=mode, similarity_top_k=3).query(QUESTION))


def test_a_prompt_is_packed_by_the_window_of_the_model(make: Make, server: EmbeddedHub) -> None:
    """A window of the wrong size costs calls: all of this fits into one."""
    index = SummaryIndex([TextNode(text=f"Kiwi {n} is a bird that cannot fly.") for n in range(400)])
    index.as_query_engine(llm=make()).query("What is a kiwi?")
    assert len(chats(server)) == 1
    server.clear()
    index.as_query_engine(llm=make(context_window=3_000)).query("What is a kiwi?")
    assert len(chats(server)) > 1


def test_an_evaluator(index: VectorStoreIndex, llm: Hubmix) -> None:
    response = index.as_query_engine(llm=llm, similarity_top_k=1).query(QUESTION)
    assert RelevancyEvaluator(llm=llm).evaluate_response(QUESTION, response).feedback


# ----------------------------------------------------------------------------------------------------- chat engines


@pytest.mark.parametrize("mode", ["context", "condense_question", "condense_plus_context", "simple"])
def test_a_chat_engine_remembers(index: VectorStoreIndex, llm: Hubmix, server: EmbeddedHub, mode: Any) -> None:
    memory = ChatMemoryBuffer.from_defaults(llm=llm)
    assert memory.token_limit == 96_000
    engine = index.as_chat_engine(chat_mode=mode, llm=llm, memory=memory, similarity_top_k=1)
    assert str(engine.chat(QUESTION))
    assert str(engine.chat("And what does it conduct?"))
    assert [message.role.value for message in memory.get_all()] == ["user", "assistant"] * 2
    assert "degrees" in str(chats(server)[-1]["messages"]) or mode == "condense_question"


@pytest.mark.parametrize("mode", ["context", "condense_question", "condense_plus_context", "simple"])
async def test_a_chat_engine_remembers_asynchronously(
    index: VectorStoreIndex, llm: Hubmix, server: EmbeddedHub, mode: Any
) -> None:
    memory = ChatMemoryBuffer.from_defaults(llm=llm)
    engine = index.as_chat_engine(chat_mode=mode, llm=llm, memory=memory, similarity_top_k=1)
    assert str(await engine.achat(QUESTION))
    assert str(await engine.achat("And what does it conduct?"))
    assert [message.role.value for message in memory.get_all()] == ["user", "assistant"] * 2
    assert "degrees" in str(chats(server)[-1]["messages"]) or mode == "condense_question"


def test_a_streamed_chat(index: VectorStoreIndex, llm: Hubmix) -> None:
    engine = index.as_chat_engine(chat_mode="context", llm=llm, similarity_top_k=1)
    assert "1085" in "".join(engine.stream_chat(QUESTION).response_gen)
    assert "1085" in str(engine.chat_history[-1].content)


async def test_a_streamed_chat_asynchronously(index: VectorStoreIndex, llm: Hubmix) -> None:
    engine = index.as_chat_engine(chat_mode="context", llm=llm, similarity_top_k=1)
    response = await engine.astream_chat(QUESTION)
    assert "1085" in "".join([token async for token in response.async_response_gen()])


# -------------------------------------------------------------------------------------------------------- reranking


def nodes() -> list[NodeWithScore]:
    return [NodeWithScore(node=TextNode(text=document.text), score=0.5) for document in DOCUMENTS]


async def test_nodes_are_ordered_by_relevance(rerank: HubmixRerank, server: EmbeddedHub) -> None:
    found = rerank.postprocess_nodes(nodes(), query_str=QUESTION)
    assert len(found) == 2
    assert found[0].text.startswith("Copper")
    assert (found[0].score or 0) > (found[1].score or 0)
    same = await rerank.apostprocess_nodes(nodes(), query_bundle=QueryBundle(QUESTION))
    assert [(n.text, n.score) for n in same] == [(n.text, n.score) for n in found]
    assert [request.json["top_n"] for request in server.requests] == [2, 2]


async def test_no_nodes_need_no_request(rerank: HubmixRerank, server: EmbeddedHub) -> None:
    assert rerank.postprocess_nodes([], query_str=QUESTION) == []
    assert await rerank.apostprocess_nodes([], query_str=QUESTION) == []
    assert server.requests == []


async def test_reranking_without_a_query_is_an_error(rerank: HubmixRerank) -> None:
    with pytest.raises(ConfigurationError, match="query"):
        rerank.postprocess_nodes(nodes())
    with pytest.raises(ConfigurationError, match="query"):
        await rerank.apostprocess_nodes(nodes())


def test_the_callers_nodes_are_left_alone(rerank: HubmixRerank) -> None:
    mine = nodes()
    rerank.postprocess_nodes(mine, query_str=QUESTION)
    assert [node.score for node in mine] == [0.5] * 3


async def test_reranking_sends_its_events(server: EmbeddedHub, events: list[Any]) -> None:
    debug = LlamaDebugHandler(print_trace_on_end=False)
    rerank = HubmixRerank(model="embedded/rerank", callback_manager=CallbackManager([debug]))
    rerank.postprocess_nodes(nodes(), query_str=QUESTION)
    await rerank.apostprocess_nodes(nodes(), query_str=QUESTION)
    names = [event.class_name() for event in events]
    assert names.count("ReRankStartEvent") == names.count("ReRankEndEvent") == 2
    assert len(debug.get_event_pairs(CBEventType.RERANKING)) == 2


def test_reranking_in_a_query_engine(index: VectorStoreIndex, llm: Hubmix, rerank: HubmixRerank) -> None:
    engine = index.as_query_engine(llm=llm, similarity_top_k=3, node_postprocessors=[rerank])
    response = engine.query(QUESTION)
    assert len(response.source_nodes) == 2
    assert response.source_nodes[0].text.startswith("Copper")


def test_a_failing_reranker_raises_its_error(rerank: HubmixRerank, server: EmbeddedHub) -> None:
    server.fault("embedded/rerank", Fault.answer(500), times=None)
    rerank.max_retries = 0
    with pytest.raises(ServerError, match="embedded/rerank"):
        rerank.postprocess_nodes(nodes(), query_str=QUESTION)
