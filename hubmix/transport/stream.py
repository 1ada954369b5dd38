"""A streamed answer as it comes in: bytes to deltas, and the judgement of its end. No waiting is done here.

Sync and async streams share this; they differ only in how they wait for the next bytes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from hubmix.failover.evidence import Evidence
from hubmix.failover.plan import AttemptFailed, Limits
from hubmix.transport.answer import Answer, Events, UnreadableBodyError
from hubmix.wire import AnswerError, Delta, Reply
from hubmix.wire.api import StreamReader

logger = logging.getLogger(__name__)


class Incoming:
    """Reads one stream.

    Args:
        answer: The open answer.
        reader: Reads the chunks, as the API has them.
        limits: What the attempt may take.
        started: When the attempt was begun (monotonic seconds).
        clock: Tells monotonic seconds.
    """

    __slots__ = ("_answer", "_clock", "_events", "_failure", "_limits", "_reader", "_started", "committed", "deadline")

    def __init__(
        self, answer: Answer, reader: StreamReader, limits: Limits, started: float, clock: Callable[[], float]
    ) -> None:
        self._answer = answer
        self._clock = clock
        self._events = Events()
        self._reader = reader
        self._limits = limits
        self._started = started
        self._failure: AttemptFailed | None = None
        self.committed = False
        # Whoever sets no limit waits long, but not for ever: a stream that has begun is under no other watch.
        self.deadline = limits.end(started, stream=True)

    @property
    def phase(self) -> str:
        return "committed" if self.committed else "body"

    @property
    def done(self) -> bool:
        """True when the hub said ``[DONE]``, or when an event could not be read: nothing of use follows."""
        return self._events.done or self._failure is not None or self._reader.ended

    def take(self, piece: bytes) -> list[Delta]:
        """Read the next bytes.

        Raises:
            AttemptFailed: If an earlier event was a failure, or the time is up. Comments and role chunks do not
                count as a sign of life.
        """
        self.raise_failure()
        deltas = self._read(self._events.feed(piece))
        now = self._clock()
        if deltas:
            self.committed = self.committed or any(delta.has_content for delta in deltas)
        if deltas and self.committed:
            self.deadline = self._idle_deadline(now)
        if now >= self.deadline and not self.done:
            raise self.silence(now)
        return deltas

    def passed_on(self) -> None:
        """The caller comes back for more. The time he took is not the hub's: its silence begins now."""
        if self.committed:
            self.deadline = self._idle_deadline(self._clock())

    def _idle_deadline(self, now: float) -> float:
        idle = self._limits.idle
        return self._limits.bounded(now + idle if idle is not None else float("inf"))

    def raise_failure(self) -> None:
        """Raise what went wrong in the bytes read last, once what came before it has been passed on."""
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
                self._failure = self._failed(self._evidence(error, "committed" if committed else "body"))
                break
            if delta is not None and (delta.has_content or delta.logprobs or delta.reasoning_details):
                deltas.append(delta)
        return deltas

    def _evidence(self, error: AnswerError | UnreadableBodyError, phase: str) -> Evidence:
        if isinstance(error, AnswerError) and error.cause == "error_body":
            return self._answer.error_evidence(error.body, phase)
        return self._answer.evidence(error.cause, phase, error.message)

    def _failed(self, evidence: Evidence) -> AttemptFailed:
        return AttemptFailed(evidence, self._reader.partial())

    def silence(self, now: float) -> AttemptFailed:
        """The failure of a stream that said nothing for too long."""
        if self._limits.deadline is not None and now >= self._limits.deadline:
            cause, words = "total_timeout", "The time given to the whole call was over."
        elif self.committed:
            cause, words = "idle_timeout", f"Nothing came for {self._limits.idle:g} s in the middle of the answer."
        else:
            cause, words = "first_token_timeout", f"No first word came within {now - self._started:.3g} s."
        return self._failed(self._answer.evidence(cause, self.phase, words))

    def broken(self, evidence: Evidence) -> AttemptFailed:
        """The failure of a stream whose connection broke."""
        return self._failed(evidence)

    def finish(self) -> Reply:
        """The whole answer, once the bytes have ended or ``[DONE]`` has come.

        Raises:
            AttemptFailed: If this is no end of an answer: nothing came, an open tool call, an empty answer, an error
                beside the events. The evidence says which; ``partial`` holds what had arrived.
        """
        trailing = self._read(self._events.end()) if not self._events.done else []
        self.committed = self.committed or any(delta.has_content for delta in trailing)
        self.raise_failure()
        stray = self._events.stray_error
        if stray is not None and self._reader.finish_reason is None:
            raise self._failed(self._answer.error_evidence(stray, self.phase))
        try:
            reply = self._reader.finish()
        except AnswerError as error:
            cause = "html" if self._events.is_html else error.cause
            raise self._failed(self._answer.evidence(cause, self.phase, error.message)) from error
        reply.request_id = self._answer.request_id
        if reply.incomplete and (reply.tool_calls or not reply.has_output):
            raise AttemptFailed(
                self._answer.evidence(
                    "no_finish",
                    self.phase,
                    "The stream ended without a finish reason.",
                    open_tool_call=bool(reply.tool_calls),
                ),
                reply,
            )
        return judge(reply, self._answer, self.phase)


def judge(reply: Reply, answer: Answer, phase: str) -> Reply:
    """Hold a whole answer against what a model that worked would have said.

    Raises:
        AttemptFailed: If it claims to be complete and holds nothing; the answer goes along as ``partial``, to be
            returned if there is nobody else to ask.
    """
    reply.request_id = answer.request_id
    if reply.incomplete:
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
