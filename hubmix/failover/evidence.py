"""The values of the failure table: evidence of a failure, and its meaning.

Everything here is a plain value. `Evidence` is what the transport saw, `Failure` what the table makes of it;
`read_error_body` gets the hub's own words out of every shape of error body.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from hubmix.errors import HubmixError, Scope


class Recovery(str, Enum):
    """What to do after a failure: the same model, the next one, or raise."""

    RETRY = "retry"
    NEXT = "next"
    FAIL = "fail"


class Fault(str, Enum):
    """Whose fault a failure is, as a message tells it."""

    REQUEST = "your request"
    ACCOUNT = "your key or account"
    HUB = "the hub"
    VENDOR = "the vendor behind the hub"
    NETWORK = "the connection"
    LIMIT = "your time limit"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Cooldown:
    """How a failure touches a breaker: counted, or opening it at once.

    Args:
        target: whose breaker it touches; None touches none.
        seconds: how long it opens at once; 0 means that the failure is only counted (three in a row open).
        growing: `seconds` doubles with every opening in a row, up to 60 s, and a longer Retry-After wins.
    """

    target: Scope | None = None
    seconds: float = 0.0
    growing: bool = False

    @property
    def counted(self) -> bool:
        """It opens nothing by itself; three in a row do."""
        return self.target is not None and self.seconds == 0

    def describe(self) -> str:
        """The cooldown in a few words, for the table in the docs."""
        if self.target is None:
            return "none"
        if self.counted:
            return "counted" if self.target is Scope.MODEL else f"{self.target.value}, counted"
        growth = ", doubled each time up to 60 s, or Retry-After if longer" if self.growing else ""
        return f"{self.target.value} {self.seconds:g} s{growth}"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of one failed attempt. `classify` reads nothing else.

    Args:
        cause: "status" (an HTTP error status), "error_body" (an error object inside a 200 answer or a stream), "html",
            "undecodable", "no_choices", "empty_answer", "empty_stream", "no_finish" (a stream that ended without finish
            reason), "cut" (closed in the middle of an answer), "reset", "refused", "dns", "tls", "connect_timeout",
            "pool_timeout", "proxy" (the proxy failed), "own_delay" (this process was late), "read_timeout",
            "first_token_timeout", "idle_timeout", "total_timeout", "failed_finish" (a finish reason that names a
            failure) or "amended" (the body is changed for the next request).
        phase: "connect", "open" (sent, no headers yet), "body" (headers came) or "committed" (content reached the
            caller).
        status: the HTTP status, if any came.
        code: the error code in the body, a number as text.
        type: the error type in the body.
        param: the parameter that the error names.
        message: the hub's words as they came.
        headers: response headers in lower case; `retry-after-ms`, `retry-after`, `x-should-retry`, `content-type` and
            `date` are read.
        request_id: the hub's request id.
        empty_body: the answer had no body at all.
        finish_reason: the standard finish reason of an empty answer or of one that was broken off.
        body: the decoded body of the error without keys; text if it was no JSON.
        amendment: how the next request is changed (`hubmix.failover.amendments`).
        own: this process caused it (a short limit of its own, its proxy, a busy event loop): it says nothing about
            the hub and counts for nothing.
    """

    cause: str
    phase: str
    status: int | None = None
    code: str | None = None
    type: str | None = None
    param: str | None = None
    message: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    request_id: str | None = None
    empty_body: bool = False
    finish_reason: str | None = None
    body: Any = field(default=None, repr=False)
    amendment: str = ""
    own: bool = False


