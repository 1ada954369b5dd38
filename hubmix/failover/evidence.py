"""What is known of a failed request, and what follows from it: the values that the failure table speaks in.

Everything here is a plain value. `Evidence` is what the transport saw, `Failure` what the table makes of it;
`read_error_body` gets the hub's own words out of every shape of error body.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from hubmix.errors import Scope


class Action(str, Enum):
    """What to do after a failure: ask the same model again, go on to the next, or raise."""

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


class Target(str, Enum):
    """Which circuit breaker a failure touches; `NONE` touches none."""

    NONE = "none"
    MODEL = "model"
    ACCOUNT = "account"
    ENDPOINT = "endpoint"


@dataclass(frozen=True, slots=True)
class Cooldown:
    """How a failure touches a breaker: counted towards opening it, or opening it at once.

    Args:
        target: the breaker concerned.
        seconds: how long it opens at once; 0 means that the failure is only counted (three in a row open).
        growing: `seconds` doubles with every opening in a row, up to 60 s, and a longer Retry-After wins.
    """

    target: Target = Target.NONE
    seconds: float = 0.0
    growing: bool = False

    @property
    def counted(self) -> bool:
        """It opens nothing by itself; three in a row do."""
        return self.target is not Target.NONE and self.seconds == 0

    @property
    def fixed(self) -> bool:
        """It opens for a set time: what is wrong will not mend itself in seconds."""
        return self.seconds > 0 and not self.growing

    def describe(self) -> str:
        """The cooldown in a few words, for the table in the docs."""
        if self.target is Target.NONE:
            return "none"
        if self.counted:
            return "counted" if self.target is Target.MODEL else f"{self.target.value}, counted"
        growth = ", doubled each time up to 60 s, or Retry-After if longer" if self.growing else ""
        return f"{self.target.value} {self.seconds:g} s{growth}"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of one failed attempt. `classify` reads nothing else.

    Args:
        cause: "status" (an HTTP error status), "error_body" (an error object inside a 200 answer or a stream), "html",
            "undecodable", "no_choices", "empty_answer", "empty_stream", "no_finish" (a stream that ended without finish
            reason), "cut" (closed in the middle of an answer), "reset", "refused", "dns", "tls", "connect_timeout",
            "pool_timeout", "read_timeout", "first_token_timeout", "idle_timeout", "total_timeout" or "stream_options"
            (the vendor refused that parameter, which is left out from now on).
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
        open_tool_call: a stream ended inside a tool call.
        finish_reason: the standard finish reason of an empty answer.
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
    open_tool_call: bool = False
    finish_reason: str | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """What one failed attempt means: a row of the failure table, with the wait that the hub asked for.

    Args:
        kind: the short name in the trace ("no_channel", "rate_model", ...).
        scope: whom it concerns.
        action: what to do first.
        cooldown: how it touches the breakers.
        fault: whose fault it is.
        what: what happened, in a sentence; `{model}` stands for the model ID.
        hint: what to do next.
        retry_after: seconds that the hub asked to wait, or None.
        retries: at most so many retries of the same model, whatever the policy allows; None leaves it to the policy.
        never_next: after the retries comes FAIL, for another model of the same account would fail alike.
        waits: ask another model at once while one is healthy; otherwise wait and ask the same one again.
        larger_window_only: NEXT goes only to models whose context window is larger or unknown.
        free_models_only: NEXT goes only to models that the catalog prices at 0.
        opt_in: NEXT where the policy says `fallback_on_content_filter`.
        keeps_answer: the answer is whole but empty; with nowhere to go it is returned as it came.
        amended: the next request for the model will leave out what was refused, so it is made whatever the policy says
            of retries.
    """

    kind: str
    scope: Scope
    action: Action
    cooldown: Cooldown = Cooldown()
    fault: Fault = Fault.VENDOR
    what: str = "The call of the model {model} failed."
    hint: str = "Try again."
    retry_after: float | None = None
    retries: int | None = None
    never_next: bool = False
    waits: bool = False
    larger_window_only: bool = False
    free_models_only: bool = False
    opt_in: bool = False
    keeps_answer: bool = False
    amended: bool = False
