"""The time that a call and each of its attempts may take."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

DEFAULT_TIMEOUT = 600.0  # seconds, as in the SDK: thinking models take minutes before their first word
CONNECT_TIMEOUT = 10.0  # seconds; a hub that does not accept a connection by then is down
_SHORT = CONNECT_TIMEOUT  # a limit below it says more about the caller than about the hub

_WORDS = {
    "total_timeout": "The time given to the whole call was over.",
    "read_timeout": "No answer came within {seconds:.3g} s.",
    "first_token_timeout": "No first word came within {seconds:.3g} s.",
    "idle_timeout": "Nothing came for {seconds:.3g} s in the middle of the answer.",
}


@dataclass(frozen=True, slots=True)
class Deadline:
    """When something has to be over, and which limit says so.

    Args:
        at: on the monotonic clock.
        cause: the limit, as a cause of `Evidence`.
        seconds: the limit as it was set.
        late: it was moved, because this process was too busy to notice it.
    """

    at: float = float("inf")
    cause: str = "idle_timeout"
    seconds: float = float("inf")
    late: bool = False

    def left(self, now: float) -> float:
        """Return the seconds left, at least 0.001: HTTP libraries take 0 for no limit."""
        return max(self.at - now, 0.001)

    def passed(self, now: float) -> bool:
        """Whether it is over, or so nearly that a timer may have rung early."""
        return now >= self.at - 0.01

    def earlier(self, other: Deadline | None) -> Deadline:
        """Return the one that comes first."""
        return other if other is not None and other.at < self.at else self

    @property
    def words(self) -> str:
        """What happened, in a sentence."""
        return _WORDS[self.cause].format(seconds=self.seconds)

    def is_own(self, now: float) -> bool:
        """Whether the limit was the caller's own short one, or was noticed late."""
        short = self.seconds < _SHORT and self.cause in ("read_timeout", "first_token_timeout")
        return short or self.late or now - self.at > self.seconds / 10

    def lost(self, now: float) -> float:
        """Return the seconds to add if it was noticed late; never for a whole call."""
        late = now - self.at
        return min(late, self.seconds) if late > self.seconds / 10 and self.cause != "total_timeout" else 0.0

    def moved(self, at: float) -> Deadline:
        """Return the same limit for a later moment."""
        return replace(self, at=at, late=True)


class Stop:
    """Lets another thread end a request, even while that one blocks."""

    __slots__ = ("_lock", "_wake", "is_set")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wake: Callable[[], None] | None = None
        self.is_set = False

    def set(self) -> None:
        """End the request."""
        with self._lock:
            self.is_set = True
            if self._wake is not None:
                self._wake()

    @contextmanager
    def waking(self, wake: Callable[[], None]) -> Iterator[None]:
        """Call `wake` to end what blocks inside. Outside, the connection may be another's."""
        with self._lock:
            self._wake = wake
            if self.is_set:
                wake()
        try:
            yield
        finally:
            with self._lock:
                self._wake = None


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one attempt, in seconds; None is no limit.

    Args:
        timeout: for the whole answer, or the silence before the first content of a stream; None is the default.
        first_token: the wait for the first content of a stream.
        idle: the longest silence inside a stream.
        total: when the whole call has to be over.
        stop: ends the request before, if it runs in a thread of its own.
    """

    timeout: float | None = None
    first_token: float | None = None
    idle: float | None = None
    total: Deadline | None = None
    stop: Stop | None = field(default=None, compare=False, repr=False)

    def answer(self, started: float, *, stream: bool) -> Deadline:
        """By when a whole answer, or the first content of a stream, has to be there."""
        seconds = self.timeout or DEFAULT_TIMEOUT
        first = stream and self.first_token is not None and self.first_token < seconds
        if first and self.first_token is not None:
            seconds = self.first_token
        cause = "first_token_timeout" if first else "read_timeout"
        return Deadline(started + seconds, cause, seconds).earlier(self.total)

    def silence(self, now: float) -> Deadline:
        """By when the next content of a stream has to be there."""
        if self.idle is None:
            return Deadline().earlier(self.total)
        return Deadline(now + self.idle, "idle_timeout", self.idle).earlier(self.total)
