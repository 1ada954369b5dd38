"""A streamed answer of the Responses API: events to deltas and the whole `Reply`.

Only the terminal event is the end: gateways close a cut stream in perfect order, and `[DONE]` proves nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hubmix.wire.chat.calls import made_up_id, read_name
from hubmix.wire.event_reader import EventReader
from hubmix.wire.fields import named
from hubmix.wire.responses.items import CALLS, output_texts
from hubmix.wire.responses.open_item import Event, OpenItem, OpenItems
from hubmix.wire.responses.reply import (
    FAILED,
    SEPARATOR,
    call_arguments,
    content_parts,
    declared_names,
    failure,
    is_callers,
    read_response,
    reasoning_parts,
    status_of,
)
from hubmix.wire.values import AnswerError, Delta, Reply, ToolCallDelta

_CUSTOM_HEAD, _CUSTOM_TAIL = '{"__arg1": "', '"}'


class StreamReader(EventReader):
    """Reads the events of one stream.

    Args:
        tools: the tools of the request; see `read_response`.

    Example:
        ```python
        from hubmix.wire.responses.stream import StreamReader

        reader = StreamReader()
        delta = reader.feed({"type": "response.output_text.delta", "output_index": 0, "delta": "Hello"})
        assert delta.text == "Hello" and reader.finish().incomplete
        ```
    """

    __slots__ = (
        "_calls", "_declared", "_envelope", "_items", "_reasoned", "_terminal", "_text_key",
        "_text_pieces", "_tools",
    )  # fmt: skip

    def __init__(self, tools: Sequence[Any] | None = None) -> None:
        self._tools = tools
        self._declared = declared_names(tools)
        self._envelope: dict[str, Any] = {}
        self._items = OpenItems()
        self._calls = 0
        self._reasoned = False
        self._has_content = False
        self._terminal: dict[str, Any] | None = None
        self._text_key: tuple[Any, Any] | None = None
        self._text_pieces: list[str] = []

    @property
    def ended(self) -> bool:
        """True once the terminal event has come: nothing of use follows."""
        return self._terminal is not None

    @property
    def finish_reason(self) -> str | None:
        """The status of the terminal event, as soon as it came."""
        return None if self._terminal is None else status_of(self._terminal)

    def feed(self, event: Any) -> Delta | None:
        """Read one event.

        Returns:
            What it brings; an empty delta for the progress of a hosted tool; None if there is nothing to pass on.

        Raises:
            AnswerError: if the event is an error or a failed response.
        """
        try:
            if event["type"] == "response.output_text.delta" and type(text := event["delta"]) is str:
                if not text:
                    return None
                if (event.get("output_index"), event.get("content_index")) != self._text_key:
                    self._open_text(event)
                self._text_pieces.append(text)
                logprobs = event.get("logprobs")
                return Delta(text=text, raw=event) if not logprobs else self._with_logprobs(event, text, logprobs)
        except (KeyError, TypeError):
            pass  # no event of this API: `_read` says what it is
        return self._read(event)

    def _open_text(self, event: Event) -> None:
        state = self._items.of(event, "message")
        self._text_key = (event.get("output_index"), event.get("content_index"))
        self._text_pieces = state.texts.setdefault(event.get("content_index"), [])
        self._has_content = True

    def _with_logprobs(self, event: Event, text: str, logprobs: list[Any]) -> Delta:
        self._items.of(event, "message").logprobs += logprobs
        return Delta(text=text, raw=event, logprobs={"content": logprobs})

    def _read(self, event: Any) -> Delta | None:
        if event is None or self._terminal is not None:  # gateways add an error of their own behind a whole answer
            return None
        if not isinstance(event, dict):
            raise AnswerError("undecodable", f"The stream holds a JSON {type(event).__name__}, not an event.", event)
        kind = event.get("type")
        if kind == "error" or (kind is None and (event.get("error") or event.get("success") is False)):
            raise AnswerError("error_body", "The hub sent an error inside the stream.", _error(event))
        handler = _HANDLERS.get(kind) if isinstance(kind, str) else None
        if handler is None:
            return Delta(raw=event) if _is_progress(kind) else None
        delta = handler(self, event)
        if delta is not None and delta.has_content:
            self._has_content = True
        return delta

    # ------------------------------------------------------------------------------------------------ the handlers

    def _on_envelope(self, event: Event) -> None:
        response = event.get("response")
        if isinstance(response, dict):
            self._envelope.update(response)
            self._learn_tools(response)

    def _learn_tools(self, response: Mapping[str, Any]) -> None:
        if self._tools is None:
            self._declared = declared_names(response.get("tools"))

    def _on_added(self, event: Event) -> Delta | None:
        if not (item := named(event.get("item"))):
            return None
        state = self._items.of(event, None)
        state.item = {**item, **state.item}
        return self._begin_call(state, event)

    def _begin_call(self, state: OpenItem, event: Event) -> Delta | None:
        """Pass on the head of a call, once its name is known."""
        item = state.item
        name = read_name(item.get("name"))
        if state.position is not None or not name or not is_callers(item, self._declared):
            return None
        state.position = self._calls
        self._calls += 1
        answer_id = self._envelope.get("id")
        call_id = item.get("call_id") or item.get("id") or made_up_id(answer_id, state.position, name)
        head = _CUSTOM_HEAD if item["type"] == "custom_tool_call" else ""
        return _call_delta(event, ToolCallDelta(state.position, str(call_id), name, head))

    def _on_item_done(self, event: Event) -> Delta | None:
        if not (item := named(event.get("item"))):
            return None
        state = self._items.of(event, None)
        state.done = True
        return self._rest(state, item, event)

    def _on_refusal(self, event: Event) -> Delta | None:
        piece = _piece(event)
        if not piece:
            return None
        self._items.of(event, "message").refusal.append(piece)
        return Delta(refusal=piece, raw=event)

    def _on_reasoning(self, event: Event) -> Delta | None:
        piece = _piece(event)
        if not piece:
            return None
        state = self._items.of(event, "reasoning")
        kind = event["type"]
        source = (kind, event.get("summary_index" if "summary" in kind else "content_index"))
        if state.source is None:
            piece = SEPARATOR + piece if self._reasoned else piece
        elif state.source[0] != kind:
            return None  # the same thoughts as content and as summary; the end tells whether they differ
        elif state.source != source:
            piece = SEPARATOR + piece
        state.source = source
        self._reasoned = True
        state.reasoning.append(piece)
        return Delta(reasoning=piece, raw=event)

    def _on_arguments(self, event: Event) -> Delta | None:
        piece = _piece(event)
        if not piece:
            return None
        state = self._items.of(event, "custom_tool_call" if "custom" in event["type"] else "function_call")
        state.pieces.append(piece)
        if state.position is None:
            return None
        return _call_delta(event, ToolCallDelta(state.position, None, None, _escaped(state, piece)))

    def _on_annotation(self, event: Event) -> None:
        if event.get("annotation") is not None:
            self._items.of(event, "message").annotations.append(event["annotation"])

    def _on_end(self, event: Event) -> Delta | None:
        response = event.get("response")
        response = dict(response) if isinstance(response, dict) else {}
        ending = event["type"].removeprefix("response.")
        if response.get("status") is None:
            response["status"] = ending
        if status_of(response) in FAILED or response.get("error"):
            self._envelope.update(response)
            raise AnswerError("error_body", "The response failed.", failure(response))
        self._learn_tools(response)
        response["output"] = self._items.output(response.get("output"))
        self._terminal = response
        return self._rest_of_answer(response["output"], event)

    def _rest_of_answer(self, items: list[dict[str, Any]], event: Event) -> Delta | None:
        """What of the answer's items only the terminal event brought."""
        found = Delta(raw=event)
        states = self._items.in_order()
        states += [OpenItem({}) for _ in items[len(states) :]]
        for state, item in zip(states, items, strict=False):
            if not state.done and (more := self._rest(state, item, event)) is not None:
                found.text += more.text
                found.reasoning += more.reasoning
                found.refusal += more.refusal
                found.tool_calls = [*found.tool_calls, *more.tool_calls]
        return found if found.has_content else None

    # ------------------------------------------------------------------------------------------------- putting together

    def _rest(self, state: OpenItem, item: Mapping[str, Any], event: Event) -> Delta | None:
        """What of a finished item has not been passed on, because no deltas brought it."""
        kind = item.get("type")
        found, state.item = Delta(raw=event), dict(item)
        if kind == "message":
            found.text = _remainder("".join(output_texts(item)), state.text)
            if found.text:
                state.texts.setdefault("rest", []).append(found.text)
            if not state.refusal:
                found.refusal = "".join(part.get("refusal") or "" for part in content_parts(item))
                state.refusal += [found.refusal] if found.refusal else []
        elif kind == "reasoning" and (parts := reasoning_parts(item)):
            head = SEPARATOR if self._reasoned and not state.reasoning else ""
            said = "".join(state.reasoning)
            lead = SEPARATOR if said.startswith(SEPARATOR) else ""
            found.reasoning = head + _remainder(SEPARATOR.join(parts), said.removeprefix(lead))
            state.reasoning.append(found.reasoning)
            self._reasoned = True
        elif kind in CALLS:
            self._rest_of_call(state, item, event, found)
        return found if found.has_content else None

    def _rest_of_call(self, state: OpenItem, item: Mapping[str, Any], event: Event, found: Delta) -> None:
        head = self._begin_call(state, event)
        if state.position is None:
            return
        rest = _remainder(call_arguments(item), "".join(state.pieces) if head is None else "")
        tail = _CUSTOM_TAIL if item["type"] == "custom_tool_call" else ""
        text = (_escaped(state, rest) if rest else "") + tail
        pieces = list(head.tool_calls) if head is not None else []
        if text:
            pieces.append(ToolCallDelta(state.position, None, None, text))
        found.tool_calls = pieces

    def _assemble(self) -> Reply:
        known = {name: value for name, value in self._envelope.items() if name != "error"}
        if self._terminal is not None:
            return read_response({**known, **self._terminal}, tools=self._tools)
        items = [item.whole() for item in self._items.in_order()]
        return read_response({**known, "status": "", "output": items}, tools=self._tools)


