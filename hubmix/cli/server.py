"""`hubmix serve-embedded` and `hubmix demo`."""

from __future__ import annotations

import sys
import threading
from typing import Annotated

import typer

from hubmix.cli import screen
from hubmix.errors import ConfigurationError


def serve_embedded(
    port: Annotated[int, typer.Option("--port", "-p", min=0, max=65535, help="0 takes any free port.")] = 8000,
    dialect: Annotated[
        str, typer.Option("--dialect", metavar="NAME", help="new-api, one-api or aihubmix.")
    ] = "new-api",
    model: Annotated[
        list[str] | None,
        typer.Option("--model", "-m", metavar="ID", help="Serve this id too, as embedded/extract; repeatable."),
    ] = None,
    fault: Annotated[
        list[str] | None,
        typer.Option("--fault", metavar="MODEL=FAULT", help="Let a model fail: 'embedded/extract=503'; repeatable."),
    ] = None,
    pace: Annotated[
        float, typer.Option("--pace", metavar="SECONDS", min=0, help="Between the events of a stream.")
    ] = 0.0,
) -> None:
    """Serve the embedded hub on this machine until Ctrl-C.

    Prints one line: the base URL and a key (which is no secret).

    Examples:

        hubmix serve-embedded --port 8000
        hubmix serve-embedded --model gpt-4o-mini --fault gpt-4o-mini=429
    """
    from hubmix.embedded import EmbeddedHub

    faults = {}
    for given in fault or ():
        name, equals, what = given.rpartition("=")
        if not equals:
            raise ConfigurationError(f"--fault takes MODEL=FAULT, such as 'embedded/extract=503'; got {given!r}.")
        faults[name] = what
    try:
        server = EmbeddedHub(dialect, models=model or (), faults=faults, pace=pace, port=port)  # type: ignore[arg-type]  # it checks the name of the dialect itself
    except ValueError as error:
        raise ConfigurationError(str(error)) from error
    try:
        server.start()
    except OSError as error:
        raise ConfigurationError(
            f"Port {port} cannot be used: {error.strerror or error}. --port 0 takes a free one."
        ) from error
    try:
        screen.line(f"{server.base_url} {server.api_key}")
        screen.note(
            f"export HUBMIX_BASE_URL={server.base_url} HUBMIX_API_KEY={server.api_key}   # Ctrl-C stops the hub",
            wrap=False,
        )
        threading.Event().wait()
    except KeyboardInterrupt:
        screen.note("\nstopped")  # the way in which it ends: no failure
    finally:
        server.close()


def demo() -> None:
    """Show both frameworks, faults and costs; without a key on the embedded hub."""
    from hubmix.cli.demo import main

    if code := main():
        raise typer.Exit(code)
    sys.stdout.flush()
