"""One attempt over one route, in an event loop."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress
from typing import Any

import anyio

from hubmix.failover.limits import Limits
from hubmix.failover.plan import AttemptFailed
from hubmix.transport.answer import Answer, monotonic
from hubmix.transport.closing import Owned, release_in_loop
from hubmix.transport.evidence import transport_errors
from hubmix.transport.exchange import (
    DRAIN,
    Attempt,
    Opened,
    Request,
    read_evidence,
    request_options,
)
from hubmix.transport.sizes import Body, apieces_of
from hubmix.transport.stream import StreamState, read_body
from hubmix.transport.until import Until
from hubmix.wire import Delta
from hubmix.wire.api import Answered, Reading


async def whole_async(client: Any, request: Request, limits: Limits, reading: Reading[Answered]) -> Answered:
    """Send one attempt at a whole answer, and read it."""
    attempt = Attempt(limits, stream=False)
    answer = await _open(client, request, attempt)
    return read_body(await _read_bytes(answer, attempt, request.sizes.body), answer, reading)


async def stream_async(client: Any, request: Request, limits: Limits, reading: Reading[Any]) -> Opened[Owned[Delta]]:
    """Send one attempt at a stream, and read up to its first content."""
    attempt = Attempt(limits, stream=True)
    answer = await _open(client, request, attempt)
    state = StreamState(answer, reading, limits, attempt.deadline, monotonic, request.sizes)
    return await _commit(answer, Owned(_deltas(answer, state, apieces_of(answer.response))))


async def _open(client: Any, request: Request, attempt: Attempt) -> Answer:
    """Send one request and wait for the head of its answer."""
    timeout = attempt.http_timeout()
    # Not every backend lets the limit on reads change between headers and body (aiohttp's does not), and none limits
    # them together: the wait for the headers is timed here, and so are the pieces that follow.
    wait = Until(attempt.deadline, attempt.limits.total)
    if attempt.stream:
        timeout.read = None
    ended: BaseException | None = None
    try:
        with wait:
            try:
                response = await client.open(request.url, request.body, request_options(request, timeout))
            except asyncio.CancelledError as error:
                ended = error
                raise
    except Exception as error:
        failure = attempt.opening_failure(error, request.body)
        if failure is None:
            raise
        raise failure from error
    finally:
        attempt.deadline = wait.deadline
    if wait.over:
        raise attempt.overdue(ended)
    return Answer.of(response)


async def _read_bytes(answer: Answer, attempt: Attempt, largest: int) -> bytes:
    """The body of an answer whose head has come; closes the response."""
    response, body = answer.response, Body(largest)
    wait = Until(attempt.deadline, attempt.limits.total)
    try:
        with wait:
            async for piece in apieces_of(response):
                body.take(piece)
    except transport_errors() as error:
        evidence = read_evidence(error, answer)
        raise AttemptFailed(attempt.late(evidence) if evidence.cause == "read_timeout" else evidence) from error
    finally:
        attempt.deadline = wait.deadline
        with anyio.CancelScope(shield=True):
            await response.aclose()
    if wait.over:
        raise AttemptFailed(attempt.late(answer.evidence("read_timeout", "body")))
    return body.value


async def _commit(answer: Answer, deltas: Owned[Delta]) -> Opened[Owned[Delta]]:
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


async def _deltas(answer: Answer, state: StreamState, pieces: AsyncIterator[bytes]) -> AsyncGenerator[Delta, None]:
    response = answer.response
    loop = asyncio.get_running_loop()
    left = False
    try:
        while not state.done:
            piece = await _next_piece(pieces, state)
            if piece is None:
                break
            if deltas := state.take(piece):
                for delta in deltas:
                    yield delta
                state.passed_on()
            state.raise_failure()
        for delta in state.end():
            yield delta
        for delta in state.finish():
            yield delta
        await _drain(pieces)
    except transport_errors() as error:
        raise state.broken(read_evidence(error, answer, state.phase)) from error
    except GeneratorExit:
        left = sys.get_asyncgen_hooks().finalizer is None
        raise
    finally:
        if left:
            release_in_loop(loop, response, pieces)
        else:
            with anyio.CancelScope(shield=True):
                await response.aclose()


async def _next_piece(pieces: AsyncIterator[bytes], state: StreamState) -> bytes | None:
    """Return the next bytes, None at the end; a long silence is a failure."""
    wait = Until(state.deadline, state.total)
    try:
        with wait:
            return await pieces.__anext__()
    except StopAsyncIteration:
        return None
    finally:
        state.deadline = wait.deadline
    if wait.over:
        raise state.silence()
    return None


async def _drain(pieces: AsyncIterator[bytes]) -> None:
    with anyio.move_on_after(DRAIN), suppress(*transport_errors()):
        async for _ in pieces:
            pass
