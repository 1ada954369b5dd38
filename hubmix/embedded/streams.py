"""The stream of one answer, with a fault in it if one was asked for. Pure: the result is a list of steps.

Faults are what the *vendor* does and the hub makes polite (cut, error events), or what the *wire* does (everything with
``polite=False``, resets, stalls). How each hub ends a broken stream was measured: New API adds a usage chunk that it
counted itself and ``[DONE]``; one-api adds ``[DONE]`` alone, and swallows a vendor's error event.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from hubmix.embedded.bodies import DONE, counted_event, counted_usage, frame, usage_event
from hubmix.embedded.bodies import Envelope as Envelope
from hubmix.embedded.cases import HTML_502
from hubmix.embedded.dialects import Dialect
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
)

SERVER_ERROR = {
    "message": "The server had an error while processing your request",
    "type": "server_error",
    "param": None,
    "code": None,
}


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A good answer before anything happens to it.

    Args:
        events: Those of the stream, up to the finish reason.
        whole: The same answer as one JSON object.
        counts: The vendor's usage.
        usage_asked: Whether the client asked for usage in the stream.
        request_id: For messages that name it.
        batch: How many events are written at once.
    """

    dialect: Dialect
    envelope: Envelope
    events: list[dict[str, Any]]
    whole: dict[str, Any]
    counts: dict[str, Any]
    usage_asked: bool
    pings: bool = False
    pace: float = 0.0
    request_id: str = ""
    batch: int = 1

    @property
    def gives_usage(self) -> bool:
        """Whether a usage event follows: asked by the client, or by the hub on its own."""
        return self.usage_asked or self.dialect.asks_usage


def stream(out: Outgoing, fault: Fault | None) -> Response:
    """The response of a streamed answer."""
    if fault is None or fault.kind == "ok":
        return _response(out, _good(out))
    changed = _CHANGES.get(fault.kind)
    if changed is not None:
        return changed(out, fault)
    return _response(out, [*_broken(out, fault)])


def whole(out: Outgoing, fault: Fault | None) -> Response:
    """The response of an answer in one JSON object. A fault that only streams know becomes its likeness in JSON."""
    body = copy.deepcopy(out.whole)
    if fault is not None and fault.kind == "error_event":
        return out.dialect.vendor_error(200, {"error": error_object(fault)}, out.request_id)
    if fault is not None and fault.kind in _JSON_CHANGES:
        _JSON_CHANGES[fault.kind](out, body, fault)
    text = json.dumps(body, ensure_ascii=False).encode()
    response = Response(200, (text,), PASSED_JSON_TYPE)
    return response if fault is None else on_the_wire(response, fault)


