"""How a list of models looks: a text table, an HTML table, a data frame, a plot."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple
from unicodedata import east_asian_width

from hubmix._compat import extra
from hubmix._html import table
from hubmix._text import one_line, plain
from hubmix.catalog.models import ModelInfo, count_text, remarks, unsure_prices

_TEXT_ROWS = 60
_HTML_ROWS = 300
_LABELLED = 25  # points of a plot; more names than that lie on top of each other
_HEADINGS = ("id", "owner", "kind", "context", "max out", "in $/1M", "out $/1M", "supports")
_NUMERIC = frozenset({3, 4, 5, 6})


def table_text(models: Sequence[ModelInfo], *, as_of: str | None = None, left_out: str = "") -> str:
    """Return the models as lines of aligned columns; a long list is cut and says so."""
    if not models:
        return _footer(models, as_of, left_out)
    rows = [_HEADINGS, *(row_of(info) for info in models[:_TEXT_ROWS])]
    widths = [max(_width(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    lines = ["  ".join(_align(cell, widths[at], at) for at, cell in enumerate(row)).rstrip() for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    if len(models) > _TEXT_ROWS:
        lines.append(f"... {len(models) - _TEXT_ROWS} more")
    return "\n".join((*lines, _footer(models, as_of, left_out)))


def table_html(models: Sequence[ModelInfo], *, as_of: str | None = None, left_out: str = "") -> str:
    """Return the models as an HTML table, with everything from the hub escaped."""
    more = f"{len(models) - _HTML_ROWS} more; " if len(models) > _HTML_ROWS else ""
    rows = [row_of(info) for info in models[:_HTML_ROWS]]
    # What is not known of any of them takes no place: rerank models have no longest answer.
    kept = [at for at in range(len(_HEADINGS)) if at == 0 or any(row[at] not in ("", "?") for row in rows)]
    return table(
        [_HEADINGS[at] for at in kept],
        [[row[at] for at in kept] for row in rows],
        numeric={place for place, at in enumerate(kept) if at in _NUMERIC},
        whole={0, 1},
        note=more + _footer(models, as_of, left_out),
    )


def to_pandas(models: Sequence[ModelInfo]) -> Any:
    """Return a data frame, one row for each model. Raises ImportError without pandas."""
    columns = list(_record(ModelInfo("")))
    return extra("pandas", "to_pandas()", "notebook").DataFrame([_record(info) for info in models], columns=columns)


def plot(models: Sequence[ModelInfo], *, path: str | Path | None = None, price: str = "input") -> Any:
    """Plot price against context window. Raises ImportError without matplotlib."""
    from hubmix.errors import ConfigurationError

    if price not in ("input", "output"):
        raise ConfigurationError(f'price is "input" or "output"; got {price!r}.')
    plt = extra("matplotlib.pyplot", "plot()", "notebook")
    figure, axes = plt.subplots(figsize=(9, 5.5), layout="constrained")
    points = _points(models, price)
    for owner in dict.fromkeys(point.owner for point in points):
        own = [point for point in points if point.owner == owner]
        axes.scatter([point.window for point in own], [point.price for point in own], label=owner, alpha=0.8, s=36)
    if points:
        _scale(axes, points)
    else:
        _say_why_empty(axes, models)
    axes.set_xlabel("context window (tokens)")
    axes.set_ylabel(f"{price} price (USD per 1M tokens)")
    axes.grid(visible=True, alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    if len(points) <= _LABELLED:
        _label(axes, points)
    if points:
        # Outside the axes: inside, it would lie on models.
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize="small", frameon=False)
    if path is not None:
        figure.savefig(path, bbox_inches="tight", dpi=150)
        # Saved is saved: an open figure would be shown a second time, and many of them fill the memory.
        plt.close(figure)
    return axes


def row_of(info: ModelInfo) -> tuple[str, ...]:
    """Return the cells of a model's row."""
    pricing = info.pricing
    if pricing is not None and pricing.per_call is not None:
        prices: tuple[str, ...] = (f"{plain(pricing.per_call)}/call", "")
    else:
        prices = tuple("?" if amount is None else plain(amount) for amount in (info.input_price, info.output_price))
    limits = (count_text(info.context_window) or "?", count_text(info.max_output_tokens) or "?")
    return (one_line(info.id), one_line(info.owner or ""), info.kind, *limits, *prices, remarks(info))


