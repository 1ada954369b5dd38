"""Answers cut at every byte: the whole answer, its beginning, or an error of ours."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hubmix import CallOptions, FailoverPolicy, Hub, HubmixError
from hubmix.errors import StreamInterruptedError
from hubmix.failover.breakers import REGISTRY
from hubmix.transport.deadlines import WATCHDOG
from hubmix.wire import Reply
from tests.cassettes import format as cassette_format
from tests.fuzz.wire import FRAMINGS, Wire, framed
from tests.support.answers import EVENTS, JSON, call_piece, chunk, completion_body, encoded, events

PAYLOAD = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
ONCE = CallOptions(policy=FailoverPolicy(max_retries=0), api="chat")
RECORDED = Path(__file__).parents[2] / "cassettes" / "gateway" / "new-api"

CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"city": "Paris"}'}}
SMALL: dict[str, tuple[bytes, str, int]] = {
    "whole text": (encoded(completion_body("Hello, world.")), JSON, 200),
    "whole call": (encoded(completion_body(None, "tool_calls", tool_calls=[CALL])), JSON, 200),
    "error": (encoded({"error": {"message": "busy", "type": "new_api_error", "code": "x"}}), JSON, 503),
    "text": (events(chunk(content="Hello"), chunk(content=", world."), chunk("stop")).body, EVENTS, 200),  # type: ignore[dict-item]
    "call": (
        events(
            chunk(tool_calls=[call_piece(0, "c", "f", '{"city":')]),
            chunk(tool_calls=[call_piece(0, arguments=' "Paris"}')]),
            chunk("tool_calls"),
        ).body,  # type: ignore[dict-item]
        EVENTS,
        200,
    ),
}


def recorded(name: str) -> tuple[bytes, str, int]:
    """Return the body, content type and status of a recorded answer."""
    [exchange] = cassette_format.load((RECORDED / f"{name}.yaml").read_text("utf-8"), name).interactions
    return exchange.response_body, exchange.response_headers["content-type"][0], exchange.status


def ask(hub: Hub, *, stream: bool) -> tuple[Reply | HubmixError, str]:
    """Return the answer or the error, and the words that were streamed."""
    said = ""
    try:
        if not stream:
            return hub.chat(PAYLOAD, ONCE), said
        for delta in hub.stream_chat(PAYLOAD, ONCE):
            said += delta.text
        assert delta.final is not None
        return delta.final, said
    except HubmixError as error:
        return error, said


async def aask(hub: Hub, *, stream: bool) -> tuple[Reply | HubmixError, str]:
    """`ask`, for asyncio."""
    said = ""
    try:
        if not stream:
            return await hub.achat(PAYLOAD, ONCE), said
        async for delta in hub.astream_chat(PAYLOAD, ONCE):
            said += delta.text
        assert delta.final is not None
        return delta.final, said
    except HubmixError as error:
        return error, said


def content(reply: Reply) -> tuple[Any, ...]:
    return reply.text, reply.reasoning, [(call.name, call.args) for call in reply.tool_calls], reply.finish_reason


def check(found: Reply | HubmixError, said: str, whole: Reply | HubmixError) -> None:
    """Compare what came of a cut answer with the uncut one."""
    if isinstance(found, HubmixError):
        partial = found.partial if isinstance(found, StreamInterruptedError) else None
        assert said == (partial.text if partial is not None else "")
        assert isinstance(whole, HubmixError) or whole.text.startswith(said)
        return
    assert isinstance(whole, Reply), "an error became an answer"
    if found.incomplete:
        assert whole.text.startswith(found.text)
        assert not found.tool_calls
    else:
        assert content(found) == content(whole)


class Sweep:
    """One answer in one framing, whole and cut at each step."""

    def __init__(self, answer: tuple[bytes, str, int], framing: str) -> None:
        body, kind, status = answer
        self.data, self.stream = framed(body, framing, kind, status), EVENTS in kind
        self.wire = Wire()
        clients = {"http_client": self.wire.client(), "http_async_client": self.wire.async_client()}
        self.hub = Hub(base_url="http://127.0.0.1:1/v1", api_key="sk-test", **clients)

    def cuts(self, step: int) -> Iterator[None]:
        """Have the answer end at each step, in order and by a reset."""
        for end in (len(self.data), *range(0, len(self.data), step)):
            for resets in (False, True):
                REGISTRY.reset()
                self.wire.data, self.wire.resets = self.data[:end], resets
                yield
                assert end == len(self.data) or self.wire.opened == self.wire.closed


def cut_everywhere(answer: tuple[bytes, str, int], framing: str, *, step: int) -> None:
    sweep, threads = Sweep(answer, framing), threading.active_count()
    found = [ask(sweep.hub, stream=sweep.stream) for _ in sweep.cuts(step)]
    for each in found:
        check(*each, found[0][0])
    assert not WATCHDOG._watches
    assert threading.active_count() <= threads


def acut_everywhere(answer: tuple[bytes, str, int], framing: str, *, step: int) -> None:
    sweep = Sweep(answer, framing)

    async def run() -> None:
        found = [await aask(sweep.hub, stream=sweep.stream) for _ in sweep.cuts(step)]
        for each in found:
            check(*each, found[0][0])
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(run())


@pytest.mark.parametrize("everywhere", [cut_everywhere, acut_everywhere], ids=["sync", "async"])
@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("name", SMALL)
def test_cut_answer_is_never_taken_as_whole(name: str, framing: str, everywhere: Any) -> None:
    everywhere(SMALL[name], framing, step=29)


@pytest.mark.slow
@pytest.mark.parametrize("everywhere", [cut_everywhere, acut_everywhere], ids=["sync", "async"])
@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("name", [*SMALL, "chat_to_responses_text"])
def test_answer_cut_at_every_byte_is_never_taken_as_whole(name: str, framing: str, everywhere: Any) -> None:
    everywhere(SMALL[name] if name in SMALL else recorded(name), framing, step=1)


@pytest.mark.parametrize("name", ["tools", "stream", "tools_stream"])
def test_recorded_answer_cut_anywhere_is_never_taken_as_whole(name: str) -> None:
    cut_everywhere(recorded(f"chat_to_responses_{name}"), "chunked", step=211)
