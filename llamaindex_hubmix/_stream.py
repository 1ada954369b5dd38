"""A stream of the hub to a stream of ChatResponses, each with the message so far."""

from __future__ import annotations

from typing import Any

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    ContentBlock,
    MessageRole,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)

from hubmix.plugin.prototype import Prototype
from hubmix.wire import Delta, ToolCallDelta
from llamaindex_hubmix._messages import REASONING_MODEL
from llamaindex_hubmix._replies import chat_response, legacy_call

_SHOWN = 128  # calls in a response on the way; the last response has all of them


class ResponseStream:
    """Turns the deltas of one stream into responses.

    Args:
        model: the model asked for, named as the speaker of reasoning that is still arriving.
        single_call: pass on the first tool call only.
    """

    __slots__ = ("_calls", "_legacy", "_model", "_places", "_single_call", "_text", "_thoughts")

    def __init__(self, model: str, *, single_call: bool = False) -> None:
        self._model = model
        self._single_call = single_call
        self._text = ""
        self._thoughts = ""
        self._places: dict[int, int] = {}  # of calls in the two lists, by index
        self._calls: list[ToolCallBlock] = []
        self._legacy: list[dict[str, Any]] = []

    def read(self, delta: Delta) -> ChatResponse:
        """Return the response for one delta.

        The last response is complete, with usage, finish reason and trace.
        """
        if delta.final is not None:
            return chat_response(delta.final, delta="", single_call=self._single_call)
        extras: dict[str, Any] = {}
        self._text += delta.text
        if delta.reasoning:
            self._thoughts += delta.reasoning
            extras["thinking_delta"] = delta.reasoning
        for piece in delta.tool_calls:
            self._add(piece)
        return _RESPONSE.new(message=self._message(), delta=delta.text, raw=delta.raw, additional_kwargs=extras)

    def _add(self, piece: ToolCallDelta) -> None:
        place = self._places.get(piece.index)
        if place is None:
            if len(self._calls) >= (1 if self._single_call else _SHOWN):
                return
            place = self._places[piece.index] = len(self._calls)
            self._calls.append(ToolCallBlock(tool_call_id=piece.id, tool_name="", tool_kwargs=""))
            self._legacy.append({})
        known = self._calls[place]
        call_id, name = known.tool_call_id, known.tool_name + (piece.name or "")
        arguments = str(known.tool_kwargs) + piece.arguments
        # A new block each time: those already yielded belong to the caller.
        self._calls[place] = ToolCallBlock(tool_call_id=call_id, tool_name=name, tool_kwargs=arguments)
        self._legacy[place] = legacy_call(call_id or "", name, arguments)

    def _message(self) -> ChatMessage:
        blocks: list[ContentBlock] = [_TEXT.new(text=self._text), *self._calls]
        if self._thoughts:
            speaker = {REASONING_MODEL: self._model}
            blocks.insert(0, _THOUGHTS.new(content=self._thoughts, additional_information=speaker))
        extras = {"tool_calls": [*self._legacy]} if self._calls else {}
        # The blocks have been validated; doing it again at every step would cost the square of their number.
        return _MESSAGE.new(blocks=blocks, additional_kwargs=extras)


_TEXT = Prototype(TextBlock(text=""))
_THOUGHTS = Prototype(ThinkingBlock(content="", additional_information={}))
_EXAMPLE = ChatMessage(role=MessageRole.ASSISTANT, blocks=[], additional_kwargs={})
_MESSAGE = Prototype(_EXAMPLE)
_RESPONSE = Prototype(ChatResponse(message=_EXAMPLE, delta="", raw=None, additional_kwargs={}))
