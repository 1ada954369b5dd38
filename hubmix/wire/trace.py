"""What happened on the way to an answer: every attempt and skipped candidate.

In a notebook a trace is a timeline: a row for each attempt, with a bar for when it waited and when it was asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from hubmix._html import Html, table
from hubmix.errors import ConfigurationError


@dataclass(slots=True)
class Attempt:
    """One HTTP request for a candidate, or a candidate that was passed over.

    Args:
        model: the model ID.
        outcome: "ok", "error", "skipped", or "hedged" if another request of the call answered first.
        kind: the kind of failure ("no_channel", ...), None for a good answer.
        status: HTTP status.
        code: the hub's error code.
        request_id: the hub's request id.
        reason: what happened, in a sentence.
        waited_ms: milliseconds waited before this attempt.
        latency_ms: milliseconds to the whole answer, or to the first content of a stream.
        first_token_ms: milliseconds to the first content of a stream, None for a whole answer.
        base_url: the base URL asked, where it was not the hub's first.
        hub: the hub that was asked, as its host.
        key: which key it was asked with, if the call has several for that hub: the name of its variable, or "key 2".
        api: the API over which it was asked, such as "chat".
        amended: what was changed in the request because the vendor had refused it before.
        hedged_after_ms: of a hedge, the milliseconds between the start of the attempt before it and its own; else None.
    """

    model: str
    outcome: Literal["ok", "error", "skipped", "hedged"]
    kind: str | None = None
    status: int | None = None
    code: str | None = None
    request_id: str | None = None
    reason: str | None = None
    waited_ms: float = 0.0
    latency_ms: float | None = None
    first_token_ms: float | None = None
    base_url: str | None = None
    hub: str | None = None
    key: str | None = None
    api: str | None = None
    amended: tuple[str, ...] = ()
    hedged_after_ms: float | None = None

    @property
    def account(self) -> str | None:
        """The hub, with the name of the key if the call has several for it."""
        return f"{self.hub} ({self.key})" if self.key else self.hub

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
    """The way of one call through its candidates; a timeline in a notebook.

    Args:
        requested: the primary model ID.
        served: the model ID that answered, None if none did.
        attempts: in the order in which they happened.
        chosen: why the first route was asked first, if `prefer=` decided.
        substituted: the model ID that the hub was asked for, if it let another one answer.

    Example:
        >>> trace = Trace("a", "b", [Attempt("a", "error", kind="no_channel", status=503), Attempt("b", "ok")])
        >>> trace.switched
        True
    """

    requested: str
    served: str | None = None
    attempts: list[Attempt] = field(default_factory=list)
    chosen: str | None = None
    substituted: str | None = None

    @property
    def switched(self) -> bool:
        """True if a model other than the requested one, or a second hub, answered."""
        if self.served is None:
            return False
        ended = [attempt.account for attempt in self.attempts if attempt.outcome != "hedged"]
        return self.served != self.requested or (bool(ended) and self.attempts[0].account != ended[-1])

    @property
    def hubs(self) -> list[str]:
        """The hubs that the call came to, in order."""
        return list(dict.fromkeys(attempt.hub for attempt in self.attempts if attempt.hub))

    @property
    def accounts(self) -> list[str]:
        """The same, with each key of a hub that was asked with several."""
        return list(dict.fromkeys(attempt.account for attempt in self.attempts if attempt.account))

    def times(self) -> list[tuple[float, float]]:
        """When each attempt began and ended, in milliseconds since the call did."""
        found: list[tuple[float, float]] = []
        began = over = 0.0
        for attempt in self.attempts:
            after = attempt.hedged_after_ms
            began = over + _waited(attempt) if after is None else began + after
            found.append((began, began + (attempt.latency_ms or 0.0)))
            over = max(over, found[-1][1])
        return found

    def to_dict(self) -> dict[str, Any]:
        """The trace in plain JSON values."""
        # Not dataclasses.asdict: it copies deeply, which costs a healthy call more than the whole walk.
        attempts = [{name: getattr(attempt, name) for name in _ATTEMPT} for attempt in self.attempts]
        more = {"chosen": self.chosen, "substituted": self.substituted}
        told = {name: value for name, value in more.items() if value is not None}
        return {"requested": self.requested, "served": self.served, "attempts": attempts, **told}

    @classmethod
    def from_dict(cls, trace: Mapping[str, Any]) -> Trace:
        """Return the trace whose `to_dict` this is; unknown fields are left out.

        LangChain keeps it in `response_metadata["failover"]`, LlamaIndex in `additional_kwargs["failover"]`.
        """
        attempts = [
            Attempt(**{name: _frozen(value) for name, value in attempt.items() if name in _ATTEMPT})
            for attempt in trace.get("attempts", ())
        ]
        return cls(trace["requested"], trace.get("served"), attempts, trace.get("chosen"), trace.get("substituted"))

    def __str__(self) -> str:
        """The trace as lines of text: what was asked, then one line an attempt."""
        went = f" → {self.served or 'no answer'}" if self.served != self.requested else ""
        chosen = f" ({self.chosen})" if self.chosen else ""
        return "\n".join([f"{self.requested}{went}{chosen}", *(f"  {_line(attempt)}" for attempt in self.attempts)])

    def _repr_html_(self) -> str:
        return timeline(self)


def _line(attempt: Attempt) -> str:
    where = " at ".join(part for part in (attempt.model, attempt.account) if part)
    took = "" if attempt.latency_ms is None else f", {attempt.latency_ms:,.0f} ms"
    waited = f", waited {attempt.waited_ms:,.0f} ms" if attempt.waited_ms >= 1 else ""
    over = f" over {attempt.api}" if attempt.api else ""
    # A failure's reason is a sentence of advice, too long for a line; of a route that was not asked it is all there is.
    why = attempt.facts() if attempt.outcome == "error" else (attempt.reason or "").rstrip(".")
    return f"{_OUTCOME.get(attempt.outcome, attempt.outcome)}: {where}{over}{took}{waited}" + (
        f" ({why})" if why and attempt.outcome != "ok" else ""
    )


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value  # JSON knows no tuples


def trace(value: Any) -> Trace:
    """Return the trace of an answer or an error of either framework.

    Print it, or show it in a notebook, where it is drawn as a timeline.

    Args:
        value: a message or its `response_metadata`, a response, a `Reply`, a row of `hub.map`, an exception, the state
            of an agent (its last answer counts), or what `with_structured_output(include_raw=True)` returns.

    Raises:
        ConfigurationError: the value has no trace.

    Example:
        ```python
        import hubmix
        from hubmix import Hub

        reply = Hub().chat({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}]})
        print(hubmix.trace(reply))
        ```
    """
    found = _find(value)
    if found is None:
        raise ConfigurationError(
            f"There is no trace in this {type(value).__name__}: hubmix.trace() takes an answer or an error of hubmix, "
            "such as the message that ChatHubmix returned."
        )
    return found


_HOLDERS = ("response_metadata", "additional_kwargs", "generation_info", "metadata")
_INSIDE = ("message", "raw", "messages", "generations", "response", "reply", "error", "__cause__")


def _find(value: Any, depth: int = 4) -> Trace | None:
    if isinstance(value, Trace):
        return value
    if isinstance(own := getattr(value, "trace", None), Trace):
        return own
    if isinstance(value, Mapping) and "requested" in value and "attempts" in value:
        return Trace.from_dict(value)
    for holder in (value, *(getattr(value, name, None) for name in _HOLDERS)):
        if isinstance(holder, Mapping) and isinstance(told := holder.get("failover"), Mapping):
            return Trace.from_dict(told)
    attempts = getattr(value, "attempts", None)
    if isinstance(attempts, list) and attempts and all(isinstance(attempt, Attempt) for attempt in attempts):
        return Trace(str(getattr(value, "model", None) or attempts[0].model), None, attempts)
    if depth == 0 or value is None or isinstance(value, (str, bytes)):
        return None
    inside = reversed(value) if isinstance(value, Sequence) else (_inside(value, name) for name in _INSIDE)
    return next((found for one in inside if (found := _find(one, depth - 1)) is not None), None)


def _inside(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)


_COLUMNS = 24
_OUTCOME = {"ok": "✓ answered", "error": "✗ failed", "skipped": "– passed over", "hedged": "– closed"}
_HEADINGS = ("model", "time", "waited", "took", "what happened")
# Mid tones, to be seen on white and on black.
_COLOUR = {"ok": "#2e9e5b", "error": "#d9534f", "hedged": "#8a8f98"}
# A code element keeps its font where styles are dropped.
_BAR = '<code style="font-family:monospace;white-space:pre;background:transparent;padding:0;color:{}">{}</code>'


def timeline(trace: Trace) -> str:
    """Return the trace as an HTML table, with bars made of characters."""
    times = trace.times()
    whole = max((ended for _, ended in times), default=0.0)
    several = len(trace.accounts) > 1
    rows = [
        (
            f"{attempt.model} at {attempt.account}" if several else attempt.model,
            _bar(attempt, began, ended, whole or 1.0),
            _milliseconds(_waited(attempt)) if _waited(attempt) else "",
            "" if attempt.latency_ms is None else _milliseconds(attempt.latency_ms),
            _told(attempt),
        )
        for attempt, (began, ended) in zip(trace.attempts, times, strict=True)
    ]
    legend = f"{_milliseconds(whole)} in all (░ waiting, █ asking)" if times else ""
    went = f" → {trace.served or 'no answer'}" if trace.served != trace.requested else ""
    went += f" (chosen by the hub for {trace.substituted})" if trace.substituted else ""
    return table(_HEADINGS, rows, numeric={2, 3}, whole={0, 2, 3}, caption=trace.requested + went, note=legend)


def _told(attempt: Attempt) -> str:
    """The outcome, the reason and the facts; the request id is too wide for a row."""
    kind = attempt.kind if attempt.kind != attempt.outcome else None
    known = (kind, attempt.status and f"HTTP {attempt.status}", attempt.code and f"code {attempt.code}")
    facts = "" if attempt.outcome == "ok" else ", ".join(fact for fact in known if fact)
    said = _OUTCOME[attempt.outcome] + (f": {attempt.reason}" if attempt.reason else "")
    return f"{said} ({facts})" if facts else said


def _bar(attempt: Attempt, began: float, ended: float, whole: float) -> Html:
    """A bar: empty before the attempt, light while it waits, full while it is asked."""
    if attempt.outcome == "skipped":
        return Html("")
    scale = _COLUMNS / whole
    # However short it was, it is to be seen.
    stop = max(round(ended * scale), 1)
    asking = min(round(began * scale), stop - 1)
    start = min(round((began - _waited(attempt)) * scale), asking)
    # Spaces that do not break keep their place.
    bar = "\N{NO-BREAK SPACE}" * start + "░" * (asking - start) + "█" * (stop - asking)
    return Html(_BAR.format(_COLOUR[attempt.outcome], bar))


def _waited(attempt: Attempt) -> float:
    # What is not a wait but the time between two lines of code is left out.
    return attempt.waited_ms if attempt.waited_ms >= 1 else 0.0


def _milliseconds(value: float) -> str:
    return f"{value:,.0f} ms"
