"""Play the gateway recordings to four clients and count what comes out whole.

The recordings are those of `cassettes/gateway`, and what must come out of each is in `tests/gateway/expectations`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from benchmarks.plain import Got, ask_chat_openai, ask_openai_like, chat_openai, openai_like
from tests.cassettes.playback import play
from tests.gateway.pages import hub_for, recorded
from tests.gateway.players import PLAYERS, QUESTION, LangChain, Outcome
from tests.gateway.table import Case, Expected, table


@dataclass(slots=True)
class Request:
    """What was asked when a case was recorded."""

    case: Case
    url: str
    model: str
    stream: bool


@dataclass(slots=True)
class Score:
    """What one client made of all recordings."""

    whole: int = 0
    swallowed: int = 0
    noticed: int = 0
    lost: Counter[str] = field(default_factory=Counter)


def main() -> None:
    """Print the table of what each client makes of the same recordings."""
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    os.environ["HUBMIX_CATALOG_REFRESH"] = "0"  # a recording holds no list of models
    os.environ["HUBMIX_CACHE_DIR"] = ""  # what one recording refuses must not change the request of the next
    requests = [request for case in table().values() if (request := request_of(case))]
    scores = {name: score(ask, requests) for name, ask in CLIENTS.items()}
    good, failed, short = (
        sum(kind(request.case.steps[0]) for request in requests) for kind in (is_good, fails, is_short)
    )
    print("| | " + " | ".join(f"`{name}`" for name in scores) + " |")
    print("|---|" + "---|" * len(scores))
    rows = {
        f"{good} good answers through gateways that come out whole": [each.whole for each in scores.values()],
        f"{failed} errors through gateways taken for answers": [each.swallowed for each in scores.values()],
        f"{short} answers cut short that are noticed": [each.noticed for each in scores.values()],
    }
    for title, counts in rows.items():
        print(f"| {title} | " + " | ".join(map(str, counts)) + " |")
    for name, each in scores.items():
        if each.lost:
            print(f"\n{name} loses: " + ", ".join(f"{what} {count}" for what, count in each.lost.most_common()))


def request_of(case: Case) -> Request | None:
    """Return the one chat request of a case, or None if it is of another kind."""
    exchanges = recorded(case)
    if case.wire or len(exchanges) != 1 or not exchanges[0].uri.endswith("/v1/chat/completions"):
        return None
    body = json.loads(exchanges[0].request_body)
    return Request(case, exchanges[0].uri.removesuffix("/chat/completions"), body["model"], bool(body.get("stream")))


def is_short(step: Expected) -> bool:
    return step.incomplete or step.fails == "interrupted"


def fails(step: Expected) -> bool:
    return bool(step.fails) and not is_short(step)


def is_good(step: Expected) -> bool:
    return not step.fails and not is_short(step)


def score(ask: Callable[[Request], Got | Outcome], requests: list[Request]) -> Score:
    found = Score()
    for request in requests:
        step = request.case.steps[0]
        got = None
        try:
            with play(request.case.path):
                got = ask(request)
        except Exception as error:  # noqa: BLE001 - whatever a client raises is what its user gets
            if is_good(step):
                found.lost[f"everything ({type(error).__name__})"] += 1
        if is_short(step):
            found.noticed += got is None or bool(getattr(got, "incomplete", False))
        elif fails(step):
            found.swallowed += got is not None
        elif got is not None:
            lost = lost_of(step, got if isinstance(got, Got) else of_outcome(got))
            found.lost.update(lost)
            found.whole += not lost
    return found


def lost_of(step: Expected, got: Got) -> set[str]:
    """Return the names of what an answer should hold and does not."""
    calls = [(name, arguments) for call in step.calls for name, arguments in call.items()]
    wanted = Got(step.text or "", step.reasoning, [*calls, *((name, None) for name in step.invalid)], step.finish)
    lost = {name for name in ("text", "reasoning", "calls", "finish") if getattr(wanted, name) != getattr(got, name)}
    if step.finish != got.finish == step.native:
        lost.discard("finish")
    if step.usage is not None:
        counts = (*step.usage[:3], step.usage.read, step.usage.reasoning)
        if got.usage != counts:
            lost.add("usage")
    return lost


def of_outcome(outcome: Outcome) -> Got:
    calls: list[tuple[str, dict[str, Any] | None]] = [pair for call in outcome.calls for pair in call.items()]
    calls += [(name, None) for name in outcome.invalid]
    usage = outcome.usage and (*outcome.usage[:3], outcome.usage.read, outcome.usage.reasoning)
    return Got(outcome.text, outcome.reasoning, calls, outcome.finish, usage)


def plain_langchain(request: Request) -> Got:
    # Chat completions were recorded: by itself, ChatOpenAI asks for some models over the Responses API.
    llm = chat_openai(request.url, model=request.model, stream_usage=True, use_responses_api=False)
    return ask_chat_openai(llm, QUESTION, stream=request.stream)


def plain_llamaindex(request: Request) -> Got:
    llm = openai_like(request.url, model=request.model, additional_kwargs=STREAM_USAGE if request.stream else {})
    return ask_openai_like(llm, QUESTION, stream=request.stream)


STREAM_USAGE = {"stream_options": {"include_usage": True}}


def ours(kind: type) -> Callable[[Request], Outcome]:
    player = next(each for each in PLAYERS if isinstance(each, kind) and each.waits)

    def ask(request: Request) -> Outcome:
        return asyncio.run(player.ask(hub_for(request.case), request.model, player.start(), stream=request.stream))

    return ask


CLIENTS: dict[str, Callable[[Request], Got | Outcome]] = {
    "ChatOpenAI": plain_langchain,
    "OpenAILike": plain_llamaindex,
    "ChatHubmix": ours(LangChain),
    "Hubmix": ours(type(PLAYERS[-1])),
}

if __name__ == "__main__":
    main()
