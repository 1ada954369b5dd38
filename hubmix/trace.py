"""What happened on the way to an answer: every attempt, and every candidate that was passed over."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from html import escape
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
        return asdict(self)

    def _repr_html_(self) -> str:
        spent = [(a.waited_ms or 0.0) + (a.latency_ms or 0.0) for a in self.attempts]
        total = sum(spent) or 1.0
        rows, start = [], 0.0
        for attempt, length in zip(self.attempts, spent, strict=True):
            rows.append(_row(attempt, start / total, (attempt.waited_ms or 0.0) / total, length / total))
            start += length
        title = f"{escape(self.requested)} → {escape(self.served or 'no answer')}"
        return (
            '<table style="border-collapse:collapse;font-size:90%">'
            f'<caption style="text-align:left;font-weight:bold">{title}</caption>'
            "<tr><th>model</th><th>outcome</th><th>waited</th><th>took</th>"
            '<th style="min-width:12em">time</th><th>why</th></tr>' + "".join(rows) + "</table>"
        )


# Mid tones with a readable text beside them on white and on black alike; the text itself takes the notebook's colour.
_COLOUR = {"ok": "#2e9e5b", "error": "#d9534f", "skipped": "#8a8f98"}


def _row(attempt: Attempt, start: float, waited: float, length: float) -> str:
    colour = _COLOUR[attempt.outcome]
    bar = (
        f'<div style="margin-left:{100 * (start + waited):.1f}%;width:{max(100 * (length - waited), 0.5):.1f}%;'
        f'height:0.7em;background:{colour}"></div>'
    )
    cells = (
        escape(attempt.model),
        f'<span style="color:{colour}">●</span> {escape(attempt.facts())}',
        _milliseconds(attempt.waited_ms or None),
        _milliseconds(attempt.latency_ms),
        bar,
        escape(attempt.reason or ""),
    )
    return "<tr>" + "".join(f'<td style="text-align:left">{cell}</td>' for cell in cells) + "</tr>"


def _milliseconds(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f} ms"
