"""A trace as a timeline for notebooks: a row for each attempt, with a bar for when it waited and when it was asked."""

from __future__ import annotations

from itertools import accumulate

from hubmix._html import Html, table
from hubmix.trace import Attempt, Trace

_COLUMNS = 24
_OUTCOME = {"ok": "✓ answered", "error": "✗ failed", "skipped": "– passed over"}
_HEADINGS = ("model", "time", "waited", "took", "what happened")
# Mid tones, to be seen on white and on black.
_COLOUR = {"ok": "#2e9e5b", "error": "#d9534f"}
# A code element keeps its font where styles are dropped.
_BAR = '<code style="font-family:monospace;white-space:pre;background:transparent;padding:0;color:{}">{}</code>'


def timeline(trace: Trace) -> str:
    """The trace as an HTML table. Bars are made of characters, which also viewers show that drop every style."""
    ends = list(accumulate(_waited(attempt) + _took(attempt) for attempt in trace.attempts))
    whole = (ends[-1] if ends else 0.0) or 1.0
    rows = [
        (
            attempt.model,
            _bar(attempt, end, whole),
            _milliseconds(_waited(attempt)) if _waited(attempt) else "",
            "" if attempt.latency_ms is None else _milliseconds(attempt.latency_ms),
            _told(attempt),
        )
        for attempt, end in zip(trace.attempts, ends, strict=True)
    ]
    legend = f"{_milliseconds(ends[-1])} in all (░ waiting, █ asking)" if ends else ""
    went = f" → {trace.served or 'no answer'}" if trace.served != trace.requested else ""
    return table(_HEADINGS, rows, numeric={2, 3}, whole={0, 2, 3}, caption=trace.requested + went, note=legend)


def _told(attempt: Attempt) -> str:
    """The outcome, the reason and the facts. The request id is left to `Attempt.request_id`: it is as wide as a row."""
    known = (attempt.kind, attempt.status and f"HTTP {attempt.status}", attempt.code and f"code {attempt.code}")
    facts = "" if attempt.outcome == "ok" else ", ".join(fact for fact in known if fact)
    said = _OUTCOME[attempt.outcome] + (f": {attempt.reason}" if attempt.reason else "")
    return f"{said} ({facts})" if facts else said


def _bar(attempt: Attempt, end: float, whole: float) -> Html:
    """Empty up to where the attempt begins, light while it waits, full while it is asked."""
    if attempt.outcome == "skipped":
        return Html("")
    scale = _COLUMNS / whole
    # However short it was, it is to be seen.
    stop = max(round(end * scale), 1)
    asking = min(round((end - _took(attempt)) * scale), stop - 1)
    start = min(round((end - _took(attempt) - _waited(attempt)) * scale), asking)
    # Spaces that do not break keep their place.
    bar = "\N{NO-BREAK SPACE}" * start + "░" * (asking - start) + "█" * (stop - asking)
    return Html(_BAR.format(_COLOUR[attempt.outcome], bar))


def _waited(attempt: Attempt) -> float:
    # What is not a wait but the time between two lines of code is left out.
    return attempt.waited_ms if attempt.waited_ms >= 1 else 0.0


def _took(attempt: Attempt) -> float:
    return attempt.latency_ms or 0.0


def _milliseconds(value: float) -> str:
    return f"{value:,.0f} ms"
