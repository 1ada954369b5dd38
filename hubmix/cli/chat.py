"""`hubmix chat`: one question, or a session."""

from __future__ import annotations

import io
import os
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hubmix.cli import screen
from hubmix.cli.asking import Printer, footer, tell_attempt
from hubmix.cli.attachments import content_of
from hubmix.cli.connection import (
    CHAT_MODEL,
    Api,
    BaseUrl,
    BudgetUsd,
    Fallback,
    HubName,
    Model,
    Prefer,
    Timeout,
    connect,
    fallbacks_of,
)  # fmt: skip
from hubmix.errors import ConfigurationError

if TYPE_CHECKING:
    from hubmix.failover.options import CallOptions


def chat(
    context: typer.Context,
    prompt: Annotated[
        list[str] | None, typer.Argument(metavar="PROMPT", help="The question; without it, a session begins.")
    ] = None,
    model: Model = CHAT_MODEL,
    fallback: Fallback = None,
    system: Annotated[str | None, typer.Option("--system", "-s", metavar="TEXT", help="A system message.")] = None,
    attach: Annotated[
        list[Path] | None,
        typer.Option("--attach", "-a", metavar="FILE", help="An image, PDF, WAV, MP3 or text file; repeatable."),
    ] = None,
    temperature: Annotated[float | None, typer.Option("--temperature", metavar="NUMBER", min=0)] = None,
    max_tokens: Annotated[int | None, typer.Option("--max-tokens", metavar="N", min=1, help="Of the answer.")] = None,
    reasoning: Annotated[bool, typer.Option("--reasoning", help="Show a model's reasoning too, on stderr.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No line about model, tokens and cost.")] = False,
    timeout: Timeout = None,
    api: Api = "auto",
    prefer: Prefer = "order",
    budget: BudgetUsd = None,
    hub: HubName = None,
    base_url: BaseUrl = None,
) -> None:
    """Ask a model, or talk to it.

    The answer streams to stdout; model, tokens and cost follow on stderr. Piped input is added below the prompt. A
    session keeps its history; /help lists what it understands, Ctrl-C stops an answer, Ctrl-D ends it.

    Examples:

        hubmix chat "Why is the sky blue?" -m gpt-4o-mini --fallback auto
        git diff | hubmix chat "Write a commit message" --quiet
        hubmix chat "What is on this picture?" --attach photo.jpg --budget 0.01
        hubmix chat --model claude-haiku-4.5 --system "Answer in French"
    """
    question = question_of(prompt)
    body = given(temperature=temperature, max_tokens=max_tokens)
    options = options_of(fallback, timeout, api, prefer, budget)
    with connect(context, hub, base_url) as connection:
        connection.require_key()
        if not question and not attach and sys.stdin.isatty():
            from hubmix.cli.session import Session

            Session(connection, model, body, options, system=system, reasoning=reasoning, quiet=quiet).run()
            return
        if not question and not attach:
            raise ConfigurationError('Nothing to ask: hubmix chat "Why is the sky blue?"')
        messages = messages_of(system, question, attach)
        timed = Printer(reasoning=reasoning).print(connection, {"model": model, "messages": messages, **body}, options)
        if not quiet:
            screen.note(footer(connection, timed))


def question_of(prompt: list[str] | None) -> str:
    """Return the words of the command line, with piped input below them."""
    return "\n\n".join(part for part in (" ".join(prompt or ()), piped_input()) if part)


def messages_of(system: str | None, question: str, attach: list[Path] | None) -> list[dict[str, Any]]:
    """Return the messages of one question."""
    first = [{"role": "system", "content": system}] if system else []
    return [*first, {"role": "user", "content": content_of(question, attach or [])}]


def given(**parameters: Any) -> dict[str, Any]:
    """Return the parameters that were given on the command line."""
    return {name: value for name, value in parameters.items() if value is not None}


def options_of(
    fallback: list[str] | None,
    timeout: float | None = None,
    api: str = "auto",
    prefer: str = "order",
    budget: str | None = None,
) -> CallOptions:
    """Return the options of a call; failed attempts are told as they happen."""
    from hubmix.failover.options import CallOptions
    from hubmix.hub.budget import Budget

    chosen = fallbacks_of(fallback)
    return CallOptions(
        fallbacks="auto" if isinstance(chosen, str) else chosen,
        timeout=timeout,
        on_attempt=tell_attempt if chosen else None,
        api=api,  # type: ignore[arg-type]  # it checks the name itself
        prefer=prefer,  # type: ignore[arg-type]  # and this one
        budget=Budget(budget) if budget is not None else None,
    )


def piped_input() -> str:
    """Return what was piped in or redirected; "" at a terminal or without input."""
    source = sys.stdin
    if source is None or source.closed or source.isatty():
        return ""
    try:
        kind = os.fstat(source.fileno()).st_mode
    except (OSError, io.UnsupportedOperation):
        kind = stat.S_IFIFO  # not a file of the system: an input that was put in place of one
    if not (stat.S_ISFIFO(kind) or stat.S_ISREG(kind)):
        return ""
    try:
        text = source.read().strip()
        # In the C locale Python reads any byte, as half a character that cannot be sent.
        text.encode()
        return text
    except UnicodeError as error:
        raise ConfigurationError("The piped input is not text; attach files with --attach.") from error
    except OSError:
        return ""
