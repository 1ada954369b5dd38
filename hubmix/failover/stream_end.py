"""How a stream ended after its first content: what the breakers and the trace are told of it, and its error."""

from __future__ import annotations

from dataclasses import replace

from hubmix.errors import HubmixError
from hubmix.failover.classify import classify
from hubmix.failover.evidence import Evidence
from hubmix.failover.plan import AttemptFailed, Plan
from hubmix.failover.report import what_happened
from hubmix.failover.verdict import Verdict
from hubmix.wire.trace import Trace


def interrupted(plan: Plan, trace: Trace, error: AttemptFailed) -> HubmixError:
    """The error of a stream that broke off after its first content; reports it to the breakers and into the trace.

    Args:
        plan: the call.
        trace: what `walk_sync` returned; its last attempt is the one that broke off.
        error: what was seen, with what had arrived.
    """
    evidence = replace(error.evidence, phase="committed")
    failure = classify(evidence, plan.hub_types)
    last = trace.attempts[-1]
    plan.health.record(last.model, failure, evidence, base_url=last.base_url)
    last.outcome, last.kind, last.code = "error", failure.kind, evidence.code
    last.reason = what_happened(failure, last.model)
    url = last.base_url or plan.endpoints[0]
    broken = Verdict(last.model, url, failure, evidence).to_exception(plan.suggest, _before(trace), error.partial)
    broken.attempts = trace.attempts
    return broken


def ended(plan: Plan, trace: Trace, *, incomplete: bool) -> None:
    """Report to the breakers that a stream came to its end. Text without a finish reason is passed on as it came, but
    it counts against its model: gateways end a cut stream in perfect order.
    """
    last = trace.attempts[-1]
    evidence = Evidence("no_finish", "committed", last.status, request_id=last.request_id) if incomplete else None
    failure = plan.classify(evidence) if evidence else None
    plan.health.record(last.model, failure, evidence, base_url=last.base_url)


def _before(trace: Trace) -> str:
    earlier = [f"{attempt.model!r} ({attempt.facts()})" for attempt in trace.attempts[:-1]]
    return f"Before it: {', '.join(earlier)}." if earlier else ""
