"""Ask the servers of `tests/cases` through the plain clients too: who did worse?

Each case runs as a test of our classes. Every question that it asks is asked again of a new server with the same
script, through `ChatOpenAI` or `OpenAILike`. A case that passes says that our answer is the right one, so a plain
client that gives another one did worse; where a case fails, ours did.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from benchmarks.plain import ask_chat_openai, ask_openai_like, chat_openai, openai_like
from tests.cases import ways
from tests.cases.ways import Way
from tests.support.scripted_hub import ScriptedHub

# What the plain clients know under the same name; anything else is ours and is left out.
SHARED = {"temperature", "max_tokens", "model", "timeout", "max_retries", "stop", "seed"}
PATIENCE = 2.0  # seconds that ours may take longer


@dataclass(slots=True)
class Asked:
    """One question: what came out, after how many requests and seconds."""

    said: Any  # text and calls, or None if an error was raised
    requests: int
    seconds: float
    error: str = ""


@dataclass(slots=True)
class Report:
    """A pytest plugin that asks every question twice and keeps what differs."""

    pairs: list[tuple[Way, Asked, Asked]] = field(default_factory=list)
    totals: Counter[str] = field(default_factory=Counter)
    worse: list[str] = field(default_factory=list)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Iterator[None]:
        self.pairs = []
        try:
            yield
        except BaseException:
            self.totals["ours failed the case"] += 1
            self.worse.append(f"ours: {item.nodeid} fails")
            raise
        for way, ours, peer in self.pairs:
            self._compare(item.nodeid, way, ours, peer)

    def _compare(self, case: str, way: Way, ours: Asked, peer: Asked) -> None:
        alike = ours.said == peer.said
        self.totals["alike" if alike else "the plain client did worse"] += 1
        if ours.requests > peer.requests + 1 and alike:
            self.worse.append(f"ours: {case} took {ours.requests} requests, the plain client {peer.requests}")
        if ours.seconds > peer.seconds + PATIENCE:
            self.worse.append(f"ours: {case} took {ours.seconds:.1f} s, the plain client {peer.seconds:.1f} s")
        if not alike:
            self.worse.append(f"{NAMES[way.framework]}: {case}: {told(peer)} in place of {told(ours)}")


NAMES = {"langchain": "ChatOpenAI", "llamaindex": "OpenAILike"}


def told(asked: Asked) -> str:
    return asked.error if asked.said is None else repr(asked.said)[:120]


def asked_twice(report: Report, ask: Any) -> Any:
    """Return `Way.ask` that also asks the plain client."""

    def both(way: Way, hub: ScriptedHub, question: Any = "go", tools: Any = (), **settings: Any) -> Any:
        before, start = len(hub.requests), time.monotonic()
        fresh = before == 0  # a script that counts its requests is told from the beginning
        try:
            outcome = ask(way, hub, question, tools, **settings)
        except Exception as error:
            ours = Asked(None, len(hub.requests) - before, time.monotonic() - start, type(error).__name__)
            if fresh:
                report.pairs.append((way, ours, plain(way, hub, question, tools, settings)))
            raise
        calls = [*outcome.calls, *((name, None) for name in outcome.invalid)]
        ours = Asked((outcome.text, calls), len(hub.requests) - before, time.monotonic() - start)
        if fresh:
            report.pairs.append((way, ours, plain(way, hub, question, tools, settings)))
        return outcome

    return both


def plain(way: Way, hub: ScriptedHub, question: Any, tools: Any, settings: dict[str, Any]) -> Asked:
    """Ask the plain client of the same framework the same question."""
    make, ask = (chat_openai, ask_chat_openai) if way.framework == "langchain" else (openai_like, ask_openai_like)
    kept = {name: value for name, value in {**ways.SETTINGS, **settings}.items() if name in SHARED}
    with hub.again() as again:
        start = time.monotonic()
        try:
            got = ask(make(again.base_url, **kept), question, tools, stream=way.stream, waits=way.waits)
        except Exception as error:  # noqa: BLE001 - whatever a client raises is what its user gets
            return Asked(None, len(again.requests), time.monotonic() - start, type(error).__name__)
        return Asked((got.text, got.calls), len(again.requests), time.monotonic() - start)


def main(arguments: list[str]) -> int:
    report = Report()
    patch = pytest.MonkeyPatch()
    patch.setattr(Way, "ask", asked_twice(report, Way.ask))
    options = ["-q", "--no-header", "-p", "no:cacheprovider", "-m", "not slow"]
    code = pytest.main([*options, *(arguments or ["tests/cases"])], plugins=[report])
    print("\n".join(sorted(report.worse)))
    print("\n" + "\n".join(f"{count:6} {what}" for what, count in report.totals.most_common()))
    print(f"{sum(line.startswith('ours') for line in report.worse):6} questions in which ours did worse")
    return int(code)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
