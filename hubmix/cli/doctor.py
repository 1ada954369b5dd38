"""`hubmix doctor` and `hubmix balance`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from hubmix._text import one_line
from hubmix.cli import screen
from hubmix.cli.checks import Check, Outcome, Surroundings, examine
from hubmix.cli.connection import CHAT_MODEL, BaseUrl, HubName, Json, connect
from hubmix.cli.guard import FAILED

_MARKS = {Outcome.OK: ("ok", "green"), Outcome.FAILED: ("FAILED", "red"), Outcome.SKIPPED: ("skipped", "yellow")}


def doctor(
    context: typer.Context,
    model: Annotated[
        str | None,
        typer.Option(
            "--model", "-m", metavar="ID", envvar="HUBMIX_MODEL", help=f"For the call (default {CHAT_MODEL})."
        ),
    ] = None,
    call: Annotated[bool, typer.Option("--call/--no-call", help="Whether to make one tiny call.")] = True,
    as_json: Json = False,
    hub: HubName = None,
    base_url: BaseUrl = None,
) -> None:
    """Check everything between here and an answer, and say what to do where it fails.

    Looks at the settings, the name look-up, the connection, TLS, the key, the catalog, and makes one call of a few
    tokens. The exit code is 1 if anything failed.

    Examples:

        hubmix doctor
        hubmix doctor --base-url http://127.0.0.1:3000/v1 --model gpt-4o-mini
        hubmix doctor --no-call --json
    """
    found: list[Check] = []
    with connect(context, hub, base_url) as connection:
        for check in examine(Surroundings(connection, model, call)):
            found.append(check)
            if not as_json:
                _show(check)
    failed = [check for check in found if check.outcome is Outcome.FAILED]
    if as_json:
        screen.as_json({"ok": not failed, "checks": [check.to_dict() for check in found]})
    else:
        screen.line(_verdict(failed))
    if failed:
        raise typer.Exit(FAILED)


def _show(check: Check) -> None:
    mark, style = _MARKS[check.outcome]
    found = one_line(check.found)
    text = f"{mark:<8}{check.name:<12}{found}"
    if screen.on_terminal(sys.stdout):
        from rich.text import Text

        screen.show(Text.assemble((f"{mark:<8}", f"bold {style}"), (f"{check.name:<12}", "bold"), found))
    else:
        screen.line(text)
    if check.advice:
        screen.line(f"{'':<20}-> {check.advice}")


def _verdict(failed: Sequence[Check]) -> str:
    if not failed:
        return "\nAll is well."
    return f"\n{len(failed)} problem{'' if len(failed) == 1 else 's'}; begin with the first: {failed[0].name}."


def balance(context: typer.Context, as_json: Json = False, hub: HubName = None, base_url: BaseUrl = None) -> None:
    """Say what is left on the key, in USD, or that the hub does not tell.

    An unlimited key hides the account's balance; then it is said what was used.

    Examples:

        hubmix balance
        hubmix balance --hub aihubapi --json
    """
    with connect(context, hub, base_url) as connection, screen.waiting("asking the hub"):
        left = connection.balance()
    if as_json:
        screen.as_json(left.to_dict())
    else:
        screen.line(str(left))
