"""Faults on request: what goes wrong, where, and for how long.

Three ways to ask for one: in Python (`hub.fault("embedded/extract", Fault.cut(3), times=1)`), with a header of the
request (`X-Embedded-Fault: cut:3`), or when the hub is made (`EmbeddedHub(faults={"*": "503"})`).
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from typing import Any, Literal, get_args

from hubmix.embedded.cases import UNREADABLE, VENDOR, canonical
from hubmix.embedded.dialects import DIALECTS

HEADER = "x-embedded-fault"

Kind = Literal[
    "status", "vendor", "error", "reset", "cut", "stall", "slow", "html", "garbled", "garbled_line", "error_event",
    "empty_stream", "only_done", "only_usage", "no_finish_reason", "blank_finish_reason", "no_done", "usage",
    "json_for_stream", "empty_body", "empty_answer", "pings", "ok",
]  # fmt: skip
Usage = Literal["wrong", "absent", "cumulative", "unasked", "in_last"]
Style = Literal["data", "event", "bare", "untyped", "failed", "both"]


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong.

    Make it with the methods below, or from a short text with `Fault.parse`.

    Args:
        kind: What happens.
        after: After how many events of the stream (or, in JSON, half of the body); None means before the headers where
            the kind can begin that early.
        seconds: How long a slow answer is silent; None never ends.
        every: Seconds between `: PING` comments during a silence; None sends none.
        status, body, text, headers: Of the answer: `body` is sent as JSON, `text` as it is.
        case: The name of a recorded error.
        polite: Whether the hub ends a broken stream as if it were whole (usage chunk and `[DONE]`), as all three
            measured hubs do; otherwise the connection just ends.
        role: Whether the role chunk is sent ahead of the silence.
        style: How an error is put into a stream.
        usage: What is wrong with the token counts.
        code: The `code` inside an error event.
    """

    kind: Kind
    after: int | None = None
    seconds: float | None = None
    every: float | None = None
    status: int = 200
    body: Any = None
    text: str | None = None
    headers: Mapping[str, str] | None = None
    case: str | None = None
    polite: bool = True
    role: bool = False
    style: Style = "data"
    usage: Usage = "wrong"
    code: str | int | None = None

    @staticmethod
    def answer(
        status: int,
        body: Any = None,
        *,
        text: str | None = None,
        headers: Mapping[str, str] | None = None,
        retry_after: float | str | None = None,
    ) -> Fault:
        """This very answer, whatever the hub's dialect.

        Args:
            status: The HTTP status.
            body: Sent as JSON. Without it and `text`: an error object that names the status.
            text: Sent as it is, as `text/plain`; "" is an empty body without a Content-Type.
            headers: In addition to the hub's own.
            retry_after: Seconds, or an HTTP date, for `Retry-After`. (No measured hub sends one; others do.)
        """
        extra = dict(headers or {})
        if retry_after is not None:
            extra["Retry-After"] = str(retry_after)
        return Fault("status", status=status, body=body, text=text, headers=extra)

    @staticmethod
    def vendor(status: int, body: Any = None) -> Fault:
        """Return a vendor's answer, which the hub hands on in its own way."""
        return Fault("vendor", status=status, body=body)

    @staticmethod
    def error(case: str) -> Fault:
        """Return a recorded error by its name, such as `"vendor_429"`.

        Raises:
            ValueError: no such case; the message lists them.
        """
        known = {*VENDOR, *UNREADABLE, *(own for dialect in DIALECTS.values() for own in dialect.own)}
        if canonical(case) not in known:
            raise ValueError(f"no recorded error is called {case!r}; there are: {', '.join(sorted(known))}")
        return Fault("error", case=canonical(case))

    @staticmethod
    def reset(after: int | None = None) -> Fault:
        """The connection is reset (RST): before any header, or after so many events."""
        return Fault("reset", after=after)

    @staticmethod
    def cut(after: int = 1, *, polite: bool = True) -> Fault:
        """End the stream after so many events; if not `polite`, with the connection."""
        return Fault("cut", after=after, polite=polite)

    @staticmethod
    def stall(after: int | None = None, *, every: float | None = None) -> Fault:
        """Send nothing more: from before the headers, or after so many events.

        `after=0` is after the headers.


        With `every`, `: PING` comments go on meanwhile; they need headers, so the stream begins with them.
        """
        return Fault("stall", after=0 if after is None and every else after, every=every)

    @staticmethod
    def slow(seconds: float, *, every: float | None = None, role: bool = False, after: int | None = None) -> Fault:
        """A slow first token: silence for `seconds`, then the whole answer.

        With `every` comments fill the silence; with `role` the role chunk comes first; with `after` the silence is in
        the middle, after so many events.
        """
        if after is None and (every or role):
            after = 1 if role else 0
        return Fault("slow", seconds=seconds, every=every, role=role, after=after)

    @staticmethod
    def html(status: int = 200) -> Fault:
        """A web page where JSON or events were due."""
        return Fault("html", status=status)

    @staticmethod
    def garbled() -> Fault:
        """Send half a JSON document; in a stream, break the second event's line."""
        return Fault("garbled")

    @staticmethod
    def garbled_line(after: int = 2) -> Fault:
        """Put a `data:` line that is no JSON into a stream that goes on."""
        return Fault("garbled_line", after=after)

    @staticmethod
    def error_event(
        after: int = 0,
        *,
        style: Style = "data",
        body: Any = None,
        code: str | int | None = None,
        polite: bool = True,
        seconds: float | None = None,
        every: float | None = None,
    ) -> Fault:
        """Put an error into a stream that began with status 200, or into a JSON body.

        Args:
            after: Events before it.
            style: `data: {"error": …}`, the same under `event: error`, or the bare JSON without `data:` that New
                API appends (every reader of event streams ignores it; nothing follows it).
            body: The error object; by default a vendor's server error.
            code: Its code.
            seconds, every: With `style="bare"`: how long, and how often, comments come ahead of it, as from a hub
                whose vendor failed after the comments had begun.
            polite: Whether usage and `[DONE]` follow. one-api swallows the error itself: see `dialects`.
        """
        return Fault(
            "error_event", after=after, style=style, body=body, code=code, polite=polite, seconds=seconds, every=every
        )

    @staticmethod
    def wrong_usage(usage: Usage = "wrong") -> Fault:
        """Send token counts that are absurd, absent or in another place."""
        return Fault("usage", usage=usage)

    @staticmethod
    def parse(spec: str) -> Fault:
        """A fault from a short text or from JSON with the fields of `Fault`.

        Short: `503` · `503:text` · `vendor_429` (any recorded case) · `reset` · `reset:2` · `cut:3` ·
        `rude:3` (the connection ends with it) · `stall` · `stall:2` · `slow:0.5` · `html` · `html:502` ·
        `garbled` · `garbled_line` · `error_event:2` · `empty_stream` · `only_done` · `only_usage` ·
        `no_finish_reason` · `blank_finish_reason` · `no_done` · `usage:absent` · `json_for_stream` ·
        `empty_body` · `empty_answer` · `ok`.

        Raises:
            ValueError: the text names no fault.
        """
        if spec.lstrip().startswith("{"):
            return _from_json(spec)
        name, _, value = spec.strip().partition(":")
        if name.isdigit():
            return Fault.answer(int(name), text=value or None)
        if name == "rude":
            return Fault.cut(int(value or 1), polite=False)
        if name == "usage":
            return _from_fields({"kind": "usage", "usage": value or "wrong"})
        if name in ("status", "vendor", "error"):
            return Fault.error(value)
        if name in _KINDS:
            return _with_number(name, value)
        return Fault.error(name)


