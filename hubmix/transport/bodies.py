"""Whole bodies, read within the time that an attempt has.

The HTTP libraries limit each read by itself, so a body that comes byte by byte would outlast every `timeout`, and one
that stops just before the end of the time would take as much again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import anyio

from hubmix._compat import http
from hubmix.failover.evidence import Evidence
from hubmix.failover.plan import AttemptFailed, Limits
from hubmix.transport.answer import Answer, failure_evidence, monotonic
from hubmix.transport.deadlines import WATCHDOG, Watch, socket_shutdown

_PROMPT = 0.1  # seconds in which nearly every body is there once its head is; only a slower one is worth a watch


def body_sync(answer: Answer, limits: Limits, started: float, *, stream: bool) -> bytes:
    """The body of an answer whose head has come; closes the response.

    Args:
        answer: the open answer.
        limits: what the attempt may take.
        started: when the attempt was begun (monotonic seconds).
        stream: a stream was asked for, so the wait for its first word is a limit too.

    Raises:
        AttemptFailed: If the connection breaks, or the time is over.
    """
    response, parts = answer.response, []
    began, end = monotonic(), limits.end(started, stream=stream)
    set_read_timeout(response, max(end - began, 0.001))
    watch: Watch | None = None
    try:
        for piece in response.iter_bytes():
            parts.append(piece)
            now = monotonic()
            if now >= end:
                raise AttemptFailed(_late(answer, limits, started, stream=stream))
            if watch is None and now - began > _PROMPT:
                watch = _watched(response, end)
        if watch is not None and watch.expired:  # which a body without a length takes for its end
            raise AttemptFailed(_late(answer, limits, started, stream=stream))
    except http().RequestError as error:
        evidence = read_evidence(error, answer)
        if (watch is not None and watch.expired) or evidence.cause == "read_timeout":
            evidence = _late(answer, limits, started, stream=stream)
        raise AttemptFailed(evidence) from error
    finally:
        if watch is not None:
            WATCHDOG.remove(watch)
        response.close()
    return b"".join(parts)


async def body_async(answer: Answer, limits: Limits, started: float, *, stream: bool) -> bytes:
    """`body_sync` for an answer that is awaited."""
    response, parts = answer.response, []
    wait = anyio.move_on_after(max(limits.end(started, stream=stream) - monotonic(), 0.0))
    try:
        with wait:
            async for piece in response.aiter_bytes():
                parts.append(piece)
    except http().RequestError as error:
        evidence = read_evidence(error, answer)
        if evidence.cause == "read_timeout":
            evidence = _late(answer, limits, started, stream=stream)
        raise AttemptFailed(evidence) from error
    finally:
        with anyio.CancelScope(shield=True):
            await response.aclose()
    if wait.cancelled_caught:
        raise AttemptFailed(_late(answer, limits, started, stream=stream))
    return b"".join(parts)


def set_read_timeout(response: Any, seconds: float | None) -> None:
    """Let the reads of a body wait for so long; the library's own limit is fixed for headers and body alike."""
    timeouts = response.request.extensions.get("timeout")
    if isinstance(timeouts, dict):
        timeouts["read"] = seconds


def read_evidence(error: Exception, answer: Answer, phase: str = "body") -> Evidence:
    """What a connection that broke during the body means."""
    found = failure_evidence(error, phase)
    cause = found.cause if found is not None else "cut"
    return answer.evidence(cause, phase, str(error) or type(error).__name__)


def timeout_evidence(evidence: Evidence, limits: Limits, started: float, *, stream: bool) -> Evidence:
    """Evidence of a silence, with the limit that ended it."""
    now = monotonic()
    if limits.deadline is not None and now >= limits.deadline - 0.01:
        return replace(evidence, cause="total_timeout", message="The time given to the whole call was over.")
    cause = "first_token_timeout" if stream and limits.first_token else "read_timeout"
    return replace(evidence, cause=cause, message=f"No answer came within {now - started:.3g} s.")


def _late(answer: Answer, limits: Limits, started: float, *, stream: bool) -> Evidence:
    return timeout_evidence(answer.evidence("read_timeout", "body"), limits, started, stream=stream)


def _watched(response: object, end: float) -> Watch | None:
    shut = socket_shutdown(response)
    if shut is None:
        return None
    watch = Watch(shut, end, holds=response)
    WATCHDOG.add(watch)
    return watch
