"""JSON from a hub: bounded in depth and number, of whole characters. Pure.

Python's own limit depends on its version and on the depth of the stack, and what reads a value later (`repr`, `copy`,
`pickle`, pydantic) has lower ones.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from itertools import accumulate
from typing import Any

NESTING = 200
"""Levels of arrays and objects."""

MOST_VALUES = 1_000_000
"""Arrays and objects. Each takes up to 250 bytes of memory for three bytes of text."""

_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
# `json.loads` makes a decoder at every call that is given an option.
_DECODERS = {strict: json.JSONDecoder(strict=strict) for strict in (True, False)}
_NO_BRACKETS = bytes(set(range(256)) - set(b'[]{}"'))


class JsonLimitError(ValueError):
    """The JSON is too deep, holds too much, or takes more memory than there is."""


def loads(text: str | bytes, *, strict: bool = True, parse_int: Callable[[str], Any] | None = None) -> Any:
    """Decode JSON like `json.loads`.

    Args:
        text: what a hub sent.
        strict: refuse control characters in strings.
        parse_int: makes a number of the digits of an integer.

    Raises:
        ValueError: If it is no JSON; `JsonLimitError` if it is too deep or too large.
    """
    try:
        check_shape(text)
        text = whole_characters(text)
        if parse_int is None:
            return _DECODERS[strict].decode(text)
        return json.loads(text, strict=strict, parse_int=parse_int)
    except RecursionError as error:  # the caller's own stack is nearly full
        raise JsonLimitError(str(error)) from error
    except MemoryError as error:
        raise JsonLimitError("There is not enough memory for the JSON.") from error


_HALF = re.compile(r"\\(?:u([dD][89abAB]\w\w)\\u([dD][c-fC-F]\w\w)|(u[dD][89a-fA-F]\w\w)|.)", re.DOTALL)


def has_halves(data: bytes) -> bool:
    """Return whether JSON may hold half a character; a cheap look."""
    # To find one byte costs a tenth of finding three, and most pieces of a stream have no escape at all.
    return b"\\" in data and (b"\\ud" in data or b"\\uD" in data)


def whole_characters(text: str | bytes) -> str:
    """Return JSON as text, with U+FFFD for half a character (a lone surrogate).

    No file, no terminal and no other JSON library takes one.
    """
    if isinstance(text, bytes):
        text = _decoded(text)
    if "\\ud" in text or "\\uD" in text:
        text = _HALF.sub(lambda found: "\\ufffd" if found[3] else found[0], text)
    return text


def _decoded(data: bytes) -> str:
    encoding = json.detect_encoding(data)
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:  # perhaps halves as bytes, which Python writes on demand
        pairs = data.decode(encoding, "surrogatepass").encode("utf-16", "surrogatepass")
        return pairs.decode("utf-16", "replace")


def check_shape(text: str | bytes) -> None:
    """Raise `JsonLimitError` for too many arrays and objects, or too deep ones."""
    if len(text) <= NESTING:
        return
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    opened = data.count(b"[") + data.count(b"{")
    if opened <= NESTING:
        return
    if opened > MOST_VALUES:
        raise JsonLimitError(f"The JSON holds more than {MOST_VALUES:,} arrays and objects.")
    if _depth(data) > NESTING:
        raise JsonLimitError(f"The JSON is nested more than {NESTING} levels deep.")


def _depth(data: bytes) -> int:
    if b"\\" in data:
        data = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    # Between two quotes is a string, whose brackets do not count.
    outside = b"".join(data.translate(None, _NO_BRACKETS).split(b'"')[::2])
    return max(accumulate(map(_STEPS.__getitem__, outside)), default=0)
