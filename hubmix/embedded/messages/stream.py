"""The stream of a message, and what goes wrong in one."""

from __future__ import annotations

import json
from typing import Any

from hubmix.embedded.call import ModelCall
from hubmix.embedded.faults import Fault
from hubmix.embedded.http import Step
from hubmix.embedded.models import pieces
from hubmix.embedded.rules import Answer
from hubmix.embedded.streams import Outgoing, error_object, frame

Event = dict[str, Any]


class MessagesOutgoing(Outgoing):
    """A good message; its end is the `message_delta` with a stop reason."""

    def __init__(self, call: ModelCall, body: Event, answer: Answer) -> None:
        self.answer = answer
        events = [self._start(body), *self._blocks(body["content"])]
        super().__init__(call, [_named(event) for event in events], self._end(body), body)

    @staticmethod
    def _start(body: Event) -> Event:
        begun = {**body, "content": [], "stop_reason": None, "stop_sequence": None}
        return {"type": "message_start", "message": {**begun, "usage": {**(body["usage"] or {}), "output_tokens": 1}}}

    @staticmethod
    def _end(body: Event) -> list[bytes]:
        delta = {name: body.get(name) for name in ("stop_reason", "stop_sequence", "stop_details") if name in body}
        last = {"type": "message_delta", "delta": delta, "usage": body["usage"]}
        return [_named(last), _named({"type": "message_stop"})]

    def _blocks(self, blocks: list[Event]) -> list[Event]:
        """Return the events of the blocks, a ping after the first one's start."""
        events: list[Event] = []
        arguments = [call.arguments for call in self.answer.calls]
        for index, block in enumerate(blocks):
            empty = {"thinking": "", "signature": "", "text": ""}
            begun = {key: empty.get(key, {} if key == "input" else value) for key, value in block.items()}
            events.append(
                {"type": "content_block_start", "index": index, "content_block": {**begun, "type": block["type"]}}
            )
            events += [{"type": "ping"}] if not index else []
            deltas: list[Event] = []
            if block["type"] == "thinking":
                deltas = [{"type": "thinking_delta", "thinking": piece} for piece in pieces(block["thinking"])]
                deltas.append({"type": "signature_delta", "signature": block["signature"]})
            elif block["type"] == "text":
                deltas = [{"type": "text_delta", "text": piece} for piece in pieces(block["text"])]
            elif block["type"] == "tool_use":
                parts = pieces(arguments.pop(0)) if block["input"] or self.answer.finish_reason == "length" else []
                deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in ["", *parts]]
            events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
            events.append({"type": "content_block_stop", "index": index})
        return events

    def error(self, fault: Fault, sent: int) -> list[Step]:
        """Return an error event, with or without its name and type."""
        given = error_object(fault)
        error = {"type": given.get("type") or "api_error", "message": given.get("message")}
        if fault.style == "bare":
            return [json.dumps({"error": error}, ensure_ascii=False).encode()]
        if fault.style == "untyped":
            return [frame({"error": error})]
        return [frame({"type": "error", "error": error}, None if fault.style == "data" else "error")]

    def change(self, fault: Fault) -> list[Step] | None:
        """Return the stream under a fault of its end, its content or its usage."""
        if fault.kind == "only_done":
            return [b"data: [DONE]\n\n"]
        if fault.kind in ("no_finish_reason", "no_done"):
            return [*self.frames, self.end[1 if fault.kind == "no_finish_reason" else 0]]
        if fault.kind in ("empty_answer", "only_usage", "usage", "blank_finish_reason"):
            body = dict(self.whole)
            self.change_whole(body, fault)
            kept = self.frames[1:] if fault.kind in ("usage", "blank_finish_reason") else []
            return [_named(self._start(body)), *kept, *self._end(body)]
        return None

    def change_whole(self, body: Event, fault: Fault) -> None:
        if fault.kind in ("empty_answer", "only_usage"):
            body |= {"content": [], "stop_reason": "end_turn"}
        elif fault.kind == "usage" and fault.usage in ("absent", "wrong"):
            body["usage"] = None if fault.usage == "absent" else {"input_tokens": 0, "output_tokens": 7}
        elif fault.kind in ("no_finish_reason", "blank_finish_reason"):
            body["stop_reason"] = None if fault.kind == "no_finish_reason" else ""


def _named(event: Event) -> bytes:
    return frame(event, str(event["type"]))
