"""What is known of a failed request, and what follows from it: the values that the failure table speaks in.

Everything here is a plain value. `Evidence` is what the transport saw, `Failure` what the table makes of it;
`read_error_body` gets the hub's own words out of every shape of error body.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class Scope(str, Enum):
    """Whom a failure concerns. Changing the model helps only where it is `MODEL`."""

    REQUEST = "request"
    MODEL = "model"
    ACCOUNT = "account"
    ENDPOINT = "endpoint"


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


def read_error_body(body: bytes | str | Any) -> dict[str, str | None]:
    """Get code, type, param and message out of an error body, whatever its shape.

    Reads the OpenAI shape, Anthropic's, Gemini's list, Mistral's flat object, `success: false`, FastAPI's `detail`, a
    bare string, plain text and HTML (its title).

    Args:
        body: the raw body, or the JSON value in it.

    Returns:
        `code`, `type`, `param` (None where absent or empty; numbers as text) and `message` ("" where absent).

    Example:
        >>> read_error_body(b'{"error": {"message": "busy", "code": 429}}')
        {'code': '429', 'type': None, 'param': None, 'message': 'busy'}
    """
    value = _decode(body)
    if isinstance(value, list):
        value = value[0] if value else None
    if isinstance(value, str):
        return _described(message=_plain(value))
    if not isinstance(value, Mapping):
        return _described()
    return _read_object(value)


def _decode(body: Any) -> Any:
    if isinstance(body, (bytes, bytearray)):
        body = bytes(body).decode("utf-8", "replace")
    if not isinstance(body, str):
        return body
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return body


def _read_object(value: Mapping[str, Any]) -> dict[str, str | None]:
    error = value.get("error")
    if error is None and isinstance(value.get("errors"), list) and value["errors"]:  # Cloudflare
        error = value["errors"][0]
    if isinstance(error, str):
        described = _described(message=_plain(error))
    elif isinstance(error, Mapping):
        described = _described(
            code=_text(error.get("code")),
            # Gemini has the name of the status where others have a type.
            type=_text(error.get("type")) or _text(error.get("status")),
            param=_text(error.get("param")),
            message=_message(error),
        )
        inner = error.get("innererror")  # Azure puts the telling code there
        if isinstance(inner, Mapping) and not described["code"]:
            described["code"] = _text(inner.get("code"))
    else:
        described = _described(param=_text(value.get("param")), message=_message(value))
    # A `type` beside the error object: "error" says nothing (Anthropic, AIHubMix), anything else fills a gap.
    outer = _text(value.get("type"))
    described["type"] = described["type"] or (outer if outer != "error" else None)
    described["code"] = described["code"] or _text(value.get("code"))
    described["message"] = described["message"] or _message(value)
    return described


def _described(
    *, code: str | None = None, type: str | None = None, param: str | None = None, message: str = ""
) -> dict[str, str | None]:
    return {"code": code, "type": type, "param": param, "message": message}


def _text(value: Any) -> str | None:
    # "<nil>" is what a Go gateway prints for a missing value.
    if value is None or isinstance(value, (bool, Mapping, list)) or value in ("", "<nil>"):
        return None
    return str(value)


def _message(error: Mapping[str, Any]) -> str:
    message = error.get("message") or error.get("msg") or error.get("detail") or ""
    if not isinstance(message, str):
        message = json.dumps(message, ensure_ascii=False)
    metadata = error.get("metadata")
    # OpenRouter says "Provider returned error" and keeps the vendor's words in metadata.raw.
    raw = metadata.get("raw") if isinstance(metadata, Mapping) else None
    if isinstance(raw, str) and raw and raw not in message:
        message = f"{message}: {raw}" if message else raw
    return message


def _plain(text: str) -> str:
    """The title of an HTML page, or the text itself; one line, at most 500 characters."""
    if re.match(r"\s*<(!doctype|html|head|body)", text, re.IGNORECASE):
        title = re.search(r"<title[^>]*>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
        text = title.group(1) if title else "an HTML page"
    return " ".join(text.split())[:500]


_REQUEST_ID_HEADERS = ("x-oneapi-request-id", "x-request-id", "x-aihubmix-request-id", "request-id", "cf-ray")
_REQUEST_ID_IN_TEXT = re.compile(r"\((?:request id|tid): *([^\s)]+)\)", re.IGNORECASE)


def find_request_id(headers: Mapping[str, str], message: str = "") -> str | None:
    """The hub's request id: from the headers (lower case), else "(request id: ...)" or "(tid: ...)" in the message."""
    for name in _REQUEST_ID_HEADERS:
        if value := headers.get(name):
            return value
    found = _REQUEST_ID_IN_TEXT.search(message)
    return found.group(1) if found else None
