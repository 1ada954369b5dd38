"""Histories over `/v1/messages`: loops with thinking, and failover between APIs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import permutations
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from llama_index.core.base.llms.types import ChatMessage, MessageRole, ToolCallBlock
from llama_index.core.tools import FunctionTool

from hubmix import Hub
from hubmix.embedded import EmbeddedHub, Fault
from langchain_hubmix import ChatHubmix
from llamaindex_hubmix import Hubmix
from tests.support.claude import BUDGET, CHAT, CLAUDE, RESPONSES, get_weather, sent
from tests.support.ways import collected, opened, whole_of

MODES = ("sync", "async", "stream", "astream")


class LangChain:
    """A conversation of `ChatHubmix`."""

    def __init__(self, hub: Hub, mode: str) -> None:
        self.hub, self.mode = hub, mode
        self.history: list[Any] = [SystemMessage("Be short.")]

    def says(self, text: str) -> None:
        self.history.append(HumanMessage(text))

    def answers(self, model: str, **settings: Any) -> tuple[str, int]:
        """Add an answer and its results; return the API and the number of calls."""
        llm = ChatHubmix(model=model, hub=self.hub, reasoning_effort="low", **settings).bind_tools([get_weather])
        answer = self._ask(llm)
        results = [ToolMessage(get_weather(**call["args"]), tool_call_id=call["id"]) for call in answer.tool_calls]
        self.history += [answer, *results]
        return answer.response_metadata["api"], len(results)

    def _ask(self, llm: Any) -> AIMessage:
        if self.mode in ("sync", "async"):
            answer = llm.invoke(self.history) if self.mode == "sync" else asyncio.run(llm.ainvoke(self.history))
            return answer  # type: ignore[no-any-return]
        chunks = (
            list(llm.stream(self.history))
            if self.mode == "stream"
            else asyncio.run(collected(llm.astream(self.history)))
        )
        return whole_of(chunks)  # type: ignore[no-any-return]


class LlamaIndex:
    """A conversation of `Hubmix`."""

    def __init__(self, hub: Hub, mode: str) -> None:
        self.hub, self.mode = hub, mode
        self.history = [ChatMessage(role="system", content="Be short.")]

    def says(self, text: str) -> None:
        self.history.append(ChatMessage(role="user", content=text))

    def answers(self, model: str, **settings: Any) -> tuple[str, int]:
        """Add an answer and its results; return the API and the number of calls."""
        response = self._ask(Hubmix(model=model, hub=self.hub, reasoning_effort="low", **settings))
        calls = [block for block in response.message.blocks if isinstance(block, ToolCallBlock)]
        results = [
            ChatMessage(
                role=MessageRole.TOOL,
                content=get_weather(**call.tool_kwargs),  # type: ignore[arg-type]
                additional_kwargs={"tool_call_id": call.tool_call_id},
            )
            for call in calls
        ]
        self.history += [response.message, *results]
        return response.additional_kwargs["api"], len(results)

    def _ask(self, llm: Any) -> Any:
        tools = [FunctionTool.from_defaults(get_weather)]
        given = {"tools": tools, "chat_history": self.history, "allow_parallel_tool_calls": True}
        if self.mode == "sync":
            return llm.chat_with_tools(**given)
        if self.mode == "async":
            return asyncio.run(llm.achat_with_tools(**given))
        if self.mode == "stream":
            return list(llm.stream_chat_with_tools(**given))[-1]
        return asyncio.run(opened(llm.astream_chat_with_tools(**given)))[-1]


Conversation = LangChain | LlamaIndex
EVERY_WAY = [
    pytest.param(kind, mode, id=f"{kind.__name__}-{mode}") for kind in (LangChain, LlamaIndex) for mode in MODES
]


def assistant_turns(body: dict[str, Any]) -> list[list[str]]:
    return [[block["type"] for block in turn["content"]] for turn in body["messages"] if turn["role"] == "assistant"]


@pytest.mark.parametrize("model", [CLAUDE, BUDGET])
@pytest.mark.parametrize(("kind", "mode"), EVERY_WAY)
def test_three_steps_keep_thinking_and_parallel_calls(
    hub: Hub, server: EmbeddedHub, kind: Callable[..., Conversation], mode: str, model: str
) -> None:
    """The embedded hub refuses signatures and redacted data that were changed."""
    talk = kind(hub, mode)
    for cities in ("Paris and Rome", "Oslo and Bern", "Lima and Cairo"):
        talk.says(f"What is the weather in {cities}?")
        assert talk.answers(model) == ("messages", 2)
        assert talk.answers(model) == ("messages", 0)
    path, body = sent(server)[-1]
    assert path == "messages"
    thought = ["thinking", "redacted_thinking"]
    asked, told = [*thought, "tool_use", "tool_use"], [*thought, "text"]
    assert assistant_turns(body) == [asked, told, asked, told, asked]
    results = [turn["content"] for turn in body["messages"] if turn["content"][0]["type"] == "tool_result"]
    assert [len(blocks) for blocks in results] == [2, 2, 2]


@pytest.mark.parametrize(("kind", "mode"), EVERY_WAY)
def test_one_history_crosses_all_three_apis(
    hub: Hub, server: EmbeddedHub, kind: Callable[..., Conversation], mode: str
) -> None:
    talk = kind(hub, mode)
    for model, api in (
        (CLAUDE, "messages"),
        (CHAT, "chat"),
        (RESPONSES, "responses"),
        (CLAUDE, "messages"),
        (RESPONSES, "responses"),
        (CHAT, "chat"),
    ):
        talk.says("What is the weather in Paris?")
        assert talk.answers(model)[0] == api
    for path, body in sent(server):
        if path != "messages":
            assert "anthropic_blocks" not in str(body)
            assert "EqQB" not in str(body), "a signature of Claude's"
    last = [body for path, body in sent(server) if path == "messages"][-1]
    assert [turn[0] for turn in assistant_turns(last)] == ["thinking", "tool_use", "tool_use"]


@pytest.mark.parametrize(("first", "second"), list(permutations((CLAUDE, CHAT, RESPONSES), 2)))
@pytest.mark.parametrize(("kind", "mode"), EVERY_WAY)
def test_failover_goes_from_api_to_api_and_back(
    hub: Hub, server: EmbeddedHub, kind: Callable[..., Conversation], mode: str, first: str, second: str
) -> None:
    apis = {CLAUDE: "messages", CHAT: "chat", RESPONSES: "responses"}
    talk = kind(hub, mode)
    talk.says("What is the weather in Paris?")
    assert talk.answers(first, fallbacks=[second]) == (apis[first], 1)
    server.fault(first, Fault.error("vendor_503"), times=None)
    hub.reset_health()
    assert talk.answers(first, fallbacks=[second]) == (apis[second], 0)
    server.clear()
    hub.reset_health()
    talk.says("What is the weather in Rome?")
    assert talk.answers(first, fallbacks=[second])[0] == apis[first]
