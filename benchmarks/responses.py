"""CPU time of calls and streams over the Responses API, against its other clients."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from benchmarks.contenders import KEY, MODEL, Client, _langchain, _llamaindex, chat_hubmix, check, hubmix_llm, question
from benchmarks.measure import Effort, Work, in_turns
from benchmarks.results import Section
from benchmarks.server import CHUNKS, Loopback
from benchmarks.speed import ratio

PEER, LLAMA_PEER = "ChatOpenAI(use_responses_api=True)", "OpenAIResponses"


def chat_openai(url: str) -> Client:
    """LangChain's own client for OpenAI, over the Responses API."""
    from langchain_openai import ChatOpenAI

    return _langchain(PEER, ChatOpenAI(model=MODEL, base_url=url, api_key=KEY, max_retries=0, use_responses_api=True))


def openai_responses(url: str) -> Client:
    """LlamaIndex's own client for the Responses API."""
    from llama_index.llms.openai import OpenAIResponses

    return _llamaindex(LLAMA_PEER, OpenAIResponses(model="gpt-4o", api_base=url, api_key=KEY, max_retries=0))


def _clients() -> dict[str, Callable[[str], Client]]:
    return {
        "ChatHubmix": lambda url: chat_hubmix(url, api="responses"),
        PEER: chat_openai,
        "Hubmix": lambda url: hubmix_llm(url, api="responses"),
        LLAMA_PEER: openai_responses,
    }


def measure(server: Loopback, effort: Effort) -> Section:
    """Calls and streams of every client that is installed, in turns."""
    found, clients = Section(), []
    for name, make in _clients().items():
        try:
            clients.append(check(make(server.burst)))
        except ImportError as error:
            found.skipped.append(f"{name}: not measured, since {error.name or 'a package'} is not installed")
    asked = {client.name: question(client) for client in clients}
    calls: dict[str, Work] = {client.name: partial(client.call, asked[client.name]) for client in clients}
    streams: dict[str, Work] = {c.name: partial(c.stream, asked[c.name]) for c in clients if c.stream is not None}
    for title, work, target in (
        ("one call over the Responses API", calls, None),
        (f"stream of {CHUNKS} events of the Responses API", streams, 0.20),
    ):
        timings = in_turns(work, effort)
        found.figures += ratio(timings, title, "ChatHubmix", PEER, target)
        found.figures += ratio(timings, title, "Hubmix", LLAMA_PEER, None)
        found.tables[title] = timings.table
    return found
