"""One streamed answer: its words on stdout as they come, what it took on stderr."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hubmix.cli import screen
from hubmix.errors import CatalogError

if TYPE_CHECKING:
    from hubmix.catalog import Cost
    from hubmix.failover.options import CallOptions
    from hubmix.hub.hub import Hub
    from hubmix.wire import Reply
    from hubmix.wire.trace import Attempt

MISSING_FINISH = "the stream ended without saying that it was complete: the answer may be cut off"


@dataclass(frozen=True, slots=True)
class Timed:
    """An answer and its times in seconds: to the first word, and in all."""

    reply: Reply
    first: float | None
    total: float


def stream(
    hub: Hub,
    payload: Mapping[str, Any],
    options: CallOptions,
    *,
    on_text: Callable[[str], None],
    on_reasoning: Callable[[str], None] | None = None,
) -> Timed:
    """Ask, and hand on what comes as it comes."""
    from hubmix.wire import Reply

    hub.models.warm()  # for the cost; the call does not wait for it
    hub.pool.sync()  # the import of the SDK is no time of the model's
    started, first, reply = time.monotonic(), None, Reply()
    with closing(hub.stream_chat(payload, options)) as deltas:
        for delta in deltas:
            if first is None and delta.has_content:
                first = time.monotonic() - started
            if delta.text or delta.refusal:
                on_text(delta.text or delta.refusal)
            if delta.reasoning and on_reasoning is not None:
                on_reasoning(delta.reasoning)
            if delta.final is not None:
                reply = delta.final
    return Timed(reply, first, time.monotonic() - started)


def get_ready(hub: Hub) -> None:
    """Make the client and have the list of prices, so that neither counts as a model's time."""
    hub.pool.sync()
    with contextlib.suppress(CatalogError):
        hub.models.list(kind=None)


def cost_of(hub: Hub, reply: Reply) -> Cost | None:
    """What an answer cost. Where the catalog was not there in time for the answer, it is waited for now."""
    if reply.cost is not None and reply.cost.complete:
        return reply.cost
    if reply.served is None:
        return None
    try:
        return hub.models.cost(reply.served, reply.usage)
    except CatalogError:
        return None


def footer(hub: Hub, timed: Timed) -> str:
    """One line: who answered, tokens, cost, time."""
    reply = timed.reply
    cost = cost_of(hub, reply)
    usage = reply.usage
    parts = [
        reply.served or reply.model or "unknown model",
        f"{usage.input_tokens:,} in, {usage.output_tokens:,} out" if usage else "tokens unknown",
        str(cost) if cost is not None else "cost unknown",
        f"{timed.total:.1f} s",
    ]
    if reply.finish_reason not in ("stop", "tool_calls", None):
        parts.append(f"ended by {reply.finish_reason}")
    return " · ".join(parts)


def tell_attempt(attempt: Attempt) -> None:
    """Say that a model failed, while the next one is being asked."""
    screen.note(f"{attempt.model}: {attempt.outcome} ({attempt.facts()})", style="yellow")


class Printer:
    """Writes an answer as it comes, with its reasoning on stderr where that is wanted."""

    def __init__(self, *, reasoning: bool) -> None:
        self._wants_reasoning = reasoning
        self._reasoned = False
        self._last = "\n"

    def print(self, hub: Hub, payload: Mapping[str, Any], options: CallOptions) -> Timed:
        """Ask and write; ends with a line break, also where the answer was broken off."""
        try:
            reasoning = self._reasoning if self._wants_reasoning else None
            timed = stream(hub, payload, options, on_text=self._text, on_reasoning=reasoning)
        finally:
            if self._last != "\n":
                screen.line()
        if timed.reply.incomplete:
            screen.note(f"warning: {MISSING_FINISH}", style="yellow")
        if not timed.reply.has_output:
            screen.note("(the answer is empty)", style="yellow")
        return timed

    def _text(self, text: str) -> None:
        if self._reasoned:
            self._reasoned = False
            sys.stderr.write("\n")
            sys.stderr.flush()
        self._last = text[-1]  # first: Ctrl-C may come while it is written
        screen.write(text)

    def _reasoning(self, text: str) -> None:
        self._reasoned = True
        sys.stderr.write(text)
        sys.stderr.flush()