_KINDS: frozenset[str] = frozenset(get_args(Kind))
_CHOICES = {"kind": _KINDS, "usage": frozenset(get_args(Usage)), "style": frozenset(get_args(Style))}


def _with_number(name: str, value: str) -> Fault:
    kind: Any = name
    if name == "slow":
        return Fault.slow(float(value or 0.05))
    if name == "html":
        return Fault.html(int(value or 200))
    defaults = {"cut": 1, "garbled_line": 2, "error_event": 0}
    return Fault(kind, after=int(value) if value else defaults.get(name))


def _from_json(spec: str) -> Fault:
    try:
        values = json.loads(spec)
    except ValueError as error:
        raise ValueError(f"the fault is no JSON: {error}") from None
    return _from_fields(values)


def _from_fields(values: Mapping[str, Any]) -> Fault:
    allowed = {item.name for item in fields(Fault)}
    if set(values) - allowed or "kind" not in values:
        raise ValueError(f"no such fault: {dict(values)}; its fields are {', '.join(sorted(allowed))}")
    for name, choices in _CHOICES.items():
        if name in values and values[name] not in choices:
            raise ValueError(f"no {name} {values[name]!r} of a fault; there are: {', '.join(sorted(choices))}")
    return Fault(**values)


@dataclass(slots=True)
class _Entry:
    pattern: str
    fault: Fault
    left: int | None


class FaultQueue:
    """The faults that wait for a request; the first that matches is used."""

    def __init__(self) -> None:
        self._entries: list[_Entry] = []
        self._lock = threading.Lock()

    def add(self, pattern: str, fault: Fault | str, times: int | None) -> None:
        """Queue a fault for the models or paths that match a shell pattern."""
        entry = _Entry(pattern, Fault.parse(fault) if isinstance(fault, str) else fault, times)
        with self._lock:
            self._entries.append(entry)

    def take(self, names: Sequence[str]) -> Fault | None:
        """Return the fault for a model and path, used up by one, or None."""
        with self._lock:
            for entry in self._entries:
                if any(
                    fnmatchcase(name, entry.pattern)
                    for name in names
                    if name.startswith("/") == (entry.pattern[:1] == "/")
                ):
                    if entry.left is not None:
                        entry.left -= 1
                        if entry.left <= 0:
                            self._entries.remove(entry)
                    return entry.fault
        return None

    def clear(self) -> None:
        """Forget all of them."""
        with self._lock:
            self._entries.clear()


def refused_url(path: str = "/v1") -> str:
    """A base URL on loopback where nobody listens: connecting to it is refused.

    The port was free a moment ago and is not held; another program could take it, which is unlikely within a test.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return f"http://127.0.0.1:{port}{path}"


__all__ = ["HEADER", "Fault", "FaultQueue", "refused_url"]
