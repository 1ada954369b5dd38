"""JSON from a hub, at most 200 levels deep. Pure.

Python's own limit depends on its version and on the depth of the stack, and what reads a value later (`repr`, `copy`,
`pickle`, pydantic) has lower ones.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import accumulate
from typing import Any

NESTING = 200
"""Levels of arrays and objects."""

_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_NO_BRACKETS = bytes(set(range(256)) - set(b'[]{}"'))


class JsonLimitError(ValueError):
    """The JSON is nested too deeply, or takes more memory than there is."""


def loads(text: str | bytes, *, strict: bool = True, parse_int: Callable[[str], Any] | None = None) -> Any:
    """Decode JSON like `json.loads`.

    Args:
        text: what a hub sent.
        strict: refuse control characters in strings.
        parse_int: makes a number of the digits of an integer.

    Raises:
        ValueError: If it is no JSON; `JsonLimitError` if it is too deep or too large.
    """
    check_nesting(text)
    try:
        return json.loads(text, strict=strict, parse_int=parse_int)
    except RecursionError as error:  # the caller's own stack is nearly full
        raise JsonLimitError(str(error)) from error
    except MemoryError as error:
        raise JsonLimitError("There is not enough memory for the JSON.") from error


def check_nesting(text: str | bytes) -> None:
    """Raise `JsonLimitError` if JSON is nested too deeply."""
    if len(text) <= NESTING:
        return
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    if data.count(b"[") + data.count(b"{") > NESTING and _depth(data) > NESTING:
        raise JsonLimitError(f"The JSON is nested more than {NESTING} levels deep.")


def _depth(data: bytes) -> int:
    if b"\\" in data:
        data = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    # Between two quotes is a string, whose brackets do not count.
    outside = b"".join(data.translate(None, _NO_BRACKETS).split(b'"')[::2])
    return max(accumulate(map(_STEPS.__getitem__, outside)), default=0)
