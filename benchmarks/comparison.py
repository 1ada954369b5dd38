"""The same faults through three ways of falling back: `benchmarks.comparison`.

``ChatOpenAI(...).with_fallbacks([...])``, an agent with ``ModelFallbackMiddleware`` and ``ChatHubmix(fallbacks=...)``
each ask an embedded hub of which the first model, or the whole account, is at fault. What the caller got is judged, and
the requests are counted at the hub.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.outcomes import Expected, Outcome, Received, judge
from hubmix.embedded import EmbeddedHub, Fault
from hubmix.failover.breakers import REGISTRY
from hubmix.failover.policy import FailoverPolicy

FIRST, SECOND = "first", "second"
MODELS = {FIRST: "extract", SECOND: "echo"}
TIMEOUT = 0.5  # seconds; what each client is given for one request, or for a silence
PATIENCE = 4.0  # seconds; then a call is given up as never ending
QUESTION = "Why is the sky blue? The light of the sun is scattered by the molecules of the air, and blue most of all."
TOOL_QUESTION = "What is the weather in Paris, and in which unit: celsius?"


def weather(city: str, unit: str) -> str:
    """The weather in a city."""
    return f"Sunny in {city}, in {unit}."


@dataclass(frozen=True, slots=True)
class Case:
    """A fault.

    Args:
        name: What happens.
        fault: The embedded hub's word for it.
        whole, stream: Whether it can happen to a whole answer, and to a stream.
        everywhere: Whether it is the account or key that is at fault, and not the first model alone.
        tool: Whether the answer is a tool call.
    """

    name: str
    fault: Fault
    whole: bool = True
    stream: bool = True
    everywhere: bool = False
    tool: bool = False


CASES = (
    Case("nothing", Fault.parse("ok")),
    Case("no channel serves the model (503 model_not_found)", Fault.error("model_not_found")),
    Case("the vendor is busy (429)", Fault.error("vendor_429")),
    Case("the hub's own key is refused by the vendor (401)", Fault.error("channel_auth")),
    Case("your account at the hub is empty (403)", Fault.error("account_empty"), everywhere=True),
    Case("your key is wrong (401)", Fault.error("bad_key"), everywhere=True),
    Case("no answer begins", Fault.stall()),
    Case("the hub sends comments only, and no first word", Fault.stall(every=0.1), whole=False),
    Case("an answer that holds nothing", Fault.parse("empty_answer")),
    Case("a stream that holds nothing", Fault.parse("empty_stream"), whole=False),
    Case("a stream of [DONE] alone", Fault.parse("only_done"), whole=False),
    Case("an error under status 200, before the first word", Fault.error_event(1)),
    Case("an error in the middle", Fault.error_event(5), whole=False),
    Case("the connection breaks in the middle", Fault.cut(5, polite=False)),
    Case("the vendor breaks off, the hub adds usage and [DONE]", Fault.cut(5), whole=False),
    Case("the stream falls silent in the middle", Fault.stall(5), whole=False),
    Case("the stream ends without a finish reason", Fault.parse("no_finish_reason"), whole=False),
    Case("a tool call is cut short", Fault.cut(3), whole=False, tool=True),
)


@dataclass(frozen=True, slots=True)
class Client:
    """One way of falling back.

    Args:
        name: How it is written.
        ask: Takes the hub, whether to stream, the tool (or None) and what is received; fills the latter as it goes.
    """

    name: str
    ask: Callable[[EmbeddedHub, bool, Any, Received], None]


@dataclass(frozen=True, slots=True)
class Result:
    """What one client made of one case."""

    case: Case
    client: str
    stream: bool
    received: Received
    outcome: Outcome


# ----------------------------------------------------------------------------------------------------------- clients


def with_fallbacks(hub: EmbeddedHub, stream: bool, tool: Any, got: Received) -> None:
    """LangChain's own: a runnable with others behind it."""
    first, second = (_chat_openai(hub, model) for model in (FIRST, SECOND))
    if tool is not None:
        _langchain(first.bind_tools([tool]).with_fallbacks([second.bind_tools([tool])]), stream, tool, got)
    else:
        _langchain(first.with_fallbacks([second]), stream, tool, got)


def middleware(hub: EmbeddedHub, stream: bool, tool: Any, got: Received) -> None:
    """Ask with LangChain's middleware for agents, streamed as a user interface does."""
    from langchain.agents import create_agent
    from langchain.agents.middleware import ModelFallbackMiddleware

    first, second = (_chat_openai(hub, model) for model in (FIRST, SECOND))
    ran: list[dict[str, Any]] = []

    def weather(city: str = "", unit: str = "") -> str:
        """The weather in a city."""
        ran.append({"city": city, "unit": unit})
        return "Sunny."

    # One round is enough: what matters is the first answer of the model, and whether its call is run.
    agent: Any = create_agent(
        first, tools=[] if tool is None else [weather], middleware=[ModelFallbackMiddleware(second)]
    )
    asked = {"messages": [("user", TOOL_QUESTION if tool is not None else QUESTION)]}
    got.calls = ran
    if not stream:
        answer = agent.invoke(asked, {"recursion_limit": 4})["messages"][1 if tool is not None else -1]
        got.text = str(answer.content)
        return
    for chunk, _ in agent.stream(asked, {"recursion_limit": 4}, stream_mode="messages"):
        if chunk.type == "AIMessageChunk" and not ran:
            got.text += str(chunk.content)
        if ran:
            return


