"""The two classes as adapters of the replay tool.

    python ../shared/tools/replay.py --adapter tests.traffic.adapters:langchain --cut

The counts are compared as the hub sent them (`usage.raw`), since the classes make prompt counts inclusive of the cache.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import replay  # in the folder of the recordings; tests/traffic/corpus.py puts it on the path
from llama_index.core.base.llms.types import ChatMessage

from hubmix import FailoverPolicy, Hub
from langchain_hubmix import ChatHubmix
from llamaindex_hubmix import Hubmix

ONCE = FailoverPolicy(max_retries=0, max_attempts=1)
_made: dict[str, Any] = {}


def _hub() -> Hub:
    if "hub" not in _made:
        library = replay.hx()
        _made["hub"] = Hub(
            base_url="https://replay.invalid/v1",
            api_key="sk-test",
            http_client=library.Client(transport=replay.replay_transport(), trust_env=False),
            http_async_client=library.AsyncClient(transport=replay.replay_async_transport(), trust_env=False),
        )
    hub: Hub = _made["hub"]
    hub.reset_health()
    return hub


def _loop() -> asyncio.AbstractEventLoop:
    loop: asyncio.AbstractEventLoop = _made.setdefault("loop", asyncio.new_event_loop())
    return loop


def _choices(exchange: dict[str, Any]) -> int:
    request = exchange.get("request")
    return (request.get("n") or 1) if isinstance(request, dict) else 1


# ------------------------------------------------------------------------------------------------------- LangChain


def _chat(exchange: dict[str, Any]) -> ChatHubmix:
    return ChatHubmix(model="m", hub=_hub(), failover=ONCE, n=_choices(exchange))


def _from_langchain(message: Any) -> dict[str, Any]:
    result: dict[str, Any] = replay._lc_result(message)
    raw = message.response_metadata.get("token_usage")
    if raw:
        result["usage"] = replay.norm_usage(raw)
    return result


def langchain(exchange: dict[str, Any]) -> dict[str, Any]:
    """`ChatHubmix`, sync."""
    llm = _chat(exchange)
    if not exchange["is_stream"]:
        return _from_langchain(llm.invoke("hi"))
    full: Any = None
    for chunk in llm.stream("hi"):
        full = chunk if full is None else full + chunk
    return _from_langchain(full)


def langchain_async(exchange: dict[str, Any]) -> dict[str, Any]:
    """`ChatHubmix`, async."""
    llm = _chat(exchange)

    async def go() -> Any:
        if not exchange["is_stream"]:
            return await llm.ainvoke("hi")
        full: Any = None
        async for chunk in llm.astream("hi"):
            full = chunk if full is None else full + chunk
        return full

    return _from_langchain(_loop().run_until_complete(go()))


# ------------------------------------------------------------------------------------------------------ LlamaIndex


def _llm(exchange: dict[str, Any]) -> Hubmix:
    return Hubmix(model="m", hub=_hub(), failover=ONCE)


def _from_llamaindex(response: Any) -> dict[str, Any]:
    message, more = response.message, response.additional_kwargs
    calls = []
    for block in message.blocks:
        if block.block_type == "tool_call":
            arguments = block.tool_kwargs
            text = arguments if isinstance(arguments, str) else json.dumps(arguments)
            calls.append({"name": block.tool_name, "arguments": text, "id": block.tool_call_id})
    dump = message.model_dump(mode="json")
    return {
        "text": message.content or "",
        "reasoning": "".join(b.content or "" for b in message.blocks if b.block_type == "thinking") or None,
        "tool_calls": calls,
        "usage": replay.norm_usage((response.raw or {}).get("usage")),
        "finish_reason": more.get("finish_reason"),
        "logprobs": sum(1 for _ in response.logprobs or ()),
        "incomplete": bool(more.get("incomplete")),
        "dump": json.dumps([dump, more], ensure_ascii=False, default=str),
    }


MESSAGES = [ChatMessage(role="user", content="hi")]


def llamaindex(exchange: dict[str, Any]) -> dict[str, Any]:
    """`Hubmix`, sync."""
    llm = _llm(exchange)
    if not exchange["is_stream"]:
        return _from_llamaindex(llm.chat(MESSAGES))
    return _from_llamaindex(list(llm.stream_chat(MESSAGES))[-1])


def llamaindex_async(exchange: dict[str, Any]) -> dict[str, Any]:
    """`Hubmix`, async."""
    llm = _llm(exchange)

    async def go() -> Any:
        if not exchange["is_stream"]:
            return await llm.achat(MESSAGES)
        return [response async for response in await llm.astream_chat(MESSAGES)][-1]

    return _from_llamaindex(_loop().run_until_complete(go()))