def _record(info: ModelInfo) -> dict[str, Any]:
    record = info.to_dict()
    record.pop("source")
    pricing = record.pop("pricing") or {}
    for name in ("input", "output", "cache_read", "cache_write"):
        record[f"{name}_price"] = pricing.get(name)
    record["price_per_call"] = pricing.get("per_call")
    return record


class _Point(NamedTuple):
    id: str
    owner: str
    window: int
    price: float


def _points(models: Sequence[ModelInfo], price: str) -> list[_Point]:
    """Return the models of known window and price, the largest vendors first."""
    found = [
        _Point(_plotted(info.id), _plotted(info.owner or "unknown"), info.context_window, float(amount))
        for info in models
        if info.context_window is not None
        and (amount := info.input_price if price == "input" else info.output_price) is not None
    ]
    counts = Counter(point.owner for point in found)
    return sorted(found, key=lambda point: (-counts[point.owner], point.owner))


def _plotted(text: str) -> str:
    # Between two dollar signs matplotlib reads a formula, and where it is none the plot fails.
    return one_line(text).replace("$", r"\$")


def _scale(axes: Any, points: Sequence[_Point]) -> None:
    """Set logarithmic axes with plain numbers; linear near 0, where free models are."""
    axes.set_xscale("log", base=2)
    axes.margins(x=0.12, y=0.12)
    if any(point.price == 0 for point in points):
        axes.set_yscale("symlog", linthresh=0.01)
        axes.set_ylim(-0.002, 2 * max(0.01, *(point.price for point in points)))
    else:
        axes.set_yscale("log")
    axes.xaxis.set_major_formatter(lambda tokens, _: _short(tokens))
    axes.yaxis.set_major_formatter(lambda amount, _: f"{amount:g}")


def _say_why_empty(axes: Any, models: Sequence[ModelInfo]) -> None:
    # New API tells prices and no windows, one-api neither: empty axes alone would look like an error of the plot.
    text = "The hub tells both context window and price of none of these models." if models else "No models."
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center")
    axes.set(xticks=[], yticks=[])


def _label(axes: Any, points: Sequence[_Point]) -> None:
    places: dict[tuple[int, float], list[str]] = {}
    for point in points:
        places.setdefault((point.window, point.price), []).append(point.id)
    for place, ids in places.items():
        text = ", ".join(ids[:2]) + (f" and {len(ids) - 2} more" if len(ids) > 2 else "")
        axes.annotate(text, place, xytext=(6, 3), textcoords="offset points", fontsize="x-small")


def _short(tokens: float) -> str:
    return f"{tokens / 2**20:g}M" if tokens >= 2**20 else f"{tokens / 2**10:g}K"


def _align(cell: str, width: int, column: int) -> str:
    space = " " * (width - _width(cell))
    return space + cell if column in _NUMERIC else cell + space


def _width(text: str) -> int:
    # Many vendors of these hubs are Chinese, and their characters are two columns wide.
    return len(text) if text.isascii() else sum(2 if east_asian_width(char) in "WF" else 1 for char in text)


def _footer(models: Sequence[ModelInfo], as_of: str | None, left_out: str) -> str:
    count = "no models" if not models else "1 model" if len(models) == 1 else f"{len(models):,} models"
    dated = f"{count}, as of {as_of}" if as_of else count
    return "; ".join(part for part in (dated, left_out, unsure_prices(models)) if part)
