"""The stream of a chat completion, and what goes wrong in one.

How each hub ends a broken stream was measured: New API adds a usage chunk that it counted itself and `[DONE]`; one-api
adds `[DONE]` alone, and swallows a vendor's error event.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

from hubmix.embedded.call import ModelCall
from hubmix.embedded.chat.body import DONE, Envelope, counted_event, counted_usage, usage_event
from hubmix.embedded.faults import Fault
from hubmix.embedded.http import Step
from hubmix.embedded.streams import Outgoing, error_object, frame

Event = dict[str, Any]


class ChatOutgoing(Outgoing):
    """A good chat completion.

    Args:
        events: those of the stream, up to the finish reason.
        whole: the same answer as one JSON object.
        counts: the vendor's usage.
        usage_asked: whether the client asked for usage in the stream.
    """

    def __init__(
        self,
        call: ModelCall,
        envelope: Envelope,
        events: list[Event],
        whole: Event,
        counts: Event,
        usage_asked: bool,
        batch: int = 1,
    ) -> None:
        self.envelope = envelope
        self.counts = counts
        self.gives_usage = usage_asked or call.dialect.asks_usage
        # DeepSeek puts the usage on the event with the finish reason; then no other follows.
        self.usage_in_last = envelope.style == "deepseek" and self.gives_usage
        if self.usage_in_last and events:
            events = [*events[:-1], {**events[-1], "usage": counts}]
        self.events = events
        super().__init__(call, map(frame, events), self._end(self.usage_in_last), whole, batch)  # type: ignore[arg-type]

    def _end(self, usage_told: bool = False) -> list[bytes]:
        if not self.gives_usage or usage_told:
            return [DONE]
        return [frame(usage_event(self.envelope, self.counts)), DONE]

    def _plain(self) -> list[Event]:
        return [{key: value for key, value in event.items() if key != "usage"} for event in self.events]

    def broken_off(self, sent: int, *, after_error: bool = False) -> list[Step]:
        """Return the end that the hub invents."""
        if self.call.dialect.cut_line and not after_error:
            return [f"data: {self.call.dialect.cut_line}\n\n".encode()]
        if not self.call.dialect.counts_usage:
            return [DONE]
        nothing = {"id": "", "created": 0, "model": "", "system_fingerprint": ""}
        last = nothing if after_error else self.events[sent - 1] if sent else None
        counts = counted_usage(self.counts["prompt_tokens"], max(0, sent - 1))
        return [frame(counted_event(last, self.envelope.model, counts)), DONE]

    def error(self, fault: Fault, sent: int) -> list[Step]:
        """Return an error event as the hub hands it on."""
        body = {"error": error_object(fault)}
        if fault.style == "bare":
            return [json.dumps(body, ensure_ascii=False).encode()]
        if fault.style == "data" and fault.polite and self.call.dialect.name == "one-api":
            return [DONE]
        ends = fault.polite and not self.call.dialect.cut_line
        tail = self.broken_off(sent, after_error=True) if ends else []
        return [frame(body, "error" if fault.style == "event" else None), *tail]

    def change(self, fault: Fault) -> list[Step] | None:
        """Return the stream under a fault of its finish reason, its usage or its end."""
        changes: dict[str, Callable[[], list[bytes]]] = {
            "only_done": lambda: [DONE],
            "only_usage": self._only_usage,
            "no_finish_reason": lambda: [*self.frames[:-1], *self._end()],
            "blank_finish_reason": lambda: [*map(frame, self._blank_finish()), *self.end],
            "no_done": lambda: [*self.frames, *self.end[:-1]],
            "empty_answer": lambda: [*map(frame, self._empty()), *self._end()],
            "usage": lambda: self._usage(fault),
        }
        change = changes.get(fault.kind)
        return [*change()] if change else None

    def _only_usage(self) -> list[bytes]:
        counts = counted_usage(self.counts["prompt_tokens"], 0)
        return [frame(counted_event(None, self.envelope.model, counts)), DONE]

    def _blank_finish(self) -> list[Event]:
        events = copy.deepcopy(self.events)
        for event in events:
            event["choices"][0]["finish_reason"] = ""
        return events

    def _empty(self) -> list[Event]:
        first, last = copy.deepcopy(self._plain()[0]), copy.deepcopy(self._plain()[-1])
        first["choices"][0]["delta"] = {"role": "assistant", "content": ""}
        last["choices"][0]["finish_reason"] = "stop"
        return [first, last]

    def _usage(self, fault: Fault) -> list[bytes]:
        plain = self._plain()
        frames = [frame(event) for event in plain]
        if fault.usage == "absent":
            return [*frames, *self.broken_off(len(plain))]  # type: ignore[list-item]  # bytes alone
        if fault.usage == "wrong":
            return [*frames, frame(usage_event(self.envelope, wrong_usage(self.counts))), DONE]
        if fault.usage == "in_last":
            return [*frames[:-1], frame({**plain[-1], "usage": self.counts}), DONE]
        if fault.usage == "cumulative":
            prompt = self.counts["prompt_tokens"]
            counts = [
                {"prompt_tokens": prompt, "completion_tokens": n, "total_tokens": prompt + n} for n in range(len(plain))
            ]
            counts[-1] = self.counts
            return [*(frame({**event, "usage": one}) for event, one in zip(plain, counts, strict=True)), DONE]
        return [*frames, frame(usage_event(self.envelope, self.counts)), DONE]

    def change_whole(self, body: Event, fault: Fault) -> None:
        if fault.kind == "usage" and fault.usage == "absent" and self.call.dialect.counts_usage:
            body["usage"] = counted_usage(self.counts["prompt_tokens"], self.counts["completion_tokens"])
        elif fault.kind == "usage" and fault.usage == "absent":
            del body["usage"]
        elif fault.kind == "usage" and fault.usage == "wrong":
            body["usage"] = wrong_usage(body["usage"])
        elif fault.kind == "empty_answer":
            body["choices"][0] |= {"message": {"role": "assistant", "content": None}, "finish_reason": "stop"}
        elif fault.kind in ("no_finish_reason", "blank_finish_reason"):
            for choice in body["choices"]:
                choice["finish_reason"] = None if fault.kind == "no_finish_reason" else ""
        elif fault.kind == "only_usage":
            body["choices"] = []


def wrong_usage(counts: Event) -> Event:
    """Return counts that contradict each other."""
    return {
        "prompt_tokens": 22,
        "completion_tokens": counts["completion_tokens"],
        "total_tokens": 7,
        "prompt_tokens_details": {"cached_tokens": 6266},
        "input_tokens": 0,
        "output_tokens": 0,
    }