@dataclass(frozen=True, slots=True)
class Failure:
    """What one failed attempt means, with the wait that the hub asked for.

    Args:
        kind: the short name in the trace ("no_channel", "rate_model", ...).
        scope: whom it concerns; None if nobody knows.
        action: what to do first.
        cooldown: how it touches the breakers.
        fault: whose fault it is.
        what: what happened, in a sentence; `{model}` stands for the model ID.
        hint: what to do next.
        retry_after: seconds that the hub asked to wait, or None.
        retries: at most so many retries of the same model, whatever the policy allows; None leaves it to the policy.
        waits: ask another model at once while one is healthy; otherwise wait and ask the same one again.
        larger_window_only: NEXT goes only to models whose context window is larger or unknown.
        free_models_only: NEXT goes only to models that the catalog prices at 0.
        opt_in: NEXT where the policy says `fallback_on_content_filter`.
        keeps_answer: the answer is whole but empty; with nowhere to go it is returned as it came.
        amended: the next request is changed, so it is sent whatever the policy says of retries.
        throttled: requests are counted; the hub's words may say how long to wait.
        suggests: the model ID may be mistyped; similar IDs of the catalog are offered.
        ask_one_more: nobody knows what the refusal means: the next route is asked once.
        other_api: the same model may answer over another API.
        least_wait: the shortest wait before a retry, in seconds; it doubles like the backoff.
        error: the exception that a caller gets.
    """

    kind: str
    scope: Scope | None
    action: Recovery
    cooldown: Cooldown = Cooldown()
    fault: Fault = Fault.VENDOR
    what: str = "The call of the model {model} failed."
    hint: str = "Try again."
    retry_after: float | None = None
    retries: int | None = None
    waits: bool = False
    larger_window_only: bool = False
    free_models_only: bool = False
    opt_in: bool = False
    keeps_answer: bool = False
    amended: bool = False
    throttled: bool = False
    suggests: bool = False
    ask_one_more: bool = False
    other_api: bool = False
    least_wait: float = 0.0
    error: type[HubmixError] = HubmixError


SAID = frozenset({"status", "error_body"})
"""The causes in which somebody said something: an error status, or an error object inside a 200."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row: what must be seen, and the failure that it means.

    An empty condition always holds; all others must hold together.

    Args:
        signal: the conditions in words, for the docs.
        means: the failure.
        causes: what the transport saw.
        phases: how far the request had come.
        speaker: "hub" (its own error type, or neither type nor code) or "vendor".
        own_type: the error has one of the hub's own types.
        statuses: HTTP statuses; 0 stands for an error object without one.
        codes: error codes or types, in lower case, any of which matches.
        words: a pattern in the message; a row with both codes and words needs only one of them.
        empty_code: the body has no error code.
        empty_body: there is no body, or an HTML page in its place.
        finish_reasons: of an empty answer.
        unless: a pattern in the message that rules the row out.
        not_json: the body is no JSON object.
    """

    signal: str
    means: Failure
    causes: frozenset[str] = SAID
    phases: frozenset[str] = frozenset()
    speaker: str | None = None
    own_type: bool = False
    statuses: frozenset[int] = frozenset()
    codes: frozenset[str] = frozenset()
    words: re.Pattern[str] | None = None
    empty_code: bool = False
    empty_body: bool = False
    finish_reasons: frozenset[str] = frozenset()
    unless: re.Pattern[str] | None = None
    not_json: bool = False

    def matches(self, evidence: Evidence, *, status: int, speaker: str, own_type: bool) -> bool:
        """Return whether this row is about the evidence; `status` 0 is none."""
        return (
            evidence.cause in self.causes
            and (not self.phases or evidence.phase in self.phases)
            and (self.speaker is None or self.speaker == speaker)
            and (not self.own_type or own_type)
            and (not self.statuses or status in self.statuses)
            and (not self.empty_code or not evidence.code)
            and (not self.empty_body or _says_nothing(evidence))
            and (not self.finish_reasons or evidence.finish_reason in self.finish_reasons)
            and (not self.not_json or not isinstance(evidence.body, dict))
            and self._says(evidence)
            and not (self.unless and self.unless.search(evidence.message))
        )

    def _says(self, evidence: Evidence) -> bool:
        if not self.codes and self.words is None:
            return True
        if any(value and value.lower() in self.codes for value in (evidence.code, evidence.type)):
            return True
        return self.words is not None and self.words.search(evidence.message) is not None


def _says_nothing(evidence: Evidence) -> bool:
    return evidence.empty_body or "text/html" in evidence.headers.get("content-type", "")
