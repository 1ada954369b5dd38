"""How far a map is: a bar on a terminal or in a notebook, lines in a log."""

from __future__ import annotations

import sys
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from importlib import import_module
from typing import Any, TextIO

from hubmix._text import plain
from hubmix.batch.rows import Row


@dataclass(slots=True)
class Progress:
    """How far a map is.

    Attributes:
        total: how many rows there are; None if the rows have no length.
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
        """Seconds that are left at this rate; None if that cannot be said."""
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
        show: True for a bar or lines on stderr, a function that is called with every change, or None for nothing.
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
        self._listener = show if callable(show) else None
        self._display = _display(stream or sys.stderr, self.state) if show and self._listener is None else None

    def add(self, row: Row) -> None:
        """Count a row and show it, at most ten times a second."""
        with self._lock:
            self.state.add(row)
            self.state.seconds = self._clock() - self._started
            if self._listener is not None:
                self._listener(self.state)
        self.refresh()

    def refresh(self) -> None:
        """Show the state, unless it was shown just now."""
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
                self._display.show(self.state)
                self._display.close()


class _Log:
    """Plain lines, without control characters."""

    every = 10.0  # seconds between two lines

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def show(self, state: Progress) -> None:
        with suppress(OSError, ValueError):  # a closed pipe does not end the work
            print(state, file=self._stream, flush=True)

    def close(self) -> None:
        pass


class _Bar:
    """One line that rewrites itself; tqdm draws it."""

    every = 0.1  # seconds between two updates

    def __init__(self, stream: TextIO, state: Progress) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # in a notebook without ipywidgets tqdm warns, and draws text
            tqdm = import_module("tqdm.auto").tqdm
        bar: Any = type("Bar", (tqdm,), {"monitor_interval": 0})  # without tqdm's thread
        shape = "{bar} {desc}" if state.total else "{desc}"
        self._bar = bar(desc=str(state), total=state.total, file=stream, bar_format=shape, ascii=" -#")

    def show(self, state: Progress) -> None:
        self._bar.n = state.done
        self._bar.set_description_str(str(state))

    def close(self) -> None:
        self._bar.close()


def _display(stream: TextIO, state: Progress) -> _Log | _Bar:
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if getattr(shell, "kernel", None) is not None:
        # A notebook shows stderr as an error.
        return _Bar(sys.stdout if stream is sys.stderr else stream, state)
    return _Bar(stream, state) if stream.isatty() else _Log(stream)


def _duration(seconds: float) -> str:
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3_600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3_600} h {whole % 3_600 // 60} min"
