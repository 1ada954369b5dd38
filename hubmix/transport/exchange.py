"""One attempt at one model: open, read, judge. The sync and the async form differ in the verbs that wait.

An attempt at a stream reads up to its commit point, the first delta with content; until then another model can still
take over unseen. What it returns is the rest of the stream, still open.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Generic, TypeVar

import anyio

from hubmix._compat import http
from hubmix.failover.evidence import Evidence
from hubmix.failover.plan import DEFAULT_TIMEOUT, AttemptFailed, Limits
from hubmix.transport.answer import Answer, failure_evidence, monotonic
from hubmix.transport.bodies import body_async, body_sync, read_evidence, set_read_timeout, timeout_evidence
from hubmix.transport.closing import release_elsewhere, release_in_loop
from hubmix.transport.deadlines import WATCHDOG, Watch, socket_shutdown
from hubmix.transport.owned import Owned
from hubmix.transport.stream import Incoming, read_body
from hubmix.wire import Delta
from hubmix.wire.api import Reading
from hubmix.wire.checks import unsendable

CONNECT_TIMEOUT = 10.0  # seconds; a hub that does not accept a connection by then is down
_DRAIN = 0.5  # seconds given to a connection to end in order after [DONE], so that it can be used again

Read = Callable[[Any, Answer], Any]
Rest = TypeVar("Rest")


@dataclass(slots=True)
class Opened(Generic[Rest]):
    """A stream whose model is settled: what came up to its first content, and the rest, still open.

    ``rest`` has been started, so closing it always closes the connection.
    """

    begun: list[Delta]
    rest: Rest
    request_id: str | None


def http_timeout(limits: Limits, *, stream: bool) -> Any:
    """The HTTP library's timeouts: a stream's silences are watched here, so its reads may wait longer."""
    silence = limits.timeout or DEFAULT_TIMEOUT
    first = min(silence, limits.first_token) if stream and limits.first_token else silence
    if limits.deadline is not None:
        left = max(limits.deadline - monotonic(), 0.001)
        silence, first = min(silence, left), min(first, left)
    # Less than the wait for the answer, so that a hub that cannot be reached is told apart from one that says nothing.
    connect = min(CONNECT_TIMEOUT, 0.8 * first)
    return http().Timeout(connect=connect, read=first, write=silence, pool=connect)


def _options(headers: Mapping[str, str] | None, timeout: Any) -> dict[str, Any]:
    return {"timeout": timeout, "headers": {**_untold(), **headers} if headers else _untold()}


@lru_cache(maxsize=1)
def _untold() -> dict[str, Any]:
    """What the SDK would tell OpenAI of its retries and time limits; see `clients.py` for the rest of it."""
    from openai import Omit

    return {"x-stainless-retry-count": Omit(), "x-stainless-read-timeout": Omit()}


def _opening_failure(error: Exception, body: Any, limits: Limits, started: float, *, stream: bool) -> Exception | None:
    """What a failure before the first header means, or None if it is a fault of the program."""
    if (evidence := failure_evidence(error, "open")) is None:
        return unsendable(error, body)
    if evidence.cause == "read_timeout":
        evidence = timeout_evidence(evidence, limits, started, stream=stream)
    return AttemptFailed(evidence)


# ------------------------------------------------------------------------------------------------------------- sync


def open_sync(
    client: Any, url: str, body: Any, headers: Mapping[str, str] | None, limits: Limits, *, stream: bool
) -> Answer:
    """Send one request and wait for the head of its answer."""
    import openai

    started = monotonic()
    try:
        response = client.post(
            url,
            body=body,
            cast_to=http().Response,
            options=_options(headers, http_timeout(limits, stream=stream)),
            stream=True,
            stream_cls=openai.Stream[Any],
        )
    except Exception as error:
        failure = _opening_failure(error, body, limits, started, stream=stream)
        if failure is None:
            raise
        raise failure from error
    return Answer.of(response)


def whole_sync(
    client: Any, url: str, body: Any, headers: Mapping[str, str] | None, limits: Limits, reading: Reading[Any]
) -> Any:
    """One attempt at a whole answer."""
    started = monotonic()
    answer = open_sync(client, url, body, headers, limits, stream=False)
    came = body_sync(answer, limits, started, stream=False)
    return read_body(came, answer, reading, limits, started, monotonic)


def stream_sync(
    client: Any, url: str, body: Any, headers: Mapping[str, str] | None, limits: Limits, reading: Reading[Any]
) -> Opened[Generator[Delta, None, None]]:
    """One attempt at a stream: its first delta with content (or its end), and the rest."""
    started = monotonic()
    answer = open_sync(client, url, body, headers, limits, stream=True)
    incoming = Incoming(answer, reading, limits, started, monotonic)
    return _commit_sync(answer, _deltas_sync(answer, incoming, answer.response.iter_bytes()))


def _commit_sync(answer: Answer, deltas: Generator[Delta, None, None]) -> Opened[Generator[Delta, None, None]]:
    buffered: list[Delta] = []
    for delta in deltas:
        buffered.append(delta)
        if delta.has_content or delta.final is not None:
            break
    return Opened(buffered, deltas, answer.request_id)


def _deltas_sync(answer: Answer, incoming: Incoming, pieces: Iterator[bytes]) -> Generator[Delta, None, None]:
    response = answer.response
    shut = socket_shutdown(response)
    watch = None
    if shut is not None:
        set_read_timeout(response, None)
        watch = Watch(shut, incoming.deadline, holds=(response, pieces))
        WATCHDOG.add(watch)
    try:
        for piece in pieces:
            if deltas := incoming.take(piece):
                if watch is not None:
                    watch.deadline = float("inf")
                yield from deltas
                incoming.passed_on()
            incoming.raise_failure()
            if incoming.done:
                break
            if watch is not None:
                watch.deadline = incoming.deadline
        else:
            if watch is not None and watch.expired:
                raise incoming.silence(monotonic())
        yield from incoming.end()
        yield from incoming.finish()
        _drain_sync(pieces, watch)
    except http().RequestError as error:
        raise _broken(error, answer, incoming, watch) from error
    except GeneratorExit:  # closed or dropped by its reader, perhaps in the middle of something of this very thread
        release_elsewhere(response, pieces)
        raise
    finally:
        if watch is not None:
            WATCHDOG.remove(watch)
        response.close()  # does nothing where it is closed


def _drain_sync(pieces: Any, watch: Watch | None) -> None:
    """Read the end of the body, so that the connection goes back to the pool; not for long."""
    if watch is None:
        return
    watch.deadline = monotonic() + _DRAIN
    with suppress(http().RequestError):  # the answer is whole; only the connection is lost
        for _ in pieces:
            pass


def _broken(error: Exception, answer: Answer, incoming: Incoming, watch: Watch | None) -> AttemptFailed:
    if watch is not None and watch.expired:
        return incoming.silence(monotonic())
    evidence = read_evidence(error, answer, incoming.phase)
    if evidence.cause == "read_timeout":
        return incoming.silence(monotonic())
    return incoming.broken(evidence)


# ------------------------------------------------------------------------------------------------------------ async


async def open_async(
    client: Any, url: str, body: Any, headers: Mapping[str, str] | None, limits: Limits, *, stream: bool
) -> Answer:
    """Send one request and wait for the head of its answer."""
    import openai

    started = monotonic()
    timeout = http_timeout(limits, stream=stream)
    # Not every backend lets the limit on reads change between headers and body (aiohttp's does not), and none limits
    # them together: the wait for the headers is timed here, and so are the pieces that follow.
    wait = anyio.move_on_after(timeout.read)
    if stream:
        timeout.read = None
    try:
        with wait:
            response = await client.post(
                url,
                body=body,
                cast_to=http().Response,
                options=_options(headers, timeout),
                stream=True,
                stream_cls=openai.AsyncStream[Any],
            )
    except Exception as error:
        failure = _opening_failure(error, body, limits, started, stream=stream)
        if failure is None:
            raise
        raise failure from error
    if wait.cancelled_caught:
        silence = Evidence(cause="read_timeout", phase="open")
        raise AttemptFailed(timeout_evidence(silence, limits, started, stream=stream))
    return Answer.of(response)


async def whole_async(
    client: Any, url: str, body: Any, headers: Mapping[str, str] | None, limits: Limits, reading: Reading[Any]
) -> Any:
    """One attempt at a whole answer."""
    started = monotonic()
    answer = await open_async(client, url, body, headers, limits, stream=False)
    came = await body_async(answer, limits, started, stream=False)
    return read_body(came, answer, reading, limits, started, monotonic)


async def stream_async(
    client: Any, url: str, body: Any, headers: Mapping[str, str] | None, limits: Limits, reading: Reading[Any]
) -> Opened[Owned[Delta]]:
    """One attempt at a stream: its first delta with content (or its end), and the rest."""
    started = monotonic()
    answer = await open_async(client, url, body, headers, limits, stream=True)
    incoming = Incoming(answer, reading, limits, started, monotonic)
    return await _commit_async(answer, Owned(_deltas_async(answer, incoming, answer.response.aiter_bytes())))


async def _commit_async(answer: Answer, deltas: Owned[Delta]) -> Opened[Owned[Delta]]:
    buffered: list[Delta] = []
    try:
        async for delta in deltas:
            buffered.append(delta)
            if delta.has_content or delta.final is not None:
                break
    except BaseException:
        await deltas.aclose()
        raise
    return Opened(buffered, deltas, answer.request_id)


async def _deltas_async(
    answer: Answer, incoming: Incoming, pieces: AsyncIterator[bytes]
) -> AsyncGenerator[Delta, None]:
    response = answer.response
    loop = asyncio.get_running_loop()
    left = False
    try:
        while not incoming.done:
            piece = await _next_piece(pieces, incoming)
            if piece is None:
                break
            if deltas := incoming.take(piece):
                for delta in deltas:
                    yield delta
                incoming.passed_on()
            incoming.raise_failure()
        for delta in incoming.end():
            yield delta
        for delta in incoming.finish():
            yield delta
        await _drain_async(pieces)
    except http().RequestError as error:
        raise _broken(error, answer, incoming, None) from error
    except GeneratorExit:
        left = sys.get_asyncgen_hooks().finalizer is None
        raise
    finally:
        if left:
            release_in_loop(loop, response, pieces)
        else:
            with anyio.CancelScope(shield=True):
                await response.aclose()


async def _next_piece(pieces: AsyncIterator[bytes], incoming: Incoming) -> bytes | None:
    """The next bytes, None at the end; a silence that lasts beyond the deadline is a failure."""
    now = monotonic()
    with anyio.move_on_after(max(incoming.deadline - now, 0.0)) as scope:
        try:
            return await pieces.__anext__()
        except StopAsyncIteration:
            return None
    if scope.cancelled_caught:
        raise incoming.silence(monotonic())
    return None


async def _drain_async(pieces: AsyncIterator[bytes]) -> None:
    with anyio.move_on_after(_DRAIN), suppress(http().RequestError):
        async for _ in pieces:
            pass
