"""What one choice says, collected from messages and pieces, each thing once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from hubmix.wire.chat.calls import LEGACY, Calls, Cut
from hubmix.wire.chat.details import Details, ThinkingBlocks
from hubmix.wire.chat.snapshots import Growing
from hubmix.wire.fields import (
    REASONING_FIELDS,
    THINKING_BLOCKS,
    chunk_usage,
    names_failure,
    read_content,
    read_finish_reason,
)
from hubmix.wire.values import Delta, Reply, ToolCallDelta, Usage

ENVELOPE_TEXTS = ("id", "model", "system_fingerprint", "service_tier")
"""Texts next to the choices that a `Reply` has under the same name."""
ENVELOPE = frozenset({*ENVELOPE_TEXTS, "object", "created", "choices", "usage", "error", "obfuscation"})
CITATIONS = ("citations", "search_results", "annotations")
_MESSAGE = frozenset(
    {"role", "content", "tool_calls", "function_call", "refusal", "audio", "images", "reasoning_details"}
).union(REASONING_FIELDS, CITATIONS, (THINKING_BLOCKS,))
_ENVELOPE = ENVELOPE.union(CITATIONS)
_CHOICE = frozenset({"index", "message", "delta", "finish_reason", "logprobs", "usage", "error"})
_JOINED_AUDIO = ("data", "transcript")


class Message:
    """Collects one answer, whole or streamed, and becomes a `Reply`.

    Args:
        streamed: the answer comes in chunks, so that pieces are joined.
        only_tool: the name of the tool if just one was offered.
    """

    __slots__ = (
        "_audio",
        "_audio_parts",
        "_images",
        "_in_pieces",
        "_logprobs",
        "_notes",
        "_other",
        "_own_reasoning",
        "_repeated",
        "_streamed",
        "_thinking_blocks",
        "_thought_in_pieces",
        "_thoughts",
        "_twins",
        "_went_on",
        "_words",
        "calls",
        "details",
        "flows",
        "has_deltas",
        "reasoning",
        "refusal",
        "reply",
        "text",
    )

    def __init__(self, *, streamed: bool, only_tool: str | None = None) -> None:
        self._streamed = streamed
        self.reply = Reply()
        self.text: list[str] = []
        self.reasoning: list[str] = []
        self.refusal: list[str] = []
        self.calls = Calls(only_tool)
        self.details = Details()
        self._thinking_blocks = ThinkingBlocks()
        self._own_reasoning: str | None = None  # the field whose reasoning is passed on
        self._twins: set[str] = set()  # fields that carry the same reasoning in the same chunks
        self._repeated: dict[str, int] = {}  # how much of it other fields have repeated, in characters
        self._audio: dict[str, Any] = {}
        self._audio_parts: dict[str, list[str]] = {}
        self._images: list[Any] = []
        self._logprobs: dict[str, Any] = {}
        self._notes: set[str] = set()  # annotations, as text
        self._other: list[Any] = []  # parts of the content of no known kind
        self._in_pieces = False  # the text arrived in more than one piece
        self._thought_in_pieces = False  # the reasoning too
        self._went_on = False  # words were repeated behind the finish reason
        self._words, self._thoughts = Growing(), Growing()
        self.flows = False  # the text comes in pieces, each of which is new
        self.has_deltas = False  # a piece of the answer has arrived

    @property
    def has_content(self) -> bool:
        """True once anything that a caller can see has arrived."""
        return bool(self.text or self.reasoning or self.calls or self.refusal or self._audio or self._images)

    # -------------------------------------------------------------------------------------------- around the message

    def read_envelope(self, data: Mapping[str, Any]) -> None:
        """Read the fields of a chunk or answer other than its choices."""
        read_envelope(self.reply, data)
        self._keep_usage(chunk_usage(data))
        self._keep_citations(data)
        self._keep_extra(data, _ENVELOPE)

    def _keep_usage(self, usage: Usage | None) -> None:
        """Keep the last usage with numbers in it: cumulative usage comes on many chunks."""
        if usage is not None and (self.reply.usage is None or usage.total_tokens or usage.output_tokens):
            self.reply.usage = usage

    def _keep_citations(self, source: Mapping[str, Any]) -> None:
        for key in CITATIONS:
            value = source.get(key)
            if not value:
                continue
            if key == "annotations" and isinstance(value, list):
                fresh = [note for note in value if self._is_fresh(note)]
                known = self.reply.citations.get(key)
                if isinstance(known, list):
                    known += fresh
                else:
                    self.reply.citations[key] = fresh
            else:  # Perplexity repeats the whole list on every chunk
                self.reply.citations[key] = list(value) if isinstance(value, list) else value

    def _is_fresh(self, note: Any) -> bool:
        try:
            text = json.dumps(note, sort_keys=True)
        except RecursionError:
            return True
        known = text in self._notes
        self._notes.add(text)
        return not known

    def _keep_extra(self, source: Mapping[str, Any], known: frozenset[str]) -> None:
        for key in source.keys() - known:
            if source[key] is not None:
                self.reply.extra[key] = source[key]

    # ---------------------------------------------------------------------------------------------------- the choice

    def read_choice(self, choice: Mapping[str, Any], out: Delta) -> None:
        """Read a choice of a whole answer or of a chunk; what is new in it goes to `out`.

        An answer's end is a finish reason that no later content follows: content takes an earlier one back. Of several
        reasons with nothing between them the first counts (Gemini through New API sends "tool_calls", then "stop").
        """
        delta, message = _mapping(choice.get("delta")), _mapping(choice.get("message"))
        finish, native = read_finish_reason(choice.get("finish_reason"))
        # They may be joined from here on.
        self._in_pieces = self._in_pieces or len(self.text) > 1
        self._thought_in_pieces = self._thought_in_pieces or len(self.reasoning) > 1
        grew = False
        if delta:
            self.has_deltas = True
            grew = self._read_message(delta, out, is_last=bool(finish))
        if message and (finish or not grew):  # Perplexity repeats the message so far with every delta
            grew = self._read_whole(message, out, is_last=bool(finish)) or grew
        if grew:
            self.reply.finish_reason = self.reply.native_finish_reason = None
            self._went_on = False
        elif self.reply.finish_reason and _has_words(delta):  # a repetition: the stream went on, perhaps to another end
            self._went_on = True
        if finish and (self.reply.finish_reason is None or self._went_on):
            self.reply.finish_reason, self.reply.native_finish_reason = finish, native
            self._went_on = False
        self._keep_logprobs(choice.get("logprobs"), out, again=bool(message and not delta and self.has_deltas))
        self._keep_extra(choice, _CHOICE)

    def _keep_logprobs(self, logprobs: Any, out: Delta, *, again: bool) -> None:
        if not isinstance(logprobs, dict) or (again and self._logprobs):
            return
        out.logprobs = logprobs
        for key, values in logprobs.items():
            if not self._streamed:
                self._logprobs[key] = values
            elif isinstance(values, list):
                self._logprobs.setdefault(key, []).extend(values)

    def _read_message(self, message: Mapping[str, Any], out: Delta, *, is_last: bool = False) -> bool:
        content, waited = read_content(message.get("content")), self._waiting
        refusal = message.get("refusal")
        # A piece that ends the answer may hold all of it once more.
        again = is_last and self._in_pieces and _is_whole(content.text, self.text)
        refusal = refusal if isinstance(refusal, str) and refusal else content.refusal
        self._say("" if again else content.text, refusal, out)
        self._reason(message, content.thinking, out, is_last=is_last)
        images = message.get("images")
        images = [*content.images, *images] if isinstance(images, list) else content.images
        self._images += images
        self._other += content.other
        self._read_audio(message.get("audio"), out)
        grew = self._read_calls(message, out)
        self._keep_citations(message)
        self._keep_extra(message, _MESSAGE)
        return grew or out.has_content or bool(images) or self._waiting > waited

    @property
    def _waiting(self) -> int:
        return self._words.waiting + self._thoughts.waiting

    def _say(self, text: str, refusal: str, out: Delta) -> None:
        if text := self._words.take(text) if self._streamed else text:
            self.text.append(text)
            out.text += text
        self.flows = self._words.in_pieces
        if refusal:
            self.refusal.append(refusal)
            out.refusal += refusal

    def _think(self, text: str, out: Delta) -> None:
        if text := self._thoughts.take(text) if self._streamed else text:
            self.reasoning.append(text)
            out.reasoning += text

    def _reason(self, message: Mapping[str, Any], thinking: str, out: Delta, *, is_last: bool) -> None:
        """Pass the reasoning on once; of several fields the first with words is read."""
        details = message.get("reasoning_details")
        said: dict[str, Any] = {name: message[name] for name in REASONING_FIELDS if name in message}
        if thinking:
            said["content"] = thinking
        if details:
            said["details"] = self.details.add(details) if self._streamed else self.details.keep(details)
            out.reasoning_details = _listed(details)
        if blocks := message.get(THINKING_BLOCKS):
            said[THINKING_BLOCKS] = self._thinking_blocks.add(blocks)
        if not said:
            return
        worded = {name: text for name, text in said.items() if isinstance(text, str) and text}
        if not worded:
            return
        own = self._own_reasoning = self._own_reasoning or next((n for n, t in worded.items() if t.strip()), None)
        text = worded.pop(own, "") if own else ""
        if text:
            self._twins |= worded.keys()
        elif own:
            text = self._unheard({name: text for name, text in worded.items() if name not in self._twins})
        if not (is_last and self._thought_in_pieces and _is_whole(text, self.reasoning)):
            self._think(text, out)

    def _unheard(self, worded: Mapping[str, str]) -> str:
        """Return what another field says that was not said yet.

        It repeats the reasoning a chunk later, or goes on.
        """
        for name, text in worded.items():
            if len(self.reasoning) > 1:
                self.reasoning[:] = ["".join(self.reasoning)]
            whole, place = self.reasoning[0], self._repeated.get(name, 0)
            if whole.startswith(text, place):
                self._repeated[name] = place + len(text)
            elif text.strip():
                known = len(whole) - place if text.startswith(whole[place:]) else 0
                self._repeated[self._own_reasoning or ""] = len(whole)
                self._own_reasoning = name
                return text[known:]
        return ""

    def _read_audio(self, audio: Any, out: Delta) -> None:
        if not isinstance(audio, dict):
            return
        out.audio = {key: value for key, value in audio.items() if value is not None}
        for key, value in out.audio.items():
            self._audio.setdefault(key, value)
            if key in _JOINED_AUDIO and isinstance(value, str):
                self._audio_parts.setdefault(key, []).append(value)
            else:
                self._audio[key] = value

    def _read_calls(self, message: Mapping[str, Any], out: Delta) -> bool:
        entries = message.get("tool_calls")
        entries = [entries] if isinstance(entries, dict) else entries
        entries = [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
        if not self._streamed:  # the index of a whole call says nothing: Gemini behind New API gives every call 0
            entries = [{**entry, "index": position} for position, entry in enumerate(entries)]
        if isinstance(message.get("function_call"), dict):
            entries.append({"index": LEGACY, "function": message["function_call"]})
        grew, pieces = False, []
        for entry in entries:
            piece = self.calls.take(entry, self.reply.id)
            grew = grew or self.calls.grew
            if piece is not None:
                pieces.append(piece)
        if pieces:
            out.tool_calls = [*out.tool_calls, *pieces]
        return grew

    # --------------------------------------------------------------------------------- a whole message behind pieces

    def _read_whole(self, message: Mapping[str, Any], out: Delta, *, is_last: bool) -> bool:
        """Read a whole message in a stream. Behind deltas it only fills what is missing.

        Source: MiniMax ends its streams with it (songquanpeng/one-api#2406). Without deltas before it, messages are
        increments or snapshots.
        """
        if not self.has_content:
            return self._read_message(message, out, is_last=is_last)
        content, refusal = read_content(message.get("content")), message.get("refusal")
        if not (self.has_deltas or self._begins_again(content.text)):
            return self._read_message(message, out, is_last=is_last)
        thoughts = next((t for name in REASONING_FIELDS if isinstance(t := message.get(name), str) and t.strip()), "")
        self._think(_missing(self.reasoning, thoughts or content.thinking), out)
        refusal = refusal if isinstance(refusal, str) else content.refusal
        self._say(_missing(self.text, content.text), _missing(self.refusal, refusal), out)
        rest = {key: value for key, value in message.items() if key not in ("content", "refusal", *REASONING_FIELDS)}
        for name, known in (
            ("reasoning_details", self.details),
            (THINKING_BLOCKS, self._thinking_blocks),
            ("audio", self._audio),
            ("images", self._images),
        ):
            if known:
                rest.pop(name, None)
        if self.calls:
            calls = rest.pop("tool_calls", None)
            rest.pop("function_call", None)
            if isinstance(calls, list):
                out.tool_calls = [*out.tool_calls, *self.calls.fill(calls, self.reply.id)]
        return self._read_message(rest, out)

    def _begins_again(self, text: str) -> bool:
        return bool(self.text) and _repeats(text, self.text)

    # ----------------------------------------------------------------------------------------------------- the reply

    @property
    def _cut(self) -> Cut | None:
        """Which calls may have ended before their arguments.

        At a token limit the last one; without an end any.
        """
        finish = self.reply.finish_reason
        word = self.reply.native_finish_reason or finish
        if self._streamed and (finish is None or names_failure(word)):
            return "any"
        return "last" if finish == "length" else None

    def close(self) -> Delta | None:
        """Return what was read and not passed on: what only the end tells."""
        calls: list[ToolCallDelta] = self.calls.close(self.reply.id, cut=self._cut)
        left = Delta(text=self._words.rest, reasoning=self._thoughts.rest, tool_calls=calls)
        return left if left.has_content else None

    def read(self) -> Reply:
        """Return everything that has arrived as a reply."""
        reply = self.reply
        reply.text = "".join(self.text) + self._words.rest
        reply.reasoning = "".join(self.reasoning) + self._thoughts.rest
        reply.refusal = "".join(self.refusal)
        reply.reasoning_details = self.details.read() or self._thinking_blocks.read()
        reply.images = self._images or None
        reply.audio = {**self._audio, **{key: "".join(parts) for key, parts in self._audio_parts.items()}} or None
        reply.logprobs = dict(self._logprobs) or None
        reply.tool_calls = self.calls.read(reply.id, cut=self._cut, whole=not self._streamed)
        reply.incomplete = names_failure(reply.native_finish_reason or reply.finish_reason)
        if self._other:
            reply.extra["content_parts"] = list(self._other)
        return reply


def read_envelope(reply: Reply, data: Mapping[str, Any]) -> None:
    """Fill in id, model, created, fingerprint and tier, any of which may be missing."""
    for name in ENVELOPE_TEXTS:
        value = data.get(name)
        if isinstance(value, str) and value and getattr(reply, name) is None:
            setattr(reply, name, value)
    if reply.created is None and isinstance(data.get("created"), int):
        reply.created = data["created"]


def _missing(said: list[str], whole: str) -> str:
    """Return what a whole text adds to its pieces; nothing if it is not their whole."""
    return whole[sum(map(len, said)) :] if _repeats(whole, said) else ""


def _repeats(text: str, said: list[str]) -> bool:
    """Return True if a text begins with all that was said."""
    if len(text) < len(said):  # each piece has a character at least: spares the joining of many
        return False
    if len(said) > 1:
        said[:] = ["".join(said)]
    return not said or text.startswith(said[0])


def _is_whole(text: str, said: list[str]) -> bool:
    """Return True if a text is all that was said, once more."""
    return _repeats(text, said) and len(text) == len(said[0])


def _has_words(delta: Mapping[str, Any]) -> bool:
    return any(delta.get(name) for name in ("content", "reasoning_details", *REASONING_FIELDS))


def _listed(details: Any) -> list[Any] | None:
    return list(details) if isinstance(details, list) else [details] if isinstance(details, dict) else None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
