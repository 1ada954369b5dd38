"""Whatever fails, in any order: one whole answer or one error; no leftovers."""

from __future__ import annotations

import asyncio
import random
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hubmix import FailoverPolicy, Hub, HubmixError, errors
from hubmix.embedded import EmbeddedHub, Fault
from hubmix.failover.options import CallOptions
from tests.failover.ways import EVERY, FIRST, QUESTION, SECOND, THIRD, Said, Way
from tests.hub.test_streams import connections

FAULTS = [
    *("ok", "vendor_500", "vendor_429", "model_unknown", "vendor_400_context", "vendor_400_filter", "bad_key"),
    *("account_empty", "vendor_429_quota", "channel_auth", "vendor_error_detail", "429", "504", "html", "garbled"),
    *("reset", "cut:1", "cut:4", "rude:4", "reset:4", "error_event:0", "error_event:4", "empty_answer", "only_done"),
    *("empty_stream", "only_usage", "no_finish_reason", "no_done", "usage:absent", "garbled_line"),
]
POLICY = FailoverPolicy(idle_timeout=5.0)
MODELS = (FIRST, SECOND, THIRD)


@pytest.fixture(scope="module")
def whole(session_server: EmbeddedHub) -> dict[str, str]:
    """What each model says when nothing goes wrong."""
    session_server.clear()
    hub = Hub(base_url=session_server.base_url, api_key=session_server.api_key)

    def ask(model: str) -> str:
        return hub.chat({"model": model, "messages": [{"role": "user", "content": QUESTION}]}).text

    texts = {model: ask(model) for model in MODELS}
    hub.close()
    assert len(set(texts.values())) == len(MODELS), "the test cannot tell the models apart"
    return texts


def check_answer(answer: Said, pieces: list[str], way: Way, whole: dict[str, str]) -> int:
    served = answer.trace["served"]
    if answer.incomplete:
        assert whole[served].startswith(answer.text)
    else:
        assert answer.text in (whole[served], "")
    if way.stream:
        assert "".join(pieces) == answer.text
    return sum(attempt["outcome"] != "skipped" for attempt in answer.trace["attempts"])


def check_error(error: HubmixError, pieces: list[str], whole: dict[str, str]) -> int:
    said = "".join(pieces)
    if isinstance(error, errors.StreamInterruptedError):
        assert error.partial.text == said
        assert whole[error.model or ""].startswith(said)
    else:
        assert said == ""
    assert error.attempts
    assert all(attempt.model in str(error) for attempt in error.attempts if attempt.outcome == "error")
    return sum(attempt.outcome != "skipped" for attempt in error.attempts)


async def _ask(way: Way, server: EmbeddedHub, whole: dict[str, str], models: tuple[str, ...]) -> int:
    hub = Hub(base_url=server.base_url, api_key=server.api_key)
    pieces: list[str] = []
    try:
        answer = await way.ask(hub, *models, pieces=pieces, failover=POLICY)
    except HubmixError as error:
        requests = check_error(error, pieces, whole)
    else:
        requests = check_answer(answer, pieces, way, whole)
    finally:
        hub.close()
        await hub.aclose()
    return requests


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    way=st.sampled_from(EVERY),
    faults=st.lists(st.sampled_from(FAULTS), max_size=8),
    models=st.integers(1, 3),
    calls=st.integers(1, 2),
)
def test_one_whole_answer_or_one_error_with_every_attempt(
    way: Way, faults: list[str], models: int, calls: int, session_server: EmbeddedHub, whole: dict[str, str]
) -> None:
    threads = threading.active_count()
    session_server.clear()
    Hub(base_url=session_server.base_url, api_key=session_server.api_key).reset_health()
    for fault in faults:
        session_server.fault("*", fault)
    for _ in range(calls):
        before = len(session_server.requests)
        requests = asyncio.run(_ask(way, session_server, whole, MODELS[:models]))
        assert len(session_server.requests) - before == requests <= POLICY.max_attempts
    assert threading.active_count() <= threads + 1  # the loop's own worker thread may stay


@pytest.mark.slow
async def test_thousand_streams_with_faults_end_and_leave_nothing(server: EmbeddedHub, whole: dict[str, str]) -> None:
    dice = random.Random(7)
    hub = Hub(base_url=server.base_url, api_key=server.api_key)
    calls = 1000
    for _ in range(calls // 5):
        server.fault("*", dice.choice([fault for fault in FAULTS if fault not in ("account_empty", "429", "bad_key")]))
    ended = {"whole": 0, "incomplete": 0, "interrupted": 0, "failed": 0}

    async def stream() -> None:
        payload = {"model": FIRST, "messages": [{"role": "user", "content": QUESTION}]}
        text, final = "", None
        try:
            async for delta in hub.astream_chat(payload, CallOptions(fallbacks=(SECOND, THIRD), policy=POLICY)):
                text += delta.text
                final = delta.final or final
        except errors.StreamInterruptedError as error:
            ended["interrupted"] += error.partial.text == text
        except HubmixError as error:
            ended["failed"] += text == "" and bool(error.attempts)
        else:
            served = final.served
            ended["incomplete" if final.incomplete else "whole"] += whole[served].startswith(text) or not text

    await asyncio.gather(*(stream() for _ in range(calls)))
    assert sum(ended.values()) == calls
    assert ended["whole"] >= 800
    assert ended["interrupted"] > 0
    assert hub.pool is not None
    assert connections(await hub.pool.current())[0] == 0
    await hub.aclose()
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []


async def test_half_open_breaker_lets_one_of_a_hundred_calls_probe(server: EmbeddedHub, hub: Hub, skipped_time) -> None:
    server.fault(FIRST, "model_unknown")
    way = next(way for way in EVERY if str(way) == "langchain-async-whole")
    await way.ask(hub, FIRST, SECOND)
    server.requests.clear()
    await way.ask(hub, FIRST, SECOND)
    assert [request.model for request in server.requests] == [SECOND]
    skipped_time.skipped += 60
    server.requests.clear()
    server.fault(FIRST, Fault.slow(0.3))
    answers = await asyncio.gather(*(way.ask(hub, FIRST, SECOND) for _ in range(100)))
    served = [answer.trace["served"] for answer in answers]
    asked = [request.model for request in server.requests]
    assert asked[: asked.index(FIRST) + 1].count(FIRST) == 1
    assert (served.count(FIRST), served.count(SECOND)) == (1, 99)


async def test_cancelled_stream_closes_connection_and_spares_breakers(server: EmbeddedHub, hub: Hub) -> None:
    server.fault(FIRST, Fault.stall(3))
    payload = {"model": FIRST, "messages": [{"role": "user", "content": QUESTION}]}
    began = asyncio.Event()

    async def read() -> None:
        async for _ in hub.astream_chat(payload):
            began.set()

    task = asyncio.create_task(read())
    await asyncio.wait_for(began.wait(), 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert hub.health() == []
    assert (await hub.achat(payload)).served == FIRST
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []
