"""The page that compares ways of falling back, from what was found."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.comparison import FIRST, PATIENCE, SECOND, TIMEOUT, Result
from benchmarks.outcomes import Outcome
from benchmarks.report import installed_version

_INTRODUCTION = """\
# Failover compared

The same faults through three ways of falling back from one model to another:

- `ChatOpenAI(…).with_fallbacks([…])`, LangChain's own for any runnable;
- `create_agent(…, middleware=[ModelFallbackMiddleware(…)])`, LangChain's own for agents; streamed, it is judged by the
  tokens of `stream_mode="messages"`, which are what a user interface shows;
- `ChatHubmix(…, fallbacks=[…])`, this project's.

Each asks an [embedded hub](reference/embedded.md) over a real socket. Its model `first` has the fault, and where it is
the account or the key that is at fault, `second` has it too. Every client has {timeout:g} s for a request or a silence
and keeps its own defaults for retries. A call that has not ended after {patience:g} s is given up. A cell says what the
caller was left with, how often the first and the second model were asked, and how long it took; **bold** is what a
program cannot tell from a good answer, or never gets out of.

This page is written by `python -m benchmarks.comparison --write docs/failover-comparison.md`, here with langchain
{langchain}, langchain-openai {openai} and hubmix {hubmix}.
"""


def page(results: Sequence[Result]) -> str:
    """The whole page in Markdown."""
    introduction = _INTRODUCTION.format(
        timeout=TIMEOUT,
        patience=PATIENCE,
        langchain=installed_version("langchain"),
        openai=installed_version("langchain-openai"),
        hubmix=installed_version("hubmix"),
    )
    parts = [introduction, "## In short\n", _summary(results)]
    parts += ["## Streams\n", _table([result for result in results if result.stream])]
    parts += ["## Whole answers\n", _table([result for result in results if not result.stream])]
    return "\n".join(parts)


def _clients(results: Sequence[Result]) -> list[str]:
    return list(dict.fromkeys(result.client for result in results))


def _summary(results: Sequence[Result]) -> str:
    """How often each outcome came, by client."""
    clients = _clients(results)
    lines = ["| | " + " | ".join(clients) + " |", "|---|" + "---:|" * len(clients)]
    for outcome in Outcome:
        counts = [sum(r.client == name and r.outcome is outcome for r in results) for name in clients]
        if any(counts):
            lines.append(f"| {_emphasised(outcome)} | {' | '.join(map(str, counts))} |")
    sent = [sum(sum(r.received.requests.values()) for r in results if r.client == name) for name in clients]
    lines.append(f"| requests sent | {' | '.join(map(str, sent))} |")
    spent = [sum(r.received.seconds for r in results if r.client == name) for name in clients]
    lines.append(f"| seconds in all | {' | '.join(f'{seconds:.0f}' for seconds in spent)} |")
    return "\n".join(lines) + "\n"


def _table(results: Sequence[Result]) -> str:
    """A row for each fault, a column for each client."""
    clients = _clients(results)
    cells = {(result.case.name, result.client): _cell(result) for result in results}
    lines = ["| what goes wrong | " + " | ".join(clients) + " |", "|---|" + "---|" * len(clients)]
    for case in dict.fromkeys(result.case.name for result in results):
        lines.append(f"| {case} | " + " | ".join(cells[case, name] for name in clients) + " |")
    return "\n".join(lines) + "\n"


def _cell(result: Result) -> str:
    got = result.received
    what = _emphasised(result.outcome)
    if got.error is not None and not got.waiting:
        what += f": `{type(got.error).__name__}`"
    asked = f"{got.requests.get(FIRST, 0)} + {got.requests.get(SECOND, 0)}"
    return f"{what}<br>{asked} requests, {got.seconds:.1f} s"


def _emphasised(outcome: Outcome) -> str:
    return f"**{outcome.value}**" if outcome.harmful else outcome.value
