"""The two classes over one API as adapters of a replay tool."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import ModuleType
from typing import Any

from langchain_core.messages import AIMessage, HumanMessage, ToolMessage, message_chunk_to_message
from llama_index.core.base.llms.types import ChatMessage, ToolCallBlock

from hubmix import FailoverPolicy, Hub
from langchain_hubmix import ChatHubmix
from llamaindex_hubmix import Hubmix

ONCE = FailoverPolicy(max_retries=0, max_attempts=1)
MESSAGES = [ChatMessage(role="user", content="hi")]
Exchange = dict[str, Any]
Adapter = Callable[[Exchange], dict[str, Any]]


class ApiAdapters:
    """Both classes, sync and async, over one API.

    Args:
        tool: the replay tool, whose transports answer with the current exchange.
        api: the API's name.
    """

    def __init__(self, tool: ModuleType, api: Any) -> None:
        self._tool = tool
        self._api = api
        self._loop = asyncio.new_event_loop()
        library = tool.hx()
        self._hub = Hub(
            base_url="https://replay.invalid/v1",
            api_key="sk-test",
            http_client=library.Client(transport=tool.replay_transport(), trust_env=False),
            http_async_client=library.AsyncClient(transport=tool.replay_async_transport(), trust_env=False),
        )

    def langchain(self) -> Adapter:
        """`ChatHubmix`, sync."""

        def adapter(exchange: Exchange) -> dict[str, Any]:
            return self._read_message(self._ask_langchain(exchange, "hi"))

        adapter.again = self._langchain_again  # type: ignore[attr-defined]
        return adapter

    def langchain_async(self) -> Adapter:
        """`ChatHubmix`, async."""
        run = self._loop.run_until_complete
        return lambda exchange: self._read_message(run(self._aask_langchain(exchange, "hi")))

    def llamaindex(self) -> Adapter:
        """`Hubmix`, sync."""

        def adapter(exchange: Exchange) -> dict[str, Any]:
            return self._read_response(self._ask_llamaindex(exchange, MESSAGES))

        adapter.again = self._llamaindex_again  # type: ignore[attr-defined]
        return adapter

    def llamaindex_async(self) -> Adapter:
        """`Hubmix`, async."""
        run = self._loop.run_until_complete
        return lambda exchange: self._read_response(run(self._aask_llamaindex(exchange, MESSAGES)))

    # -- LangChain --------------------------------------------------------------------------------------------------

    def _chat(self) -> ChatHubmix:
        self._hub.reset_health()
        return ChatHubmix(model="m", hub=self._hub, failover=ONCE, api=self._api)

    def _ask_langchain(self, exchange: Exchange, history: Any) -> AIMessage:
        llm = self._chat()
        if not exchange["is_stream"]:
            return llm.invoke(history)
        full: Any = None
        for chunk in llm.stream(history):
            full = chunk if full is None else full + chunk
        whole: AIMessage = full
        return whole

    async def _aask_langchain(self, exchange: Exchange, history: Any) -> AIMessage:
        llm = self._chat()
        if not exchange["is_stream"]:
            return await llm.ainvoke(history)
        full: Any = None
        async for chunk in llm.astream(history):
            full = chunk if full is None else full + chunk
        whole: AIMessage = full
        return whole

    def _read_message(self, message: Any) -> dict[str, Any]:
        found: dict[str, Any] = self._tool.lc_result(message)
        return self._with_usage(found, message.response_metadata.get("token_usage"))

    def _langchain_again(self, exchange: Exchange) -> None:
        first = message_chunk_to_message(self._ask_langchain(exchange, "hi"))
        assert isinstance(first, AIMessage)
        done = [ToolMessage(content="ok", tool_call_id=str(call["id"])) for call in first.tool_calls]
        self._sent(lambda: self._ask_langchain(exchange, [HumanMessage("hi"), first, *done, HumanMessage("go on")]))

    # -- LlamaIndex -------------------------------------------------------------------------------------------------

    def _llm(self) -> Hubmix:
        self._hub.reset_health()
        return Hubmix(model="m", hub=self._hub, failover=ONCE, api=self._api)

    def _ask_llamaindex(self, exchange: Exchange, history: list[ChatMessage]) -> Any:
        llm = self._llm()
        return llm.chat(history) if not exchange["is_stream"] else list(llm.stream_chat(history))[-1]

    async def _aask_llamaindex(self, exchange: Exchange, history: list[ChatMessage]) -> Any:
        llm = self._llm()
        if not exchange["is_stream"]:
            return await llm.achat(history)
        return [response async for response in await llm.astream_chat(history)][-1]

    def _read_response(self, response: Any) -> dict[str, Any]:
        found: dict[str, Any] = self._tool.li_result(response)
        return self._with_usage(found, (response.raw or {}).get("usage"))

    def _llamaindex_again(self, exchange: Exchange) -> None:
        first = self._ask_llamaindex(exchange, MESSAGES).message
        done = [
            ChatMessage(role="tool", content="ok", additional_kwargs={"tool_call_id": block.tool_call_id})
            for block in first.blocks
            if isinstance(block, ToolCallBlock)
        ]
        go_on = ChatMessage(role="user", content="go on")
        self._sent(lambda: self._ask_llamaindex(exchange, [*MESSAGES, first, *done, go_on]))

    def _with_usage(self, found: dict[str, Any], raw: Any) -> dict[str, Any]:
        """Compare Responses' counts as the server sent them, without the cache."""
        if raw and self._api == "responses":
            found["usage"] = self._tool._usage(raw)
        return found

    def _sent(self, ask: Callable[[], object]) -> None:
        """Make the second call. Its answer is the recorded one again; the body counts."""
        current = self._tool.CURRENT
        current.calls, current.sent = 0, None
        try:
            ask()
        except Exception:
            if current.sent is None:
                raise