def hubmix(hub: EmbeddedHub, stream: bool, tool: Any, got: Received) -> None:
    """This project's."""
    from langchain_hubmix import ChatHubmix

    llm = ChatHubmix(
        model=FIRST,
        fallbacks=[SECOND],
        base_url=hub.base_url,
        api_key=hub.api_key,
        timeout=TIMEOUT,
        failover=FailoverPolicy(first_token_timeout=TIMEOUT, idle_timeout=TIMEOUT),
    )
    _langchain(llm if tool is None else llm.bind_tools([tool]), stream, tool, got)


def _chat_openai(hub: EmbeddedHub, model: str) -> Any:
    from langchain_openai import ChatOpenAI

    return ChatOpenAI(model=model, base_url=hub.base_url, api_key=hub.api_key, timeout=TIMEOUT, stream_usage=True)


def _langchain(llm: Any, stream: bool, tool: Any, got: Received) -> None:
    question = QUESTION if tool is None else TOOL_QUESTION
    whole: Any = None
    if stream:
        for chunk in llm.stream(question):
            got.text += str(chunk.content)
            whole = chunk if whole is None else whole + chunk
    else:
        whole = llm.invoke(question)
        got.text = str(whole.content)
    if whole is not None:
        got.calls = [call["args"] for call in whole.tool_calls]
        # Calls that LangChain itself calls invalid are not run by anything.
        got.marked = bool(whole.response_metadata.get("incomplete") or whole.invalid_tool_calls)


CLIENTS = (
    Client("with_fallbacks", with_fallbacks),
    Client("ModelFallbackMiddleware", middleware),
    Client("ChatHubmix", hubmix),
)


# ----------------------------------------------------------------------------------------------------------- running


def compare(cases: tuple[Case, ...] = CASES, clients: tuple[Client, ...] = CLIENTS) -> Iterator[Result]:
    """Every case that can happen, through every client, whole and streamed."""
    expected: dict[bool, Expected] = {}
    clients = tuple(client for client in clients if _is_installed(client))
    for stream in (False, True):
        for case in cases:
            if not (case.stream if stream else case.whole):
                continue
            if case.tool not in expected:
                expected[case.tool] = _expected(tool=case.tool)
            for client in clients:
                got = run(client, case, stream=stream)
                yield Result(case, client.name, stream, got, judge(got, expected[case.tool]))


def _is_installed(client: Client) -> bool:
    """Return whether a client is installed; this also imports what it needs."""
    error = run(client, CASES[0], stream=False).error
    if isinstance(error, ImportError):
        print(f"{client.name}: not compared, since {error.name} is not installed", file=sys.stderr)
        return False
    if error is not None:
        raise error
    return True


def run(client: Client, case: Case, *, stream: bool) -> Received:
    """One case, against a hub of its own: nothing is left of the one before."""
    REGISTRY.reset()
    got = Received()
    hub = EmbeddedHub(models=MODELS).start()
    asker = ThreadPoolExecutor(1)
    try:
        hub.fault("*" if case.everywhere else FIRST, case.fault, times=None)
        started = time.perf_counter()
        asked = asker.submit(client.ask, hub, stream, weather if case.tool else None, got)
        _, waiting = wait([asked], PATIENCE)
        seconds = time.perf_counter() - started
        requests = Counter(str(r.model) for r in hub.requests if r.path.endswith("/chat/completions"))
        error = None if waiting else asked.exception()
        # A copy: what is still waiting goes on when the hub closes under it.
        return Received(got.text, list(got.calls), error, got.marked, bool(waiting), seconds, dict(requests))
    finally:
        hub.close()
        asker.shutdown()


def _expected(*, tool: bool) -> Expected:
    """What the two models say by themselves."""
    texts: list[str] = []
    call = None
    for model in (FIRST, SECOND):
        with EmbeddedHub(models=MODELS) as hub:
            got = Received()
            llm = _plain(hub, model)
            _langchain(llm.bind_tools([weather]) if tool else llm, False, weather if tool else None, got)
            texts.append(got.text)
            call = got.calls[0] if tool and model == FIRST else call
    return Expected(texts[0], texts[1], call)


def _plain(hub: EmbeddedHub, model: str) -> Any:
    from langchain_hubmix import ChatHubmix

    return ChatHubmix(model=model, base_url=hub.base_url, api_key=hub.api_key)


def main(argv: list[str] | None = None) -> int:
    """Compare, print the page, and write it down where that is asked for."""
    from benchmarks.comparison_page import page

    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.comparison", description="Compare ways of falling back."
    )
    parser.add_argument("--write", type=Path, metavar="PAGE", help="write the page in Markdown")
    arguments = parser.parse_args(argv)
    for noisy in ("hubmix", "httpx", "httpx2", "openai", "langchain", "langgraph"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL)
    results = []
    for result in compare():
        results.append(result)
        print(f"{result.client}: {result.case.name}: {result.outcome.value}", file=sys.stderr, flush=True)
    text = page(results)
    if arguments.write is not None:
        arguments.write.write_text(text, encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
