"""`hubmix compare`: one prompt through several models."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hubmix._text import one_line, visible
from hubmix.cli import screen
from hubmix.cli.chat import given, messages_of, options_of, question_of
from hubmix.cli.connection import Api, BaseUrl, BudgetUsd, HubName, Json, Timeout, connect
from hubmix.cli.guard import FAILED, message_of
from hubmix.errors import ConfigurationError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from hubmix.hub.compare import Compared

_NARROWEST = 36  # columns; below that, answers stand under each other


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
    api: Api = "auto",
    budget: BudgetUsd = None,
    as_json: Json = False,
    hub: HubName = None,
    base_url: BaseUrl = None,
) -> None:
    """Ask several models at once; show answers, speed and cost side by side.

    The exit code is 1 if any of them failed. A budget is for all of them together.

    Examples:

        hubmix compare "What is entropy?" -m gpt-4o-mini -m deepseek-chat
        hubmix compare "Say hello" -m gpt-4o-mini,qwen3-max --json
    """
    names = list(dict.fromkeys(name.strip() for given in model or () for name in given.split(",") if name.strip()))
    question = question_of(prompt)
    if len(names) < 2 or not (question or attach):
        raise ConfigurationError('Name a prompt and two models: hubmix compare "Hello" -m gpt-4o-mini -m deepseek-chat')
    messages = messages_of(system, question, attach)
    parameters = given(temperature=temperature, max_tokens=max_tokens)
    options = options_of(None, timeout, api, budget=budget)
    with connect(context, hub, base_url) as connection, screen.waiting(f"asking {len(names)} models"):
        results = connection.compare([messages], names, concurrency=len(names), options=options, **parameters)
    if as_json:
        screen.as_json([as_dict(result) for result in results])
    else:
        show(results)
    if any(result.error for result in results):
        raise typer.Exit(FAILED)


def as_dict(result: Compared) -> dict[str, Any]:
    """The row as the command writes it in JSON."""
    shown = result.to_dict()
    return {
        "model": result.model,
        "answer": result.answer,
        "error": message_of(result.error) if result.error else None,
        "first_token_seconds": result.first_token_s,
        "seconds": result.timed.total if result.timed else None,
        "output_tokens": result.output_tokens,
        "tokens_per_second": result.tokens_per_s,
        "cost_usd": shown["cost"],
    }


def cells(result: Compared) -> tuple[str, ...]:
    """The cells of the summary."""
    if result.timed is None:
        return (result.model, "failed", "", "", "", "")
    first, tokens, speed = result.first_token_s, result.output_tokens, result.tokens_per_s
    return (
        result.model,
        "?" if first is None else f"{first * 1000:,.0f} ms",
        f"{result.timed.total:.1f} s",
        "?" if tokens is None else f"{tokens:,}",
        "?" if speed is None else f"{speed:,.0f}",
        str(result.cost) if result.cost is not None else "unknown",
    )


def text_of(result: Compared) -> str:
    """The answer, or what went wrong."""
    return message_of(result.error) if result.error else result.answer or ""


def show(results: Sequence[Compared]) -> None:
    """Answers first, figures below."""
    if screen.on_terminal(sys.stdout):
        screen.show(_side_by_side(results))
    else:
        for result in results:
            screen.line(f"== {result.model}\n\n{text_of(result)}\n")
    # A narrow terminal does without the number of tokens first, and without the cost last.
    screen.table(COLUMNS, [cells(result) for result in results], numeric=(1, 2, 3, 4, 5), spare=(3, 2, 4, 1, 5))


def _side_by_side(results: Sequence[Compared]) -> RenderableType:
    from rich.console import Group
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    panels = [
        Panel(
            Text(visible(text_of(result)) or "(empty)", style="" if result.timed else "red"),
            title=Text(one_line(result.model)),
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
