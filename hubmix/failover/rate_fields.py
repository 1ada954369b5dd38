"""Read the IETF's `RateLimit` and `RateLimit-Policy` fields. Pure.

Source: draft-ietf-httpapi-ratelimit-headers, of which hubs send several versions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_LONGEST = 1_000  # characters of a field
_ITEM = re.compile(r'(?:"[^"]*"|[^",;=\s]+)(?:\s*[;=]\s*(?:"[^"]*"|[^",;=\s]+))*')
_PARAMETER = re.compile(r'([a-z][a-z0-9-]*)\s*=\s*"?([^",;\s]+)')
_FIRST_NUMBER = re.compile(r"\s*(\d+)\s*(?:;|$)")
_MOST = 10**9


@dataclass(frozen=True, slots=True)
class RateFields:
    """What the fields of one answer say.

    Attributes:
        policies: (requests, seconds) of each limit on requests.
        wait: seconds until there is room again, if a limit has none left; else None.
    """

    policies: tuple[tuple[int, float], ...] = ()
    wait: float | None = None


def read_rate_fields(headers: Mapping[str, str]) -> RateFields:
    """Read the fields of an answer; `headers` are in lower case.

    Example:
        >>> read_rate_fields({"ratelimit": '"default";r=0;t=30', "ratelimit-policy": '"default";q=100;w=60'})
        RateFields(policies=((100, 60.0),), wait=30.0)
    """
    policies = tuple(
        (int(quota), window)
        for parameters in _items(headers.get("ratelimit-policy", ""))
        if parameters.get("qu", "requests") == "requests"
        and (quota := _number(parameters, "q", "")) is not None
        and (window := _number(parameters, "w")) is not None
        and quota >= 1
        and window > 0
    )
    waits = [
        reset
        for parameters in _states(headers)
        if _number(parameters, "r", "remaining") == 0 and (reset := _number(parameters, "t", "reset")) is not None
    ]
    return RateFields(policies, max(waits, default=None))


def _states(headers: Mapping[str, str]) -> Iterator[Mapping[str, str]]:
    written = headers.get("ratelimit", "")
    if "remaining" in written:  # the sixth version: one limit, written as "limit=100, remaining=0, reset=5"
        yield dict(_PARAMETER.findall(written[:_LONGEST].lower()))
    else:
        yield from _items(written)
    if "ratelimit-remaining" in headers:
        yield {"r": headers["ratelimit-remaining"].strip(), "t": headers.get("ratelimit-reset", "").strip()}


def _items(written: str) -> Iterator[Mapping[str, str]]:
    """Yield the parameters of each item of a list; a number in its place is under ""."""
    for item in _ITEM.findall(written[:_LONGEST].lower()):
        first = _FIRST_NUMBER.match(item)
        yield {**({"": first.group(1)} if first else {}), **dict(_PARAMETER.findall(item))}


def _number(parameters: Mapping[str, str], *names: str) -> float | None:
    written = next((parameters[name] for name in names if name in parameters), "")
    return float(written) if written.isdecimal() and float(written) < _MOST else None
