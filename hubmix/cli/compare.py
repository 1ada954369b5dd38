"""`hubmix compare`: one prompt through several models."""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hubmix.cli import screen
from hubmix.cli.asking import Timed, cost_of, get_ready, stream
from hubmix.cli.attachments import content_of
from hubmix.cli.chat import piped_input
from hubmix.cli.connection import BaseUrl, HubName, Json, Timeout, connect
from hubmix.cli.guard import FAILED, message_of
from hubmix.errors import ConfigurationError, HubmixError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from hubmix.catalog import Cost
    from hubmix.failover.options import CallOptions
    from hubmix.hub.hub import Hub

_NARROWEST = 36  # columns; below that, answers stand under each other


@dataclass(frozen=True, slots=True)
class Result:
    """What one model made of the prompt."""

    model: str
    timed: Timed | None = None
    cost: Cost | None = None
    error: str = ""

    @property
    def tokens(self) -> int | None:
        """Tokens of the answer, reasoning included."""
        usage = self.timed.reply.usage if self.timed else None
        return usage.output_tokens if usage else None

    @property
    def speed(self) -> float | None:
        """Tokens per second once the first one had come."""
        if self.timed is None or self.timed.first is None or not self.tokens:
            return None
        span = self.timed.total - self.timed.first
        return self.tokens / (span if span > 0.001 else max(self.timed.total, 0.001))

    @property
    def text(self) -> str:
        """The answer, or what went wrong."""
        return self.timed.reply.text.strip() if self.timed else self.error

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe."""
        return {
            "model": self.model,
            "answer": self.text if self.timed else None,
            "error": self.error or None,
            "first_token_seconds": self.timed.first if self.timed else None,
            "seconds": self.timed.total if self.timed else None,
            "output_tokens": self.tokens,
            "tokens_per_second": self.speed,
            "cost_usd": None if self.cost is None or self.cost.total is None else float(self.cost.total),
        }

    def row(self) -> tuple[str, ...]:
        """The cells of the summary."""
        if self.timed is None:
            return (self.model, "failed", "", "", "", "")
        return (
            self.model,
            "?" if self.timed.first is None else f"{self.timed.first * 1000:,.0f} ms",
            f"{self.timed.total:.1f} s",
            "?" if self.tokens is None else f"{self.tokens:,}",
            "?" if self.speed is None else f"{self.speed:,.0f}",
            str(self.cost) if self.cost is not None else "unknown",
        )


COLUMNS = ("model", "first token", "total", "tokens", "tokens/s", "cost")


def compare(
    context: typer.Context,
    prompt: Annotated[list[str] | None, typer.Argument(metavar="PROMPT", help="The question.")] = None,
    model: Annotated[
        list[str] | None, typer.Option("--model", "-m", metavar="ID", help="A model; give two or more, or a,b,c.")
    ] = None,
    system: Annotated[str | None, typer.Option("--system", "-s", metavar="TEXT", help="A system message.")] = None,
    attach: Annotated[list[Path] | None, typer.Option("--attach", "-a", metavar="FILE", help="Repeatable.")] = None,
    temperature: Annotated[float | None, typer.Option("--temperature", metavar="NUMBER", min=0)] = None,
    max_tokens: Annotated[int | None, typer.Option("--max-tokens", metavar="N", min=1)] = None,
    timeout: Timeout = None,
    as_json: Json = False,
    hub: HubName = None,
    base_url: BaseUrl = None,
) -> None:
    """Ask several models the same at the same time, and see their answers, speed and cost side by side.

    The exit code is 1 if any of them failed.

    Examples:

        hubmix compare "What is entropy?" -m gpt-4o-mini -m deepseek-chat
        hubmix compare "Say hello" -m gpt-4o-mini,qwen3-max --json
    """
    from hubmix.failover.options import CallOptions

    names = list(dict.fromkeys(name.strip() for given in model or () for name in given.split(",") if name.strip()))
    question = " ".join(prompt or ())
    if piped := piped_input():
        question = f"{question}\n\n{piped}" if question else piped
    if len(names) < 2 or not (question or attach):
        raise ConfigurationError('Name a prompt and two models: hubmix compare "Hello" -m gpt-4o-mini -m deepseek-chat')
    messages: list[dict[str, Any]] = [{"role": "system", "content": system}] if system else []
    messages.append({"role": "user", "content": content_of(question, attach or [])})
    given = {"messages": messages, "temperature": temperature, "max_tokens": max_tokens}
    body = {name: value for name, value in given.items() if value is not None}
    with connect(context, hub, base_url) as connection:
        connection.require_key()
        with screen.waiting(f"asking {len(names)} models"):
            get_ready(connection)
            results = ask_all(connection, names, body, CallOptions(timeout=timeout))
    if as_json:
        screen.as_json([result.to_dict() for result in results])
    else:
        show(results)
    if any(result.timed is None for result in results):
        raise typer.Exit(FAILED)


def ask_all(hub: Hub, names: Sequence[str], body: dict[str, Any], options: CallOptions) -> list[Result]:
    """Ask all models at once; a failure is that model's result."""

    def ask(name: str) -> Result:
        try:
            timed = stream(hub, {"model": name, **body}, options, on_text=lambda text: None)
        except HubmixError as error:
            return Result(name, error=message_of(error))
        return Result(name, timed, cost_of(hub, timed.reply))

    def work(name: str, result: Future[Result]) -> None:
        try:
            result.set_result(ask(name))
        except BaseException as error:  # noqa: BLE001 - raised again where the result is waited for
            result.set_exception(error)

    results: list[Future[Result]] = [Future() for _ in names]
    for name, result in zip(names, results, strict=True):
        # Daemons: the interpreter waits for a pool's threads, and after Ctrl-C nobody shall wait for a silent model.
        threading.Thread(target=work, args=(name, result), daemon=True).start()
    return [_wait(result) for result in results]


def _wait(result: Future[Result]) -> Result:
    # Never without a timeout: Windows does not let Ctrl-C through to a thread that waits for ever.
    while True:
        try:
            return result.result(timeout=0.2)
        except NotYet:
            if result.done():
                raise


def show(results: Sequence[Result]) -> None:
    """Answers first, figures below."""
    if screen.on_terminal(sys.stdout):
        screen.show(_side_by_side(results))
    else:
        for result in results:
            screen.line(f"== {result.model}\n\n{result.text}\n")
    # A narrow terminal does without the number of tokens first, and without the cost last.
    screen.table(COLUMNS, [result.row() for result in results], numeric=(1, 2, 3, 4, 5), spare=(3, 2, 4, 1, 5))


def _side_by_side(results: Sequence[Result]) -> RenderableType:
    from rich.console import Group
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    panels = [
        Panel(
            Text(result.text or "(empty)", style="" if result.timed else "red"),
            title=Text(result.model),
            border_style="green" if result.timed else "red",
        )
        for result in results
    ]
    if screen.width() // len(panels) < _NARROWEST:
        return Group(*panels)
    grid = Table.grid(expand=True)
    for _ in panels:
        grid.add_column(ratio=1)
    grid.add_row(*panels)
    return grid
