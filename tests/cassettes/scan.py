"""What may never be in a cassette: keys, tokens, cookies and addresses."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

# A mask such as `sk-abc***xyz` or a word such as `sk-test` is no key: what follows a prefix must be long and unbroken.
PATTERNS: Mapping[str, re.Pattern[str]] = {
    "API key": re.compile(
        r"\b(?:sk|fd|pk|rk|ak|gsk|xai|pplx|hf|r8|nvapi|key|ghp|gho|github_pat|glpat)[-_][A-Za-z0-9_-]{16,}"
    ),
    "Google key": re.compile(r"\bAIza[A-Za-z0-9_-]{20,}"),
    "AWS key": re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}"),
    "private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY"),
    "JSON web token": re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\."),
    "bearer token": re.compile(r"\bbearer\s+[A-Za-z0-9._~+/=-]{6,}", re.IGNORECASE),
    "key in a URL": re.compile(r"[?&](?:api[-_]?key|key|token|access_token)=[^&\s\"']{6,}", re.IGNORECASE),
    "header with a secret": re.compile(
        r"(?<![\w-])(?:authorization|proxy-authorization|cookie|set-cookie|x-api-key|api-key|x-goog-api-key|app-code)"
        r"[\"']?\s*:",
        re.IGNORECASE,
    ),
    "mail address": re.compile(r"\b[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}\b"),
    "home folder": re.compile(r"(?:/home/|/Users/|C:\\\\?Users\\\\?)[A-Za-z0-9._-]+"),
}
_ADDRESS = re.compile(
    r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?!\.?\w)|(?<![\w.:])(?:[0-9a-fA-F]{1,4}:{1,2}){2,7}[0-9a-fA-F]{1,4}(?![\w.:])"
)
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))")
# The network that the denied key of `key_ip_denied` was bound to: made up for the recording, and quoted in the
# gateway's message.
_HARMLESS_ADDRESSES = frozenset({"10.1.2.0"})


class SecretFoundError(ValueError):
    """A cassette holds what must not leave the machine it was recorded on."""


def findings(text: str) -> Iterator[str]:
    """Yield what is wrong with `text`, with its line and a masked excerpt.

    The text is also read with the escapes of JSON undone, which could break a secret apart.
    """
    seen = set()
    for reading in (text, _ESCAPE.sub(_unescaped, text)):
        for name, pattern in PATTERNS.items():
            seen |= {_describe(name, reading, match) for match in pattern.finditer(reading)}
        for match in _ADDRESS.finditer(reading):
            if _is_foreign_address(match.group()):
                seen.add(_describe("address of a machine", reading, match))
    yield from sorted(seen)


def refuse_secrets(text: str, name: str, *, sent: Iterable[str] = ()) -> None:
    """Raise `SecretFoundError` if `text` holds a secret.

    `sent` are the keys of its requests: a hub's own kind of key may look like none of the `PATTERNS`. Words as short
    as `sk-test` are made up for tests.
    """
    found = list(findings(text))
    readings = (text, _ESCAPE.sub(_unescaped, text))
    if any(key in reading for key in sent if len(key) >= 12 for reading in readings):
        found.append("the key that a request was sent with")
    if found:
        raise SecretFoundError(
            f"{name} is not saved: "
            + "; ".join(found)
            + ". Take it out where it is sent, or redact it before the recording."
        )


def _is_foreign_address(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return not (address.is_loopback or address.is_unspecified or str(address) in _HARMLESS_ADDRESSES)


def _unescaped(match: re.Match[str]) -> str:
    code, plain = match.groups()
    return chr(int(code, 16)) if code else {"n": "\n", "t": "\t", "r": "\r"}.get(plain, plain)


def _describe(name: str, text: str, match: re.Match[str]) -> str:
    line = text.count("\n", 0, match.start()) + 1
    start = match.group().strip()[:4]
    return f"{name} at line {line} ({start}…, {len(match.group())} characters)"
