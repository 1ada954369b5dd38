"""Text of the hub's, made fit to be shown: whatever it wrote, it does not act. Pure."""

from __future__ import annotations

import re

# What a terminal obeys, what turns the order of the letters around, and halves of letters, which cannot be written.
_UNSHOWABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str) -> str:
    """The text with its control characters spelt out, `\\x1b`: they neither act nor vanish."""
    return _UNSHOWABLE.sub(lambda found: ascii(found[0])[1:-1], text)


def one_line(text: str) -> str:
    """The text as one visible line: an id is whatever the hub wrote, and must not break a table."""
    return visible(" ".join(text.split()))
