"""The hub that a command talks to.

The key comes from the environment only: on the command line it would be readable in the shell's history and in the
list of processes.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from hubmix.errors import ConfigurationError
from hubmix.presets import PRESETS

if TYPE_CHECKING:
    from hubmix.failover.options import Fallbacks
    from hubmix.hub.hub import Hub
    from hubmix.hub.model import HubModel

PANEL = "Connection (the key comes from the environment)"
HubName = Annotated[
    str | None,
    typer.Option("--hub", metavar="NAME", help="A hub known by name: aihubmix or aihubapi.", rich_help_panel=PANEL),
]
BaseUrl = Annotated[
    str | None,
    typer.Option(
        "--base-url", metavar="URL", help="Any other OpenAI-compatible hub, ending in /v1.", rich_help_panel=PANEL
    ),
]
HubNames = Annotated[
    list[str] | None,
    typer.Option(
        "--hub", metavar="NAME", help="A hub known by name: aihubmix or aihubapi. Several times.", rich_help_panel=PANEL
    ),
]
BaseUrls = Annotated[
    list[str] | None,
    typer.Option(
        "--base-url",
        metavar="URL",
        help="Any other OpenAI-compatible hub, ending in /v1. Several times.",
        rich_help_panel=PANEL,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Model = Annotated[
    str, typer.Option("--model", "-m", metavar="ID", envvar="HUBMIX_MODEL", show_envvar=True, help="The model ID.")
]
Fallback = Annotated[
    list[str] | None,
    typer.Option(
        "--fallback",
        "-f",
        metavar="ID",
        help="A model to go on to (of another hub: aihubapi/ID), several times. Or: auto.",
    ),
]
Timeout = Annotated[
    float | None, typer.Option("--timeout", metavar="SECONDS", min=0.001, help="For one attempt (default 600).")
]

Api = Annotated[
    str, typer.Option("--api", metavar="NAME", help="auto, chat, responses or messages: the API to ask over.")
]
Prefer = Annotated[
    str, typer.Option("--prefer", metavar="WORD", help="Ask first by order, price, latency or throughput.")
]
BudgetUsd = Annotated[
    str | None, typer.Option("--budget", metavar="USD", help="Refuse a call that could pass this sum.")
]

CHAT_MODEL = "gpt-4o-mini"


@dataclass(frozen=True, slots=True)
class Named:
    """The hub named before the command: `hubmix --hub aihubapi models`."""

    hub: str | None = None
    base_url: str | None = None


def connect(context: typer.Context, hub: str | None, base_url: str | None) -> Hub:
    """The hub that is meant; what follows the command's name wins."""
    from hubmix.hub.hub import Hub

    before = context.obj if isinstance(context.obj, Named) else Named()
    return Hub(hub or before.hub, base_url=base_url or before.base_url)


def connect_each(context: typer.Context, hubs: list[str] | None, base_urls: list[str] | None) -> list[Hub]:
    """Return the hubs that are named, each once.

    One name and one URL are one hub, as for every other command.
    """
    names, urls = hubs or [], base_urls or []
    if len(names) <= 1 and len(urls) <= 1:
        return [connect(context, next(iter(names), None), next(iter(urls), None))]
    named: list[tuple[str | None, str | None]] = [*((name, None) for name in names), *((None, url) for url in urls)]
    return list({hub.base_url: hub for hub in (connect(context, *one) for one in named)}.values())


def fallbacks_of(given: list[str] | None) -> Fallbacks:
    """Return the `fallbacks` of a call from the values of `--fallback`.

    `aihubapi/gpt-4o-mini` names a model of another known hub.
    """
    if given and "auto" in given:
        if len(given) > 1:
            raise ConfigurationError("--fallback auto stands alone: the catalog chooses the models.")
        return "auto"
    return tuple(map(_fallback, given or ()))


def _fallback(name: str) -> str | HubModel:
    from hubmix.hub.hub import Hub

    hub, _, model = name.partition("/")
    if hub not in PRESETS or not model:
        return name
    variables = PRESETS[hub].key_variables
    key = next((value for variable in variables if (value := os.environ.get(variable, "").strip())), None)
    if key is None and os.environ.get("HUBMIX_API_KEY", "").strip():
        raise ConfigurationError(
            f"--fallback {name} needs a key of its own in {variables[-1]}: HUBMIX_API_KEY is that of the first hub."
        )
    return Hub(hub, api_key=key).model(model)
