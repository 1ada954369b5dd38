"""A hosted tool at work keeps a stream waiting; comments do not."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest

from hubmix.failover.limits import Limits
from hubmix.failover.plan import AttemptFailed
from hubmix.transport.answer import Answer
from hubmix.transport.stream import StreamState
from hubmix.wire.api import Reading
from hubmix.wire.apis import RESPONSES
from tests.support.fake_time import FakeTime

LIMITS = Limits(first_token=5.0, idle=2.0)
ANSWER = Answer(None, 200, "text/event-stream", None, {})


def line(kind: str, **more: Any) -> bytes:
    return f"data: {json.dumps({'type': f'response.{kind}', **more})}\n\n".encode()


def incoming(time: FakeTime) -> StreamState:
    deadline = LIMITS.answer(time.now, stream=True)
    return StreamState(ANSWER, cast("Reading[Any]", Reading(RESPONSES, {})), LIMITS, deadline, time.monotonic)


def test_progress_of_a_hosted_tool_extends_the_wait() -> None:
    time = FakeTime()
    stream = incoming(time)
    for _ in range(3):
        time.now += 4
        assert stream.take(line("web_search_call.searching", output_index=0)) == []
    assert not stream.committed
    time.now += 1
    assert [delta.text for delta in stream.take(line("output_text.delta", output_index=0, delta="Hi"))] == ["Hi"]


@pytest.mark.parametrize("piece", [b": ping\n\n", line("in_progress", response={}), line("telepathy", delta="x")])
def test_other_events_without_content_do_not(piece: bytes) -> None:
    time = FakeTime()
    stream = incoming(time)
    time.now += 4
    stream.take(piece)
    time.now += 2
    with pytest.raises(AttemptFailed) as caught:
        stream.take(piece)
    assert caught.value.evidence.cause == "first_token_timeout"
