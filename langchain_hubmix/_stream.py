"""The steps of a stream as LangChain chunks; a piece of text must cost little."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_core.messages import AIMessageChunk
from langchain_core.messages.tool import ToolCallChunk, tool_call_chunk
from langchain_core.outputs import ChatGenerationChunk

from hubmix.plugin.prototype import Prototype
from langchain_hubmix._messages import PROVIDER
from langchain_hubmix._replies import closing_extras, generation_info, metadata, usage_metadata
from langchain_hubmix._tools import cut_marker

if TYPE_CHECKING:
    from hubmix.wire import Delta, Reply


class ChunkWriter:
    """Writes the chunks of one stream; `write` takes its deltas in order.

    LangChain merges chunks by adding strings and numbers up, so what must stand once (model, finish reason, usage,
    ids, log-probabilities, reasoning details, refusal, trace, cost) stands on the last chunk alone.
    """

    __slots__ = ("_audio", "_calls", "_first", "_held", "_target")

    def __init__(self, target: Any = None) -> None:
        self._target = target  # the pydantic class that was the `response_format`, if one was
        self._calls: dict[str | None, int] = {}
        self._first = 0  # the place of the first call of the answer that is being written
        self._held: Reply | None = None
        self._audio = False

    def write(self, delta: Delta) -> ChatGenerationChunk:
        """Return one step as a chunk; the one that carries `final` ends the message."""
        if delta.final is not None:
            return self._last(delta.final)
        extras: dict[str, Any] = {}
        if delta.reasoning:
            extras["reasoning_content"] = delta.reasoning
        if delta.audio:
            self._audio = True
            extras["audio"] = {name: delta.audio[name] for name in ("data", "transcript") if name in delta.audio}
        if not delta.tool_calls:
            return _piece(delta.text, extras)
        message = AIMessageChunk(
            content=delta.text,
            additional_kwargs=extras,
            response_metadata={"model_provider": PROVIDER},
            tool_call_chunks=self._pieces(delta),
        )
        return ChatGenerationChunk(message=message)

    def _pieces(self, delta: Delta) -> list[ToolCallChunk]:
        for piece in delta.tool_calls:
            if piece.id:
                self._calls[piece.id] = self._first + piece.index
        return [
            tool_call_chunk(name=piece.name, args=piece.arguments, id=piece.id, index=self._first + piece.index)
            for piece in delta.tool_calls
        ]

    def held(self, reply: Reply) -> ChatGenerationChunk:
        """Return the end of an answer that a second answer follows.

        Its calls stay invalid; the rest is held back.
        """
        self._held = reply
        metadata_ = {"model_provider": PROVIDER}
        message = AIMessageChunk(content="", response_metadata=metadata_, tool_call_chunks=self._broken(reply))
        self._first = len(self._calls)
        return ChatGenerationChunk(message=message)

    def resumed(self) -> ChatGenerationChunk:
        """Return the end that was held back, because the second answer failed."""
        reply, self._held = self._held, None
        assert reply is not None
        return self._last(reply, broken=False)

    def _last(self, reply: Reply, *, broken: bool = True) -> ChatGenerationChunk:
        extras = closing_extras(reply, self._target)
        if reply.refusal:  # as a block it is of no standard type, whose later pieces displace earlier ones in v3 events
            extras["refusal"] = reply.refusal
        if reply.audio:
            whole = {"data", "transcript"} if self._audio else set()
            extras["audio"] = {name: value for name, value in reply.audio.items() if name not in whole}
        found = metadata(reply)
        message = AIMessageChunk(
            content="",
            additional_kwargs=extras,
            response_metadata={"model_provider": PROVIDER, **found},
            tool_call_chunks=self._broken(reply) if broken else [],
            usage_metadata=usage_metadata(reply.usage),
            chunk_position="last",
        )
        return ChatGenerationChunk(message=message, generation_info=generation_info(reply))

    def _broken(self, reply: Reply) -> list[ToolCallChunk]:
        """What keeps calls from being executed that must not be: see `cut_marker`."""
        pieces = []
        for call in reply.tool_calls:
            if call.args is not None:
                continue
            marker = cut_marker(call.arguments)
            if call.id in self._calls:
                pieces.append(tool_call_chunk(name=None, args=marker, id=None, index=self._calls[call.id]))
            else:  # it never had a name, so nothing of it has been passed on
                arguments = call.arguments + marker
                pieces.append(
                    tool_call_chunk(name=call.name or None, args=arguments, id=call.id, index=len(self._calls))
                )
                self._calls[call.id] = len(self._calls)
        return [piece for piece in pieces if piece["args"]]


_EXAMPLE = AIMessageChunk(content="", additional_kwargs={}, response_metadata={"model_provider": PROVIDER})
_MESSAGE = Prototype(_EXAMPLE)
_GENERATION = Prototype(ChatGenerationChunk(message=_EXAMPLE))


def _piece(text: str, extras: dict[str, Any]) -> ChatGenerationChunk:
    """Return a chunk with text and extras alone.

    Each list and dict is new, since LangChain and its users write into them.
    """
    message = _MESSAGE.new(
        content=text,
        additional_kwargs=extras,
        response_metadata={"model_provider": PROVIDER},
        tool_calls=[],
        invalid_tool_calls=[],
        tool_call_chunks=[],
    )
    return _GENERATION.new(message=message, text=text)
