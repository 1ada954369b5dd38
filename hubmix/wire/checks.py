"""What cannot be sent, found before the request leaves and named. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from hubmix.errors import ConfigurationError


def check_chat(payload: Any) -> None:
    """Refuse a chat payload of another shape.

    Raises:
        ConfigurationError: it is no mapping, its model no text, or its messages no list of mappings.
    """
    if not isinstance(payload, Mapping):
        raise _refusal(None, f"it is {_kind(payload)} and must be a mapping with 'model' and 'messages'")
    model, messages = payload.get("model"), payload.get("messages", ())
    if model is not None and not isinstance(model, str):
        raise _refusal(None, f"model is {_kind(model)} and must be a model ID")
    if not isinstance(messages, Sequence) or isinstance(messages, (str, bytes)):
        raise _refusal(model, f"messages is {_kind(messages)} and must be a list of mappings")
    for index, message in enumerate(messages):
        # The first comparison is what a long history costs; an abstract class takes several times as long.
        if type(message) is not dict and not isinstance(message, Mapping):
            raise _refusal(model, f"messages[{index}] is {_kind(message)} and must be a mapping with 'role'")


def check_headers(headers: Mapping[str, Any]) -> None:
    """Refuse headers that HTTP cannot carry; the library finds some too late.

    Raises:
        ConfigurationError: it names the header, and never its value.
    """
    for name, value in headers.items():
        if not _fits_header(name) or not name:
            raise ConfigurationError(f"Headers cannot be sent: the name {name!r} is not printable ASCII text.")
        if not _fits_header(value):
            raise ConfigurationError(f"Headers cannot be sent: the value of {name!r} is not printable ASCII text.")


def unsendable(error: Exception, body: Any) -> ConfigurationError | None:
    """Return the error that says which value could not be written, or None.

    Args:
        error: what the SDK or the JSON module raised before anything was sent.
        body: the body of the request.
    """
    if not isinstance(error, (TypeError, ValueError, RecursionError)):
        return None
    reason = why_not_json(body)
    if reason is None:
        return None
    error.__traceback__ = None  # its frames hold the client, and the client the key
    return _refusal(body.get("model") if isinstance(body, Mapping) else None, reason)


def _fits_header(text: Any) -> bool:
    return isinstance(text, str) and text.isascii() and text.replace("\t", " ").isprintable()


def why_not_json(value: Any, where: str = "", inside: tuple[int, ...] = ()) -> str | None:
    """Where and why a value is not JSON, such as "temperature is nan, …", or None."""
    if value is None or isinstance(value, (bool, int)):
        return None
    if isinstance(value, str):
        return _why_not_text(value, where)
    if isinstance(value, float):
        return None if math.isfinite(value) else f"{where} is {value}, and JSON has no such number"
    if not isinstance(value, (Mapping, list, tuple)):
        return f"{where or 'the body'} is {_kind(value)}, which JSON does not have"
    if id(value) in inside:
        return f"{where} holds itself"
    inside = (*inside, id(value))
    if not isinstance(value, Mapping):
        found = (why_not_json(each, f"{where}[{index}]", inside) for index, each in enumerate(value))
        return next(filter(None, found), None)
    for name, each in value.items():
        at = f"{where}.{name}" if where else str(name)
        if not isinstance(name, (str, int, float, type(None))):
            return f"a key of {where or 'the body'} is {_kind(name)}, and JSON has only text"
        if reason := _why_not_text(str(name), f"a key of {where or 'the body'}") or why_not_json(each, at, inside):
            return reason
    return None


def _why_not_text(text: str, where: str) -> str | None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        half = f"U+{ord(text[error.start]):04X}"
        return f"{where} holds half a character ({half}, a lone surrogate) at position {error.start}"
    return None


def _kind(value: Any) -> str:
    name = type(value).__name__
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"


def _refusal(model: str | None, reason: str) -> ConfigurationError:
    # A model's name can be the very text that cannot be written.
    named = f" to the model {model!r}" if isinstance(model, str) and model else ""
    return ConfigurationError(
        f"The request{named} cannot be sent: {reason}. Nothing was sent.", kind="unsendable", model=model
    )
