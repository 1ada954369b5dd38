"""How a stream of events ends, whichever API it is of."""

from __future__ import annotations

from abc import ABC, abstractmethod

from hubmix.wire.values import AnswerError, Delta, Reply


class EventReader(ABC):
    """What the readers of the Responses and the Messages API share."""

    __slots__ = ("_has_content",)

    _has_content: bool

    @property
    @abstractmethod
    def finish_reason(self) -> str | None:
        """The finish reason, once it has arrived."""

    @abstractmethod
    def _assemble(self) -> Reply:
        """Return what has arrived so far."""

    def close(self) -> Delta | None:
        """Return None: nothing is held back until the end."""
        return None

    def partial(self) -> Reply:
        """Return what has arrived so far, marked incomplete."""
        reply = self._assemble()
        reply.incomplete = True
        return reply

    def finish(self) -> Reply:
        """Return the whole answer; `incomplete` is True if its finish reason never came.

        Raises:
            AnswerError: if there was nothing in the stream.
        """
        if not self._has_content and self.finish_reason is None:
            raise AnswerError("empty_stream", "The stream ended without a single word.")
        return self._assemble() if self.finish_reason is not None else self.partial()
