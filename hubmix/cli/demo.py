"""`hubmix demo`: the main job in both frameworks, on a hub with a key or else on the embedded hub."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hubmix._text import plain
from hubmix.cli import screen
from hubmix.errors import HubmixError
from hubmix.failover.options import CallOptions
from hubmix.hub.hub import Hub
from hubmix.notebook import own_hub

DOCUMENTS = Path(__file__).parent / "documents"
QUESTION = "When does a stream change its model?"
TASK = "What is 17 times 23?"


@dataclass(frozen=True, slots=True)
class Cast:
    """The hub and the models that the parts use."""

    hub: Hub
    chat: str
    fallback: str
    embedding: str
    missing: str
    said: str


@contextmanager
def choose() -> Iterator[Cast]:
    """A hub with a key if the environment has one, else the embedded hub."""
    hub = own_hub()
    if hub is not None:
        yield Cast(
            hub,
            chat=os.environ.get("HUBMIX_DEMO_MODEL", "gpt-4o-mini"),
            fallback=os.environ.get("HUBMIX_DEMO_FALLBACK", "gpt-4o-mini"),
            embedding=os.environ.get("HUBMIX_DEMO_EMBEDDING", "text-embedding-3-small"),
            missing="a-model-that-is-not-served",
            said=f"This runs on {hub.base_url} with the key from {hub.key_source}; it costs well under a cent.",
        )
        return
    from hubmix.embedded import EmbeddedHub

    with EmbeddedHub(dialect="aihubmix") as server:
        # Named as AIHubMix, the embedded hub is asked for that hub's rich catalog.
        hub = Hub("aihubmix", base_url=server.base_url, api_key=server.api_key)
        yield Cast(
            hub,
            chat="embedded/extract",
            fallback="embedded/think",
            embedding="embedded/embed",
            missing="embedded/absent",
            said="No key found: this runs on the embedded hub, a real server on this machine whose models are rules "
            "without intelligence. Set HUBMIX_API_KEY (or AIHUBMIX_API_KEY) to run it on a real hub.",
        )
        hub.close()


def documents() -> list[tuple[str, str]]:
    """The names and texts that the questions are about."""
    return [(path.stem, path.read_text(encoding="utf-8")) for path in sorted(DOCUMENTS.glob("*.md"))]


def show_catalog(cast: Cast) -> None:
    """Show a few models with what they can do and what they cost."""
    models = cast.hub.models.list(kind=None, sort="input_price", limit=8)
    rows = [
        (
            info.id,
            info.kind,
            f"{info.context_window:,}" if info.context_window else "unknown",
            {True: "yes", False: "no", None: "unknown"}[info.tools],
            _price(info),
        )
        for info in models
    ]
    screen.table(("model", "kind", "context", "tools", "USD per 1M tokens, in / out"), rows)
    screen.line(f"{cast.hub.models.info().count} models in all")


def _price(info: Any) -> str:
    if info.pricing is None or info.pricing.input is None:
        return "unknown"
    return f"{info.pricing.input} / {info.pricing.output if info.pricing.output is not None else 'unknown'}"


def show_chain(cast: Cast) -> None:
    """Stream the answer to a question about documents with LangChain, and name the two that were given."""
    from langchain_core.output_parsers import StrOutputParser
    from langchain_core.prompts import ChatPromptTemplate
    from langchain_core.vectorstores import InMemoryVectorStore

    from langchain_hubmix import ChatHubmix, HubmixEmbeddings

    store = InMemoryVectorStore(HubmixEmbeddings(model=cast.embedding, hub=cast.hub))
    store.add_texts([text for _, text in documents()], [{"document": name} for name, _ in documents()])
    found = store.similarity_search(QUESTION, k=2)
    prompt = ChatPromptTemplate.from_messages(
        [
            ("system", "Answer in one or two sentences, from the context alone.\n\nContext:\n{context}"),
            ("human", "{question}"),
        ]
    )
    answer = prompt | ChatHubmix(model=cast.chat, hub=cast.hub) | StrOutputParser()
    screen.write(f"Q: {QUESTION}\nA: ")
    context = "\n\n".join(document.page_content for document in found)
    for piece in answer.stream({"context": context, "question": QUESTION}):
        screen.write(piece)
    screen.line(f"\nSources: {', '.join(document.metadata['document'] for document in found)}")


def show_agent(cast: Cast) -> None:
    """Let a LangChain agent answer with a tool, and show each step."""
    from langchain.agents import create_agent

    from langchain_hubmix import ChatHubmix

    def multiply(a: int, b: int) -> int:
        """Multiply two whole numbers."""
        return a * b

    worker: Any = create_agent(ChatHubmix(model=cast.chat, hub=cast.hub), [multiply])
    screen.line(f"Q: {TASK}")
    for step in worker.stream({"messages": [("user", TASK)]}, stream_mode="updates"):
        for message in (message for update in step.values() for message in update["messages"]):
            for call in getattr(message, "tool_calls", ()):
                arguments = ", ".join(f"{name}={value}" for name, value in call["args"].items())
                screen.line(f"calls {call['name']}({arguments})")
            if message.text:
                screen.line(f"{'gets' if message.type == 'tool' else 'A:'} {message.text}")


def show_query(cast: Cast) -> None:
    """Index the paragraphs of the documents with LlamaIndex, and stream the answer to a question about them."""
    from llama_index.core import VectorStoreIndex
    from llama_index.core.schema import TextNode

    from llamaindex_hubmix import Hubmix, HubmixEmbedding

    nodes = [
        TextNode(text=paragraph, metadata={"document": name})
        for name, text in documents()
        for paragraph in text.split("\n\n")
        if paragraph.strip() and not paragraph.startswith("#")
    ]
    index = VectorStoreIndex(nodes, embed_model=HubmixEmbedding(cast.embedding, hub=cast.hub))
    engine = index.as_query_engine(llm=Hubmix(cast.chat, hub=cast.hub), similarity_top_k=2, streaming=True)
    screen.write(f"Q: {QUESTION}\nA: ")
    response: Any = engine.query(QUESTION)
    for piece in response.response_gen:
        screen.write(piece)
    sources = [f"{found.node.metadata['document']} ({found.score or 0.0:.2f})" for found in response.source_nodes]
    screen.line(f"\nSources: {', '.join(sources)} of {len(nodes)} paragraphs")


def show_failover(cast: Cast) -> None:
    """Show one call whose first model is not served."""
    question = [{"role": "user", "content": "Say hello in one short sentence."}]
    reply = cast.hub.chat(
        {"model": cast.missing, "messages": question, "max_tokens": 200}, CallOptions(fallbacks=(cast.fallback,))
    )
    screen.line(f"asked {cast.missing}, answered by {reply.served}: {reply.text.strip()}")
    trace = reply.trace.to_dict() if reply.trace is not None else {"attempts": []}
    for attempt in trace["attempts"]:
        told = ", ".join(str(attempt[key]) for key in ("kind", "status", "code") if attempt.get(key))
        screen.line(f"  {attempt['model']}: {attempt['outcome']}{f' ({told})' if told else ''}")
    if reply.usage is not None:
        cost = reply.cost.total if reply.cost is not None else None
        price = f"${cost}" if cost is not None else "unknown (the catalog has no price)"
        screen.line(f"  tokens: {reply.usage.input_tokens} in, {reply.usage.output_tokens} out; cost: {price}")


# Title, the package that the part needs, and the part.
PARTS: tuple[tuple[str, str, Callable[[Cast], None]], ...] = (
    ("The catalog, asked from the hub", "hubmix", show_catalog),
    ("LangChain: a chain that streams an answer with its sources", "langchain_core", show_chain),
    ("LangChain: an agent that calls a tool", "langchain", show_agent),
    ("LlamaIndex: a query over a vector index", "llama_index", show_query),
    ("Failover, with its trace", "hubmix", show_failover),
)


def main() -> int:
    """Run every part; 0 if all of them worked."""
    try:
        with choose() as cast:
            screen.line(cast.said)
            with cast.hub.spending() as spending:
                for title, package, part in PARTS:
                    screen.line(f"\n== {title}")
                    if find_spec(package) is None:
                        screen.line(f"skipped: {package} is not installed")
                    else:
                        part(cast)
            screen.line("\n== Spent")
            note = "" if spending.complete else " (some prices are unknown)"
            screen.line(f"{spending.calls} calls, {spending.tokens} tokens, ${plain(spending.known)}{note}")
    except HubmixError as error:
        screen.line(f"\nThe demo stopped: {error}")
        return 1
    except KeyboardInterrupt:
        screen.line("\nstopped")
        return 130
    return 0
