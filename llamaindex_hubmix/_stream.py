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

from hubmix.wire import Delta, ToolCallDelta
from llamaindex_hubmix._messages import REASONING_MODEL
from llamaindex_hubmix._replies import chat_response, legacy_call


class ResponseStream:
    """Turns the deltas of one stream into responses.

    Args:
        model: The model asked for, named as the speaker of reasoning that is still arriving.
        single_call: Pass on the first tool call only.
    """

    __slots__ = ("_calls", "_model", "_single_call", "_text", "_thoughts")

    def __init__(self, model: str, *, single_call: bool = False) -> None:
        self._model = model
        self._single_call = single_call
        self._text = ""
        self._thoughts = ""
        self._calls: dict[int, ToolCallBlock] = {}

    def read(self, delta: Delta) -> ChatResponse:
        """The response for one step; the last step's is complete and carries usage, finish reason and trace."""
        if delta.final is not None:
            return chat_response(delta.final, delta="", single_call=self._single_call)
        extras: dict[str, Any] = {}
        self._text += delta.text
        if delta.reasoning:
            self._thoughts += delta.reasoning
            extras["thinking_delta"] = delta.reasoning
        for piece in delta.tool_calls:
            self._add(piece)
        return ChatResponse(message=self._message(), delta=delta.text, raw=delta.raw, additional_kwargs=extras)

    def _add(self, piece: ToolCallDelta) -> None:
        known = self._calls.get(piece.index)
        if known is None and self._single_call and self._calls:
            return
        # A new block each time: those already yielded belong to the caller.
        self._calls[piece.index] = ToolCallBlock(
            tool_call_id=known.tool_call_id if known else piece.id,
            tool_name=(known.tool_name if known else "") + (piece.name or ""),
            tool_kwargs=(str(known.tool_kwargs) if known else "") + piece.arguments,
        )

    def _message(self) -> ChatMessage:
        blocks: list[ContentBlock] = [TextBlock(text=self._text)]
        if self._thoughts:
            speaker = {REASONING_MODEL: self._model}
            blocks.insert(0, ThinkingBlock(content=self._thoughts, additional_information=speaker))
        if not self._calls:
            return ChatMessage(role=MessageRole.ASSISTANT, blocks=blocks)
        calls = list(self._calls.values())
        legacy = [legacy_call(call.tool_call_id or "", call.tool_name, str(call.tool_kwargs)) for call in calls]
        return ChatMessage(
            role=MessageRole.ASSISTANT,
            blocks=[*blocks, *calls],
            additional_kwargs={"tool_calls": legacy},
        )
