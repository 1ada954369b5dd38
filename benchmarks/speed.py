"""CPU time of calls, streams, crowds and long histories, against the peers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from typing import Any

from benchmarks.contenders import (
    Client,
    chat_hubmix,
    chat_openai,
    check,
    history,
    hub_alone,
    hubmix_llm,
    installed,
    question,
)
from benchmarks.measure import Effort, Loop, Timings, Work, in_turns
from benchmarks.results import Figure, Section
from benchmarks.server import CHUNKS, Loopback
from hubmix.transport.clients import async_http_client

CROWD = 256  # calls under way at once
TURNS = 1000  # of the long history; the question makes 1,001 messages
FLOORS = ("LangChain alone", "LlamaIndex alone")


def measure(server: Loopback, effort: Effort) -> Section:
    """Everything that is measured against a peer, in turns."""
    clients, missing = installed(server.burst)
    for client in clients:
        check(client)
    found = Section(skipped=missing)
    found.add(_calls(clients, effort))
    found.add(_streams(clients, effort))
    found.add(_drips(server, effort))
    found.add(_async_streams(clients, effort))
    found.add(_histories(clients, effort))
    found.add(_converter(effort))
    found.add(_crowds(server, effort))
    return found


def ratio(timings: Timings, work: str, ours: str, theirs: str, target: float | None, note: str = "") -> list[Figure]:
    """The figure for one pair, or none where the peer is missing."""
    if ours not in timings or theirs not in timings:
        return []
    return [Figure(f"{work}, {ours}", timings.ratio(ours, theirs), "×", theirs, target, note)]


def _calls(clients: list[Client], effort: Effort) -> Section:
    asked = {client.name: question(client) for client in clients}
    timings = in_turns({client.name: partial(client.call, asked[client.name]) for client in clients}, effort)
    return Section(
        [
            *ratio(timings, "one call", "ChatHubmix", "ChatOpenAI", 0.65),
            *ratio(timings, "one call", "Hubmix", "OpenAILike", 0.65),
        ],
        {"one call": timings.table},
    )


def _streams(clients: list[Client], effort: Effort) -> Section:
    asked = {client.name: question(client) for client in clients}
    work: dict[str, Work] = {c.name: partial(c.stream, asked[c.name]) for c in clients if c.stream is not None}
    timings = in_turns(work, effort)
    return Section(
        [
            *ratio(timings, f"stream of {CHUNKS} chunks", "ChatHubmix", "ChatOpenAI", 0.22),
            *ratio(timings, f"stream of {CHUNKS} chunks", "Hubmix", "OpenAILike", 0.30),
        ],
        {f"stream of {CHUNKS} chunks": timings.table},
    )


def _drips(server: Loopback, effort: Effort) -> Section:
    clients = [client for client in installed(server.drip)[0] if client.name not in FLOORS]
    asked = {client.name: question(client) for client in clients}
    work: dict[str, Work] = {c.name: partial(c.stream, asked[c.name]) for c in clients if c.stream is not None}
    timings = in_turns(work, replace(effort, rounds=min(effort.rounds, 5)), most=1)
    note = "every chunk in a packet of its own, so the HTTP library's share is larger"
    return Section(
        [
            *ratio(timings, "the same, dripping", "ChatHubmix", "ChatOpenAI", None, note),
            *ratio(timings, "the same, dripping", "Hubmix", "OpenAILike", None, note),
        ],
        {f"stream of {CHUNKS} chunks, a packet each": timings.table},
    )


def _async_streams(clients: list[Client], effort: Effort) -> Section:
    loops: list[Loop] = []
    work: dict[str, Work] = {}
    for client in clients:
        if client.astream is not None:
            loops.append(Loop())
            work[client.name] = loops[-1].run(partial(client.astream, question(client)))
    timings = in_turns(work, effort)
    for loop in loops:
        loop.close()
    return Section(
        [
            *ratio(timings, f"async stream of {CHUNKS} chunks", "ChatHubmix", "ChatOpenAI", 0.25),
            *ratio(timings, f"async stream of {CHUNKS} chunks", "Hubmix", "OpenAILike", None),
        ],
        {f"async stream of {CHUNKS} chunks": timings.table},
    )


# ------------------------------------------------------------------------------------------------- a long history


def _histories(clients: list[Client], effort: Effort) -> Section:
    turns = history(TURNS)
    asked = {client.name: client.messages(turns) for client in clients}
    timings = in_turns({client.name: partial(client.call, asked[client.name]) for client in clients}, effort)
    return Section(
        [
            *ratio(timings, "history of 1,001 messages", "ChatHubmix", "ChatOpenAI", 0.05),
            *ratio(timings, "history of 1,001 messages", "Hubmix", "OpenAILike", None),
        ],
        {"history of 1,001 messages": timings.table},
    )


def _converter(effort: Effort) -> Section:
    """Measure the converters alone, and whether their cost grows linearly."""
    found = Section()
    for name, convert, messages in _converters():
        short, long = messages(history(TURNS)), messages(history(4 * TURNS))
        timings = in_turns({"1,001": partial(convert, short), "4,001": partial(convert, long)}, effort)
        target = 1.1 if name == "ChatHubmix" else None
        found.figures.append(Figure(f"of it the converter, {name}", timings.ms("1,001"), "ms", "", target))
        grown = timings.ratio("4,001", "1,001")
        found.figures.append(
            Figure(f"4,001 messages in the converter, {name}", grown, "×", "1,001 messages", None, "4.0 is linear")
        )
    return found


def _converters() -> list[tuple[str, Callable[[Any], Any], Callable[[Any], Any]]]:
    from langchain_hubmix._messages import to_wire as from_langchain
    from llamaindex_hubmix._messages import to_wire as from_llamaindex

    anywhere = "http://127.0.0.1:9/v1"
    return [
        ("ChatHubmix", from_langchain, chat_hubmix(anywhere).messages),
        ("Hubmix", from_llamaindex, hubmix_llm(anywhere).messages),
    ]


# ------------------------------------------------------------------------------------------------------- a crowd


def _crowds(server: Loopback, effort: Effort) -> Section:
    """Measure many async calls at once, with the SDK's connections and with `fast`."""
    found = Section()
    # Made here for both, so that what is installed does not decide which of them is measured.
    own: dict[str, Any] = {name: async_http_client(fast=False) for name in ("Hub (no framework)", "ChatHubmix")}
    if find_spec("httpx_aiohttp") is None:
        found.skipped.append("the crowd with the fast extra: not measured, since httpx-aiohttp is not installed")
    else:
        own["ChatHubmix, fast"] = async_http_client(fast=True)
    clients: dict[str, Client] = {}
    for name, http_client in own.items():
        make = hub_alone if name.startswith("Hub ") else chat_hubmix
        clients[name] = make(server.burst, http_async_client=http_client)
    with suppress(ImportError):  # named as missing once already
        clients["ChatOpenAI"] = chat_openai(server.burst)
    loops = {name: Loop() for name in clients}
    work = {name: loops[name].run(partial(_crowd, client, effort.calls)) for name, client in clients.items()}
    timings = in_turns(work, replace(effort, rounds=min(effort.rounds, 4)), most=1, warm=True)
    for name, http_client in own.items():
        loops[name].run(http_client.aclose)()
    for loop in loops.values():
        loop.close()
    title = f"{effort.calls} async calls, {CROWD} at once"
    found.figures += ratio(timings, title, "ChatHubmix", "ChatOpenAI", 0.75)
    found.figures += ratio(timings, title, "ChatHubmix, fast", "ChatOpenAI", 0.40)
    found.tables[f"{title}, each"] = {name: ms / effort.calls for name, ms in timings.table.items()}
    return found


async def _crowd(client: Client, calls: int) -> None:
    room = asyncio.Semaphore(CROWD)
    asked = question(client)
    assert client.acall is not None
    ask = client.acall

    async def one() -> None:
        async with room:
            await ask(asked)

    await asyncio.gather(*(one() for _ in range(calls)))
