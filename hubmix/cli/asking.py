"""One streamed answer: its words on stdout as they come, what it took on stderr."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hubmix.cli import screen

if TYPE_CHECKING:
    from hubmix.failover.options import CallOptions
    from hubmix.hub.compare import Timed
    from hubmix.hub.hub import Hub
    from hubmix.wire.trace import Attempt

MISSING_FINISH = "the stream ended without saying that it was complete: the answer may be cut off"


def footer(hub: Hub, timed: Timed) -> str:
    """One line: who answered, tokens, cost, time."""
    reply = timed.reply
    from hubmix.hub.compare import cost_of

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
            from hubmix.hub.compare import timed_stream

            timed = timed_stream(hub, payload, options, on_text=self._text, on_reasoning=reasoning)
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
