"""`POST /v1/responses`: from the body of a request to a response."""

from __future__ import annotations

from typing import Any

from hubmix.embedded.call import Answered, ModelCall
from hubmix.embedded.chat.answer import prompt_tokens, refuse_what_the_model_cannot
from hubmix.embedded.checks import RefusedError, refused
from hubmix.embedded.faults import Fault
from hubmix.embedded.http import PASSED_JSON_TYPE, Step, json_response
from hubmix.embedded.responses.body import Event, begun_body, item_events, output_items, response_body, sealed
from hubmix.embedded.responses.input import Message
from hubmix.embedded.responses.request import read_responses
from hubmix.embedded.rules import respond
from hubmix.embedded.streams import Outgoing, error_object, frame
from hubmix.embedded.streams import respond as as_response


def answer_responses(call: ModelCall) -> Answered:
    """Return the response to a request, and the usage it is charged for.

    Raises:
        RefusedError: the hub or the vendor does not answer it.
    """
    if call.model.kind != "llm":
        words = "This is not a chat model and thus not supported in the v1/responses endpoint."
        raise refused(words, param="model", status=404)
    if "responses" not in call.model.apis:
        raise RefusedError("not implemented", case="api_not_served")
    request = read_responses(call, _earlier(call))
    prompt = prompt_tokens(request.chat)
    refuse_what_the_model_cannot(call, request.chat, prompt)
    if call.body.get("background"):
        queued = json_response(200, begun_body(call, "queued"), content_type=PASSED_JSON_TYPE)
        return queued, {"prompt_tokens": 0}
    answer = respond(call.model, request.chat)
    counts = {"prompt_tokens": prompt, "completion_tokens": answer.tokens}
    items = output_items(call, request, answer)
    body = response_body(call, answer, sealed(call, items, "f") if request.encrypted else items, counts)
    if call.body.get("store", True):
        call.memory[body["id"]] = (*request.chat.messages, _said(items))
        call.memory.update(dict.fromkeys((item["id"] for item in items), ()))
    events = [{"type": f"response.{name}", "response": begun_body(call)} for name in ("created", "in_progress")]
    events += item_events(call, request, items)
    return as_response(ResponsesOutgoing(call, events, body), request.chat.stream), counts


def _earlier(call: ModelCall) -> tuple[Message, ...]:
    """Return the messages of the response that the request goes on from."""
    previous = call.body.get("previous_response_id")
    if not previous:
        return ()
    if not call.memory.get(previous):
        words = f"Previous response with id '{previous}' not found."
        raise refused(words, param="previous_response_id", code="previous_response_not_found")
    return tuple(call.memory[previous])


def _said(items: list[dict[str, Any]]) -> Message:
    """Return the output items as the assistant's message."""
    texts = [part.get("text") or "" for item in items if item["type"] == "message" for part in item["content"]]
    calls = [
        {"id": i["call_id"], "type": "function", "function": {"name": i["name"], "arguments": i.get("arguments", "{}")}}
        for i in items
        if "call_id" in i
    ]
    return {"role": "assistant", "content": "".join(texts), **({"tool_calls": calls} if calls else {})}


class ResponsesOutgoing(Outgoing):
    """A good response, and how its stream ends and fails."""

    def __init__(self, call: ModelCall, events: list[Event], body: dict[str, Any]) -> None:
        self.last = {"type": f"response.{body['status']}", "response": body}
        numbered = [_numbered(event, at) for at, event in enumerate([*events, self.last])]
        super().__init__(call, numbered[:-1], numbered[-1:], body)

    def broken_off(self, sent: int) -> list[Step]:
        """Return one-hub's bare line; other hubs just close."""
        line = self.call.dialect.cut_line
        return [line.encode()] if line else []

    def error(self, fault: Fault, sent: int) -> list[Step]:
        """Return an error event: flat, nested, without a type, or as a failed response."""
        body = error_object(fault)
        if fault.style == "bare":
            return [frame({"error": body}).removeprefix(b"data: ").rstrip()]
        body |= {"code": body.get("code") or body.get("type")} if body else {}
        if fault.style == "untyped":
            return [frame({"error": body})]
        nested = {"type": "error", "error": body}
        failed = {"type": "response.failed", "response": begun_body(self.call, "failed", self._reason(fault))}
        flat = {"type": "error", **{name: body.get(name) for name in ("code", "message", "param")}}
        events: dict[str, list[Event]] = {
            "data": [flat],
            "event": [nested],
            "failed": [failed],
            "both": [nested, failed],
        }
        return [_numbered(event, sent + at) for at, event in enumerate(events[fault.style])]

    @staticmethod
    def _reason(fault: Fault) -> dict[str, Any] | None:
        body = error_object(fault)
        return {"code": body.get("code") or body.get("type"), "message": body.get("message")} if body else None

    def change(self, fault: Fault) -> list[Step] | None:
        """Return the stream under a fault of its end, its output or its usage."""
        if fault.kind == "only_done":
            return []  # New API takes a lone [DONE] for the end and hands nothing on
        if fault.kind in ("no_finish_reason", "no_done"):
            return [*self.frames]
        if fault.kind in ("empty_answer", "only_usage", "usage", "blank_finish_reason"):
            body = dict(self.whole)
            self.change_whole(body, fault)
            whole = fault.kind in ("usage", "blank_finish_reason")
            sent = self.frames if whole else self.frames[:2]
            return [*sent, _numbered({**self.last, "response": body}, len(sent))]
        return None

    def change_whole(self, body: dict[str, Any], fault: Fault) -> None:
        if fault.kind in ("empty_answer", "only_usage"):
            body["output"] = []
        elif fault.kind == "usage" and fault.usage in ("absent", "wrong"):
            wrong = {"input_tokens": 22, "output_tokens": body["usage"]["output_tokens"], "total_tokens": 7}
            body["usage"] = None if fault.usage == "absent" else wrong
        elif fault.kind == "blank_finish_reason":
            body["status"] = ""
        elif fault.kind == "no_finish_reason":
            body["status"] = "in_progress"
        elif fault.kind == "error_event":
            body |= {
                "status": "failed",
                "output": [],
                "error": self._reason(fault),
                "usage": None,
                "completed_at": None,
            }


def _numbered(event: Event, number: int) -> bytes:
    name = str(event["type"])
    return frame({"type": name, "sequence_number": number, **event}, name)
