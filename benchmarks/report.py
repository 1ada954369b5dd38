"""The report: a page in Markdown, the same as JSON, and a plot."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.results import Figure, Section

_PACKAGES = (
    "hubmix",
    "openai",
    "langchain-core",
    "langchain-openai",
    "llama-index-core",
    "llama-index-llms-openai-like",
    "httpx",
    "httpx2",
    "httpx-aiohttp",
)
_APART = ("construct, ms",)
_INTRODUCTION = """\
# Benchmarks

What this package costs its caller, in CPU time, and what the plain clients cost. The hub answers in
seconds, so no user waits for any of it; it decides how many users fit on a server.

This page is written by `make bench ARGS="--write docs/benchmarks.md"`: every number on it was measured by one run of
one program. The hub is a server on loopback, in a process of its own, that answers with bytes made beforehand. Each
client has its turn in every round; a ratio is the median of the ratios of all rounds. Ratios carry over to other
machines, milliseconds do not.
"""


def environment() -> dict[str, Any]:
    """Return the machine, its load and the versions of the packages that take part."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "load": load,
        "packages": {name: installed_version(name) for name in _PACKAGES},
    }


def installed_version(package: str) -> str | None:
    """The version of a package, or None where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def to_json(found: Section, about: Mapping[str, Any]) -> str:
    """Everything that was found, for programs."""
    whole = {
        "environment": about,
        "figures": [figure.to_dict() for figure in found.figures],
        "tables": found.tables,
        "skipped": found.skipped,
    }
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def to_markdown(found: Section, about: Mapping[str, Any], plot: str | None = None) -> str:
    """The page.

    Args:
        found: What was measured.
        about: What it was measured with.
        plot: The file name of the plot in the page's folder, if there is one.
    """
    parts = [_INTRODUCTION, _machine(about), "## Targets\n", _targets(found.figures), *_shortfall(found.figures)]
    if plot is not None:
        parts.append(f"![CPU time of each client, relative to this package's peers]({plot})\n")
    shared = {title: table for title, table in found.tables.items() if title not in _APART and "ChatHubmix" in table}
    if shared:
        parts += ["## CPU time\n", "Medians, in milliseconds of the caller's process.\n", _matrix(shared)]
    rest = {title: table for title, table in found.tables.items() if title not in shared}
    parts += [f"## {title.capitalize()}\n\n{_times(table)}" for title, table in rest.items()]
    if found.skipped:
        parts += ["## Not measured\n", "\n".join(f"- {line}." for line in found.skipped) + "\n"]
    return "\n".join(parts)


def missed(found: Section) -> list[str]:
    """One line for each target that was missed."""
    return [
        f"{figure.work}: {show(figure.value)} {figure.unit}, target {show(figure.target)}"
        + (f", {figure.value / figure.target - 1:.0%} more than it" if figure.target else "")
        for figure in found.figures
        if figure.met is False and figure.target is not None
    ]


def show(value: float) -> str:
    """A number with three significant digits, without needless zeros."""
    if value == int(value) and abs(value) < 1e6:
        return f"{value:,.0f}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _machine(about: Mapping[str, Any]) -> str:
    used = ", ".join(f"{name} {found}" for name, found in about["packages"].items() if found)
    absent = ", ".join(name for name, found in about["packages"].items() if not found)
    text = f"Measured on {about['system']}, {about['cores']} cores, Python {about['python']}, with {used}"
    text += f" (not installed: {absent})." if absent else "."
    if about["load"] is not None and about["load"] > (about["cores"] or 1):
        text += (
            "\n\n!!! warning\n    The machine was busy with other things "
            f"(load {about['load']:.1f} on {about['cores']} cores). What that adds to a call it adds to everybody's, "
            "so ratios of short calls come out nearer to 1 than they are."
        )
    return text + "\n"


def _targets(figures: list[Figure]) -> str:
    lines = ["| work | measured | target | met |", "|---|---|---|---|"]
    for figure in figures:
        unit = {"×": f" × {figure.against}", "%": " %"}.get(figure.unit, f" {figure.unit}" if figure.unit else "")
        target = "" if figure.target is None else f"≤ {show(figure.target)}{unit if figure.unit != '×' else ' ×'}"
        met = {None: "", True: "yes", False: "**no**"}[figure.met]
        work = f"{figure.work} ({figure.note})" if figure.note else figure.work
        lines.append(f"| {work} | {show(figure.value)}{unit} | {target} | {met} |")
    return "\n".join(lines) + "\n"


def _shortfall(figures: list[Figure]) -> list[str]:
    lines = [f"- {line}." for line in missed(Section(figures))]
    if not lines:
        return []
    parts = ["Missed:\n", "\n".join(lines) + "\n"]
    if any(figure.met is False and figure.unit in ("ms", "µs") for figure in figures):
        parts.append(
            "A target in milliseconds is one for an idle machine. A processor that is shared or slow for a while "
            "counts in it in full, where a ratio has it on both sides.\n"
        )
    return parts


def _matrix(tables: Mapping[str, Mapping[str, float]]) -> str:
    """A row for each client, a column for each kind of work."""
    names = dict.fromkeys(name for table in tables.values() for name in table)
    lines = ["| client | " + " | ".join(tables) + " |", "|---|" + "---:|" * len(tables)]
    for name in names:
        cells = [show(table[name]) if name in table else "" for table in tables.values()]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _times(table: Mapping[str, float]) -> str:
    lines = ["| | |", "|---|---:|", *(f"| {name} | {show(value)} |" for name, value in table.items())]
    return "\n".join(lines) + "\n"


# ------------------------------------------------------------------------------------------------------------- plot

_OURS = ("ChatHubmix", "ChatHubmix, fast", "Hubmix", "Hub (no framework)")
_COLOURS = {"ours": "#0f766e", "peer": "#b0b7bf"}


def draw(found: Section, path: Path) -> bool:
    """Draw a bar for each client in each kind of work; False if nothing can be drawn.

    Raises:
        ImportError: matplotlib is not installed (it is in the extra ``bench``).
    """
    tables = {title: table for title, table in found.tables.items() if "ChatHubmix" in table and title not in _APART}
    if not tables:
        return False
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    columns = 2
    rows = (len(tables) + columns - 1) // columns
    figure, axes = pyplot.subplots(rows, columns, figsize=(11, 2.6 * rows), squeeze=False)
    for axis in axes.flat[len(tables) :]:
        axis.set_visible(False)
    for axis, (title, table) in zip(axes.flat, tables.items(), strict=False):
        names = list(reversed(table))
        values = [table[name] for name in names]
        colours = [_COLOURS["ours" if name in _OURS else "peer"] for name in names]
        bars = axis.barh(names, values, color=colours, height=0.7)
        axis.bar_label(bars, [f"{show(value)} ms" for value in values], padding=3, fontsize=8)
        axis.set_title(title, fontsize=10, loc="left")
        axis.set_xlim(0, max(values) * 1.2)
        axis.tick_params(labelsize=8, length=0)
        axis.set_xticks([])
        for side in ("top", "right", "bottom"):
            axis.spines[side].set_visible(False)
    figure.tight_layout()
    # A date or a version inside would make every run a change.
    figure.savefig(path, dpi=110, facecolor="white", metadata={"Software": None})
    pyplot.close(figure)
    return True
