"""The words of an error: what happened, whose fault, what to do next."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from hubmix._text import one_line, public_url, redact
from hubmix.errors import HubmixError, ModelNotFoundError, StreamInterruptedError
from hubmix.failover import failures
from hubmix.failover.evidence import Evidence, Failure, Fault
from hubmix.wire.error_body import find_request_id

if TYPE_CHECKING:
    from collections.abc import Sequence

_FAULT = {
    Fault.REQUEST: "The fault is in your request or settings.",
    Fault.ACCOUNT: "The fault is with your key or account at the hub.",
    Fault.HUB: "The fault is the hub's, not yours.",
    Fault.VENDOR: "The fault is with the vendor behind the hub, not with you or your key.",
    Fault.NETWORK: "The fault is on the way between you and the hub.",
    Fault.LIMIT: "The limit is your own.",
    Fault.UNKNOWN: "It cannot be told where the fault is.",
}

_REQUEST_ID = re.compile(r"\s*\((?:request id|tid): *[^)]*\)", re.IGNORECASE)
_OF_THE_MODEL = re.compile(r" (?:for|of|with) the model \{model\}")
_ENGLISH = re.compile(r"[\x20-\x7e\u00a0-\u024f\u2010-\u203a\u20ac\s]*")


def own_words(message: str) -> str:
    """Return the hub's message on one line, at most 500 characters.

    Keys, addresses and the request id are taken out.
    """
    words = one_line(redact(_REQUEST_ID.sub("", message)))
    return words if len(words) <= 500 else words[:499] + "…"


def compose(
    failure: Failure,
    evidence: Evidence,
    *,
    model: str,
    base_url: str,
    request_id: str | None,
    suggestions: Sequence[str] = (),
    successor: str | None = None,
    note: str = "",
) -> str:
    """The message of the exception for a failure.

    The hub's own words stand at the end, in quotes. Words in another language stay out of it: `.hub_message` has them.
    """
    what = what_happened(failure, model).removesuffix(".")
    # A failure of the account is not about a model; which one was asked for is still worth a word.
    unnamed = None if "{model}" in failure.what else model
    parts = [f"{what} ({_facts(evidence, unnamed, base_url, request_id)})."]
    if note:
        parts.append(note)
    parts += [fault_of(failure), failure.hint]
    if successor:
        parts.append(f"Its successor is {successor!r}.")
    elif suggestions:
        parts.append(did_you_mean(suggestions))
    if failure.retry_after is not None:
        parts.append(f"Come back in {failure.retry_after:.3g} s.")
    if said := quoted(evidence):
        parts.append(said)
    return " ".join(parts)


def did_you_mean(suggestions: Sequence[str]) -> str:
    """Return the question after a typo; nothing without suggestions."""
    return f"Did you mean {' or '.join(repr(name) for name in suggestions)}?" if suggestions else ""


def quoted(evidence: Evidence) -> str:
    """Return the hub's English words in quotes; `.hub_message` has the rest."""
    words = own_words(evidence.message)
    if not words:
        return ""
    if _ENGLISH.fullmatch(words):
        return f'{_said_by(evidence)}: "{words}"'
    pieces = (piece.strip(" ,;:.-") for piece in _FOREIGN.split(words))
    english = ". ".join(piece for piece in pieces if len(_WORD.findall(piece)) >= _SENTENCE)
    rest = "The original words, which are not English, are in `.hub_message`."
    return f'{_said_by(evidence)}: "{english}". {rest}' if english else rest


_FOREIGN = re.compile(r"[^\x20-\x7e\u00a0-\u024f\u2010-\u203a\u20ac]+")
_WORD = re.compile(r"(?<![\w-])[A-Za-z]{2,}(?![\w-])")
_SENTENCE = 3  # English words in a row; fewer are names inside the foreign sentence


def what_happened(failure: Failure, model: str) -> str:
    """Return in one sentence what happened, to which model or to the hub."""
    if model:
        return failure.what.replace("{model}", repr(model))
    return _OF_THE_MODEL.sub("", failure.what).replace("he model {model}", "he hub")


def fault_of(failure: Failure) -> str:
    """Whose fault it is, in one sentence."""
    return _FAULT[failure.fault]


def _facts(evidence: Evidence, model: str | None, base_url: str, request_id: str | None) -> str:
    facts = [urlsplit(base_url).netloc or base_url]
    if model:
        facts.append(f"asked for the model {model!r}")
    if evidence.status is not None:
        facts.append(f"HTTP {evidence.status}")
    if evidence.code:
        facts.append(f"code {evidence.code}")
    if evidence.cause not in ("status", "error_body"):
        facts.append(evidence.cause.replace("_", " "))
    if request_id:
        facts.append(f"request id {request_id}")
    return ", ".join(fact for fact in facts if fact)


def _said_by(evidence: Evidence) -> str:
    return "What came back" if evidence.status is not None or evidence.type else "What went wrong"


def to_exception(
    failure: Failure,
    evidence: Evidence,
    *,
    model: str,
    base_url: str,
    partial: Any = None,
    suggestions: Sequence[str] = (),
    successor: str | None = None,
    note: str = "",
) -> HubmixError:
    """Return the exception for a failure.

    Its message says what happened, whose fault it is, and what to do next.

    Args:
        failure: what `classify` made of the evidence.
        evidence: what was seen.
        model: the model ID that was asked.
        base_url: the base URL that was asked; credentials and query are taken out.
        partial: what had arrived of an interrupted stream.
        suggestions: model IDs spelt like an unknown one.
        successor: the model ID that follows a retired one.
        note: a sentence to add at the end of what happened.

    Example:
        >>> from hubmix.failover.classify import classify
        >>> seen = Evidence("status", "body", status=503)
        >>> to_exception(classify(seen), seen, model="gpt-99", base_url="https://hub.example/v1").status
        503
    """
    cls = failure.error
    details: dict[str, Any] = {
        "kind": failure.kind,
        "scope": failure.scope,
        "status": evidence.status,
        "code": evidence.code,
        "model": model,
        "base_url": public_url(base_url),
        "request_id": evidence.request_id or find_request_id(evidence.headers, evidence.message),
        "body": evidence.body,
        "hub_message": own_words(evidence.message) or None,
        "retry_after": failure.retry_after,
    }
    if issubclass(cls, StreamInterruptedError):
        details["partial"] = partial
    if issubclass(cls, ModelNotFoundError):
        details["suggestions"] = (successor,) if successor else suggestions
    told = {name: details[name] for name in ("model", "base_url", "request_id")}
    message = compose(failure, evidence, **told, suggestions=suggestions, successor=successor, note=note)
    return cls(message, **details)


def error_class(kind: str) -> type[HubmixError]:
    """Return the exception class of a kind of failure."""
    known = (value for value in vars(failures).values() if isinstance(value, Failure))
    return next((failure.error for failure in known if failure.kind == kind), HubmixError)
