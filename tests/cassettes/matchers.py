"""When a request is the recorded one.

Our own recordings are matched on everything that reaches the hub but the headers: a changed field of the body is a
changed request. The gateway recordings were made with the plain SDK, whose bodies are not byte for byte ours, so there
the body's `model` and `stream` decide.
"""

from __future__ import annotations

import difflib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from vcr.request import Request


def whole_body(sent: Request, recorded: Request) -> None:
    """Compare the bodies to the byte, except for spaces in JSON."""
    one, other = _readable(recorded.body), _readable(sent.body)
    if one != other:
        lines = difflib.unified_diff(one.splitlines(), other.splitlines(), "recorded", "sent", lineterm="", n=2)
        raise AssertionError("the bodies differ:\n" + "\n".join(lines))


def model_and_stream(sent: Request, recorded: Request) -> None:
    """Compare the body's `model` and whether it asks for a stream."""
    one, other = _model_and_stream(recorded.body), _model_and_stream(sent.body)
    if one != other:
        raise AssertionError(f"recorded (model, stream) {one}, sent {other}")


MATCHERS: Mapping[str, Callable[[Request, Request], None]] = {
    "whole_body": whole_body,
    "model_and_stream": model_and_stream,
}
_TARGET = ("method", "scheme", "host", "port", "path")
OWN = (*_TARGET, "query", "whole_body")
GATEWAY = (*_TARGET, "model_and_stream")


def _json(body: bytes | None) -> Any:
    try:
        return json.loads(body or b"")
    except ValueError:
        return None


def _readable(body: bytes | None) -> str:
    value = _json(body)
    if value is None:
        return (body or b"").decode("utf-8", "replace")
    return json.dumps(value, indent=1, ensure_ascii=False)


def _model_and_stream(body: bytes | None) -> tuple[Any, bool]:
    value = _json(body)
    return (value.get("model"), bool(value.get("stream"))) if isinstance(value, dict) else (None, False)
