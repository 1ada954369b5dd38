"""One attempt over one route, in a thread."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import suppress
from typing import Any

from hubmix.failover.evidence import Evidence
from hubmix.failover.limits import Limits
from hubmix.failover.plan import AttemptFailed
from hubmix.transport.answer import Answer, monotonic
from hubmix.transport.bounded import ReadingUntil, stopped_by
from hubmix.transport.closing import release_elsewhere
from hubmix.transport.deadlines import WATCHDOG, Watch, socket_shutdown
from hubmix.transport.evidence import transport_errors
from hubmix.transport.exchange import (
    DRAIN,
    Attempt,
    Opened,
    Request,
    read_evidence,
    request_options,
    set_read_timeout,
)
from hubmix.transport.sizes import Body, pieces_of
from hubmix.transport.stream import StreamState, read_body
from hubmix.wire import Delta
from hubmix.wire.api import Answered, Reading

_PROMPT = 0.1  # seconds in which nearly every body is there once its head is; only a slower one is worth a watch


def whole_sync(client: Any, request: Request, limits: Limits, reading: Reading[Answered]) -> Answered:
    """Send one attempt at a whole answer, and read it."""
    attempt = Attempt(limits, stream=False)
    answer = _open(client, request, attempt)
    return read_body(read_bytes(answer, attempt, request.sizes.body), answer, reading)


def stream_sync(
    client: Any, request: Request, limits: Limits, reading: Reading[Any]
) -> Opened[Generator[Delta, None, None]]:
    """Send one attempt at a stream, and read up to its first content."""
    attempt = Attempt(limits, stream=True)
    answer = _open(client, request, attempt)
    state = StreamState(answer, reading, limits, attempt.deadline, monotonic, request.sizes)
    return _commit(answer, _deltas(answer, state, pieces_of(answer.response)))


def _open(client: Any, request: Request, attempt: Attempt) -> Answer:
    """Send one request and wait for the head of its answer."""
    if (stop := attempt.limits.stop) is not None:
        stopped_by(stop)
        if stop.is_set:
            raise AttemptFailed(Evidence("own_delay", "connect", own=True))
    try:
        with ReadingUntil(attempt.deadline.at):
            response = client.open(request.url, request.body, request_options(request, attempt.http_timeout()))
    except Exception as error:
        failure = attempt.opening_failure(error, request.body)
        if failure is None:
            raise
        raise failure from error
    return Answer.of(response)


def read_bytes(answer: Answer, attempt: Attempt, largest: int) -> bytes:
    """The body of an answer whose head has come; closes the response.

    The HTTP libraries limit each read by itself, so a body that comes byte by byte would outlast every timeout.

    Raises:
        AttemptFailed: if the connection breaks, the time is over, or there are too many bytes.
    """
    response, body = answer.response, Body(largest)
    began, end = monotonic(), attempt.deadline.at
    set_read_timeout(response, max(end - began, 0.001))
    watch: Watch | None = None
    try:
        with ReadingUntil(end):  # nothing comes out of a chunk whose length drips
            for piece in pieces_of(response):
                body.take(piece)
                now = monotonic()
                if now >= end:
                    raise AttemptFailed(attempt.late(answer.evidence("read_timeout", "body")))
                if watch is None and now - began > _PROMPT:
                    watch = _watched(response, end)
        if watch is not None and watch.expired:  # which a body without a length takes for its end
            raise AttemptFailed(attempt.late(answer.evidence("read_timeout", "body")))
    except transport_errors() as error:
        evidence = read_evidence(error, answer)
        if (watch is not None and watch.expired) or evidence.cause == "read_timeout":
            evidence = attempt.late(evidence)
        raise AttemptFailed(evidence) from error
    finally:
        if watch is not None:
            WATCHDOG.remove(watch)
        response.close()
    return body.value


def _watched(response: object, end: float) -> Watch | None:
    shut = socket_shutdown(response)
    if shut is None:
        return None
    watch = Watch(shut, end, holds=response)
    WATCHDOG.add(watch)
    return watch


def _commit(answer: Answer, deltas: Generator[Delta, None, None]) -> Opened[Generator[Delta, None, None]]:
    buffered: list[Delta] = []
    for delta in deltas:
        buffered.append(delta)
        if delta.has_content or delta.final is not None:
            break
    return Opened(buffered, deltas, answer.request_id)


def _deltas(answer: Answer, state: StreamState, pieces: Iterator[bytes]) -> Generator[Delta, None, None]:
    response = answer.response
    shut = socket_shutdown(response)
    watch = None
    if shut is not None:
        set_read_timeout(response, None)
        watch = Watch(shut, state.deadline.at, holds=(response, pieces))
        WATCHDOG.add(watch)
    try:
        for piece in pieces:
            if deltas := state.take(piece):
                if watch is not None:
                    watch.deadline = float("inf")
                yield from deltas
                state.passed_on()
            state.raise_failure()
            if state.done:
                break
            if watch is not None:
                watch.deadline = state.deadline.at
        else:
            if watch is not None and watch.expired:
                raise state.silence()
        yield from state.end()
        yield from state.finish()
        _drain(pieces, watch)
    except transport_errors() as error:
        if watch is not None and watch.expired:
            raise state.silence() from error
        raise state.broken(read_evidence(error, answer, state.phase)) from error
    except GeneratorExit:  # closed or dropped by its reader, perhaps in the middle of something of this very thread
        release_elsewhere(response, pieces)
        raise
    finally:
        if watch is not None:
            WATCHDOG.remove(watch)
        response.close()  # does nothing where it is closed


def _drain(pieces: Any, watch: Watch | None) -> None:
    """Read the end of the body, so that the connection can be used again."""
    if watch is None:
        return
    watch.deadline = monotonic() + DRAIN
    with suppress(*transport_errors()):  # the answer is whole; only the connection is lost
        for _ in pieces:
            pass
