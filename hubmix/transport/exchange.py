"""One attempt over one route, except the waiting.

An attempt at a stream reads up to its commit point, the first delta with content; until then another route can still
take over unseen. What it returns is the rest of the stream, still open.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Generic, TypeVar

from hubmix._compat import http
from hubmix.failover.amendments import Learned
from hubmix.failover.evidence import Evidence
from hubmix.failover.limits import CONNECT_TIMEOUT, Deadline, Limits
from hubmix.failover.plan import AttemptFailed
from hubmix.transport.answer import Answer, monotonic
from hubmix.transport.closing import Owned, finish_in_loop
from hubmix.transport.evidence import failure_evidence, waited_for
from hubmix.transport.sizes import SIZES, Sizes
from hubmix.wire import Delta
from hubmix.wire.api import Reading
from hubmix.wire.checks import unsendable

DRAIN = 0.5  # seconds given to a connection to end in order after [DONE], so that it can be used again

Rest = TypeVar("Rest")


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent.

    Args:
        url: where to.
        body: the JSON body.
        reading: reads the answers to it.
        headers: those of this call, next to the client's own.
        amended: what was changed because the vendor had refused it before.
        learned: what was known of the vendor's refusals.
        sizes: how many bytes of an answer are read.
    """

    url: str
    body: dict[str, Any]
    reading: Reading[Any]
    headers: Mapping[str, str] | None = field(default=None, repr=False)
    amended: tuple[str, ...] = ()
    learned: tuple[Learned, ...] = ()
    sizes: Sizes = SIZES


@dataclass(slots=True)
class Opened(Generic[Rest]):
    """A stream whose route is settled, read up to its first content.

    `rest` has been started, so closing it always closes the connection.
    """

    begun: list[Delta]
    rest: Rest
    request_id: str | None

    def discard(self) -> None:
        """Close a stream that nobody reads; an async one in its loop."""
        if isinstance(self.rest, Generator):
            self.rest.close()
        elif isinstance(self.rest, Owned):
            finish_in_loop(asyncio.get_running_loop(), self.rest.aclose())


class Attempt:
    """The limits of one attempt, from the moment it begins.

    Args:
        limits: what the attempt may take.
        stream: a stream is asked for.
    """

    __slots__ = ("deadline", "limits", "started", "stream")

    def __init__(self, limits: Limits, *, stream: bool) -> None:
        self.limits = limits
        self.stream = stream
        self.started = monotonic()
        self.deadline: Deadline = limits.answer(self.started, stream=stream)

    def http_timeout(self) -> Any:
        """The HTTP library's timeouts up to the head of the answer."""
        left = max(self.deadline.at - self.started, 0.001)
        upload = left
        if self.stream and self.limits.first_token is not None:  # a long request takes its time before any word
            upload = self.limits.answer(self.started, stream=False).left(self.started)
        # Less than the wait for the answer, so that a hub that cannot be reached is told apart from a silent one.
        connect = min(CONNECT_TIMEOUT, 0.8 * left)
        # Calls may wait for a connection of our own as long as for an answer, as the SDK's do.
        return http().Timeout(connect=connect, read=left, write=upload, pool=left)

    def opening_failure(self, error: Exception, body: Any) -> Exception | None:
        """Return what a failure before the head means; None for a program's fault."""
        evidence = failure_evidence(error, "open")
        if evidence is None:
            return unsendable(error, body)
        # A connection that breaks when the time is over was ended by it, or came too late anyway.
        if evidence.cause == "read_timeout" or (evidence.phase == "open" and self.deadline.passed(monotonic())):
            evidence = self.late(evidence)
        elif evidence.cause == "connect_timeout":
            evidence = self._unconnected(evidence)
        return AttemptFailed(evidence)

    def overdue(self, ended: BaseException | None) -> AttemptFailed:
        """Return the failure of an attempt whose time was over before the head came.

        Args:
            ended: the cancellation, which shows what was waited for.
        """
        waited = None if ended is None else waited_for(ended)
        if waited is None:
            return AttemptFailed(self.late(Evidence("read_timeout", "open")))
        # It never reached the hub, which took no time from it.
        evidence = Evidence(waited, "connect", message=self.deadline.words, own=True)
        return AttemptFailed(self._unconnected(evidence) if waited == "connect_timeout" else evidence)

    def _unconnected(self, evidence: Evidence) -> Evidence:
        """Tell a limit that the caller made short, or that came late, from a silent hub."""
        limit = self.http_timeout().connect
        if limit < CONNECT_TIMEOUT or monotonic() - self.started > 1.1 * 2 * limit:
            return replace(evidence, cause="own_delay", own=True)
        return evidence

    def late(self, evidence: Evidence) -> Evidence:
        """Evidence of a silence, with the limit that ended it."""
        return late(evidence, self.deadline)


def late(evidence: Evidence, deadline: Deadline) -> Evidence:
    """Evidence of a silence, with the limit that ended it."""
    return replace(evidence, cause=deadline.cause, message=deadline.words, own=deadline.is_own(monotonic()))


def request_options(request: Request, timeout: Any) -> dict[str, Any]:
    """What the SDK takes next to the body."""
    headers = {**_untold(), **request.headers} if request.headers else _untold()
    return {"timeout": timeout, "headers": headers}


@lru_cache(maxsize=1)
def _untold() -> dict[str, Any]:
    """Return the SDK's headers about retries and limits, which are left out."""
    from openai import Omit

    return {"x-stainless-retry-count": Omit(), "x-stainless-read-timeout": Omit()}


def set_read_timeout(response: Any, seconds: float | None) -> None:
    """Let each read of a body wait for so many seconds."""
    timeouts = response.request.extensions.get("timeout")
    if isinstance(timeouts, dict):
        timeouts["read"] = seconds


def read_evidence(error: Exception, answer: Answer, phase: str = "body") -> Evidence:
    """What a connection that broke during the body means."""
    found = failure_evidence(error, phase)
    cause = found.cause if found is not None else "cut"
    return answer.evidence(cause, phase, str(error) or type(error).__name__)
