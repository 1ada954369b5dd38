"""What the tests of all recorded exchanges share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.traffic import corpus

Exchange = dict[str, Any]
Adapter = Callable[[Exchange], Any]

ADAPTERS = ("langchain", "langchain_async", "llamaindex", "llamaindex_async")
LONG = 20_000  # characters; the pieces of a longer stream cost seconds

# one-hub ends a stream that was cut behind it with `completed` and an empty status. The first has text and is marked
# incomplete; the second, a blocked prompt, has nothing and is an error.
ENDS_EARLY = {"6b8100111bb2", "3776942c88dd"}
# Portkey passes a line on that is no JSON: an error here, passed over by the oracle.
GARBLED = {"f7b8fce8a195"}
# one-hub leaves the empty output of a queued answer out: read as one that has not come, not as an error.
QUEUED = {"f0caad8001e0"}
# OpenRouter puts the reasoning behind its message, where no server takes it back.
REASONING_BEHIND = {"474cc6df2b31", "37d56fdcc643"}


def load_messages() -> tuple[Any, list[Exchange]]:
    """Return the replay tool of the Messages API, and the exchanges."""
    import replay_messages

    return replay_messages, replay_messages.load(path=str(corpus.FILES["messages"]))


def load_responses(file: str) -> tuple[Any, list[Exchange]]:
    """Return the replay tool of the Responses API, and the exchanges of a file."""
    import replay_responses

    return replay_responses, replay_responses.load(path=str(corpus.FILES[file]))


def in_turn(adapters: Any, exchanges: list[Exchange], monkeypatch: pytest.MonkeyPatch) -> Adapter:
    """Return an adapter that is each of a module's in turn.

    Every other stream of each comes in 7-byte pieces.
    """
    turns = {exchange["id"]: number for number, exchange in enumerate(exchanges)}

    def adapter(exchange: Exchange) -> Any:
        turn = turns[exchange["id"]]
        monkeypatch.setenv("REPLAY_CHUNK", "7" if turn % 8 > 3 and len(exchange["response_text"]) < LONG else "0")
        return getattr(adapters, ADAPTERS[turn % 4])(exchange)

    return adapter


def ids(detail: dict[str, list[Any]], *known: str) -> set[str]:
    """Take the problems of these names out, and return their exchanges."""
    return {row[0] for problem in known for row in detail.pop(problem, [])}


def check_nothing_left(detail: Any) -> None:
    """Fail with the problems that are left."""
    assert not detail, {problem: rows[:5] for problem, rows in detail.items()}


def check_cuts_and_errors(tool: Any, adapter: Adapter, exchanges: list[Exchange], cuts: int) -> None:
    """Cut and break every exchange; each of at least so many `cuts` is noticed."""
    cut, errors = tool.run_cut(adapter, exchanges), tool.run_errors(adapter, exchanges)
    assert cut["n"] > cuts
    assert not cut["silent"]
    assert errors["n errors"] > 1000
    assert not errors["swallowed"] + errors["raised without the server's words"]
    assert errors["early end said"] == errors["n early ends"]
