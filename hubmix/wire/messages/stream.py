"""A streamed answer of the Messages API: events in, deltas and a `Reply` out.

The end is a `message_delta` with a stop reason; `message_stop` and `[DONE]` without it prove nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from hubmix.wire.chat.calls import made_up_id, read_name
from hubmix.wire.event_reader import EventReader
from hubmix.wire.fields import named
from hubmix.wire.json_text import loads
from hubmix.wire.messages.blocks import Block
from hubmix.wire.messages.reply import SEPARATOR, assemble, read_usage
from hubmix.wire.values import AnswerError, Delta, Reply, ToolCallDelta

Event = Mapping[str, Any]


class _Open:
    """A block under way: its pieces are joined once, at the end."""

    __slots__ = ("block", "call", "lists", "pieces", "streamed")

    def __init__(self, block: Block) -> None:
        self.block = block
        self.call: int | None = None
        self.pieces: dict[str, list[str]] = {}
        self.lists: dict[str, list[Any]] = {}
        self.streamed = False

    def add(self, name: str, piece: str) -> None:
        self.pieces.setdefault(name, []).append(piece)

    def citations(self) -> list[Any]:
        """The citations so far, in a list of its own: the event's is not ours to change."""
        if "citations" not in self.lists:
            self.lists["citations"] = list(self.block.get("citations") or ())
        return self.lists["citations"]

    def arguments(self) -> str:
        """Return the arguments; `input: {}` in the start is a placeholder."""
        if "input" in self.pieces:
            return "".join(self.pieces["input"])
        given = self.block.get("input")
        return json.dumps(given, ensure_ascii=False) if isinstance(given, dict) else "{}"

    def whole(self) -> Block:
        """The block as a whole answer would have it."""
        block = {**self.block, **self.lists}
        for name, pieces in self.pieces.items():
            if name == "input":
                block[name] = _parsed("".join(pieces))
            else:
                block[name] = str(block.get(name) or "") + "".join(pieces)
        return block


