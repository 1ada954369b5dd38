"""Where the demo writes: with rich on a terminal, as plain text in a pipe."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any


class Page:
    """Headings, lines, streamed text and tables."""

    def __init__(self) -> None:
        self._console: Any = None
        if sys.stdout.isatty() and find_spec("rich") is not None:
            from rich.console import Console

            self._console = Console(highlight=False)

    def heading(self, text: str) -> None:
        """Begin a part."""
        if self._console is not None:
            self._console.rule(f"[bold]{text}[/bold]", align="left")
        else:
            self.write(f"\n== {text}\n")

    def line(self, text: str = "") -> None:
        """Write one line."""
        self.write(text + "\n")

    def write(self, text: str) -> None:
        """Write text as it comes."""
        sys.stdout.write(text)
        sys.stdout.flush()

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Write rows under their columns."""
        if self._console is not None:
            from rich.table import Table

            table = Table(*columns, box=None, pad_edge=False)
            for row in rows:
                table.add_row(*row)
            self._console.print(table)
            return
        widths = [max(map(len, cells)) for cells in zip(columns, *rows, strict=True)]
        for row in (columns, *rows):
            self.line("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
