"""Claude over `/v1/messages`: tool loops, histories across APIs, the hub's list."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from llama_index.core.base.llms.types import ChatMessage, MessageRole
from llama_index.core.tools import FunctionTool

from hubmix import CallOptions, ConfigurationError, Hub, StreamInterruptedError
from hubmix.embedded import EmbeddedHub, Fault
from langchain_hubmix import ChatHubmix
from llamaindex_hubmix import Hubmix

CLAUDE, RESOLD, CHAT, RESPONSES = "claude-x", "claude-resold", "gpt-x", "o3-pro"
MODELS: dict[str, Any] = {
    CLAUDE: {"rule": "think", "apis": ("messages", "chat")},
    RESOLD: {"rule": "think", "apis": ("chat", "messages")},
    CHAT: {"rule": "think"},
    "claude-old": {"rule": "think", "apis": ("messages", "chat"), "features": ("thinking", "no_adaptive_thinking")},
    "claude-new": {"rule": "think", "apis": ("messages", "chat"), "features": ("thinking", "no_enabled_thinking")},
    RESPONSES: {"rule": "think", "apis": ("responses",)},
}
MARK = {"type": "ephemeral"}


@pytest.fixture(scope="module")
def running() -> Iterator[EmbeddedHub]:
    with EmbeddedHub(models=MODELS) as server:
        yield server


@pytest.fixture
def hub(hub: Hub) -> Hub:
    hub.models.refresh()
    return hub


def get_weather(city: str) -> str:
    """Return the weather in a city."""
    return f"sunny in {city}"


def sent(server: EmbeddedHub) -> list[tuple[str, dict[str, Any]]]:
    return [(request.path, request.json) for request in server.requests if request.method == "POST"]


def langchain_turn(llm: ChatHubmix, history: list[Any], mode: str) -> AIMessage:
    bound = llm.bind_tools([get_weather])
    if mode == "sync":
        return bound.invoke(history)
    if mode == "async":
        return asyncio.run(bound.ainvoke(history))
    whole: Any = None
    for chunk in bound.stream(history):
        whole = chunk if whole is None else whole + chunk
    return whole  # type: ignore[no-any-return]


@pytest.mark.parametrize("mode", ["sync", "async", "streamed"])
def test_thinking_survives_a_tool_loop_in_langchain(hub: Hub, server: EmbeddedHub, mode: str) -> None:
    llm = ChatHubmix(model=CLAUDE, hub=hub, reasoning_effort="low")
    history: list[Any] = [SystemMessage("Be short.")]
    for city in ("Paris", "Rome", "Oslo"):
        history.append(HumanMessage(f"What is the weather in {city}?"))
        answer = langchain_turn(llm, history, mode)
        assert answer.response_metadata["api"] == "messages"
        assert [call["args"] for call in answer.tool_calls] == [{"city": city}]
        history += [answer, *(ToolMessage(get_weather(city), tool_call_id=c["id"]) for c in answer.tool_calls)]
        history.append(langchain_turn(llm, history, mode))
    path, body = sent(server)[-1]
    assert path == "/v1/messages"
    kinds = [[block["type"] for block in turn["content"]] for turn in body["messages"] if turn["role"] == "assistant"]
    assert all(kind[0] == "thinking" for kind in kinds)
    assert len(kinds) == 5


@pytest.mark.parametrize("mode", ["sync", "streamed"])
def test_thinking_survives_a_tool_loop_in_llamaindex(hub: Hub, server: EmbeddedHub, mode: str) -> None:
    llm = Hubmix(model=CLAUDE, hub=hub, reasoning_effort="low")
    tool = FunctionTool.from_defaults(get_weather)
    history = [ChatMessage(role=MessageRole.USER, content="What is the weather in Paris?")]
    for _ in range(2):
        if mode == "sync":
            response = llm.chat_with_tools([tool], chat_history=history)
        else:
            *_, response = llm.stream_chat_with_tools([tool], chat_history=history)
        history.append(response.message)
        for call in llm.get_tool_calls_from_response(response, error_on_no_tool_call=False):
            extra = {"tool_call_id": call.tool_id}
            result = get_weather(**call.tool_kwargs)
            history.append(ChatMessage(role=MessageRole.TOOL, content=result, additional_kwargs=extra))
    bodies = [body for path, body in sent(server) if path == "/v1/messages"]
    assert len(bodies) == 2
    assert [block["type"] for block in bodies[1]["messages"][1]["content"]] == ["thinking", "tool_use"]


def test_cache_marks_arrive_where_they_stand(hub: Hub, server: EmbeddedHub) -> None:
    llm = ChatHubmix(model=CLAUDE, hub=hub)
    history = [
        SystemMessage([{"type": "text", "text": "Be short.", "cache_control": MARK}]),
        HumanMessage([{"type": "text", "text": "What is the weather in Paris?", "cache_control": MARK}]),
        AIMessage("", tool_calls=[{"name": "get_weather", "args": {"city": "Paris"}, "id": "toolu_1"}]),
        ToolMessage([{"type": "text", "text": "sunny", "cache_control": MARK}], tool_call_id="toolu_1"),
    ]
    answer = llm.bind_tools([get_weather]).invoke(history)
    ((_, body),) = sent(server)
    assert body["system"][0]["cache_control"] == MARK
    first, _, third = body["messages"]
    assert first["content"][0]["cache_control"] == MARK
    assert third["content"][0]["cache_control"] == MARK
    assert "cache_control" not in third["content"][0]["content"][0]
    details = answer.usage_metadata and answer.usage_metadata["input_token_details"]
    assert details
    assert details.get("cache_creation", 0) > 0


@pytest.mark.parametrize(("model", "path"), [(CLAUDE, "/v1/messages"), (RESOLD, "/v1/chat/completions")])
def test_choice_follows_the_hubs_list(hub: Hub, server: EmbeddedHub, model: str, path: str) -> None:
    hub.chat({"model": model, "messages": [{"role": "user", "content": "Hello"}]})
    assert [where for where, _ in sent(server)] == [path]


def test_one_history_crosses_all_three_apis(hub: Hub, server: EmbeddedHub) -> None:
    history: list[Any] = []
    for model, path in ((CLAUDE, "messages"), (CHAT, "chat"), (RESPONSES, "responses"), (CLAUDE, "messages")):
        llm = ChatHubmix(model=model, hub=hub, reasoning_effort="low")
        history.append(HumanMessage("What is the weather in Paris?"))
        answer = langchain_turn(llm, history, "sync")
        assert answer.response_metadata["api"] == path
        results = [ToolMessage("sunny", tool_call_id=call["id"]) for call in answer.tool_calls]
        history += [answer, *results]
    chat = next(body for path, body in sent(server) if path == "/v1/chat/completions")
    assert "anthropic_blocks" not in str(chat)
    assert "signature" not in str(chat)
    _, last = sent(server)[-1]
    kinds = [[block["type"] for block in turn["content"]] for turn in last["messages"] if turn["role"] == "assistant"]
    assert [kind[0] for kind in kinds] == ["thinking", "tool_use", "tool_use"]


@pytest.mark.parametrize(("first", "second"), [(CLAUDE, CHAT), (CHAT, CLAUDE), (RESPONSES, CLAUDE)])
def test_failover_goes_from_api_to_api(hub: Hub, server: EmbeddedHub, first: str, second: str) -> None:
    server.fault(first, Fault.error("vendor_503"), times=None)
    reply = hub.chat(
        {"model": first, "messages": [{"role": "user", "content": "Hello"}]}, CallOptions(fallbacks=(second,))
    )
    assert reply.served == second
    assert reply.trace is not None
    assert len({attempt.api for attempt in reply.trace.attempts}) == 2


def test_what_messages_cannot_say_is_named_before_a_request(hub: Hub, server: EmbeddedHub) -> None:
    with pytest.raises(ConfigurationError, match="The Messages API cannot say n"):
        ChatHubmix(model=CLAUDE, hub=hub, api="messages", n=2).invoke("Hello")
    assert sent(server) == []
    assert ChatHubmix(model=CLAUDE, hub=hub, logprobs=True).invoke("Hello").response_metadata["api"] == "chat"


def test_cut_stream_is_noticed(hub: Hub, server: EmbeddedHub) -> None:
    server.fault(CLAUDE, Fault.cut(after=6), times=None)
    seen: list[Any] = []
    with pytest.raises(StreamInterruptedError):
        seen.extend(hub.stream_chat({"model": CLAUDE, "messages": [{"role": "user", "content": "Hello"}]}))
    assert seen


@pytest.mark.parametrize(
    ("model", "asked", "kinds"),
    [
        ("claude-old", {"reasoning_effort": "low"}, ["adaptive", "enabled", "enabled"]),
        (
            "claude-new",
            {"extra_body": {"thinking": {"type": "enabled", "budget_tokens": 2000}}, "max_tokens": 4000},
            ["enabled", "adaptive", "adaptive"],
        ),
    ],
)
def test_refused_kind_of_thinking_is_remembered(
    hub: Hub, server: EmbeddedHub, model: str, asked: dict[str, Any], kinds: list[str]
) -> None:
    for _ in range(2):
        answer = ChatHubmix(model=model, hub=hub, **asked).invoke("What is 2 + 2?")
        assert answer.response_metadata["api"] == "messages"
    assert [body["thinking"]["type"] for _, body in sent(server)] == kinds
