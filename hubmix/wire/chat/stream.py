"""A streamed answer: fed chunk by chunk, it gives deltas to pass on and, at the end, the whole :class:`Reply`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hubmix.wire.chat.reply import (
    _CALL,
    CITATIONS,
    ENVELOPE,
    MESSAGE,
    made_up_id,
    make_call,
    never_began,
    read_envelope,
    read_name,
)
from hubmix.wire.fields import (
    REASONING_FIELDS,
    arguments_text,
    check_arguments,
    chunk_usage,
    details_text,
    join_detail_object,
    join_details,
    read_content,
    read_finish_reason,
)
from hubmix.wire.values import AnswerError, Delta, Reply, ToolCallDelta, Usage

_JOINED_AUDIO = ("data", "transcript")
_PLAIN_ENVELOPE = ENVELOPE - {"error", "usage"}


@dataclass(slots=True)
class _OpenCall:
    """A tool call that is still arriving."""

    key: Any
    id: str | None
    kind: str
    name: str = ""
    arguments: str = ""
    index: int | None = None  # its place among the calls passed on; None until there is a name to pass on
    extra: dict[str, Any] = field(default_factory=dict)


class StreamReader:
    """Reads the chunks of one stream.

    Args:
        n: How many choices were asked for; above 1 only the first is read.

    Example:
        ```python
        from hubmix.wire import StreamReader

        reader = StreamReader()
        delta = reader.feed({"choices": [{"delta": {"content": "Hello"}, "finish_reason": "stop"}]})
        assert delta.text == "Hello" and reader.finish().text == "Hello"
        ```
    """

    __slots__ = (
        "_calls",
        "_current",
        "_images",
        "_logprobs",
        "_own_index",
        "_position",
        "_reasoning",
        "_reasoning_source",
        "_refusal",
        "_reply",
        "_several",
        "_started",
        "_text",
    )

    def __init__(self, n: int = 1) -> None:
        self._several = n > 1
        self._own_index: int | None = 0 if n > 1 else None
        self._reply = Reply()
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._reasoning_source: str | None = None
        self._refusal: list[str] = []
        self._calls: list[_OpenCall] = []
        self._current: _OpenCall | None = None
        self._position = 0
        self._logprobs: dict[str, list[Any]] = {}
        self._images: list[Any] = []
        self._started = False

    @property
    def has_content(self) -> bool:
        """True once anything that a caller can see has arrived."""
        return bool(self._text or self._reasoning or self._calls or self._refusal or self._reply.audio or self._images)

    @property
    def finish_reason(self) -> str | None:
        """The finish reason, as soon as it came."""
        return self._reply.finish_reason

    @property
    def ended(self) -> bool:
        """Always False: a chat completion ends with `[DONE]`, which the transport sees."""
        return False

    @property
    def has_open_call(self) -> bool:
        """True while a tool call has begun and nothing has said that it is complete."""
        return bool(self._calls) and self._reply.finish_reason is None

    def feed(self, chunk: Any) -> Delta | None:
        """Read one chunk.

        Returns:
            What it brings, or None when there is nothing to pass on (usage, a role, an empty chunk).

        Raises:
            AnswerError: If the chunk is an error.
        """
        if self._started:  # the first chunk brings the envelope and takes the long way
            try:
                (choice,) = chunk["choices"]
                text = choice["delta"]["content"]
            except (KeyError, TypeError, ValueError):
                return self._read(chunk)
            if type(text) is str and text and self._is_plain(chunk, choice):
                self._text.append(text)
                return Delta(text=text, raw=chunk)
        return self._read(chunk)

    def _is_plain(self, chunk: dict[str, Any], choice: dict[str, Any]) -> bool:
        """True for a chunk that brings text and nothing else. Nearly all are, so this decides what a stream costs."""
        if self._is_other(choice) or choice.get("finish_reason") or choice.get("logprobs"):
            return False
        for key in chunk:
            if key not in _PLAIN_ENVELOPE and chunk[key]:
                return False
        for key in choice["delta"]:
            if key not in ("content", "role") and choice["delta"][key]:
                return False
        return not choice.get("usage") and not choice.get("error")

    def _is_other(self, choice: Mapping[str, Any]) -> bool:
        """True for a piece of another choice than the one that is read.

        An index alone says nothing: New API of 2025 puts the number of Claude's content block there. Choices are
        several where several were asked for, or where a second index begins with a role of its own.
        """
        index = choice.get("index") or 0
        if not self._several:
            delta = choice.get("delta")
            if isinstance(delta, dict) and delta.get("role"):
                if self._own_index is None:
                    self._own_index = index
                self._several = index != self._own_index
        return self._several and index != self._own_index

    def _read(self, chunk: Any) -> Delta | None:
        if chunk is None:
            return None
        if not isinstance(chunk, dict):
            raise AnswerError("undecodable", f"The stream holds a JSON {type(chunk).__name__}, not a chunk.", chunk)
        if chunk.get("error") or (chunk.get("success") is False and not chunk.get("choices")):
            raise AnswerError("error_body", "The hub sent an error inside the stream.", chunk)
        self._started = True
        read_envelope(self._reply, chunk)
        self._keep_usage(chunk_usage(chunk))
        self._keep_citations(chunk)
        for key in chunk.keys() - ENVELOPE:
            if chunk[key] is not None and key not in CITATIONS:
                self._reply.extra[key] = chunk[key]
        out = Delta(raw=chunk)
        choices = chunk.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict) and not self._is_other(choice):
                self._read_choice(choice, out)
        return out if out.has_content or out.logprobs or out.reasoning_details else None

    def _read_choice(self, choice: Mapping[str, Any], out: Delta) -> None:
        if choice.get("error") or choice.get("finish_reason") == "error":
            raise AnswerError("error_body", "The hub ended the stream with an error.", choice)
        message = choice.get("delta") or choice.get("message")
        if isinstance(message, dict):
            self._read_message(message, out)
        finish, native = read_finish_reason(choice.get("finish_reason"))
        if finish and self._reply.finish_reason is None:  # Gemini through New API sends several: the first is the one
            self._reply.finish_reason, self._reply.native_finish_reason = finish, native
        logprobs = choice.get("logprobs")
        if isinstance(logprobs, dict):
            out.logprobs = logprobs
            for key, values in logprobs.items():
                if isinstance(values, list):
                    self._logprobs.setdefault(key, []).extend(values)

    def _read_message(self, message: Mapping[str, Any], out: Delta) -> None:
        text, thinking, refused, images = read_content(message.get("content"))
        if text:
            self._text.append(text)
            out.text += text
        self._images += images
        if isinstance(message.get("images"), list):
            self._images += message["images"]
        self._read_reasoning(message, thinking, out)
        refusal = message.get("refusal") or refused
        if isinstance(refusal, str) and refusal:
            self._refusal.append(refusal)
            out.refusal += refusal
        self._read_audio(message.get("audio"), out)
        self._keep_citations(message)
        calls = message.get("tool_calls")
        pieces = [self._read_call(c) for c in calls if isinstance(c, dict)] if isinstance(calls, list) else []
        legacy = message.get("function_call")
        if isinstance(legacy, dict):
            pieces.append(self._read_call({"index": "legacy", "function": legacy}))
        found = [piece for piece in pieces if piece is not None]
        if found:
            out.tool_calls = [*out.tool_calls, *found]
        for key in message.keys() - MESSAGE:
            if message[key] is not None and key not in CITATIONS:
                self._reply.extra[key] = message[key]

    def _read_reasoning(self, message: Mapping[str, Any], thinking: str, out: Delta) -> None:
        """Pass the reasoning on once: the first field that carried any is the one read for the whole stream."""
        details = message.get("reasoning_details")
        if details:
            pieces = [details] if isinstance(details, dict) else details
            out.reasoning_details = list(pieces) if isinstance(pieces, list) else None
            self._keep_details(details)
        candidates: dict[str, Any] = {name: message.get(name) for name in REASONING_FIELDS}
        candidates["content"] = thinking
        candidates["details"] = details_text(details) if details else ""
        if self._reasoning_source is None:
            worded = (n for n, v in candidates.items() if isinstance(v, str) and v.strip())
            self._reasoning_source = next(worded, None)
        value = candidates[self._reasoning_source] if self._reasoning_source else None
        if isinstance(value, str) and value:
            self._reasoning.append(value)
            out.reasoning += value

    def _keep_details(self, details: Any) -> None:
        if isinstance(details, dict):
            if not isinstance(self._reply.reasoning_details, dict):
                self._reply.reasoning_details = {}
            join_detail_object(self._reply.reasoning_details, details)
        elif isinstance(details, list):
            if not isinstance(self._reply.reasoning_details, list):
                self._reply.reasoning_details = []
            for piece in details:
                join_details(self._reply.reasoning_details, piece)

    def _read_audio(self, audio: Any, out: Delta) -> None:
        if not isinstance(audio, dict):
            return
        known = {key: value for key, value in audio.items() if value is not None}
        pieces = {key: value for key, value in known.items() if key in _JOINED_AUDIO and isinstance(value, str)}
        out.audio = {key: value for key, value in known.items() if key not in _JOINED_AUDIO} | pieces
        whole = self._reply.audio = self._reply.audio or {}
        whole |= {key: whole.get(key, "") + value if key in pieces else value for key, value in out.audio.items()}

    def _read_call(self, raw: Mapping[str, Any]) -> ToolCallDelta | None:
        kind = "legacy" if raw.get("index") == "legacy" else "custom" if raw.get("custom") else "function"
        function = raw.get("function") or raw.get("custom")
        function = function if isinstance(function, dict) else {}
        name = read_name(function.get("name"))
        call_id = str(raw["id"]) if raw.get("id") else None
        call = self._find_call(raw.get("index"), call_id, name, kind)
        call.name = call.name or name  # some vendors repeat the name on every piece
        call.extra.update((k, raw[k]) for k in raw.keys() - _CALL if raw[k] is not None)
        piece = arguments_text(function.get("arguments", function.get("input")))
        if piece.strip() == "{}" and call.arguments and check_arguments(call.arguments)[1] is None:
            piece = ""  # one-api repeats a finished call under its id with empty arguments
        call.arguments += piece
        if not call.name:
            return None
        if call.index is None:
            call.index = self._position
            self._position += 1
            call.id = call.id or made_up_id(self._reply.id, call.index, call.name)
            return ToolCallDelta(call.index, call.id, call.name, call.arguments)
        return ToolCallDelta(call.index, None, None, piece) if piece else None

    def _find_call(self, index: Any, call_id: Any, name: str, kind: str) -> _OpenCall:
        """The call a piece belongs to: by its index, else by its id, else the one that is open."""
        call = None
        if index is not None:
            call = next((c for c in reversed(self._calls) if c.key == index), None)
            if call is not None and call_id and call.id and call_id != call.id and name:
                # Gemini behind New API of 2025 gives every call index 0: another id with a name is another call.
                call = next((c for c in self._calls if c.id == call_id), None)
        elif call_id:
            call = next((c for c in self._calls if c.id == call_id), None)
        else:
            call = self._current
        if call is None:
            call = _OpenCall(index if index is not None else call_id, call_id, kind)
            self._calls.append(call)
        call.id = call.id or call_id
        self._current = call
        return call

    def _keep_usage(self, usage: Usage | None) -> None:
        """Cumulative usage comes on many chunks; the last one with numbers in it counts, once."""
        if usage is not None and (self._reply.usage is None or usage.total_tokens or usage.output_tokens):
            self._reply.usage = usage

    def _keep_citations(self, source: Mapping[str, Any]) -> None:
        for key in CITATIONS:
            value = source.get(key)
            if not value:
                continue
            known = self._reply.citations.get(key)
            if key == "annotations" and isinstance(known, list) and isinstance(value, list):
                known += [v for v in value if v not in known]
            else:  # Perplexity repeats the whole list on every chunk
                self._reply.citations[key] = list(value) if isinstance(value, list) else value

    def partial(self) -> Reply:
        """What has arrived so far as a :class:`Reply` marked incomplete, for :class:`StreamInterruptedError`."""
        reply = self._assemble()
        reply.incomplete = True
        return reply

    def finish(self) -> Reply:
        """The whole answer, once the stream has ended.

        Returns:
            The reply; ``incomplete`` is True when words came and a finish reason did not. ``[DONE]`` and a usage chunk
            prove nothing: every gateway measured adds them to a stream that was cut behind it.

        Raises:
            AnswerError: If there was nothing in the stream.
        """
        if not self.has_content and self._reply.finish_reason is None:
            raise AnswerError("empty_stream", "The stream ended without a single word.")
        reply = self._assemble()
        reply.incomplete = reply.finish_reason is None
        return reply

    def _assemble(self) -> Reply:
        reply = self._reply
        reply.text, reply.reasoning = "".join(self._text), "".join(self._reasoning)
        reply.refusal = "".join(self._refusal)
        reply.images = self._images or None
        reply.logprobs = dict(self._logprobs) or None
        calls = [call for call in self._calls if call.name or call.arguments.strip(" {}")]
        reply.tool_calls = [
            make_call(position, call.id, call.name, call.arguments, call.kind, reply.id, call.extra)
            for position, call in enumerate(calls)
        ]
        if reply.finish_reason == "length" and calls and not calls[-1].arguments.strip():
            never_began(reply.tool_calls[-1])
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
