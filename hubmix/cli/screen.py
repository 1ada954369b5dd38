"""Where a command writes: the answer on stdout, everything else on stderr.

On a terminal, tables are rich ones and notes are dim. In a pipe there is plain text only: no colour, no spinner, and
nothing on stdout but the answer.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from hubmix._text import one_line
from hubmix.errors import HubmixError

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

# What a terminal would obey rather than show. A model's words must not move the cursor or set the window's title.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")

_GAP = 2  # characters between two columns of a table


class PipeClosedError(Exception):
    """The reader of stdout has closed it."""


def write(text: str) -> None:
    """Write a piece of the answer at once."""
    _put(_CONTROL.sub("", text) if on_terminal(sys.stdout) else text)


def _put(text: str) -> None:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError as error:
        raise PipeClosedError from error
    except OSError as error:
        forget_stdout()
        raise HubmixError(f"The output cannot be written: {error.strerror or error}.") from error


def line(text: str = "") -> None:
    """Write a line of the answer."""
    write(text + "\n")


def as_json(value: Any) -> None:
    """Write a value as JSON: readable on a terminal, one line in a pipe."""
    line(json.dumps(value, ensure_ascii=False, indent=2 if on_terminal(sys.stdout) else None, default=str))


def note(text: str, *, style: str = "dim", wrap: bool = True) -> None:
    """Write a line on stderr; a terminal breaks it between words if `wrap`."""
    text = _CONTROL.sub("", text)
    try:
        if on_terminal(sys.stderr):
            _console(sys.stderr).print(text, style=style, markup=False, highlight=False, soft_wrap=not wrap)
        else:
            sys.stderr.write(text + "\n")
            sys.stderr.flush()
    except BrokenPipeError:
        # Nobody reads the notes; the answer may still be wanted.
        return


def failure(text: str) -> None:
    """Write what went wrong, on stderr."""
    note(f"error: {text}", style="red")


def show(what: RenderableType) -> None:
    """Print something of rich's on stdout; for terminals."""
    console = _console(sys.stdout)
    with console.capture() as captured:
        console.print(what)
    _put(captured.get())


def table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], *, numeric: Sequence[int] = (), spare: Sequence[int] = ()
) -> None:
    """Write rows under their columns; those in `numeric` are aligned to the right.

    A terminal that is too narrow gets the table without the columns in `spare`, the first of them first.
    """
    rows = [[one_line(cell) for cell in row] for row in rows]
    if on_terminal(sys.stdout):
        show(_rich_table(columns, rows, numeric, _left_out(columns, rows, numeric, spare)))
        return
    widths = [max(map(len, cells)) for cells in zip(columns, *rows, strict=True)]
    for row in (columns, *rows):
        cells = (
            cell.rjust(width) if at in numeric else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        line("  ".join(cells).rstrip())


def _left_out(
    columns: Sequence[str], rows: Sequence[Sequence[str]], numeric: Sequence[int], spare: Sequence[int]
) -> set[int]:
    """Return the columns to leave out, so that no word of the others is cut."""
    from rich.cells import cell_len

    def needed(at: int) -> int:
        texts = [row[at] for row in (columns, *rows)]
        pieces = texts if at == 0 or at in numeric else [word for text in texts for word in text.split()]
        return max(map(cell_len, pieces), default=0) + _GAP

    sizes = {at: needed(at) for at in range(len(columns))}
    out = set[int]()
    for at in spare:
        if sum(size for column, size in sizes.items() if column not in out) <= width() + _GAP:
            break
        out.add(at)
    return out


def _rich_table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], numeric: Sequence[int], out: Collection[int]
) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    made = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold")
    shown = [at for at in range(len(columns)) if at not in out]
    for at in shown:
        # The first column names the thing and is what one copies: it is the last one to be cut.
        made.add_column(columns[at], justify="right" if at in numeric else "left", no_wrap=at == 0 or at in numeric)
    for row in rows:
        made.add_row(*(Text(row[at], style="cyan" if at == 0 else "") for at in shown))
    return made


@contextmanager
def waiting(text: str) -> Iterator[None]:
    """Show a spinner on stderr for the time of a block, if it is a terminal."""
    if not on_terminal(sys.stderr):
        yield
        return
    with _console(sys.stderr).status(f"[dim]{text}"):
        yield


def on_terminal(stream: TextIO) -> bool:
    """Whether a person reads this stream."""
    return stream.isatty()


def width() -> int:
    """Columns of the terminal."""
    return _console(sys.stdout).width


def forget_stdout() -> None:
    """Send the interpreter's last flush to the null device."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        return


def _console(stream: TextIO) -> Console:
    from rich.console import Console

    return Console(file=stream, highlight=False)
