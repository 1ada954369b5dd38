"""Bytes of a streamed answer to deltas, and the judgement of its end.

Sync and async streams share this; they differ only in how they wait for the next bytes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from hubmix.failover.evidence import Evidence
from hubmix.failover.limits import Deadline, Limits
from hubmix.failover.plan import AttemptFailed
from hubmix.transport.answer import Answer, Events, UnreadableBodyError, decode, telling_headers
from hubmix.transport.events import looks_like_events
from hubmix.transport.sizes import NO_MEMORY, PIECE, SIZES, Sizes, too_large
from hubmix.wire import AnswerError, Delta, Reply
from hubmix.wire.api import Answered, Reading
from hubmix.wire.values import as_delta

logger = logging.getLogger(__name__)


def read_body(body: bytes, answer: Answer, reading: Reading[Answered]) -> Answered:
    """Read a whole body, also one of events (QuantumNous/new-api#5230).

    Raises:
        AttemptFailed: it is no answer, or one that broke off.
    """
    try:
        return _read_body(body, answer, reading)
    except MemoryError as error:
        raise AttemptFailed(answer.evidence("undecodable", "body", NO_MEMORY)) from error


def _read_body(body: bytes, answer: Answer, reading: Reading[Answered]) -> Answered:
    if not looks_like_events(body):
        return _read_document(body, answer, reading)
    if reading.api.stream is None:
        events = Events(len(body))
        [data] = (events.feed(body) + events.end())[:1] or [None]
        return _read_value(data, answer, reading)
    state = StreamState(answer, reading, Limits(), Deadline(), lambda: 0.0, Sizes(4 * len(body)))
    for begin in range(0, len(body), PIECE):  # at once, millions of empty lines would take much memory
        state.take(body[begin : begin + PIECE])
    state.end()
    reply: Answered = state.finish()[-1].final  # type: ignore[assignment]  # only chats have streams
    return reply


class StreamState:
    """Reads one stream.

    Args:
        answer: the open answer.
        reading: reads the chunks, as the API has them.
        limits: what the attempt may take.
        deadline: by when the first content has to be there.
        clock: returns monotonic seconds.
        sizes: how many bytes it may have.
    """

    __slots__ = (
        "_answer",
        "_clock",
        "_events",
        "_failure",
        "_limits",
        "_progressed",
        "_reader",
        "_reading",
        "_size",
        "_sizes",
        "committed",
        "deadline",
    )

    def __init__(
        self,
        answer: Answer,
        reading: Reading[Any],
        limits: Limits,
        deadline: Deadline,
        clock: Callable[[], float],
        sizes: Sizes = SIZES,
    ) -> None:
        self._answer = answer
        self._clock = clock
        self._events = Events(sizes.event)
        self._reading = reading
        self._reader = reading.stream()
        self._limits = limits
        self._size = 0
        self._sizes = sizes
        self._failure: AttemptFailed | None = None
        self._progressed = False  # the bytes read last say that a tool of the server is at work
        self.committed = False
        self.deadline = deadline

    @property
    def phase(self) -> str:
        return "committed" if self.committed else "body"

    @property
    def total(self) -> Deadline | None:
        """When the whole call has to be over."""
        return self._limits.total

    @property
    def done(self) -> bool:
        """Whether nothing of use follows: `[DONE]` came, or an event is unreadable."""
        return self._events.done or self._failure is not None or self._reader.ended

    def take(self, piece: bytes) -> list[Delta]:
        """Read the next bytes.

        Raises:
            AttemptFailed: If an earlier event was a failure, or the time is up. Comments and role chunks do not
                count as a sign of life; the progress of a hosted tool does.
            BodyError: If the stream or an event of it is too large.
        """
        self.raise_failure()
        self._progressed = False
        self._size += len(piece)
        if self._size > self._sizes.stream:
            raise too_large("The stream", self._sizes.stream)
        deltas = self._read(self._events.feed(piece))
        now = self._clock()
        if deltas:
            self.committed = self.committed or any(delta.has_content for delta in deltas)
        if self._progressed or (deltas and self.committed):
            self.deadline = self._limits.silence(now) if self.committed else self._limits.answer(now, stream=True)
        if now >= self.deadline.at and not self.done:
            raise self.silence()
        return deltas

    def passed_on(self) -> None:
        """Start the silence anew: the time that the caller took is not the hub's."""
        if self.committed:
            self.deadline = self._limits.silence(self._clock())

    def raise_failure(self) -> None:
        """Raise what went wrong in the bytes read last."""
        if self._failure is not None:
            raise self._failure

    def _read(self, chunks: list[Any]) -> list[Delta]:
        deltas: list[Delta] = []
        for chunk in chunks:
            try:
                if isinstance(chunk, UnreadableBodyError):
                    raise chunk
                delta = self._reader.feed(chunk)
            except (AnswerError, UnreadableBodyError) as error:
                committed = self.committed or any(d.has_content for d in deltas)
                self._failure = self._failed(self._answer.failure_of(error, "committed" if committed else "body"))
                break
            if delta is None:
                continue
            if delta.has_content or delta.logprobs or delta.reasoning_details:
                deltas.append(delta)
            else:
                self._progressed = True
        return deltas

    def _failed(self, evidence: Evidence) -> AttemptFailed:
        try:
            return AttemptFailed(evidence, self._reader.partial())
        except MemoryError:  # the words are there in pieces, and there is no room to join them
            return AttemptFailed(evidence)

    def silence(self) -> AttemptFailed:
        """The failure of a stream that said nothing for too long."""
        deadline, own = self.deadline, self.deadline.is_own(self._clock())
        cause = deadline.cause
        if cause == "read_timeout":
            cause = "first_token_timeout"  # the head did come
        return self._failed(self._answer.evidence(cause, self.phase, deadline.words, own=own))

    def broken(self, evidence: Evidence) -> AttemptFailed:
        """The failure of a stream whose connection broke."""
        return self.silence() if evidence.cause == "read_timeout" else self._failed(evidence)

    def end(self) -> list[Delta]:
        """Return the deltas of the last event, which the end of the bytes completes.

        What went wrong in it is raised by `raise_failure`, once the deltas have been passed on.
        """
        deltas = self._read(self._events.end())
        self.committed = self.committed or any(delta.has_content for delta in deltas)
        return deltas

    def finish(self) -> list[Delta]:
        """Return the last deltas; the very last carries the whole answer.

        Raises:
            AttemptFailed: this is no end of an answer: nothing came, an open tool call, an empty answer, an error
                outside the events. The evidence says which; `partial` holds what had arrived.
        """
        self.raise_failure()
        if (body := self._events.bare_body) is not None:
            reply = _read_document(body, self._answer, self._reading)
            return [as_delta(reply), Delta(final=reply)]
        stray = self._events.stray_error
        if stray is not None and self._reader.finish_reason is None:
            raise self._failed(self._answer.error_evidence(stray, self.phase))
        try:
            reply = self._reader.finish()
        except AnswerError as error:
            raise self._failed(self._answer.failure_of(error, self.phase)) from error
        reply.request_id = self._answer.request_id
        reply.headers = telling_headers(self._answer.headers)
        broke_off = reply.finish_reason is None and not (self._events.done or self._reader.ended)
        if reply.incomplete and (reply.tool_calls or not reply.has_output or broke_off):
            raise AttemptFailed(_without_end(reply, self._answer, self.phase), reply)
        reply = judge(reply, self._answer, self.phase)
        held_back = self._reader.close()
        return [*([held_back] if held_back is not None else ()), Delta(final=reply)]


def _read_document(body: bytes, answer: Answer, reading: Reading[Answered]) -> Answered:
    try:
        return _read_value(decode(answer, body), answer, reading)
    except UnreadableBodyError as error:
        raise AttemptFailed(answer.failure_of(error, "body")) from error


def _read_value(data: Any, answer: Answer, reading: Reading[Answered]) -> Answered:
    try:
        reply = reading.whole(data)
    except AnswerError as error:
        raise AttemptFailed(answer.failure_of(error, "body")) from error
    reply.request_id = answer.request_id  # type: ignore[attr-defined]  # every kind of reply has one
    reply.headers = telling_headers(answer.headers)  # type: ignore[attr-defined]
    if isinstance(reply, Reply):
        judge(reply, answer, "body")
    return reply


def _without_end(reply: Reply, answer: Answer, phase: str) -> Evidence:
    """Return evidence of an answer without an end, or with a failure for one."""
    if (word := reply.native_finish_reason or reply.finish_reason) is not None:
        words = f"The vendor ended the answer with the finish reason {word!r}."
        return answer.evidence("failed_finish", phase, words, finish_reason=word)
    words = "The stream ended without a finish reason."
    return answer.evidence("no_finish", phase, words)


def judge(reply: Reply, answer: Answer, phase: str) -> Reply:
    """Compare a whole answer with what a model that worked would have said.

    Raises:
        AttemptFailed: it broke off, or claims to be complete and holds nothing. The answer goes along as `partial`; an
            empty one is returned if no other route can be asked.
    """
    reply.request_id = answer.request_id
    if (not reply.incomplete and (reply.text or reply.has_output)) or reply.is_pending:
        return reply
    if reply.incomplete:
        if reply.finish_reason is not None:
            raise AttemptFailed(_without_end(reply, answer, phase), reply)
        logger.warning("The stream of %s ended without a finish reason; the answer may be cut short.", reply.model)
    if reply.has_output or any(choice.has_output for choice in reply.choices):
        return reply
    if reply.finish_reason == "length":
        logger.warning("%s used up its token limit before its first word; raise max_tokens.", reply.model)
        return reply
    if reply.finish_reason in ("stop", "error", "content_filter", None) and phase != "committed":
        evidence = answer.evidence(
            "empty_answer", phase, "The answer holds nothing.", finish_reason=reply.finish_reason
        )
        raise AttemptFailed(evidence, reply)
    return reply