class StreamReader(EventReader):
    """Reads the events of one stream.

    Example:
        ```python
        from hubmix.wire.messages.stream import StreamReader

        reader = StreamReader()
        piece = {"type": "text_delta", "text": "Hello"}
        assert reader.feed({"type": "content_block_delta", "index": 0, "delta": piece}).text == "Hello"
        assert reader.finish().incomplete
        ```
    """

    __slots__ = ("_blocks", "_calls", "_end", "_message", "_reasoned", "_started", "_usage")

    def __init__(self) -> None:
        self._message: dict[str, Any] = {}
        self._blocks: dict[int, _Open] = {}
        self._calls = 0
        self._end: dict[str, Any] = {}
        self._usage: Any = None
        self._started = False
        self._has_content = False
        self._reasoned = False

    @property
    def finish_reason(self) -> str | None:
        """The stop reason, once it has arrived."""
        return self._end.get("stop_reason") or None

    @property
    def ended(self) -> bool:
        """Whether the last event has arrived."""
        return bool(self._end.get("stopped")) and self.finish_reason is not None

    def feed(self, event: Any) -> Delta | None:
        """Read one event; None if it brings nothing to pass on.

        Raises:
            AnswerError: if the event is an error, or begins another message.
        """
        if event is None:
            return None
        if not isinstance(event, dict):
            raise AnswerError("undecodable", f"The stream holds a JSON {type(event).__name__}, not an event.", event)
        kind = event.get("type")
        if kind == "error" or (event.get("error") and kind is None) or event.get("success") is False:
            raise AnswerError("error_body", "The hub sent an error inside the stream.", event)
        handler = _HANDLERS.get(kind) if isinstance(kind, str) else None
        delta = handler(self, event) if handler is not None else None
        if delta is not None and delta.has_content:
            self._has_content = True
        return delta

    def _on_start(self, event: Event) -> None:
        if self._started:
            raise AnswerError("undecodable", "A second message began inside the stream.", event)
        self._started = True
        message = event.get("message")
        if isinstance(message, dict):
            self._message = {name: value for name, value in message.items() if name != "content"}

    def _on_block(self, event: Event) -> Delta | None:
        block = self._blocks[_position(event)] = _Open(named(event.get("content_block")))
        kind = block.block.get("type")
        if kind == "tool_use":
            block.call, self._calls = self._calls, self._calls + 1
            name = read_name(block.block.get("name"))
            call_id = block.block.get("id") or made_up_id(self._message.get("id"), block.call, name)
            return Delta(tool_calls=(ToolCallDelta(block.call, str(call_id), name, ""),), raw=event)
        if kind == "text" and (text := block.block.get("text")):
            return Delta(text=str(text), raw=event)
        if kind == "thinking" and (text := block.block.get("thinking")):
            return self._thought(block, str(text), event)
        return None

    def _on_delta(self, event: Event) -> Delta | None:
        piece = event.get("delta")
        if not isinstance(piece, dict):
            return None
        block = self._blocks.get(_position(event))
        kind = piece.get("type")
        if block is None:
            block = self._blocks[_position(event)] = _Open({"type": _KINDS.get(str(kind), "text")})
        if kind == "input_json_delta":
            return self._arguments(block, piece.get("partial_json"), event)
        if kind == "citations_delta":
            block.citations().append(piece.get("citation"))
            return None
        found = None
        for name, value in piece.items():
            if name == "type" or not isinstance(value, str) or not value:
                continue
            block.add(name, value)
            if name == "text" and block.block.get("type") == "text":
                found = Delta(text=value, raw=event)
            elif name == "thinking":
                found = self._thought(block, value, event)
        return found

    def _thought(self, block: _Open, text: str, event: Event) -> Delta:
        apart = SEPARATOR if self._reasoned and not block.streamed else ""
        self._reasoned = block.streamed = True
        return Delta(reasoning=apart + text, raw=event)

    def _arguments(self, block: _Open, text: Any, event: Event) -> Delta | None:
        if not isinstance(text, str) or not text:
            return None
        block.add("input", text)
        if block.call is None:
            return None
        return Delta(tool_calls=(ToolCallDelta(block.call, None, None, text),), raw=event)

    def _on_block_end(self, event: Event) -> Delta | None:
        block = self._blocks.get(_position(event))
        if block is None or block.call is None or "input" in block.pieces or not block.block.get("input"):
            return None
        block.add("input", json.dumps(block.block["input"], ensure_ascii=False))
        return Delta(tool_calls=(ToolCallDelta(block.call, None, None, block.arguments()),), raw=event)

    def _on_message_delta(self, event: Event) -> None:
        delta = event.get("delta")
        if isinstance(delta, dict):
            self._end.update({name: value for name, value in delta.items() if value is not None})
        if isinstance(event.get("usage"), dict):
            self._usage = event["usage"]

    def _on_stop(self, event: Event) -> None:
        self._end["stopped"] = True

    def _assemble(self) -> Reply:
        ordered = [self._blocks[index] for index in sorted(self._blocks)]
        calls = {position: block.arguments() for position, block in enumerate(ordered) if block.call is not None}
        end = {name: value for name, value in self._end.items() if name != "stopped"}
        usage = read_usage(self._message.get("usage"), self._usage)
        return assemble({**self._message, **end}, [block.whole() for block in ordered], calls, usage)


_KINDS = {"thinking_delta": "thinking", "signature_delta": "thinking", "input_json_delta": "tool_use"}
_HANDLERS = {
    "message_start": StreamReader._on_start,
    "content_block_start": StreamReader._on_block,
    "content_block_delta": StreamReader._on_delta,
    "content_block_stop": StreamReader._on_block_end,
    "message_delta": StreamReader._on_message_delta,
    "message_stop": StreamReader._on_stop,
}


def _position(event: Event) -> int:
    index = event.get("index")
    return index if isinstance(index, int) else 0


def _parsed(text: str) -> Any:
    try:
        return loads(text)
    except ValueError:
        return text