def _is_progress(kind: Any) -> bool:
    """Whether an event says that a hosted tool is at work, which may take minutes."""
    return isinstance(kind, str) and kind.startswith("response.") and "_call" in kind


def _remainder(whole: str, sent: str) -> str:
    return whole[len(sent) :] if whole.startswith(sent) else ""


def _piece(event: Event) -> str:
    piece = event.get("delta")
    return piece if isinstance(piece, str) else ""


def _call_delta(event: Event, piece: ToolCallDelta) -> Delta:
    return Delta(tool_calls=(piece,), raw=event)


def _escaped(state: OpenItem, piece: str) -> str:
    """A piece of arguments as JSON text; a custom call's is inside a JSON string."""
    return json.dumps(piece)[1:-1] if state.item.get("type") == "custom_tool_call" else piece


def _error(event: Event) -> dict[str, Any]:
    """The error of an event, nested or flat, in the form of an error body."""
    inner = event.get("error")
    if isinstance(inner, dict):
        return {"error": {name: value for name, value in inner.items() if (name, value) != ("type", "error")}}
    if inner:
        return {"error": inner}
    return {"error": {name: value for name, value in event.items() if name not in ("type", "sequence_number")}}


_HANDLERS: dict[str, Callable[[StreamReader, Event], Delta | None]] = {
    "response.created": StreamReader._on_envelope,
    "response.in_progress": StreamReader._on_envelope,
    "response.queued": StreamReader._on_envelope,
    "response.output_item.added": StreamReader._on_added,
    "response.output_item.done": StreamReader._on_item_done,
    "response.refusal.delta": StreamReader._on_refusal,
    "response.reasoning_summary_text.delta": StreamReader._on_reasoning,
    "response.reasoning_text.delta": StreamReader._on_reasoning,
    "response.function_call_arguments.delta": StreamReader._on_arguments,
    "response.custom_tool_call_input.delta": StreamReader._on_arguments,
    "response.output_text.annotation.added": StreamReader._on_annotation,
    "response.completed": StreamReader._on_end,
    "response.incomplete": StreamReader._on_end,
    "response.failed": StreamReader._on_end,
    "response.cancelled": StreamReader._on_end,
}
