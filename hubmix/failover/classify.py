"""From evidence to failure: one pure function over the failure table."""

from __future__ import annotations

import math
import re
import time
from dataclasses import replace
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from hubmix.errors import Scope
from hubmix.failover import failures
from hubmix.failover.evidence import Evidence, Failure, Recovery
from hubmix.failover.rate_fields import read_rate_fields
from hubmix.failover.table import TABLE
from hubmix.presets import AIHUBMIX_ERROR_TYPES, GATEWAY_ERROR_TYPES

if TYPE_CHECKING:
    from collections.abc import Mapping

HUB_TYPES: frozenset[str] = GATEWAY_ERROR_TYPES | AIHUBMIX_ERROR_TYPES
"""The error types in which the known gateways speak for themselves; a preset may have its own."""

# Codes that only a gateway itself gives, without a type (recorded: user_self_with_key).
_OWN_CODES = frozenset({"auth_unauthorized"})

_LONGEST_WAIT = 31 * 86400.0  # seconds; a quota is renewed within a month

# The status that an error type stands for, where the error came inside a 200 answer or a stream without a status.
_STATUS_OF_TYPE = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "overloaded_error": 529,
    "timeout_error": 504,
    "resource_exhausted": 429,
    "unavailable": 503,
    "invalid_argument": 400,
    "permission_denied": 403,
}


def classify(evidence: Evidence, hub_types: frozenset[str] = HUB_TYPES, *, now: float | None = None) -> Failure:
    """Return what a failed attempt means, with the wait that the hub asked for.

    The first row of the table that matches decides.

    Args:
        evidence: what is known of the attempt.
        hub_types: the error types of the hub itself, from its preset. Empty says that the base URL is a vendor and
            every error is its own.
        now: seconds since the epoch, for a Retry-After that is a date; the system's clock by default.

    Returns:
        The failure. There is always one: an HTTP error that no row knows is "server" or "bad_request".

    Example:
        >>> classify(Evidence("status", "body", status=429, empty_body=True)).kind
        'rate_account'
    """
    status = effective_status(evidence)
    own_type = _is_own_type(evidence, hub_types)
    speaker = "hub" if own_type or _speaks_for_itself(evidence, hub_types) else "vendor"
    for row in TABLE:
        if row.matches(evidence, status=status, speaker=speaker, own_type=own_type):
            return _with_headers(_told(row.means, evidence), evidence, now)
    # Only a cause that is not in the vocabulary gets here.
    return failures.GARBLED


def _told(failure: Failure, evidence: Evidence) -> Failure:
    if not evidence.amendment:
        return failure
    return replace(failure, what=f"{failure.what.removesuffix('.')} ({evidence.amendment}).")


def effective_status(evidence: Evidence) -> int:
    """Return the status to judge by; 0 if there is none.

    An error inside a 200 counts as if it had come with its own status.
    """
    if evidence.cause == "status" or (evidence.status is not None and evidence.status >= 300):
        return evidence.status or 0
    for value in (evidence.code, evidence.param):
        if value and re.fullmatch(r"[45]\d\d", value):
            return int(value)
    return _STATUS_OF_TYPE.get((evidence.type or "").lower(), 0)


def _is_own_type(evidence: Evidence, hub_types: frozenset[str]) -> bool:
    own = evidence.type or ""
    return own in hub_types or own.lower() in {name.lower() for name in hub_types}


def _speaks_for_itself(evidence: Evidence, hub_types: frozenset[str]) -> bool:
    if not hub_types or (evidence.code or "").lower() in _OWN_CODES:
        return True
    return not evidence.type and not evidence.code


def _with_headers(failure: Failure, evidence: Evidence, now: float | None) -> Failure:
    retry_after = retry_after_of(evidence.headers, now=now)
    if retry_after is None and failure.throttled:
        # No gateway passes a vendor's Retry-After on (measured on three); the words often have it.
        retry_after = _retry_after_in_words(evidence.message)
    action = failure.action
    # The vendor's SDK convention: "false" says that the same request will fail again.
    of_model = failure.scope is Scope.MODEL
    if action is Recovery.RETRY and of_model and evidence.headers.get("x-should-retry") == "false":
        action = Recovery.NEXT
    if retry_after is None and action is failure.action:
        return failure
    return replace(failure, retry_after=retry_after, action=action)


def retry_after_of(headers: Mapping[str, str], *, now: float | None = None) -> float | None:
    """Return the wait that response headers ask for, in seconds.

    `retry-after-ms`, else `retry-after` (seconds or a date), else the `RateLimit` field of a limit that is used up.

    Args:
        headers: response headers, lower case.
        now: seconds since the epoch; by default the `date` header, else the system's clock.

    Returns:
        Seconds, from 0 to the 31 days of a monthly quota, or None where the headers say nothing that can be read.
    """
    milliseconds = _number(headers.get("retry-after-ms", ""))
    if milliseconds is not None:
        return _believed(milliseconds / 1000)
    value = headers.get("retry-after", "").strip()
    seconds = _number(value)
    if seconds is not None:
        return _believed(seconds)
    until = _parse_date(value)
    if until is None:
        wait = read_rate_fields(headers).wait
        return None if wait is None else _believed(wait)
    if now is None:
        now = _parse_date(headers.get("date", "")) or time.time()
    return _believed(until - now)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return None if math.isnan(number) else number


def _believed(seconds: float) -> float:
    # "inf", or a number too large for a float, would be handed to clocks and sleeps, and into JSON, which has no inf.
    return min(max(0.0, seconds), _LONGEST_WAIT)


def _parse_date(value: str) -> float | None:
    try:
        return parsedate_to_datetime(value).timestamp()
    except (TypeError, ValueError, OverflowError):  # the last for a year or day of a hundred digits
        return None


_TRY_AGAIN_IN = re.compile(
    r"(?:try again|retry)\D{0,20}?(?=\d)"
    r"(?:(?P<m>\d+)m(?!s))?(?:(?P<s>\d+(?:\.\d+)?) ?s(?:ec|econds?)?\b)?(?:(?P<ms>\d+)ms)?",
    re.IGNORECASE,
)


def _retry_after_in_words(message: str) -> float | None:
    found = _TRY_AGAIN_IN.search(message)
    if found is None or not any(found.groupdict().values()):
        return None
    minutes, seconds, milliseconds = (float(found[name] or 0) for name in ("m", "s", "ms"))
    return _believed(minutes * 60 + seconds + milliseconds / 1000)


__all__ = ["HUB_TYPES", "TABLE", "classify", "effective_status", "retry_after_of"]
