"""Streams over sockets: silence, abandonment, cancellation, leftovers."""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import Any

import pytest

from hubmix import CallOptions, CapabilityError, FailoverPolicy, Hub, HubTimeoutError, StreamInterruptedError
from hubmix.embedded import EmbeddedHub, Fault
from hubmix.failover.limits import Limits
from hubmix.transport.deadlines import WATCHDOG
from hubmix.wire import Delta, Reply
from tests.hub.conftest import MODEL, OTHER
from tests.support.answers import Answer, error, text_stream
from tests.support.backends import connections
from tests.support.scripted_hub import Request, ScriptedHub

PAYLOAD = {"model": MODEL, "messages": [{"role": "user", "content": "Tell me something long."}]}
NO_STREAM_OPTIONS = Fault.answer(
    400, {"error": {"message": "Unknown parameter: 'stream_options'.", "type": "invalid_request_error"}}
)
SHORT = 0.3  # seconds; longer than a loopback answer even on a busy machine, short for a test


def options(**policy: Any) -> CallOptions:
    return CallOptions(policy=FailoverPolicy(max_retries=0, **policy))


def read(deltas: Iterator[Delta]) -> Reply:
    final = None
    for delta in deltas:
        final = delta.final or final
    assert final is not None
    return final


async def aread(deltas: AsyncIterator[Delta]) -> Reply:
    final = None
    async for delta in deltas:
        final = delta.final or final
    assert final is not None
    return final


def either(hub: Hub, way: str, payload: dict[str, Any], asked: CallOptions) -> Reply:
    if way == "sync":
        return read(hub.stream_chat(payload, asked))

    async def go() -> Reply:
        return await aread(hub.astream_chat(payload, asked))

    return asyncio.run(go())


WAYS = pytest.mark.parametrize("way", ["sync", "async"])


@WAYS
def test_a_stream_is_whole(hub: Hub, way: str) -> None:
    reply = either(hub, way, PAYLOAD, CallOptions())
    assert reply.finish_reason == "stop"
    assert reply.usage is not None
    assert not reply.incomplete
    assert reply.trace is not None
    assert reply.trace.attempts[0].request_id == reply.request_id
    assert reply.served == MODEL


@WAYS
@pytest.mark.parametrize("every", [None, 0.03], ids=["silent", "pings"])
def test_a_silence_in_the_middle_is_ended(hub: Hub, server: EmbeddedHub, way: str, every: float | None) -> None:
    server.fault(MODEL, Fault.stall(4, every=every))
    started = time.monotonic()
    with pytest.raises(StreamInterruptedError) as interrupted:
        either(hub, way, PAYLOAD, options(idle_timeout=SHORT))
    assert time.monotonic() - started < 60  # without an end from here it would never return
    assert interrupted.value.partial.text
    assert not WATCHDOG._watches


@WAYS
@pytest.mark.parametrize("fault", [Fault.stall(), Fault.stall(0), Fault.stall(every=0.03), Fault.stall(1)],
                         ids=["before headers", "after headers", "pings", "after the role chunk"])  # fmt: skip
def test_no_first_word_in_time_goes_on_to_the_next_model(hub: Hub, server: EmbeddedHub, way: str, fault: Fault) -> None:
    server.fault(MODEL, fault)
    asked = CallOptions(fallbacks=(OTHER,), policy=FailoverPolicy(first_token_timeout=SHORT))
    reply = either(hub, way, PAYLOAD, asked)
    assert reply.served == OTHER
    assert reply.trace is not None
    assert reply.trace.attempts[0].kind == "timeout"


@WAYS
def test_a_slow_middle_is_not_the_first_tokens_business(hub: Hub, server: EmbeddedHub, way: str) -> None:
    server.fault(MODEL, Fault.slow(2 * SHORT, after=4))
    assert either(hub, way, PAYLOAD, options(first_token_timeout=SHORT, idle_timeout=5.0)).finish_reason == "stop"


def test_a_stream_without_limits_has_the_default_timeout() -> None:
    assert Limits().answer(7.0, stream=True).at == 607.0
    assert Limits(first_token=5.0).answer(7.0, stream=True).at == 12.0
    assert Limits(first_token=5.0).answer(7.0, stream=False).at == 607.0


def test_nobody_watches_the_hub_while_the_caller_holds_a_delta(hub: Hub) -> None:
    deltas = hub.stream_chat(PAYLOAD, options(first_token_timeout=5.0, idle_timeout=5.0))
    next(deltas)
    assert [watch.deadline for watch in WATCHDOG._watches] == [float("inf")]
    assert read(deltas).finish_reason == "stop"


