"""What a map returns: a row for each input, with its answer or its error."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from hubmix._compat import extra
from hubmix._html import Records, table
from hubmix._text import plain

if TYPE_CHECKING:
    from hubmix.errors import HubmixError
    from hubmix.wire import Reply
    from hubmix.wire.values import Cost

_SHOWN = 20
_WIDTH, _HTML_WIDTH = 60, 240


@dataclass(slots=True)
class Row:
    """One input with what became of it: either `reply` or `error` is set.

    Attributes:
        index: its place among the inputs, from 0.
        input: the input itself.
        reply: the answer.
        error: why there is none.
        seconds: from the first request to the answer, retries and fallbacks included; None if nothing was sent.
        resumed: the answer was read from the resume file, and nothing was sent.
    """

    index: int
    input: Any
    reply: Reply | None = None
    error: HubmixError | None = None
    seconds: float | None = None
    resumed: bool = False

    @property
    def ok(self) -> bool:
        """Whether there is an answer."""
        return self.reply is not None

    @property
    def text(self) -> str | None:
        """The answer's text, or None if there is no answer."""
        return None if self.reply is None else self.reply.text

    @property
    def model(self) -> str | None:
        """The model ID that answered."""
        return None if self.reply is None else self.reply.served

    @property
    def cost(self) -> Cost | None:
        """What the answer cost."""
        return None if self.reply is None else self.reply.cost

    def to_dict(self) -> dict[str, Any]:
        """Return the row as a flat dict, for data frames."""
        usage = None if self.reply is None else self.reply.usage
        total = None if self.cost is None else self.cost.total
        return {
            "index": self.index,
            "input": self.input,
            "text": self.text,
            "error": None if self.error is None else f"{type(self.error).__name__}: {self.error}",
            "model": self.model,
            "input_tokens": None if usage is None else usage.input_tokens,
            "output_tokens": None if usage is None else usage.output_tokens,
            "cost": None if total is None else float(total),
            "seconds": self.seconds,
            "resumed": self.resumed,
        }


class Rows(Records[Row]):
    """The rows of a map, in the order of the inputs.

    Example:
        ```python
        rows = hub.map(["red", "blue"], "Name a fruit that is {}.", model="gpt-4o-mini")
        print(rows.texts, rows.failed, rows.cost)
        ```
    """

    __slots__ = ()

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        super().__init__(rows)

    @property
    def texts(self) -> list[str | None]:
        """The answers' texts, None for a row without an answer."""
        return [row.text for row in self._rows]

    @property
    def failed(self) -> Rows:
        """The rows without an answer."""
        return Rows(row for row in self._rows if not row.ok)

    @property
    def cost(self) -> Decimal:
        """USD for all answers, resumed ones included, as far as known; see `complete`."""
        totals = [row.cost.total for row in self._rows if row.cost is not None and row.cost.total is not None]
        return sum(totals, Decimal(0))

    @property
    def complete(self) -> bool:
        """False where the cost of some answer is not known."""
        return all(row.cost is not None and row.cost.complete for row in self._rows if row.ok)

    def to_pandas(self) -> Any:
        """Return a pandas DataFrame of `Row.to_dict`. Needs the `notebook` extra."""
        pandas = extra("pandas", "to_pandas()", "notebook")
        columns = list(Row(0, None).to_dict())
        return pandas.DataFrame([row.to_dict() for row in self._rows], columns=columns)

    def __eq__(self, other: object) -> bool:
        return self._rows == other._rows if isinstance(other, Rows) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # a row can be changed, and with it what the hash would stand for

    def __repr__(self) -> str:
        lines = [f"{row.index:>5}  {_result(row)}" for row in self._rows[:_SHOWN]]
        return "\n".join((*lines, self._summary()))

    def _repr_html_(self) -> str:
        rows = [
            (str(row.index), _cut(str(row.input), _WIDTH), _result(row, _HTML_WIDTH), row.model or "")
            for row in self._rows[:_SHOWN]
        ]
        return table(("row", "input", "answer", "model"), rows, numeric={0}, whole={3}, note=self._summary())

    def _summary(self) -> str:
        failed, resumed = len(self.failed), sum(row.resumed for row in self._rows)
        parts = [
            f"{len(self):,} row{'' if len(self) == 1 else 's'}",
            f"{failed:,} failed" if failed else "",
            f"{resumed:,} from the resume file" if resumed else "",
            f"USD {plain(self.cost)}" + ("" if self.complete else " and some calls of unknown price"),
        ]
        more = f"... {len(self) - _SHOWN:,} more; " if len(self) > _SHOWN else ""
        return more + ", ".join(part for part in parts if part)


def _result(row: Row, width: int = _WIDTH) -> str:
    return _cut(row.text or "" if row.error is None else f"{type(row.error).__name__}: {row.error}", width)


def _cut(text: str, width: int) -> str:
    # The split is of the beginning alone: an input can be a whole book.
    line = " ".join(text[: 4 * width].split())
    return line if len(line) <= width and len(text) <= 4 * width else line[: width - 3] + "..."
