"""The parts of the demo, in order."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hubmix.demo.page import Page
from hubmix.errors import HubmixError
from hubmix.failover.options import CallOptions
from hubmix.hub.hub import Hub
from hubmix.notebook import own_hub

DOCUMENTS = Path(__file__).parent / "documents"


@dataclass(frozen=True, slots=True)
class Cast:
    """Who plays: the hub and the models that the parts use."""

    hub: Hub
    chat: str
    fallback: str
    embedding: str
    missing: str
    said: str


@contextmanager
def choose() -> Iterator[Cast]:
    """A hub with a key if there is one, the embedded hub if there is none."""
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


def show_catalog(cast: Cast, page: Page) -> None:
    """A few models with what they can do and what they cost."""
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
    page.table(("model", "kind", "context", "tools", "USD per 1M tokens, in / out"), rows)
    page.line(f"{cast.hub.models.info().count} models in all")


def _price(info: Any) -> str:
    if info.pricing is None or info.pricing.input is None:
        return "unknown"
    return f"{info.pricing.input} / {info.pricing.output if info.pricing.output is not None else 'unknown'}"


def show_failover(cast: Cast, page: Page) -> None:
    """One call whose first model is not served."""
    question = [{"role": "user", "content": "Say hello in one short sentence."}]
    reply = cast.hub.chat(
        {"model": cast.missing, "messages": question, "max_tokens": 200}, CallOptions(fallbacks=(cast.fallback,))
    )
    page.line(f"asked {cast.missing}, answered by {reply.served}: {reply.text.strip()}")
    trace = reply.trace.to_dict() if reply.trace is not None else {"attempts": []}
    for attempt in trace["attempts"]:
        told = ", ".join(str(attempt[key]) for key in ("kind", "status", "code") if attempt.get(key))
        page.line(f"  {attempt['model']}: {attempt['outcome']}{f' ({told})' if told else ''}")
    if reply.usage is not None:
        cost = reply.cost.total if reply.cost is not None else None
        price = f"${cost}" if cost is not None else "unknown (the catalog has no price)"
        page.line(f"  tokens: {reply.usage.input_tokens} in, {reply.usage.output_tokens} out; cost: {price}")


def framework_parts(cast: Cast) -> list[tuple[str, str, Callable[[Page], None]]]:
    """(title, package, part) of both frameworks; imported by name, for neither may be needed by the other."""
    documents = [(path.stem, path.read_text(encoding="utf-8")) for path in sorted(DOCUMENTS.glob("*.md"))]

    def chain(page: Page) -> None:
        import_module("langchain_hubmix.demo").chain(cast.hub, cast.chat, documents, page.write)

    def agent(page: Page) -> None:
        import_module("langchain_hubmix.demo").agent(cast.hub, cast.chat, page.write)

    def query(page: Page) -> None:
        import_module("llamaindex_hubmix.demo").query(cast.hub, cast.chat, cast.embedding, documents, page.write)

    return [
        ("LangChain: a chain that streams an answer with its sources", "langchain_core", chain),
        ("LangChain: an agent that calls a tool", "langchain", agent),
        ("LlamaIndex: a query over a vector index", "llama_index", query),
    ]


def main() -> int:
    """Run every part; 0 if all of them worked."""
    page = Page()
    try:
        with choose() as cast:
            page.line(cast.said)
            page.heading("The catalog, asked from the hub")
            show_catalog(cast, page)
            with cast.hub.spending() as spending:
                for title, package, part in framework_parts(cast):
                    page.heading(title)
                    if find_spec(package) is None:
                        page.line(f"skipped: {package} is not installed")
                    else:
                        part(page)
                        page.line()
                page.heading("Failover, with its trace")
                show_failover(cast, page)
            page.heading("Spent")
            note = "" if spending.complete else " (some prices are unknown)"
            page.line(f"{spending.calls} calls, {spending.tokens} tokens, ${spending.total}{note}")
    except HubmixError as error:
        page.line(f"\nThe demo stopped: {error}")
        return 1
    except KeyboardInterrupt:
        page.line("\nstopped")
        return 130
    return 0
