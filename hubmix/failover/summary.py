"""The error of a failed call: the route's own, or one that lists all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from hubmix.errors import AllModelsFailedError, HubmixError, Scope
from hubmix.failover import failures
from hubmix.failover.candidates import Candidate, Candidates
from hubmix.failover.decide import LASTING
from hubmix.failover.evidence import Evidence, Failure
from hubmix.failover.plan import Plan
from hubmix.failover.report import did_you_mean, fault_of, quoted, to_exception, what_happened
from hubmix.failover.route import Route, key_names
from hubmix.wire.trace import Attempt, Trace


class Failed(NamedTuple):
    """A route, why it gave no answer, and what had arrived of one."""

    route: Route
    failure: Failure
    evidence: Evidence
    partial: Any = None
    key: str | None = None  # as the trace names it

    @property
    def account(self) -> str:
        """The hub, with the name of the key if the call has several for it."""
        return f"{self.route.hub.name} ({self.key})" if self.key else self.route.hub.name


def final_error(candidates: Candidates, plan: Plan, trace: Trace, note: str, *, fatal: bool) -> HubmixError:
    """Return the error of a call that got no answer.

    Args:
        candidates: its routes, each with its last failure.
        plan: the call.
        trace: every attempt; a mistyped model ID is explained in it.
        note: a sentence on why the call ended.
        fatal: whether one failure ended it.
    """
    failed: list[Failed] = []
    keys = key_names(plan.routes)
    for candidate in candidates:  # one entry for each model and hub: a mirror is no model of its own
        if candidate.failure and candidate.evidence:
            _find_typo(candidate, trace)
            failed = [one for one in failed if one.route.served != candidate.route.served]
            key = keys.get(candidate.route.account)
            failed.append(Failed(candidate.route, candidate.failure, candidate.evidence, candidate.partial, key))
    several = len({route.served for route in plan.routes}) > 1
    last = failed[-1]
    # What is not the model's fault alone was not asked of the others, so it is told as with one model.
    alone = fatal or not several or (last.failure.scope is not Scope.MODEL and not note)
    if len(failed) == 1 and alone:
        return route_error(last, trace, note)
    kinds = {attempt.kind for attempt in trace.attempts if attempt.outcome == "error"}
    if all(one.evidence.cause == "html" for one in failed) and kinds == {failures.GARBLED.kind}:
        # One page of HTML is a mishap; nothing else, from every model, is a website and not an API.
        asked = " and ".join(repr(model) for model in dict.fromkeys(one.route.model for one in failed))
        note = f"{note} Only web pages came back for {asked}.".strip()
        return route_error(last._replace(failure=failures.ENDPOINT), trace, note)
    return call_error(failed, trace, note)


def _find_typo(candidate: Candidate, trace: Trace) -> None:
    """Say so if the hub's list has no such model, and blame nobody else."""
    route, failure = candidate.route, candidate.failure
    if failure is None or not failure.suggests or failure.kind == failures.RETIRED.kind:
        return
    listed = route.hub.lists(route.model)
    misspelt = listed and candidate.unlisted and route.hub.suggest(route.model)
    if listed is False or misspelt:
        candidate.failure = failures.NOT_LISTED
        told = what_happened(failures.NOT_LISTED, route.model)
        reason = f"{told} {did_you_mean(route.hub.suggest(route.model))}".rstrip()
        for attempt in trace.attempts:
            if (attempt.model, attempt.hub, attempt.kind) == (route.model, route.hub.name, failure.kind):
                attempt.kind, attempt.reason = failures.NOT_LISTED.kind, reason


def route_error(failed: Failed, trace: Trace, note: str = "") -> HubmixError:
    """Return the exception of one route, with every attempt of the call."""
    route, failure, evidence, partial, _ = failed
    successor = route.hub.successor(route.model) if failure.suggests else None
    mistyped = failure.suggests and (failure is failures.NOT_LISTED or not route.hub.lists(route.model))
    error = to_exception(
        failure,
        evidence,
        model=route.model,
        base_url=route.base_url,
        partial=partial,
        suggestions=route.hub.suggest(route.model) if mistyped and not successor else (),
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


def _retry_after(found: Sequence[Failure]) -> float | None:
    """Return the seconds until the first route may be asked again.

    None if one may be asked at once, or if waiting does not help.
    """
    waits = [failure.retry_after for failure in found if failure.throttled or failure.fault not in LASTING]
    known = [seconds for seconds in waits if seconds is not None]
    return min(known) if known and len(known) == len(waits) else None


def _in_words(failed: Sequence[Failed], trace: Trace, retry_after: float | None, note: str) -> str:
    if all(one.failure is failures.NOT_LISTED for one in failed) and len(trace.accounts) < 2:
        said = dict.fromkeys(attempt.reason for attempt in trace.attempts if attempt.reason)
        return " ".join([*said, fault_of(failures.NOT_LISTED), failures.NOT_LISTED.hint])
    asked = sum(attempt.outcome == "error" for attempt in trace.attempts)
    requests = "1 request was" if asked == 1 else f"{asked} requests were"
    lines = [f"No model answered the call for {trace.requested!r}; {requests} made."]
    if note:
        lines.append(note)
    accounts = trace.accounts if len(trace.accounts) > 1 else [None]
    numbered = list(enumerate(trace.attempts, 1))
    words = _words_of_last(failed, trace)
    for account in accounts:
        at = f" at {account}" if account else ""
        if account:
            lines.append(f"{account}:")
        there = [(number, attempt) for number, attempt in numbered if account in (None, attempt.account)]
        lines += [f"  {number}. {_attempt(attempt)}{words.get(id(attempt), '')}" for number, attempt in there]
        lines += _advice([one for one in failed if account in (None, one.account)], at)
    if retry_after is not None:
        lines.append(f"Come back in {retry_after:.3g} s.")
    return "\n".join(lines)


def _words_of_last(failed: Sequence[Failed], trace: Trace) -> dict[int, str]:
    """Return what each route said at last, by the id of its attempt."""
    found: dict[int, str] = {}
    for one in failed:
        if one.failure is not failures.NOT_LISTED and (said := quoted(one.evidence)):
            asked = [a for a in trace.attempts if a.outcome == "error" and a.model == one.route.model]
            asked = [a for a in asked if a.account in (None, one.account, one.route.hub.name)]
            found.update({id(attempt): f" {said}" for attempt in asked[-1:]})
    return found


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
