"""`hubmix doctor` and `hubmix balance`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from hubmix._text import one_line
from hubmix.cli import screen
from hubmix.cli.checks import Check, Outcome, Surroundings, examine
from hubmix.cli.connection import CHAT_MODEL, BaseUrl, BaseUrls, HubName, HubNames, Json, connect, connect_each
from hubmix.cli.guard import FAILED

_BREAK = "\n"
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
    hub: HubNames = None,
    base_url: BaseUrls = None,
) -> None:
    """Check everything between here and an answer, and say what to do where it fails.

    Looks at the settings, the name look-up, the connection, TLS, the key, the catalog, and makes one call of a few
    tokens. Several hubs are checked one after the other. The exit code is 1 if anything failed.

    Examples:

        hubmix doctor
        hubmix doctor --base-url http://127.0.0.1:3000/v1 --model gpt-4o-mini
        hubmix doctor --hub aihubmix --hub aihubapi
        hubmix doctor --no-call --json
    """
    hubs = connect_each(context, hub, base_url)
    reports: list[tuple[str, list[Check]]] = []
    keys: dict[str, str] = {}
    for connection in hubs:
        if len(hubs) > 1 and not as_json:
            screen.line(f"{_BREAK if reports else ''}{connection.base_url}")
        with connection:
            first = keys.setdefault(connection.key_id, connection.base_url)
            what = Surroundings(connection, model, call, shares_key="" if first == connection.base_url else first)
            reports.append((connection.base_url, _look(what, show=not as_json)))
    several = len(reports) > 1
    failed = [
        f"{check.name} at {url}" if several else check.name
        for url, found in reports
        for check in found
        if check.outcome is Outcome.FAILED
    ]
    if as_json:
        screen.as_json(_as_json(reports))
    else:
        screen.line(_verdict(failed))
    if failed:
        raise typer.Exit(FAILED)


def _look(what: Surroundings, *, show: bool) -> list[Check]:
    found = []
    for check in examine(what):
        found.append(check)
        if show:
            _show(check)
    return found


def _as_json(reports: Sequence[tuple[str, Sequence[Check]]]) -> dict[str, Any]:
    """Return one hub's report, or those of several under `hubs`."""
    told = [
        {"ok": all(check.outcome is not Outcome.FAILED for check in found), "checks": [one.to_dict() for one in found]}
        for _, found in reports
    ]
    if len(told) == 1:
        return told[0]
    hubs = [{"hub": url, **report} for (url, _), report in zip(reports, told, strict=True)]
    return {"ok": all(report["ok"] for report in told), "hubs": hubs}


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


def _verdict(failed: Sequence[str]) -> str:
    if not failed:
        return "\nAll is well."
    return f"\n{len(failed)} problem{'' if len(failed) == 1 else 's'}; begin with the first: {failed[0]}."


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
