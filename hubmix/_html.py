"""Tables for notebooks: escaped, and readable in any theme and without styles.

Light and dark notebooks differ in the colour of their text, so nothing here has a colour or background of its own but
the lines, which are grey enough for both. Viewers such as GitHub's drop every style: what a table says stands in its
text.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from html import escape
from typing import TypeVar, overload

from typing_extensions import Self

from hubmix._text import visible

T = TypeVar("T")

_PLAIN = "color:inherit;background:transparent"
_TABLE = f"border-collapse:collapse;margin:0;width:auto;font-size:90%;{_PLAIN}"
_LONG = 36  # characters of a cell that needs several lines on a narrow page
_CELL = "padding:3px 8px;vertical-align:top;border-bottom:1px solid rgba(128,128,128,.35)"


class Html(str):
    """Text that is HTML already; any other is escaped."""

    __slots__ = ()


class Records(Sequence[T]):
    """Rows of one kind in their order, read only; a subclass says how they are shown."""

    __slots__ = ("_rows",)

    def __init__(self, rows: Iterable[T]) -> None:
        self._rows = tuple(rows)

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Self: ...
    def __getitem__(self, index: int | slice) -> T | Self:
        return self._part(self._rows[index]) if isinstance(index, slice) else self._rows[index]

    def _part(self, rows: Iterable[T]) -> Self:
        return type(self)(rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[T]:
        return iter(self._rows)


def table(
    headings: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    numeric: Collection[int] = (),
    whole: Collection[int] = (),
    caption: str = "",
    note: str = "",
    total: bool = False,
) -> str:
    """Rows under their headings; with no headings, the first cell of each row is one.

    Args:
        headings: of the columns; empty for none.
        rows: of cells.
        numeric: columns that are aligned to the right.
        whole: columns whose cells stay on one line.
        caption: above the table.
        note: below it, dimmed.
        total: the last row is a sum and stands out.
    """
    listed = [list(row) for row in rows]
    made = ""
    if listed:
        styles = [
            _style(at in numeric, at in whole, long=any(len(row[at]) > _LONG for row in listed))
            for at in range(len(listed[0]))
        ]
        body = "".join(
            _row(row, styles, ["th"] if not headings or (total and at == len(listed) - 1) else [])
            for at, row in enumerate(listed)
        )
        head = ""
        if headings:
            unbroken = [_style(at in numeric, True) for at in range(len(headings))]
            head = f"<thead>{_row(headings, unbroken, ['th'] * len(headings))}</thead>"
        # At the left, as wide as it needs, and scrolled where the page is narrower: a notebook centres or cuts tables.
        made = f'<div style="overflow-x:auto"><table style="{_TABLE}">{head}<tbody>{body}</tbody></table></div>'
    above = f'<div style="{_PLAIN};margin-bottom:4px"><strong>{_safe(caption)}</strong></div>' if caption else ""
    below = f'<div style="{_PLAIN};font-size:90%;opacity:.75;margin-top:4px">{_safe(note)}</div>' if note else ""
    return f"<div>{above}{made}{below}</div>"


def line(text: str) -> str:
    """One line of text."""
    return f'<div style="{_PLAIN}">{_safe(text)}</div>'


def _safe(text: str) -> str:
    return escape(visible(text))


def _row(cells: Sequence[str], styles: Sequence[str], tags: Sequence[str]) -> str:
    """A row whose first cells have the given tags; the others are td."""
    made = (
        f'<{tag} style="{style}">{cell if isinstance(cell, Html) else _safe(cell)}</{tag}>'
        for cell, style, tag in zip(cells, styles, [*tags, *["td"] * (len(cells) - len(tags))], strict=True)
    )
    # Notebooks stripe rows with a background of their own, in a colour that suits their own tables only.
    return f'<tr style="{_PLAIN}">{"".join(made)}</tr>'


def _style(numeric: bool, unbroken: bool, *, long: bool = False) -> str:
    # A column of sentences keeps a width to read in: on a narrow page the table scrolls.
    width = "white-space:nowrap;" if unbroken else "min-width:14em;" if long else ""
    return f"text-align:{'right' if numeric else 'left'};{width}{_CELL}"
