"""What `prefer="latency"` and `hedge_after` save: `python -m benchmarks.routing`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

from benchmarks.report import show
from benchmarks.results import Figure
from benchmarks.routing_runs import (
    FULL,
    HEDGE_AFTER,
    LATE,
    LATE_SHARE,
    QUICK,
    SLOW,
    STALLS,
    USUAL,
    Effort,
    Hedges,
    Orders,
    measure_hedges,
    measure_orders,
    percentile,
)

_INTRODUCTION = """\
# Routing measured

What [`prefer="latency"` and `hedge_after`](how-to/routing.md) save, on a hub on loopback whose latencies a script says.

This page is written by `python -m benchmarks.routing --write docs/routing-measured.md`: every number on it was measured
by one run of one program.

| measured | result | target | met |
|---|---|---|---|
"""
_ORDERS = """
## Order by latency

Two models take {quick:.0f} and {slow:.0f} ms to the first content. In the middle of the run they swap. {calls} calls
one after the other; seconds that the script made them wait:

| asked | before the swap | after it | in all |
|---|---:|---:|---:|
"""
_HEDGES = """
## Hedging

The healthy hub takes {usual} ms to the first content, and {late} ms for {share:.0%} of the requests. On the other hub
{stalls:.0%} of the requests, for either model, stall for {stalled:.0f} s. The hedge begins after {after:.0f} ms.
Milliseconds to the first content of {calls:,} calls:

| | median | 95th | 99th | slowest | requests a call |
|---|---:|---:|---:|---:|---:|
"""

_ADVICE = """
A hedge answers after `hedge_after` and one more usual answer. It helps where late answers take longer than that, and
does nothing for a hub whose answers all take about the same time.
"""


def page(orders: Orders, hedges: Hedges, plot: str | None = None) -> str:
    """The whole page in Markdown.

    Args:
        orders: the run whose latencies swap.
        hedges: the run whose calls stall.
        plot: the file name of the plot in the page's folder, if there is one.
    """
    parts = [_INTRODUCTION, *map(_figure, [*orders.figures, *hedges.figures])]
    if plot is not None:
        parts.append(f"\n![Seconds lost to the best route, call by call; times to the first content]({plot})\n")
    half = len(orders.preferred) // 2
    parts.append(_ORDERS.format(quick=1000 * QUICK, slow=1000 * SLOW, calls=2 * half))
    for name, times in _named(orders).items():
        parts.append(f"| {name} | {sum(times[:half]):.2f} | {sum(times[half:]):.2f} | {sum(times):.2f} |\n")
    parts.append(
        _HEDGES.format(
            usual=_span(USUAL),
            late=_span(LATE),
            share=LATE_SHARE,
            stalls=STALLS,
            stalled=hedges.stalled,
            after=1000 * HEDGE_AFTER,
            calls=len(hedges.hedged),
        )
    )
    for name, times in _runs(hedges).items():
        known = (percentile(times, 50), percentile(times, 95), percentile(times, 99), max(times))
        sent = hedges.requests / len(hedges.hedged) if times is hedges.hedged else 1.0
        parts.append(f"| {name} | " + " | ".join(f"{1000 * value:,.0f}" for value in known) + f" | {sent:.3f} |\n")
    parts.append(_ADVICE)
    return "".join(parts)


def _span(seconds: tuple[float, float]) -> str:
    return " to ".join(f"{1000 * value:.0f}" for value in seconds)


def _figure(figure: Figure) -> str:
    unit = f" × {figure.against}" if figure.unit == "×" else f" {figure.unit}"
    target = f"≤ {show(figure.target or 0.0)} {figure.unit}"
    note = f" ({figure.note})" if figure.note else ""
    return f"| {figure.work}{note} | {show(figure.value)}{unit} | {target} | {'yes' if figure.met else '**no**'} |\n"


def _named(orders: Orders) -> dict[str, list[float]]:
    fixed = {f"always the {name}": times for name, times in orders.fixed.items()}
    return {'`prefer="latency"`': orders.preferred, **fixed}


def _runs(hedges: Hedges) -> dict[str, list[float]]:
    return {"healthy hub": hedges.healthy, "some calls stall": hedges.plain, "the same, with a hedge": hedges.hedged}


def draw(orders: Orders, hedges: Hedges, path: Path) -> bool:
    """Draw regret curves and the histogram; return False without matplotlib."""
    try:
        import matplotlib
    except ImportError:
        return False
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 3.6))
    for name, times in _named(orders).items():
        left.plot(_regret(times, orders), label=name.replace("`", ""))
    left.set(xlabel="call", ylabel="seconds lost to the best route", yscale="symlog")
    right.hist(
        list(_runs(hedges).values()), bins=[0.01 * 1.5**step for step in range(20)], label=list(_runs(hedges)), log=True
    )
    right.set(xlabel="seconds to the first content", ylabel="calls", xscale="log")
    for axis in (left, right):
        axis.legend(fontsize=8)
        axis.tick_params(labelsize=8)
    figure.tight_layout()
    # A date or a version inside would make every run a change.
    figure.savefig(path, dpi=110, facecolor="white", metadata={"Software": None})
    pyplot.close(figure)
    return True


def _regret(times: Sequence[float], orders: Orders) -> list[float]:
    best = [min(others) for others in zip(*orders.fixed.values(), strict=True)]
    return list(accumulate(took - ideal for took, ideal in zip(times, best, strict=True)))


def main(argv: list[str] | None = None, effort: Effort = FULL) -> int:
    """Measure, print the page, and write it if asked; a missed target is no failure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.routing", description=__doc__)
    parser.add_argument("--write", type=Path, metavar="PAGE", help="write the page, with a .png")
    target: Path | None = parser.parse_args(argv).write
    print("measuring: order", file=sys.stderr, flush=True)
    orders = measure_orders(effort)
    print("measuring: hedging", file=sys.stderr, flush=True)
    hedges = measure_hedges(effort)
    plot = None if target is None else target.with_suffix(".png")
    drawn = plot is not None and draw(orders, hedges, plot)
    text = page(orders, hedges, plot.name if plot is not None and drawn else None)
    if target is not None:
        target.write_text(text, encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
