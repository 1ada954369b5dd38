"""The error of a failed call: the route's own, or one that lists all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from hubmix.errors import AllModelsFailedError, HubmixError
from hubmix.failover.decide import LASTING
from hubmix.failover.evidence import Evidence, Failure
from hubmix.failover.report import fault_of, to_exception
from hubmix.failover.route import Route
from hubmix.wire.trace import Attempt, Trace


class Failed(NamedTuple):
    """A route, why it gave no answer, and what had arrived of one."""

    route: Route
    failure: Failure
    evidence: Evidence
    partial: Any = None


def route_error(failed: Failed, trace: Trace, note: str = "") -> HubmixError:
    """Return the exception of one route, with every attempt of the call."""
    route, failure, evidence, partial = failed
    successor = route.hub.successor(route.model) if failure.suggests else None
    error = to_exception(
        failure,
        evidence,
        model=route.model,
        base_url=route.base_url,
        partial=partial,
        suggestions=route.hub.suggest(route.model) if failure.suggests and not successor else (),
        successor=successor,
        note=note,
    )
    error.attempts = trace.attempts
    return error


def call_error(failed: Sequence[Failed], trace: Trace, note: str = "") -> AllModelsFailedError:
    """Return the error of a call in which several routes gave no answer.

    Args:
        failed: the routes that were asked, each with its last failure.
        trace: every attempt.
        note: a sentence on why the call ended.
    """
    errors = [route_error(one, Trace(one.route.model)) for one in failed]
    last = errors[-1]
    retry_after = _retry_after([one.failure for one in failed])
    details: dict[str, Any] = {
        "kind": "all_failed",
        "scope": last.scope,
        "status": last.status,
        "code": last.code,
        "model": trace.requested,
        "base_url": last.base_url,
        "request_id": last.request_id,
        "hub_message": last.hub_message,
        "retry_after": retry_after,
        "body": last.body,
    }
    message = _in_words(failed, trace, retry_after, note)
    return AllModelsFailedError(message, errors, attempts=trace.attempts, **details)


def _retry_after(failures: Sequence[Failure]) -> float | None:
    """Return the seconds until the first route may be asked again.

    None if one may be asked at once, or if waiting does not help.
    """
    waits = [failure.retry_after for failure in failures if failure.throttled or failure.fault not in LASTING]
    known = [seconds for seconds in waits if seconds is not None]
    return min(known) if known and len(known) == len(waits) else None


def _in_words(failed: Sequence[Failed], trace: Trace, retry_after: float | None, note: str) -> str:
    asked = sum(attempt.outcome == "error" for attempt in trace.attempts)
    requests = "1 request was" if asked == 1 else f"{asked} requests were"
    lines = [f"No model answered the call for {trace.requested!r}; {requests} made."]
    if note:
        lines.append(note)
    hubs = trace.hubs if len(trace.hubs) > 1 else [None]
    numbered = list(enumerate(trace.attempts, 1))
    for hub in hubs:
        at = f" at {hub}" if hub else ""
        if hub:
            lines.append(f"{hub}:")
        lines += [f"  {number}. {_attempt(attempt)}" for number, attempt in numbered if hub in (None, attempt.hub)]
        lines += _advice([one for one in failed if hub in (None, one.route.hub.name)], at)
    if retry_after is not None:
        lines.append(f"Come back in {retry_after:.3g} s.")
    return "\n".join(lines)


def _advice(failed: Sequence[Failed], at: str) -> list[str]:
    """What to do about the failures of one hub, each piece of advice once."""
    advice: dict[str, str] = {}
    for route, failure, *_ in failed:
        said = f"{fault_of(failure)} {failure.hint}"
        advice.setdefault(said, f"{route.model!r}{at}: {said}")
    return list(advice.values())


def _attempt(attempt: Attempt) -> str:
    outcome = "skipped, " if attempt.outcome == "skipped" else ""
    return f"{attempt.model!r}: {outcome}{attempt.facts()}. {attempt.reason or ''}".rstrip()
