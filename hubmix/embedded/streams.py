"""An answer as a response, with a fault in it if one was asked for. Pure.

Faults are what the *vendor* does and the hub makes polite (cut, error events), or what the *wire* does (everything with
`polite=False`, resets, stalls). How a hub ends a broken stream and writes an error depends on the API: see `Outgoing`.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from hubmix.embedded.call import ModelCall
from hubmix.embedded.cases import HTML_502
from hubmix.embedded.faults import Fault
from hubmix.embedded.http import (
    HTML_TYPE,
    PASSED_JSON_TYPE,
    PING,
    STREAM_TYPE,
    Drop,
    Response,
    Step,
    Wait,
    json_response,
)  # fmt: skip

SERVER_ERROR = {
    "message": "The server had an error while processing your request",
    "type": "server_error",
    "param": None,
    "code": None,
}


class Outgoing:
    """A good answer of one API, and how that API writes what goes wrong.

    Args:
        call: the request.
        frames: the events of the stream without its end.
        end: the events that end it.
        whole: the same answer as one JSON object.
        batch: how many events are written at once.
    """

    def __init__(
        self, call: ModelCall, frames: Sequence[bytes], end: Sequence[bytes], whole: dict[str, Any], batch: int = 1
    ) -> None:
        self.call = call
        self.frames = list(frames)
        self.end = list(end)
        self.whole = whole
        self.batch = batch if call.fault is None else 1

    def broken_off(self, sent: int) -> list[Step]:
        """Return what the hub adds to a stream that was cut after `sent` events."""
        return []

    def error(self, fault: Fault, sent: int) -> list[Step]:
        """Return an error in the stream after `sent` events."""
        raise NotImplementedError

    def change(self, fault: Fault) -> list[Step] | None:
        """Return the whole stream under a fault of this API, or None."""
        return None

    def change_whole(self, body: dict[str, Any], fault: Fault) -> None:
        """Put such a fault into the JSON answer."""


def respond(out: Outgoing, stream: bool) -> Response:
    """Return the response of an answer, streamed or whole."""
    return _streamed(out, out.call.fault) if stream else _whole(out, out.call.fault)


def error_object(fault: Fault) -> dict[str, Any]:
    """Return the error inside an event."""
    body = dict(fault.body if isinstance(fault.body, dict) else SERVER_ERROR)
    body = dict(body["error"]) if isinstance(body.get("error"), dict) else body
    return body if fault.code is None else {**body, "code": fault.code}


def frame(event: dict[str, Any], name: str | None = None) -> bytes:
    """Return an event in bytes, after an `event:` line if it has a name."""
    line = b"event: " + name.encode() + b"\n" if name else b""
    return line + b"data: " + json.dumps(event, ensure_ascii=False).encode() + b"\n\n"


def _streamed(out: Outgoing, fault: Fault | None) -> Response:
    if fault is None or fault.kind == "ok":
        return _response(out, [*_frames(out), *out.end])
    if fault.kind == "html":
        return Response(fault.status, (HTML_502.encode(),), HTML_TYPE)
    if fault.kind == "json_for_stream":
        return _whole(out, None)
    if fault.kind in ("reset", "stall", "slow") and fault.after is None:
        seconds = fault.seconds if fault.kind == "slow" else None
        early: Step = Drop(reset=True) if fault.kind == "reset" else Wait(seconds)
        return _response(out, [*_frames(out), *out.end], before=(early,))
    changed = [] if fault.kind in ("empty_stream", "empty_body") else out.change(fault)
    return _response(out, _broken(out, fault) if changed is None else [*_silence(fault), *changed])


def _whole(out: Outgoing, fault: Fault | None) -> Response:
    """Return the response as one JSON object, with the fault's counterpart."""
    body = copy.deepcopy(out.whole)
    if fault is not None and fault.kind == "error_event" and fault.style != "failed":
        return out.call.dialect.vendor_error(200, {"error": error_object(fault)}, out.call.request_id)
    if fault is not None:
        out.change_whole(body, fault)
    response = Response(200, (json.dumps(body, ensure_ascii=False).encode(),), PASSED_JSON_TYPE)
    return response if fault is None else on_the_wire(response, fault)


def on_the_wire(response: Response, fault: Fault) -> Response:
    """Return what a fault of the connection makes of a response that is not a stream."""
    body = response.body
    half = body[: max(1, len(body) // 2)]
    late = fault.after is not None
    changes: dict[str, Callable[[], Response]] = {
        "reset": lambda: (
            replace(response, steps=(half, Drop(reset=True)), length=len(body))
            if late
            else replace(response, before=(Drop(reset=True),))
        ),
        "stall": lambda: (
            replace(response, steps=(half, Wait()), length=len(body)) if late else replace(response, before=(Wait(),))
        ),
        "slow": lambda: replace(response, before=(Wait(fault.seconds),)),
        "cut": lambda: replace(response, steps=(half, Drop()), length=len(body)),
        "garbled": lambda: replace(response, steps=(half,)),
        "html": lambda: Response(fault.status, (HTML_502.encode(),), HTML_TYPE),
        "error_event": lambda: (
            response if fault.style == "failed" else json_response(200, {"error": error_object(fault)})
        ),
        **dict.fromkeys(("empty_body", "only_done", "empty_stream"), lambda: replace(response, steps=())),
    }
    change = changes.get(fault.kind)
    return change() if change else response


def _response(out: Outgoing, steps: list[Step], before: tuple[Step, ...] = ()) -> Response:
    if out.batch > 1:
        joined = [b"".join(steps[i : i + out.batch]) for i in range(0, len(steps), out.batch)]  # type: ignore[arg-type]
        steps = [*joined]  # only good streams are batched: they hold nothing but bytes
    return Response(200, tuple(steps), STREAM_TYPE, before=before, pace=out.call.settings.pace)


def _frames(out: Outgoing) -> list[Step]:
    if not out.call.settings.pings:
        return [*out.frames]
    return [PING, *(step for one in out.frames for step in (one, PING))]


def _broken(out: Outgoing, fault: Fault) -> list[Step]:
    """The faults that change the list of steps after so many events."""
    after = len(out.frames) if fault.after is None else fault.after
    sent = min(after, len(out.frames))
    head, rest = _frames(out)[:after], [*_frames(out)[after:], *out.end]
    if fault.kind == "cut":
        return [*head, *(out.broken_off(sent) if fault.polite else [Drop()])]
    if fault.kind == "reset":
        return [*head, Drop(reset=True)]
    if fault.kind == "stall":
        return [*head, Wait(None, fault.every)]
    if fault.kind == "slow":
        return [*head, Wait(fault.seconds, fault.every), *rest]
    if fault.kind in ("garbled_line", "garbled"):
        after = 2 if fault.after is None else fault.after
        return [*_frames(out)[:after], b'data: {"id": "chatcmpl-0", "choi\n\n', *_frames(out)[after:], *out.end]
    if fault.kind == "error_event":
        return [*head, *(_silence(fault) if fault.style == "bare" else ()), *out.error(fault, sent)]
    if fault.kind == "pings":
        after = 3 if fault.after is None else fault.after
        return [PING, *_frames(out)[:after], PING, *_frames(out)[after:], *out.end]
    return [*_frames(out), *out.end]


def _silence(fault: Fault) -> list[Step]:
    """Return the comments until a vendor fails, if the fault asks for them."""
    return [Wait(fault.seconds or 0.0, fault.every)] if fault.every else []
