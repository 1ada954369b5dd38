"""The two classes over the Responses API as adapters of the replay tool.

python ../shared/tools/replay_responses.py --adapter tests.traffic.adapters_responses:langchain --cut --errors
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import replay_responses as tool  # it lies with the recordings; tests/traffic/corpus.py puts it on the path
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage, message_chunk_to_message
from llama_index.core.base.llms.types import ChatMessage, ToolCallBlock

from hubmix import FailoverPolicy, Hub
from langchain_hubmix import ChatHubmix
from llamaindex_hubmix import Hubmix

ONCE = FailoverPolicy(max_retries=0, max_attempts=1)
_made: dict[str, Any] = {}
Exchange = dict[str, Any]


def _hub() -> Hub:
    if "hub" not in _made:
        library = tool.hx()
        _made["hub"] = Hub(
            base_url="https://replay.invalid/v1",
            api_key="sk-test",
            http_client=library.Client(transport=tool.replay_transport(), trust_env=False),
            http_async_client=library.AsyncClient(transport=tool.replay_async_transport(), trust_env=False),
        )
    hub: Hub = _made["hub"]
    hub.reset_health()
    return hub


def _run(awaited: Any) -> Any:
    loop: asyncio.AbstractEventLoop = _made.setdefault("loop", asyncio.new_event_loop())
    return loop.run_until_complete(awaited)


# ------------------------------------------------------------------------------------------------------- LangChain


def _chat() -> ChatHubmix:
    return ChatHubmix(model="m", hub=_hub(), failover=ONCE, api="responses")


def _ask_langchain(exchange: Exchange, history: Any) -> AIMessage:
    llm = _chat()
    if not exchange["is_stream"]:
        return llm.invoke(history)
    full: Any = None
    for chunk in llm.stream(history):
        full = chunk if full is None else full + chunk
    whole: AIMessage = full
    return whole


async def _ask_langchain_async(exchange: Exchange, history: Any) -> AIMessage:
    llm = _chat()
    if not exchange["is_stream"]:
        return await llm.ainvoke(history)
    full: Any = None
    async for chunk in llm.astream(history):
        full = chunk if full is None else full + chunk
    whole: AIMessage = full
    return whole


def _read_langchain(message: Any) -> dict[str, Any]:
    found: dict[str, Any] = tool.lc_result(message)
    raw = message.response_metadata.get("token_usage")
    if raw:  # compared as the server sent it: the classes make prompt counts inclusive of the cache
        found["usage"] = tool._usage(raw)
    return found


def langchain(exchange: Exchange) -> dict[str, Any]:
    """`ChatHubmix`, sync."""
    return _read_langchain(_ask_langchain(exchange, "hi"))


def langchain_async(exchange: Exchange) -> dict[str, Any]:
    """`ChatHubmix`, async."""
    return _read_langchain(_run(_ask_langchain_async(exchange, "hi")))


def _langchain_again(exchange: Exchange) -> None:
    first = message_chunk_to_message(_ask_langchain(exchange, "hi"))
    assert isinstance(first, AIMessage)
    done = [ToolMessage(content="ok", tool_call_id=str(call["id"])) for call in first.tool_calls]
    _sent(lambda: _ask_langchain(exchange, [HumanMessage("hi"), first, *done, HumanMessage("go on")]))


# ------------------------------------------------------------------------------------------------------ LlamaIndex

MESSAGES = [ChatMessage(role="user", content="hi")]


def _llm() -> Hubmix:
    return Hubmix(model="m", hub=_hub(), failover=ONCE, api="responses")


def _ask_llamaindex(exchange: Exchange, history: list[ChatMessage]) -> Any:
    llm = _llm()
    return llm.chat(history) if not exchange["is_stream"] else list(llm.stream_chat(history))[-1]


async def _ask_llamaindex_async(exchange: Exchange, history: list[ChatMessage]) -> Any:
    llm = _llm()
    if not exchange["is_stream"]:
        return await llm.achat(history)
    return [response async for response in await llm.astream_chat(history)][-1]


def llamaindex(exchange: Exchange) -> dict[str, Any]:
    """`Hubmix`, sync."""
    return _read_llamaindex(_ask_llamaindex(exchange, MESSAGES))


def llamaindex_async(exchange: Exchange) -> dict[str, Any]:
    """`Hubmix`, async."""
    return _read_llamaindex(_run(_ask_llamaindex_async(exchange, MESSAGES)))


def _read_llamaindex(response: Any) -> dict[str, Any]:
    found: dict[str, Any] = tool.li_result(response)
    raw = (response.raw or {}).get("usage")
    if raw:
        found["usage"] = tool._usage(raw)
    return found


def _llamaindex_again(exchange: Exchange) -> None:
    first = _ask_llamaindex(exchange, MESSAGES).message
    done = [
        ChatMessage(role="tool", content="ok", additional_kwargs={"tool_call_id": block.tool_call_id})
        for block in first.blocks
        if isinstance(block, ToolCallBlock)
    ]
    _sent(lambda: _ask_llamaindex(exchange, [*MESSAGES, first, *done, ChatMessage(role="user", content="go on")]))


def _sent(ask: Callable[[], object]) -> None:
    """Make the second call. Its answer is the recorded one again, which may be an error; the body counts."""
    tool.CURRENT.calls, tool.CURRENT.sent = 0, None
    try:
        ask()
    except Exception:
        if tool.CURRENT.sent is None:
            raise


langchain.again = _langchain_again  # type: ignore[attr-defined]
llamaindex.again = _llamaindex_again  # type: ignore[attr-defined]
