"""What is told of a call that failed: one error, or one that lists every attempt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hubmix.errors import AllModelsFailedError, HubmixError
from hubmix.failover.evidence import Evidence, Failure
from hubmix.failover.report import fault_of, to_exception
from hubmix.wire.trace import Attempt, Trace


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why a candidate gave no answer: the last thing that was seen of it, and what it means."""

    model: str
    base_url: str
    failure: Failure
    evidence: Evidence
    asked: bool = True

    def to_exception(self, suggest: Callable[[str], Sequence[str]], note: str = "", partial: Any = None) -> HubmixError:
        """The exception of this candidate alone."""
        if not self.asked:
            note = "It was not asked again in this call, for the failure is recent; hub.reset_health() forgets it."
        return to_exception(
            self.failure,
            self.evidence,
            model=self.model,
            base_url=self.base_url,
            partial=partial,
            suggestions=suggest(self.model) if self.failure.suggests else (),
            note=note,
        )

    def coming_back_in(self, seconds: float | None) -> Verdict:
        """The same, with the time after which the candidate may be asked again."""
        return replace(self, failure=replace(self.failure, retry_after=seconds))


def all_failed(
    verdicts: Sequence[Verdict],
    trace: Trace,
    suggest: Callable[[str], Sequence[str]],
    retry_after: float | None,
    note: str = "",
) -> AllModelsFailedError:
    """The error of a call in which several candidates were to be asked and none answered.

    Args:
        verdicts: one for each candidate that was asked, or would have been but for its breaker.
        trace: every attempt.
        suggest: model IDs spelt like an unknown one.
        retry_after: seconds until the first of them may be asked again.
        note: a sentence on why the walk ended.
    """
    errors = [verdict.to_exception(suggest) for verdict in verdicts]
    last = errors[-1]
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
    message = _all_failed_in_words(verdicts, trace, retry_after, note)
    return AllModelsFailedError(message, errors, attempts=trace.attempts, **details)


def _all_failed_in_words(verdicts: Sequence[Verdict], trace: Trace, retry_after: float | None, note: str) -> str:
    asked = sum(attempt.outcome == "error" for attempt in trace.attempts)
    requests = "1 request was" if asked == 1 else f"{asked} requests were"
    lines = [f"No model answered the call for {trace.requested!r}; {requests} made."]
    if note:
        lines.append(note)
    lines += [f"  {number}. {_attempt_in_words(attempt)}" for number, attempt in enumerate(trace.attempts, 1)]
    told: set[str] = set()
    for verdict in verdicts:
        advice = f"{fault_of(verdict.failure)} {verdict.failure.hint}"
        if advice not in told:
            told.add(advice)
            lines.append(f"{verdict.model!r}: {advice}")
    if retry_after is not None:
        lines.append(f"Come back in {retry_after:.3g} s.")
    return "\n".join(lines)


def _attempt_in_words(attempt: Attempt) -> str:
    outcome = "skipped, " if attempt.outcome == "skipped" else ""
    return f"{attempt.model!r}: {outcome}{attempt.facts()}. {attempt.reason or ''}".rstrip()
