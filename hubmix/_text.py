"""Text from a hub without control characters, keys and addresses. Pure."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Collection, Sequence
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit, urlunsplit

# What a terminal obeys, what turns the order of the letters around, and halves of letters, which cannot be written.
_UNSHOWABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str) -> str:
    """Return the text with its control characters spelt out, as `\\x1b`."""
    return _UNSHOWABLE.sub(lambda found: ascii(found[0])[1:-1], text)


def one_line(text: str) -> str:
    """Return the text as one visible line: an id must not break a table."""
    return visible(" ".join(text.split()))


_KEY = re.compile(
    r"(?<![A-Za-z0-9])((?:sk|pk|rk|gsk|xai|fd)-)[A-Za-z0-9_\-*.]{3,}|(?<![A-Za-z0-9])(?:AIza|fd)[A-Za-z0-9_\-]{24,}"
)
_BEARER = re.compile(r"(?i)\b(bearer|authorization:?|api[-_ ]key[=:])\s+[A-Za-z0-9_\-*.]{8,}")
_USERINFO = re.compile(r"(?i)\b([a-z][a-z0-9+.\-]*://)[^\s/@\"']+@")
_QUERY = re.compile(r"(?i)(https?://[^\s?\"'<>]+)\?[^\s\"'<>]*")
# one-api prints Go's error as it is: `Post "http://10.0.0.7:80/v1/...": dial tcp 10.0.0.7:80: connection refused`.
_GO_REQUEST = re.compile(r"\b(Get|Post|Put|Delete|Head) \\?\"[^\"]*\"")
_GO_DIAL = re.compile(r"\b(dial|read|write) (tcp|udp)[46]? \S+?(->\S+?)?(?=: |\s|$)")
_GO_LOOKUP = re.compile(r"\blookup \S+( on \S+?)?(?=: |\s|$)")


SHORTEST_SECRET = 6
"""Characters of a key that is taken out wherever it stands; a shorter one would spoil ordinary words."""


def spellings(secret: str) -> tuple[str, ...]:
    """Return a key in the forms in which a hub may repeat it: plain and Base64.

    The Base64 of a text that holds the key depends on how many bytes stand before it.
    """
    found = {secret: None}
    for before in range(3):
        encoded = b64encode(b"\0" * before + secret.encode()).decode()
        # The first and last characters also hold bits of the neighbours.
        inner = encoded[(0, 2, 3)[before] :].rstrip("=")
        inner = inner[:-1] if (before + len(secret)) % 3 else inner
        found |= {inner: None, inner.translate(_URL_SAFE): None}
    return tuple(found)


_URL_SAFE = str.maketrans("+/", "-_")


def redact(text: str, secrets: Collection[str] = ()) -> str:
    """Return `text` without keys, credentials, query strings and the vendor's address.

    Args:
        text: what a hub said.
        secrets: keys that are taken out whatever they look like.

    Example:
        >>> redact("[sk-abc***xyz] is spent")
        '[sk-***] is spent'
    """
    for secret in secrets:
        text = text.replace(secret, "***")
    text = _KEY.sub(lambda found: f"{found.group(1) or ''}***", text)
    text = _BEARER.sub(r"\1 ***", text)
    text = _USERINFO.sub(r"\1", text)
    text = _QUERY.sub(r"\1", text)
    text = _GO_REQUEST.sub(r"\1 [vendor's URL]", text)
    text = _GO_DIAL.sub(r"\1 \2 [vendor's address]", text)
    return _GO_LOOKUP.sub("lookup [vendor's host]", text)


def redact_value(value: Any, secrets: Collection[str] = ()) -> Any:
    """Return a JSON value with every string and every name in it redacted."""
    if isinstance(value, str):
        return redact(value, secrets)
    if isinstance(value, list):
        return [redact_value(item, secrets) for item in value]
    if isinstance(value, dict):
        return {redact(str(name), secrets): redact_value(item, secrets) for name, item in value.items()}
    return value


def public_url(url: str) -> str:
    """`url` without user, password, query and fragment.

    Example:
        >>> public_url("https://me:secret@hub.example/v1?key=1")
        'https://hub.example/v1'
    """
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def plain(amount: Decimal) -> str:
    """Decimal text without an exponent and without trailing zeros: 10, 0.15, 0.000042."""
    text = format(amount, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def in_columns(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells as lines, each column as wide as its longest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
