"""How far a map is: one line that rewrites itself on a terminal or in a notebook, a line now and then in a log."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from html import escape
from importlib import import_module
from typing import Any, TextIO

from hubmix._text import plain
from hubmix.batch.rows import Row

_BAR = 24
_LIVE, _LOGGED = 0.1, 10.0  # seconds between two updates


@dataclass(slots=True)
class Progress:
    """How far a map is.

    Attributes:
        total: how many rows there are; None where the rows have no length.
        done: rows finished, failed and resumed ones included.
        failed: rows that ended in an error.
        resumed: rows whose answer came from the resume file.
        cost: USD for the answers of this run, as far as known.
        seconds: since the start.
    """

    total: int | None = None
    done: int = 0
    failed: int = 0
    resumed: int = 0
    cost: Decimal = field(default_factory=Decimal)
    seconds: float = 0.0

    def add(self, row: Row) -> None:
        """Count a finished row."""
        self.done += 1
        self.failed += not row.ok
        self.resumed += row.resumed
        if not row.resumed and row.cost is not None and row.cost.total is not None:
            self.cost += row.cost.total

    @property
    def rate(self) -> float:
        """Rows per second, those of the resume file not counted."""
        return (self.done - self.resumed) / self.seconds if self.seconds > 0 else 0.0

    @property
    def remaining(self) -> float | None:
        """Seconds that are left at this rate; None where that cannot be said."""
        if self.total is None or self.rate == 0:
            return None
        return (self.total - self.done) / self.rate

    def __str__(self) -> str:
        of = "" if self.total is None else f"/{self.total:,}"
        parts = [
            f"{self.done:,}{of} rows",
            f"{self.failed:,} failed" if self.failed else "",
            f"{self.resumed:,} resumed" if self.resumed else "",
            f"{self.rate:.1f} rows/s",
            f"USD {plain(round(self.cost, 6))}" if self.cost else "",
            "" if not self.remaining else f"{_duration(self.remaining)} left",
        ]
        return ", ".join(part for part in parts if part)


Listener = Callable[[Progress], None]


class Reporter:
    """Counts finished rows, from any thread, and shows the count.

    Args:
        total: how many rows there are, or None.
        show: True for a line on stderr (an output of its own in a notebook), a function that is called with every
            change, or None for nothing.
        clock, stream: for tests.
    """

    def __init__(
        self,
        total: int | None,
        show: bool | Listener | None,
        *,
        clock: Callable[[], float] = time.monotonic,
        stream: TextIO | None = None,
    ) -> None:
        self.state = Progress(total)
        self._clock = clock
        self._started = clock()
        self._lock = threading.Lock()
        self._shown_at = float("-inf")
        self._display: _Display | None = None
        self._listener: Listener | None = None
        if callable(show):
            self._listener = show
        elif show:
            self._display = _display(stream if stream is not None else sys.stderr)

    def add(self, row: Row) -> None:
        """Count a row and show it, at most ten times a second."""
        with self._lock:
            self.state.add(row)
            self.state.seconds = self._clock() - self._started
            if self._listener is not None:
                self._listener(self.state)
        self.refresh()

    def refresh(self) -> None:
        """Show the state, if it was not shown just now."""
        if self._display is None:
            return
        with self._lock:
            now = self._clock()
            if now - self._shown_at >= self._display.every:
                self._shown_at = now
                self.state.seconds = now - self._started
                self._display.show(self.state)

    def close(self) -> None:
        """Show the last state and end the line."""
        if self._display is not None:
            with self._lock:
                self.state.seconds = self._clock() - self._started
                self._display.end(self.state)


class _Display:
    every = _LOGGED

    def __init__(self, stream: TextIO) -> None:
        self._stream: TextIO | None = stream

    def show(self, state: Progress) -> None:
        self._write(f"{state}\n")

    def end(self, state: Progress) -> None:
        self.show(state)

    def _write(self, text: str) -> None:
        if self._stream is None:
            return
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            # Whoever watched has gone (a closed terminal or pipe); the work goes on.
            self._stream = None


class _Terminal(_Display):
    every = _LIVE

    def show(self, state: Progress) -> None:
        # \x1b[K wipes what a longer line left behind.
        self._write(f"\r{_bar(state)}{state}\x1b[K")

    def end(self, state: Progress) -> None:
        self.show(state)
        self._write("\n")


class _Notebook(_Display):
    every = _LIVE

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._handle: Any = None

    def show(self, state: Progress) -> None:
        ipython = import_module("IPython.display")
        bar = "" if state.total is None else f'<progress max="{state.total}" value="{state.done}"></progress> '
        shown = ipython.HTML(f'<div style="color:inherit">{bar}{escape(str(state))}</div>')
        if self._handle is None:
            self._handle = ipython.display(shown, display_id=True)
        else:
            self._handle.update(shown)


def _display(stream: TextIO) -> _Display:
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if getattr(shell, "kernel", None) is not None:
        return _Notebook(stream)
    return _Terminal(stream) if stream.isatty() else _Display(stream)


def _bar(state: Progress) -> str:
    if not state.total:
        return ""
    full = _BAR * state.done // state.total
    return f"[{'#' * full}{'-' * (_BAR - full)}] "


def _duration(seconds: float) -> str:
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3_600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3_600} h {whole % 3_600 // 60} min"
