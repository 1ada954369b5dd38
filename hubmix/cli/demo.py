"""`hubmix demo`: what the classes do, each part with its code.

It runs on a hub if the environment has a key for one, else on the embedded hub.
"""

from __future__ import annotations

import inspect
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hubmix.cli import screen
from hubmix.errors import HubmixError
from hubmix.hub.hub import Hub
from hubmix.notebook import own_hub

if TYPE_CHECKING:
    from langchain_core.documents import Document

DOCUMENTS = Path(__file__).parent / "documents"
QUESTION = "When does a stream change its model?"
NEXT = """\
export HUBMIX_API_KEY=…   # then run this demo again: it asks your hub
{command} models --supports tools --max-input-price 1
{command} chat "Why is the sky blue?" --fallback auto
docs/tutorial.md, and the notebooks"""


@dataclass(frozen=True, slots=True)
class Cast:
    """The hub and the models that the parts use."""

    hub: Hub
    model: str
    embedding: str
    said: str
    embedded: bool = False


@contextmanager
def choose() -> Iterator[Cast]:
    """Yield a hub with a key if the environment has one, else the embedded hub."""
    hub = own_hub()
    if hub is not None:
        model = os.environ.get("HUBMIX_DEMO_MODEL", "gpt-4o-mini")
        embedding = os.environ.get("HUBMIX_DEMO_EMBEDDING", "text-embedding-3-small")
        said = f"This runs on {hub.base_url} with the key from {hub.key_source}; it costs well under a cent."
        yield Cast(hub, model, embedding, said)
        return
    from hubmix.embedded import EmbeddedHub
    from hubmix.embedded.sample import sample_models

    with EmbeddedHub("aihubmix", models=sample_models(), pace=0.01) as server:
        # Named as AIHubMix, the embedded hub is asked for that hub's rich catalog.
        hub = Hub("aihubmix", base_url=server.base_url, api_key=server.api_key)
        said = (
            "No key found, so this runs on the embedded hub: a real server on this machine whose models are rules "
            "without intelligence under well-known names. They copy their answers from the text they are given."
        )
        yield Cast(hub, "gpt-4o-mini", "text-embedding-3-small", said, embedded=True)
        hub.close()


def documents() -> list[Document]:
    """Return the texts that the questions are about, as LangChain's documents."""
    from langchain_core.documents import Document

    return [
        Document(path.read_text(encoding="utf-8"), metadata={"source": path.stem})
        for path in sorted(DOCUMENTS.glob("*.md"))
    ]


def chain(hub: Hub, model: str, embedding: str) -> None:
    """LangChain: a chain that streams, with its sources."""
    from langchain_core.prompts import ChatPromptTemplate
    from langchain_core.vectorstores import InMemoryVectorStore

    from langchain_hubmix import ChatHubmix, HubmixEmbeddings

    store = InMemoryVectorStore.from_documents(documents(), HubmixEmbeddings(model=embedding, hub=hub))
    found = store.similarity_search(QUESTION, k=2)
    prompt = ChatPromptTemplate.from_template("Answer from the context.\n\nContext:\n{context}\n\nQuestion: {question}")
    answer = prompt | ChatHubmix(model=model, hub=hub)
    for piece in answer.stream({"context": "\n".join(one.page_content for one in found), "question": QUESTION}):
        print(piece.text, end="", flush=True)
    print("\nsources:", *(one.metadata["source"] for one in found))


def agent(hub: Hub, model: str, embedding: str) -> None:
    """LangChain: an agent that calls a tool."""
    from langchain.agents import create_agent

    from langchain_hubmix import ChatHubmix

    def multiply(a: int, b: int) -> int:
        """Multiply two whole numbers."""
        return a * b

    worker: Any = create_agent(ChatHubmix(model=model, hub=hub), [multiply])
    for message in worker.invoke({"messages": [("user", "What is 17 times 23?")]})["messages"]:
        print(f"{message.type}: {message.text or message.tool_calls[0]['args']}")


def index(hub: Hub, model: str, embedding: str) -> None:
    """LlamaIndex: a query over a vector index."""
    from llama_index.core import Document, VectorStoreIndex

    from llamaindex_hubmix import Hubmix, HubmixEmbedding

    texts = [Document(text=one.page_content, metadata=one.metadata) for one in documents()]
    vectors = VectorStoreIndex.from_documents(texts, embed_model=HubmixEmbedding(embedding, hub=hub))
    engine = vectors.as_query_engine(llm=Hubmix(model, hub=hub), similarity_top_k=2)
    response: Any = engine.query(QUESTION)
    print(response)
    print("sources:", *(f"{found.metadata['source']} ({found.score:.2f})" for found in response.source_nodes))


# The packages that each part needs, and the part.
PARTS: tuple[tuple[str, Callable[[Hub, str, str], None]], ...] = (
    ("langchain_core", chain),
    ("langchain", agent),
    ("llama_index", index),
)


def code_of(part: Callable[..., None], **values: str) -> str:
    """Return the body of a part with values in place of its parameters."""
    lines = inspect.getsource(part).splitlines()
    body = textwrap.dedent("\n".join(lines[2:])).strip().replace(": Any =", " =")
    names = "|".join(values)
    return re.sub(rf"(?<==)({names})\b|(?<=\()({names})\b(?=,)", lambda m: f'"{values[m[1] or m[2]]}"', body)


def show_code(code: str) -> None:
    """Write code, in colours on a terminal and set off from its result."""
    if screen.on_terminal(sys.stdout):
        from rich.syntax import Syntax

        screen.show(Syntax(code, "python", background_color="default", word_wrap=True))
    else:
        screen.line(textwrap.indent(code, "    "))
    screen.line()


def command() -> str:
    """Return the command as a shell finds it: its path if it is not on PATH."""
    installed = Path(sys.executable).parent / "hubmix"
    if shutil.which("hubmix") is not None or not installed.is_file():
        return "hubmix"
    here = Path.cwd()
    return str(installed.relative_to(here) if installed.is_relative_to(here) else installed)


def heading(text: str) -> None:
    """Begin a part."""
    screen.line(f"\n== {text}\n")


def main() -> int:
    """Run every part; 0 if all of them worked."""
    from hubmix.cli.demo_faults import show_faults

    try:
        with choose() as cast:
            screen.line("\n".join(textwrap.wrap(cast.said, 100)))
            cast.hub.models.list()  # prices are known from the first call on
            with cast.hub.spending() as spent:
                for package, part in PARTS:
                    heading((inspect.getdoc(part) or "").rstrip("."))
                    if find_spec(package) is None:
                        screen.line(f"skipped: {package} is not installed")
                        continue
                    show_code(code_of(part, model=cast.model, embedding=cast.embedding))
                    part(cast.hub, cast.model, cast.embedding)
            if find_spec("langchain_core") is not None and find_spec("starlette") is not None:
                heading("The same faults through ChatOpenAI and ChatHubmix")
                show_faults()
            heading("What the first three parts cost")
            show_code("with hub.spending() as spent:\n    ...\nspent")
            screen.line(f"{spent}")
        heading("What next")
        screen.line(NEXT.format(command=command()))
    except HubmixError as error:
        screen.line(f"\nThe demo stopped: {error}")
        return 1
    except KeyboardInterrupt:
        screen.line("\nstopped")
        return 130
    except BrokenPipeError as error:  # of a print in a part
        raise screen.PipeClosedError from error
    return 0
