"""A call cancelled at every await: it ends, and the next call is served."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from types import coroutine
from typing import Any

import pytest

from hubmix import CallOptions, FailoverPolicy, Hub
from hubmix.failover.breakers import REGISTRY
from langchain_hubmix import ChatHubmix, HubmixEmbeddings
from llamaindex_hubmix import Hubmix
from tests.support.answers import Answer, error, vectors, whole_or_stream
from tests.support.scripted_hub import Request, ScriptedHub

PAYLOAD = {"model": "dead", "messages": [{"role": "user", "content": "hi"}]}
OPTIONS = CallOptions(fallbacks=("m",), policy=FailoverPolicy(max_retries=0))
MOST_STEPS = 500
Ask = Callable[[Hub], Coroutine[Any, Any, Any]]


def script(request: Request) -> Answer:
    """Refuse the first model, so that a call has a change of route to be cancelled in."""
    if request.model == "dead":
        return error(503, "No available channel", type="new_api_error", code="model_not_found")
    if "input" in request.body:
        return vectors(request.body["input"])
    return whole_or_stream("all is well", stream=request.stream)


async def whole(hub: Hub) -> str:
    return (await hub.achat(PAYLOAD, OPTIONS)).text


async def stream(hub: Hub) -> str:
    return "".join([delta.text async for delta in hub.astream_chat(PAYLOAD, OPTIONS)])


def chat_hubmix(hub: Hub) -> ChatHubmix:
    return ChatHubmix(model="dead", fallbacks=["m"], hub=hub, max_retries=0)


async def langchain(hub: Hub) -> str:
    return str((await chat_hubmix(hub).ainvoke("hi")).text)


async def langchain_stream(hub: Hub) -> str:
    return "".join([str(chunk.text) async for chunk in chat_hubmix(hub).astream("hi")])


async def llamaindex_stream(hub: Hub) -> str:
    llm = Hubmix(model="dead", fallbacks=["m"], hub=hub, max_retries=0)
    return "".join([piece.delta or "" async for piece in await llm.astream_complete("hi")])


async def embeddings(hub: Hub) -> str:
    found = await HubmixEmbeddings(model="m", hub=hub, max_retries=0).aembed_documents(["a"])
    return "all is well" if len(found) == 1 else ""


@coroutine
def _cancelled_at(step: int, inner: Coroutine[Any, Any, Any], taken: list[int]) -> Generator[Any, Any, Any]:
    """Run a coroutine, and cancel its task when it waits for the given time."""
    value: Any = None
    failed: BaseException | None = None
    while True:
        try:
            waits_for = inner.send(value) if failed is None else inner.throw(failed)
        except StopIteration as end:
            return end.value
        taken[0] += 1
        if taken[0] == step:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
        value, failed = None, None
        try:
            value = yield waits_for
        except BaseException as error:  # noqa: BLE001 - it belongs to the coroutine
            failed = error


async def cancelled_at(step: int, call: Coroutine[Any, Any, Any], taken: list[int]) -> Any:
    return await _cancelled_at(step, call, taken)  # type: ignore[misc]


async def settled() -> None:
    """Let the tasks end that close what was given up."""
    for _ in range(200):
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if not others:
            return
        await asyncio.wait(others, timeout=10)
    pytest.fail(f"tasks were left: {asyncio.all_tasks()}")


async def cancel_everywhere(ask: Ask, hub: Hub, *, cold: bool) -> int:
    assert await ask(hub) == "all is well"
    for step in range(1, MOST_STEPS):
        REGISTRY.reset()
        if cold:
            await hub.aclose()
        taken = [0]
        task = asyncio.ensure_future(cancelled_at(step, ask(hub), taken))
        done, _ = await asyncio.wait([task], timeout=60)
        assert done, f"a call that was cancelled at step {step} does not end"
        if taken[0] < step:  # it was over before
            assert task.result() == "all is well"
            return step
        assert task.cancelled(), f"the cancellation at step {step} was lost: {task}"
        await settled()
        REGISTRY.reset()
        assert await asyncio.wait_for(ask(hub), 60) == "all is well"
    raise AssertionError("the call takes more steps than a call should")


ASKS: list[Ask] = [whole, stream, langchain, langchain_stream, llamaindex_stream, embeddings]


@pytest.mark.parametrize("cold", [False, True], ids=["connected", "connecting"])
@pytest.mark.parametrize("ask", ASKS, ids=lambda ask: ask.__name__)
def test_cancelled_call_ends_and_leaves_nothing(ask: Ask, cold: bool) -> None:
    async def run(base_url: str) -> int:
        async with Hub(base_url=base_url, api_key="sk-test") as hub:
            return await cancel_everywhere(ask, hub, cold=cold)

    with ScriptedHub(script) as server:
        assert asyncio.run(run(server.base_url)) > 1