async def test_the_time_the_caller_takes_is_no_silence_of_the_hub(
    hub: Hub, server: EmbeddedHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.fault(MODEL, Fault.slow(0.03, after=6))
    taken = 0.0
    monkeypatch.setattr("hubmix.transport.exchange.monotonic", lambda: time.monotonic() + taken)
    final = None
    async for delta in hub.astream_chat(PAYLOAD, options(idle_timeout=30.0)):
        taken += 60.0
        final = delta.final
    assert final is not None
    assert not final.incomplete
    await hub.aclose()


@WAYS
def test_the_time_for_everything_ends_a_stream(hub: Hub, server: EmbeddedHub, way: str) -> None:
    server.fault(MODEL, Fault.stall(4, every=0.02))
    with pytest.raises(StreamInterruptedError):
        either(hub, way, PAYLOAD, CallOptions(total_timeout=4 * SHORT))


@WAYS
def test_the_time_for_an_attempt_ends_a_silent_whole_answer(hub: Hub, server: EmbeddedHub, way: str) -> None:
    server.fault(MODEL, Fault.stall())
    asked = CallOptions(timeout=SHORT, policy=FailoverPolicy(max_retries=0))
    ask = partial(hub.chat, PAYLOAD, asked) if way == "sync" else lambda: asyncio.run(hub.achat(PAYLOAD, asked))
    with pytest.raises(HubTimeoutError):
        ask()


def test_an_abandoned_stream_gives_everything_back(hub: Hub) -> None:
    for _ in range(5):
        deltas = hub.stream_chat(PAYLOAD)
        next(deltas)
        del deltas
        gc.collect()
        assert hub.chat({**PAYLOAD, "model": OTHER}).finish_reason == "stop"
    assert not WATCHDOG._watches


def test_a_closed_stream_gives_everything_back(hub: Hub) -> None:
    deltas = hub.stream_chat(PAYLOAD)
    next(deltas)
    deltas.close()
    assert not WATCHDOG._watches
    assert connections(hub.pool.sync()) == (0, 0)


def test_a_whole_stream_leaves_its_connection_for_the_next(hub: Hub) -> None:
    for _ in range(3):
        read(hub.stream_chat(PAYLOAD))
    assert connections(hub.pool.sync()) == (0, 1)


async def test_the_same_in_async(hub: Hub) -> None:
    for _ in range(3):
        await aread(hub.astream_chat(PAYLOAD))
    assert connections(await hub.pool.current()) == (0, 1)
    await hub.aclose()


async def test_cancelling_closes_the_connection_at_once(hub: Hub, server: EmbeddedHub) -> None:
    server.fault(MODEL, Fault.stall(4))
    tasks = set(asyncio.all_tasks())
    begun = asyncio.Event()

    async def consume() -> None:
        async for _ in hub.astream_chat(PAYLOAD):
            begun.set()

    task = asyncio.create_task(consume())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert connections(await hub.pool.current()) == (0, 0)
    assert asyncio.all_tasks() == tasks
    await hub.aclose()


async def test_leaving_an_async_stream_closes_the_connection(hub: Hub) -> None:
    deltas = hub.astream_chat(PAYLOAD)
    await deltas.__anext__()
    await deltas.aclose()
    assert connections(await hub.pool.current())[0] == 0
    await hub.aclose()


async def test_a_stream_left_under_nest_asyncio_is_closed(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loops of nest_asyncio close no dropped generator."""
    ignored: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", ignored.append)
    hooks = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(firstiter=None, finalizer=None)
    try:
        async for _ in hub.astream_chat(PAYLOAD):
            break
        gc.collect()
        client = await hub.pool.current()
        for _ in range(1_000):
            if connections(client)[0] == 0:
                break
            await asyncio.sleep(0.001)
        assert connections(client)[0] == 0
        await hub.aclose()
        assert client.is_closed()
        await hub.achat(PAYLOAD)
        hub.pool._forget()  # as where the hub is dropped
        gc.collect()
    finally:
        sys.set_asyncgen_hooks(*hooks)
    assert ignored == []


@WAYS
def test_stream_options_are_left_out_where_a_vendor_refuses_them(hub: Hub, server: EmbeddedHub, way: str) -> None:
    server.fault(MODEL, NO_STREAM_OPTIONS)
    first = either(hub, way, PAYLOAD, options())
    assert first.finish_reason == "stop"
    assert first.trace is not None
    assert [(attempt.outcome, attempt.status) for attempt in first.trace.attempts] == [("error", 400), ("ok", 200)]
    assert either(hub, way, PAYLOAD, CallOptions()).finish_reason == "stop"
    assert ["stream_options" in (request.json or {}) for request in server.requests] == [True, False, False]


async def test_concurrent_streams_all_leave_refused_options_out(serve: Callable[..., ScriptedHub]) -> None:
    def answer(request: Request) -> Answer:
        refused = "stream_options" in request.body
        return error(400, "Unknown parameter: 'stream_options'.") if refused else text_stream("hello")

    async with Hub(base_url=serve(answer).base_url, api_key="sk-test") as hub:
        replies = await asyncio.gather(*(aread(hub.astream_chat(PAYLOAD)) for _ in range(3)))
    assert [reply.text for reply in replies] == ["hello"] * 3


@WAYS
def test_a_request_without_stream_options_counts(hub: Hub, server: EmbeddedHub, way: str) -> None:
    server.fault(MODEL, NO_STREAM_OPTIONS)
    with pytest.raises(CapabilityError, match="stream_options"):
        either(hub, way, PAYLOAD, options(max_attempts=1))
    assert len(server.requests) == 1


@WAYS
def test_events_under_another_content_type_are_read(hub: Hub, server: EmbeddedHub, way: str) -> None:
    chunk = '{"choices":[{"index":0,"delta":{"content":"Hello"},"finish_reason":"stop"}]}'
    text = f"data: {chunk}\n\ndata: [DONE]\n\n"
    server.fault(MODEL, Fault.answer(200, text=text, headers={"Content-Type": "application/json"}))
    assert either(hub, way, PAYLOAD, CallOptions()).text == "Hello"


class Ring:
    """Something that only garbage collection frees."""

    def __init__(self, held: Any) -> None:
        self.me = self
        self.held = held


def test_streams_dropped_in_cycles_do_not_lock_this_thread(hub: Hub) -> None:
    before = gc.get_threshold()
    gc.set_threshold(50, 5, 5)  # so that a collection falls into the HTTP library's pool
    try:
        for _ in range(40):
            deltas = hub.stream_chat(PAYLOAD)
            next(deltas)
            Ring(deltas)
            del deltas
    finally:
        gc.set_threshold(*before)
        gc.collect()
    assert read(hub.stream_chat(PAYLOAD)).text
