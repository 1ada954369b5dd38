"""Measure, print the table, and write it if asked: `python -m benchmarks`."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks import catalog, failover, money, report, responses, speed, startup
from benchmarks.measure import FULL, QUICK, TINY, Effort
from benchmarks.results import Section
from benchmarks.server import Loopback

EFFORTS = {"full": FULL, "quick": QUICK, "tiny": TINY}
GROUPS = ("speed", "responses", "startup", "failover", "money", "catalog")


def main(argv: list[str] | None = None) -> int:
    """Run what the command line asks for; a missed target is no failure."""
    arguments = _parser().parse_args(argv)
    for noisy in ("hubmix", "llama_index", "httpx", "httpx2", "openai"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    effort = EFFORTS["quick" if arguments.quick else arguments.effort]
    about = report.environment()
    found = run(arguments.only or GROUPS, effort, patient=arguments.effort == "full")
    page = arguments.write
    plot = None if page is None else page.with_suffix(".png")
    if plot is not None and not _draw(found, plot):
        plot = None
    text = report.to_markdown(found, about, plot.name if plot is not None else None)
    if page is not None:
        page.write_text(text, encoding="utf-8")
        page.with_suffix(".json").write_text(report.to_json(found, about), encoding="utf-8")
    print(report.to_json(found, about) if arguments.json else text)
    for line in report.missed(found):
        print(f"missed: {line}", file=sys.stderr)
    return 0


def run(groups: tuple[str, ...] | list[str], effort: Effort, *, patient: bool = True) -> Section:
    """Measure these groups, in the program's own order."""
    found = Section()
    with Loopback() as server:
        work: dict[str, Callable[[], Section]] = {
            "speed": lambda: speed.measure(server, effort),
            "responses": lambda: responses.measure(server, effort),
            "startup": lambda: startup.measure(server, effort),
            "failover": lambda: failover.measure(server, effort, patient=patient),
            "money": lambda: money.measure(effort),
            "catalog": lambda: catalog.measure(effort),
        }
        for name in GROUPS:
            if name in groups:
                print(f"measuring: {name}", file=sys.stderr, flush=True)
                found.add(work[name]())
    return found


def _draw(found: Section, path: Path) -> bool:
    try:
        return report.draw(found, path)
    except ImportError as error:
        found.skipped.append(f"the plot: not drawn, since {error.name} is not installed")
        return False


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure the caller's CPU time and that of the clients installed here; prints a page in Markdown.",
    )
    parser.add_argument("--quick", action="store_true", help="a third of the rounds: about a minute")
    parser.add_argument("--effort", choices=EFFORTS, default="full", help="how long to measure (default: full)")
    parser.add_argument("--only", action="append", choices=GROUPS, help="this group only; may be repeated")
    parser.add_argument("--json", action="store_true", help="print JSON instead of Markdown")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="write the page, with a .json and a .png")
    return parser


if __name__ == "__main__":
    sys.exit(main())
