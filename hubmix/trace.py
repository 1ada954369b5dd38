"""What happened on the way to an answer: every attempt, and every candidate that was passed over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal


@dataclass(slots=True)
class Attempt:
    """One HTTP request for a candidate, or a candidate that was passed over.

    Args:
        model: the model ID.
        outcome: "ok", "error" or "skipped".
        kind: the kind of failure ("no_channel", ...), None for a good answer.
        status: HTTP status.
        code: the hub's error code.
        request_id: the hub's request id.
        reason: what happened, in a sentence.
        waited_ms: milliseconds waited before this attempt.
        latency_ms: milliseconds to the whole answer, or to the first content of a stream.
        first_token_ms: milliseconds to the first content of a stream, None for a whole answer.
        base_url: the base URL asked, where it was not the hub's first.
    """

    model: str
    outcome: Literal["ok", "error", "skipped"]
    kind: str | None = None
    status: int | None = None
    code: str | None = None
    request_id: str | None = None
    reason: str | None = None
    waited_ms: float = 0.0
    latency_ms: float | None = None
    first_token_ms: float | None = None
    base_url: str | None = None

    def facts(self) -> str:
        """Kind, status, code and request id in one line, as far as they are known."""
        facts = [
            self.kind or self.outcome,
            f"HTTP {self.status}" if self.status is not None else "",
            f"code {self.code}" if self.code else "",
            f"request id {self.request_id}" if self.request_id else "",
        ]
        return ", ".join(fact for fact in facts if fact)


_ATTEMPT = tuple(item.name for item in fields(Attempt))


@dataclass(slots=True)
class Trace:
    """The way of one call through its candidates. In a notebook it shows itself as a timeline.

    Args:
        requested: the primary model ID.
        served: the model ID that answered, None if none did.
        attempts: in the order in which they happened.

    Example:
        >>> trace = Trace("a", "b", [Attempt("a", "error", kind="no_channel", status=503), Attempt("b", "ok")])
        >>> trace.switched
        True
    """

    requested: str
    served: str | None = None
    attempts: list[Attempt] = field(default_factory=list)

    @property
    def switched(self) -> bool:
        """Whether another model than the requested one answered."""
        return self.served is not None and self.served != self.requested

    def to_dict(self) -> dict[str, Any]:
        """The trace in plain JSON values."""
        # Not dataclasses.asdict: it copies deeply, which costs a healthy call more than the whole walk.
        attempts = [{name: getattr(attempt, name) for name in _ATTEMPT} for attempt in self.attempts]
        return {"requested": self.requested, "served": self.served, "attempts": attempts}

    @classmethod
    def from_dict(cls, trace: Mapping[str, Any]) -> Trace:
        """The trace whose `to_dict` this is: LangChain keeps it in ``response_metadata["failover"]``, LlamaIndex in
        ``additional_kwargs["failover"]``. Fields that this version does not know are left out.
        """
        attempts = [
            Attempt(**{name: value for name, value in attempt.items() if name in _ATTEMPT})
            for attempt in trace.get("attempts", ())
        ]
        return cls(trace["requested"], trace.get("served"), attempts)

    def _repr_html_(self) -> str:
        from hubmix.timeline import timeline

        return timeline(self)
