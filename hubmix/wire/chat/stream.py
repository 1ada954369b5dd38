"""Read a stream chunk by chunk: a delta from each, the whole `Reply` at the end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hubmix.wire.chat.calls import only_tool
from hubmix.wire.chat.message import ENVELOPE, Message
from hubmix.wire.error_body import holds_error
from hubmix.wire.values import AnswerError, Delta, Reply

_PLAIN_CHUNK = ENVELOPE - {"error"}
_PLAIN_CHOICE = frozenset({"index", "delta", "finish_reason", "logprobs"})
_PLAIN_DELTA = frozenset({"content", "role"})


class StreamReader:
    """Reads the chunks of one stream.

    Args:
        n: how many choices were asked for; above 1 only the first is read.
        tools: the tools of the request.

    Example:
        ```python
        from hubmix.wire import StreamReader

        reader = StreamReader()
        delta = reader.feed({"choices": [{"delta": {"content": "Hello"}, "finish_reason": "stop"}]})
        assert delta.text == "Hello" and reader.finish().text == "Hello"
        ```
    """

    __slots__ = ("_message", "_own_index", "_reply", "_several", "_text")

    def __init__(self, n: int = 1, tools: Any = None) -> None:
        self._several = n > 1
        self._own_index: int | None = 0 if n > 1 else None
        self._message = Message(streamed=True, only_tool=only_tool(tools))
        self._reply = self._message.reply
        self._text = self._message.text

    @property
    def finish_reason(self) -> str | None:
        """The finish reason, as soon as it came."""
        return self._reply.finish_reason

    @property
    def ended(self) -> bool:
        """Always False: a chat completion ends with `[DONE]`, which the transport sees."""
        return False

    def feed(self, chunk: Any) -> Delta | None:
        """Read one chunk.

        Returns:
            What it brings, or None if there is nothing to pass on (usage, a role, an empty chunk).

        Raises:
            AnswerError: the chunk is an error.
        """
        if self._message.flows:  # the first chunks bring the envelope, and tell pieces from snapshots
            try:
                (choice,) = chunk["choices"]
                delta = choice["delta"]
                text = delta["content"]
            except (KeyError, TypeError, ValueError):
                return self._read(chunk)
            if type(text) is str and text and self._is_plain(chunk, choice, delta):
                self._text.append(text)
                return Delta(text=text, raw=chunk)
        return self._read(chunk)

    def _is_plain(self, chunk: dict[str, Any], choice: dict[str, Any], delta: dict[str, Any]) -> bool:
        """Return True for a chunk with text alone.

        Nearly all chunks are, so this decides what a stream costs.
        """
        if chunk.get("usage") or choice.get("finish_reason") or choice.get("logprobs") or self._reply.finish_reason:
            return False
        if (self._several or "role" in delta) and self._is_other(choice):
            return False
        return (
            (_PLAIN_CHUNK.issuperset(chunk) or _all_empty(chunk, _PLAIN_CHUNK))
            and (_PLAIN_CHOICE.issuperset(choice) or _all_empty(choice, _PLAIN_CHOICE))
            and (_PLAIN_DELTA.issuperset(delta) or _all_empty(delta, _PLAIN_DELTA))
        )

    def _is_other(self, choice: Mapping[str, Any]) -> bool:
        """Return True for a piece of another choice than the one that is read.

        An index alone says nothing: New API of 2025 puts the number of Claude's content block there. Choices are
        several if several were asked for, or if a second index begins with a role of its own; the first call of an
        answer is no choice of its own.
        """
        index = choice.get("index") or 0
        if not self._several:
            delta = choice.get("delta")
            if isinstance(delta, dict) and delta.get("role"):
                if self._own_index is None:
                    self._own_index = index
                first_call = bool(delta.get("tool_calls")) and not self._message.calls
                self._several = index != self._own_index and not first_call
        return self._several and index != self._own_index

    def _read(self, chunk: Any) -> Delta | None:
        if chunk is None:
            return None
        if not isinstance(chunk, dict):
            raise AnswerError("undecodable", f"The stream holds a JSON {type(chunk).__name__}, not a chunk.", chunk)
        if chunk.get("error") or (not chunk.get("choices") and not chunk.get("usage") and holds_error(chunk)):
            raise AnswerError("error_body", "The hub sent an error inside the stream.", chunk)
        self._message.read_envelope(chunk)
        out = Delta(raw=chunk)
        choices = chunk.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if not isinstance(choice, dict) or self._is_other(choice):
                continue
            if choice.get("error"):
                raise AnswerError("error_body", "The hub ended the stream with an error.", choice)
            self._message.read_choice(choice, out)
        return out if out.has_content or out.logprobs or out.reasoning_details else None

    def close(self) -> Delta | None:
        """Return the delta that was held back until the end, or None.

        A call that may repeat an earlier one is held back, for example.
        """
        return self._message.close()

    def partial(self) -> Reply:
        """Return what has arrived so far, marked incomplete, for `StreamInterruptedError`."""
        reply = self._assemble()
        reply.incomplete = True
        return reply

    def finish(self) -> Reply:
        """Return the whole answer, once the stream has ended.

        Returns:
            The reply; `incomplete` if words came and no finish reason, or one that names a failure. `[DONE]` and a
            usage chunk prove nothing: every gateway measured adds them to a stream that was cut behind it.

        Raises:
            AnswerError: nothing was in the stream.
        """
        if not self._message.has_content and self._reply.finish_reason is None:
            raise AnswerError("empty_stream", "The stream ended without a single word.")
        reply = self._assemble()
        reply.incomplete = reply.incomplete or reply.finish_reason is None
        return reply

    def _assemble(self) -> Reply:
        reply = self._message.read()
        reply.raw = {
            "id": reply.id,
            "object": "chat.completion",
            "created": reply.created,
            "model": reply.model,
            "choices": [
                {"index": 0, "message": reply.to_wire_message(), "finish_reason": reply.finish_reason},
            ],
        }
        if reply.usage is not None:
            reply.raw["usage"] = dict(reply.usage.raw)
        return reply


def _all_empty(source: Mapping[str, Any], known: frozenset[str]) -> bool:
    return not any(source[key] for key in source if key not in known)
