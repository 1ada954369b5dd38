"""`hubmix models`: what the hub serves."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hubmix.cli import screen
from hubmix.cli.connection import BaseUrl, HubName, Json, connect

if TYPE_CHECKING:
    from hubmix.catalog import ModelList

COLUMNS = ("model", "owner", "kind", "context", "max out", "in $/1M", "out $/1M", "supports")
_SPARE = (2, 1, 4, 7, 3, 6, 5)  # what a narrow terminal does without, so that the ids stay whole


def models(
    context: typer.Context,
    query: Annotated[
        list[str] | None, typer.Argument(metavar="WORD", help="Words that id, name or owner must contain.")
    ] = None,
    supports: Annotated[
        list[str] | None,
        typer.Option(
            "--supports", metavar="WORD", help="tools, vision, audio, pdf, reasoning, structured_output; repeatable."
        ),
    ] = None,
    min_context: Annotated[
        int | None, typer.Option("--min-context", metavar="TOKENS", min=0, help="At least this context window.")
    ] = None,
    max_input_price: Annotated[
        float | None, typer.Option("--max-input-price", metavar="USD", min=0, help="Per 1M tokens.")
    ] = None,
    max_output_price: Annotated[
        float | None, typer.Option("--max-output-price", metavar="USD", min=0, help="Per 1M tokens.")
    ] = None,
    free: Annotated[
        bool | None, typer.Option("--free/--not-free", help="Only what costs nothing, or something.")
    ] = None,
    owner: Annotated[str | None, typer.Option("--owner", metavar="NAME", help="The vendor.")] = None,
    kind: Annotated[
        str, typer.Option("--kind", metavar="KIND", help="chat, embedding, rerank, image, audio, video or all.")
    ] = "chat",
    retired: Annotated[bool, typer.Option("--retired", help="Models that the hub has retired, too.")] = False,
    unknown: Annotated[
        bool, typer.Option("--unknown", help="Also models of which the hub does not say whether they meet a filter.")
    ] = False,
    every: Annotated[bool, typer.Option("--all", help="Also models that this key may not call.")] = False,
    sort: Annotated[
        str,
        typer.Option(
            "--sort", metavar="KEY", help="id, name, owner, kind, context, max_output, price or output_price."
        ),
    ] = "id",
    descending: Annotated[bool, typer.Option("--descending", help="The largest first.")] = False,
    limit: Annotated[int | None, typer.Option("--limit", metavar="N", min=0, help="At most so many.")] = None,
    ids: Annotated[bool, typer.Option("--ids", help="Print the ids only, one a line.")] = False,
    as_json: Json = False,
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot", metavar="FILE", help="Save price against context window as a picture (.png, .svg, .pdf)."
        ),
    ] = None,
    hub: HubName = None,
    base_url: BaseUrl = None,
) -> None:
    """List the models of the hub, with what they can do and what they cost.

    Without a network the last known list is shown, and how old it is. A price or a window that the hub does not tell is
    "?"; a filter on it leaves such models out and says how many. A narrow terminal shows fewer columns; --json all.

    Examples:

        hubmix models claude --supports tools --max-input-price 3
        hubmix models --free --sort context --descending --limit 10
        hubmix models --kind embedding --json
    """
    wanted = [name.strip() for given in supports or () for name in given.split(",") if name.strip()]
    with connect(context, hub, base_url) as connection:
        found = connection.models.list(
            " ".join(query or ()),
            kind=None if kind == "all" else kind,
            supports=wanted,
            min_context=min_context,
            max_input_price=max_input_price,
            max_output_price=max_output_price,
            free=free,
            owner=owner,
            retired=retired,
            unknown=unknown,
            available="any" if every else None,
            sort=sort,
            descending=descending,
            limit=limit,
        )
        near = () if found else connection.models.suggest(" ".join(query or ()))
        hint = "" if found else connection.models.info().base_url
        kinds = Counter(info.kind for info in connection.models.list(kind=None, available="any", retired=retired))
    if plot is not None:
        save_plot(found, plot)
    if as_json:
        screen.as_json([info.to_dict() for info in found])
    elif ids:
        for info in found:
            screen.line(info.id)
    elif found:
        from hubmix.catalog.display import row_of

        screen.table(COLUMNS, [row_of(info) for info in found], numeric=(3, 4, 5, 6), spare=_SPARE)
    screen.note(summary(found, kinds, hint))
    if near:
        screen.note(f"Did you mean {' or '.join(near)}?", style="yellow")


def summary(found: ModelList, kinds: Counter[str], base_url: str) -> str:
    """Return the line below the table: counts, age of the list, what is left out."""
    from hubmix.catalog.models import unsure_prices

    count = f"{len(found):,} model{'' if len(found) == 1 else 's'}"
    parts = [count if found else f"no model of {base_url} is known to meet all of that"]
    parts[0] += f", as of {found.as_of}" if found.as_of else ""
    parts.append(found.left_out.in_words("--unknown", "--all", "--retired"))
    parts.append(unsure_prices(found))
    if len(kinds) > 1:
        parts.append(f"in all {', '.join(f'{number:,} {kind}' for kind, number in kinds.most_common())}")
    return "; ".join(part for part in parts if part)


def save_plot(found: ModelList, path: Path) -> None:
    """Save the plot without ever opening a window."""
    from hubmix.errors import ConfigurationError

    try:
        import matplotlib
    except ImportError:
        pass  # `plot` says which extra is missing
    else:
        matplotlib.use("Agg")
    try:
        found.plot(path=path)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"The plot cannot be saved as {path}: {error}") from error
    screen.note(f"saved {path}")