def on_the_wire(response: Response, fault: Fault) -> Response:
    """What a fault of the connection does to any response that is not a stream."""
    body = response.body
    half = body[: max(1, len(body) // 2)]
    pauses: dict[str, Callable[[], Response]] = {
        "reset": lambda: (
            replace(response, steps=(half, Drop(reset=True)), length=len(body))
            if fault.after is not None
            else replace(response, before=(Drop(reset=True),))
        ),
        "stall": lambda: (
            replace(response, steps=(half, Wait()), length=len(body))
            if fault.after is not None
            else replace(response, before=(Wait(),))
        ),
        "slow": lambda: replace(response, before=(Wait(fault.seconds),)),
        "cut": lambda: replace(response, steps=(half, Drop()), length=len(body)),
        "garbled": lambda: replace(response, steps=(half,)),
        "html": lambda: Response(fault.status, (HTML_502.encode(),), HTML_TYPE),
        "empty_body": lambda: replace(response, steps=()),
        "error_event": lambda: json_response(200, {"error": error_object(fault)}),
        "only_done": lambda: replace(response, steps=()),
        "empty_stream": lambda: replace(response, steps=()),
    }
    change = pauses.get(fault.kind)
    return change() if change else response


def error_object(fault: Fault) -> dict[str, Any]:
    """The error inside an event."""
    body = dict(fault.body if isinstance(fault.body, dict) else SERVER_ERROR)
    body = dict(body["error"]) if isinstance(body.get("error"), dict) else body
    return body if fault.code is None else {**body, "code": fault.code}


def _response(out: Outgoing, steps: list[Step], before: tuple[Step, ...] = ()) -> Response:
    if out.batch > 1:
        joined = [b"".join(steps[i : i + out.batch]) for i in range(0, len(steps), out.batch)]  # type: ignore[arg-type]
        steps = [*joined]  # only good streams are batched: they hold nothing but bytes
    return Response(200, tuple(steps), STREAM_TYPE, before=before, pace=out.pace)


def _frames(out: Outgoing) -> list[Step]:
    frames = [frame(event) for event in _with_last_usage(out)]
    if not out.pings:
        return [*frames]
    return [PING, *(step for one in frames for step in (one, PING))]


def _with_last_usage(out: Outgoing) -> list[dict[str, Any]]:
    """DeepSeek puts the usage on the event with the finish reason; then no other follows."""
    if out.envelope.style != "deepseek" or not out.gives_usage:
        return out.events
    return [*out.events[:-1], {**out.events[-1], "usage": out.counts}]


def _good(out: Outgoing) -> list[Step]:
    return [*_frames(out), *_vendor_tail(out)]


def _vendor_tail(out: Outgoing) -> list[Step]:
    if not out.gives_usage or out.envelope.style == "deepseek":
        return [DONE]
    return [frame(usage_event(out.envelope, out.counts)), DONE]


def _polite_tail(out: Outgoing, sent: list[dict[str, Any]], *, after_error: bool = False) -> list[Step]:
    """How the hub ends a stream that the vendor broke off."""
    if not out.dialect.counts_usage:
        return [DONE]
    last = (
        {"id": "", "created": 0, "model": "", "system_fingerprint": ""} if after_error else sent[-1] if sent else None
    )
    counts = counted_usage(out.counts["prompt_tokens"], max(0, len(sent) - 1))
    return [frame(counted_event(last, out.envelope.model, counts)), DONE]


def _broken(out: Outgoing, fault: Fault) -> list[Step]:
    """The faults that only change the list of steps, after so many events."""
    after = len(out.events) if fault.after is None else fault.after
    frames, sent = _frames(out), out.events[:after]
    head, rest = frames[:after], [*frames[after:], *_vendor_tail(out)]
    if fault.kind == "cut":
        return [*head, *(_polite_tail(out, sent) if fault.polite else [Drop()])]
    if fault.kind == "reset":
        return [*head, Drop(reset=True)]
    if fault.kind == "stall":
        return [*head, Wait(None, fault.every)]
    if fault.kind == "slow":
        return [*head, Wait(fault.seconds, fault.every), *rest]
    if fault.kind in ("garbled_line", "garbled"):
        after = 2 if fault.after is None else fault.after
        return [*frames[:after], b'data: {"id": "chatcmpl-0", "choi\n\n', *frames[after:], *_vendor_tail(out)]
    if fault.kind == "error_event":
        return [*head, *_error_steps(out, fault, sent)]
    if fault.kind == "pings":
        after = 3 if fault.after is None else fault.after
        return [PING, *frames[:after], PING, *frames[after:], *_vendor_tail(out)]
    return [*frames, *_vendor_tail(out)]


def _error_steps(out: Outgoing, fault: Fault, sent: list[dict[str, Any]]) -> list[Step]:
    text = json.dumps({"error": error_object(fault)}, ensure_ascii=False).encode()
    if fault.style == "bare":
        return [*_silence(fault), text]
    if fault.style == "data" and fault.polite and out.dialect.name == "one-api":
        return [DONE]
    name = b"event: error\n" if fault.style == "event" else b""
    tail = _polite_tail(out, sent, after_error=True) if fault.polite else []
    return [name + b"data: " + text + b"\n\n", *tail]


def _silence(fault: Fault) -> list[Step]:
    """The comments that fill the time until a vendor fails, where the fault asks for them."""
    return [Wait(fault.seconds or 0.0, fault.every)] if fault.every else []


def _early(out: Outgoing, fault: Fault) -> Response:
    """Resets, stalls and slowness, which can begin ahead of the headers."""
    if fault.after is not None:
        return _response(out, _broken(out, fault))
    step: Step = Drop(reset=True) if fault.kind == "reset" else Wait(fault.seconds if fault.kind == "slow" else None)
    return _response(out, _good(out), before=(step,))


def _steps(make: Callable[[Outgoing, Fault], list[Step]]) -> Callable[[Outgoing, Fault], Response]:
    return lambda out, fault: _response(out, [*_silence(fault), *make(out, fault)])


def _only_usage(out: Outgoing, _: Fault) -> list[Step]:
    counts = counted_usage(out.counts["prompt_tokens"], 0)
    return [frame(counted_event(None, out.envelope.model, counts)), DONE]


def _no_finish(out: Outgoing, _: Fault) -> list[Step]:
    return [
        *(frame(event) for event in out.events[:-1]),
        *_vendor_tail(replace(out, envelope=replace(out.envelope, style="openai"))),
    ]


def _blank_finish(out: Outgoing, _: Fault) -> list[Step]:
    events = copy.deepcopy(_with_last_usage(out))
    for event in events:
        event["choices"][0]["finish_reason"] = ""
    return [*(frame(event) for event in events), *_vendor_tail(out)]


def _empty_answer(out: Outgoing, _: Fault) -> list[Step]:
    first, last = copy.deepcopy(out.events[0]), copy.deepcopy(out.events[-1])
    first["choices"][0]["delta"] = {"role": "assistant", "content": ""}
    last["choices"][0]["finish_reason"] = "stop"
    return [frame(first), frame(last), *_vendor_tail(replace(out, envelope=replace(out.envelope, style="openai")))]


def _usage(out: Outgoing, fault: Fault) -> list[Step]:
    plain = [frame(event) for event in out.events]
    if fault.usage == "absent":
        if not out.dialect.counts_usage:
            return [*plain, DONE]
        return [*plain, *_polite_tail(out, out.events)]
    if fault.usage == "wrong":
        return [*plain, frame(usage_event(out.envelope, wrong_usage(out.counts))), DONE]
    if fault.usage == "in_last":
        last = frame({**out.events[-1], "usage": out.counts})
        return [*plain[:-1], last, DONE]
    if fault.usage == "cumulative":
        prompt = out.counts["prompt_tokens"]
        steps: list[Step] = []
        for index, event in enumerate(out.events):
            counts = {"prompt_tokens": prompt, "completion_tokens": index, "total_tokens": prompt + index}
            steps.append(frame({**event, "usage": out.counts if index == len(out.events) - 1 else counts}))
        return [*steps, DONE]
    return [*plain, frame(usage_event(out.envelope, out.counts)), DONE]


def wrong_usage(counts: dict[str, Any]) -> dict[str, Any]:
    """Counts that contradict each other and themselves: more cached than sent, a total that is no sum."""
    return {
        "prompt_tokens": 22,
        "completion_tokens": counts["completion_tokens"],
        "total_tokens": 7,
        "prompt_tokens_details": {"cached_tokens": 6266},
        "input_tokens": 0,
        "output_tokens": 0,
    }


_CHANGES: dict[str, Callable[[Outgoing, Fault], Response]] = {
    "reset": _early,
    "stall": _early,
    "slow": _early,
    "html": lambda out, fault: Response(fault.status, (HTML_502.encode(),), HTML_TYPE),
    "empty_stream": _steps(lambda out, fault: []),
    "empty_body": _steps(lambda out, fault: []),
    "only_done": _steps(lambda out, fault: [DONE]),
    "only_usage": _steps(_only_usage),
    "no_finish_reason": _steps(_no_finish),
    "blank_finish_reason": _steps(_blank_finish),
    "no_done": _steps(lambda out, fault: _good(out)[:-1]),
    "empty_answer": _steps(_empty_answer),
    "usage": _steps(_usage),
    "json_for_stream": lambda out, fault: whole(out, None),
}


_JsonChange = Callable[[Outgoing, dict[str, Any], Fault], None]


def _json_usage(out: Outgoing, body: dict[str, Any], fault: Fault) -> None:
    if fault.usage == "absent" and out.dialect.counts_usage:
        body["usage"] = counted_usage(out.counts["prompt_tokens"], out.counts["completion_tokens"])
    elif fault.usage == "absent":
        del body["usage"]
    elif fault.usage == "wrong":
        body["usage"] = wrong_usage(body["usage"])


def _json_empty(out: Outgoing, body: dict[str, Any], fault: Fault) -> None:
    body["choices"][0] |= {"message": {"role": "assistant", "content": None}, "finish_reason": "stop"}


def _json_finish(value: str | None) -> _JsonChange:
    def change(out: Outgoing, body: dict[str, Any], fault: Fault) -> None:
        for choice in body["choices"]:
            choice["finish_reason"] = value

    return change


def _json_no_choices(out: Outgoing, body: dict[str, Any], fault: Fault) -> None:
    body["choices"] = []


_JSON_CHANGES: dict[str, _JsonChange] = {
    "usage": _json_usage,
    "empty_answer": _json_empty,
    "no_finish_reason": _json_finish(None),
    "blank_finish_reason": _json_finish(""),
    "only_usage": _json_no_choices,
}
