"""The commands, put together."""

from __future__ import annotations

import inspect
import logging
import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from hubmix import __version__
from hubmix.cli import chat, compare, doctor, models, screen, server, vectors
from hubmix.cli.connection import BaseUrl, HubName, Named
from hubmix.cli.guard import PIPE_CLOSED, STOPPED, guarded


def help_of(text: str) -> str:
    """Return a docstring as help: a line per paragraph, and a line per example.

    Typer's own reading joins the examples into one line, or wraps them; which, depends on its version.
    """
    paragraphs = inspect.cleandoc(text).split("\n\n")
    return "\n\n".join(part if part.startswith(" ") else part.replace("\n", " ") for part in paragraphs)


HELP = """\
Every model of an OpenAI-compatible hub, from the command line.

The key comes from the environment: HUBMIX_API_KEY, or AIHUBMIX_API_KEY or AIHUBAPI_API_KEY for those hubs.
HUBMIX_BASE_URL names the hub, HUBMIX_MODEL the model of chat. The answer goes to stdout, everything else to stderr.
"""
EPILOG = (
    "Exit codes: 0 done, 1 a call failed, 2 a mistake on the command line or in a setting, 130 Ctrl-C, "
    "141 the reader of the output is gone."
)

app = typer.Typer(
    name="hubmix",
    help=help_of(HELP),
    epilog=EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)


def _version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"hubmix {__version__}\n")
        raise typer.Exit


@app.callback()
def _before(
    context: typer.Context,
    hub: HubName = None,
    base_url: BaseUrl = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    context.obj = Named(hub, base_url)


for _name, _command in (
    ("models", models.models),
    ("chat", chat.chat),
    ("compare", compare.compare),
    ("embed", vectors.embed),
    ("rerank", vectors.rerank),
    ("balance", doctor.balance),
    ("doctor", doctor.doctor),
    ("serve-embedded", server.serve_embedded),
    ("demo", server.demo),
):
    app.command(_name, help=help_of(_command.__doc__ or ""))(guarded(_command))


def run(arguments: Sequence[str]) -> int:
    """Run the command line and return the exit code."""
    # A breaker that opens is told by the command itself, in its own words.
    logging.getLogger("hubmix").addHandler(logging.NullHandler())
    _stand_in_for_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        # A terminal or pipe that cannot show a character shows a question mark, and the command goes on.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        app(args=list(arguments), prog_name="hubmix")
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except KeyboardInterrupt:
        code = STOPPED
    else:
        code = 0
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        screen.forget_stdout()
        return PIPE_CLOSED
    return code


def _stand_in_for_closed_streams() -> None:
    """Replace streams that the shell closed (`>&-`) by the null device."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - as long as the process
