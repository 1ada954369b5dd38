"""Cells of lists that people write, as one plain value each, or None.

Entries are null, numbers are text, lists are comma-separated text (or the other way round), 0 stands for "unknown".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

_ABSURD = 10**9  # tokens; no window is that large, and a plot or a sum should not have to cope with one
_BEYOND = 10**12
_BELOW = Decimal("1e-12")
_LONGEST_NUMBER = 64  # characters; "1e-999999" is short, and a million digits when it is printed
_SECONDS_UNTIL_2100 = 4_102_444_800
_NUMERIC = frozenset({int, float, str})
_LONGEST_TIME = 13  # digits of milliseconds


def items(payload: Any, name: str = "data") -> list[Mapping[str, Any]]:
    """Return the entries of a list, wrapped in an object or bare, that are objects."""
    value = payload.get(name) if isinstance(payload, Mapping) else payload
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def mapping(value: Any) -> Mapping[str, Any]:
    """Return an object, or an empty one."""
    return value if isinstance(value, Mapping) else {}


def text(value: Any) -> str | None:
    """Return a text that is not blank."""
    return value.strip() or None if isinstance(value, str) else None


def words(value: Any) -> tuple[str, ...]:
    """Return comma-separated text, or a list of it, as lower-case words, each once."""
    if isinstance(value, str):
        return _split(value)
    return _clean(value) if isinstance(value, (list, tuple)) else ()


# A list of a thousand models has a few dozen different texts in these columns.
@lru_cache(maxsize=1024)
def _split(value: str) -> tuple[str, ...]:
    return _clean(value.split(","))


def _clean(values: Iterable[Any]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word.strip().lower() for word in values if isinstance(word, str) and word.strip()))


def count(value: Any) -> int | None:
    """Return a number of tokens; 0 and anything that is no number mean unknown."""
    amount = value if type(value) is int else number(value)  # nearly all of them are, and there are thousands
    return int(amount) if amount and 0 < amount < _ABSURD else None


def flag(value: Any) -> bool | None:
    """Return a real boolean."""
    return value if isinstance(value, bool) else None


def moment(value: Any) -> datetime | None:
    """Return the time of an ISO date, or of seconds or milliseconds since 1970."""
    if isinstance(value, str):
        written = value.strip()
        try:
            # Python 3.10 does not read the Z.
            found = datetime.fromisoformat(written.replace("Z", "+00:00").replace("z", "+00:00"))
        except ValueError:
            return moment(int(written)) if written.isdecimal() and len(written) <= _LONGEST_TIME else None
        return found if found.tzinfo else found.replace(tzinfo=timezone.utc)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 10**_LONGEST_TIME:
        return None
    seconds = value / 1000 if value > _SECONDS_UNTIL_2100 else value
    return datetime.fromtimestamp(seconds, timezone.utc) if seconds <= _SECONDS_UNTIL_2100 else None


def number(value: Any) -> Decimal | None:
    """Return a number that is not negative, exactly as it was written.

    -1 is how some lists write "it depends", and what is beyond or below all prices and windows is a broken cell.
    """
    return _number(value) if type(value) in _NUMERIC else None


# A list has a few dozen different prices.
@lru_cache(maxsize=4096, typed=True)
def _number(value: float | str) -> Decimal | None:
    if isinstance(value, float):
        # repr is the shortest text that reads back as the same float, which is what the hub wrote.
        value = repr(value)
    elif isinstance(value, str):
        value = value.strip().replace(",", "").lstrip("$")
        if len(value) > _LONGEST_NUMBER:
            return None
    try:
        amount = Decimal(value)
    except InvalidOperation:
        return None
    return amount if amount.is_finite() and (amount == 0 or _BELOW <= amount < _BEYOND) else None


def tidy(amount: Decimal) -> Decimal:
    """Return a number without trailing zeros or a positive exponent: 1E+1 is 10."""
    short = amount.normalize()
    exponent = short.as_tuple().exponent
    return Decimal(int(short)) if isinstance(exponent, int) and exponent > 0 else short
