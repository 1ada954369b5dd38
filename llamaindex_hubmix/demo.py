"""The LlamaIndex part of `python -m hubmix.demo`: a question answered from a vector index, with its sources."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llama_index.core import VectorStoreIndex
from llama_index.core.base.response.schema import StreamingResponse
from llama_index.core.schema import TextNode

from llamaindex_hubmix.embeddings import HubmixEmbedding
from llamaindex_hubmix.llms import Hubmix

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hubmix.hub.hub import Hub

QUESTION = "When does a stream change its model?"


def query(
    hub: Hub,
    model: str,
    embedding_model: str,
    documents: Sequence[tuple[str, str]],
    write: Callable[[str], Any],
) -> None:
    """Index the paragraphs of some documents, and stream the answer to a question about them.

    Args:
        hub: where the models are.
        model: a chat model.
        embedding_model: an embedding model.
        documents: names and texts.
        write: takes text as it comes.
    """
    nodes = [
        TextNode(text=paragraph, metadata={"document": name})
        for name, text in documents
        for paragraph in text.split("\n\n")
        if paragraph.strip() and not paragraph.startswith("#")
    ]
    index = VectorStoreIndex(nodes, embed_model=HubmixEmbedding(embedding_model, hub=hub))
    engine = index.as_query_engine(llm=Hubmix(model, hub=hub), similarity_top_k=2, streaming=True)
    write(f"Q: {QUESTION}\nA: ")
    response = engine.query(QUESTION)
    if isinstance(response, StreamingResponse):
        for piece in response.response_gen:
            write(piece)
    else:
        write(str(response))
    sources = [f"{found.node.metadata['document']} ({found.score or 0.0:.2f})" for found in response.source_nodes]
    write(f"\nSources: {', '.join(sources)} of {len(nodes)} paragraphs\n")
