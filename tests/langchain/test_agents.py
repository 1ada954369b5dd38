"""Agents, graphs, histories and retrievers: what LangChain is used for."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import (
    LLMToolSelectorMiddleware,
    ModelFallbackMiddleware,
    ModelRetryMiddleware,
    SummarizationMiddleware,
)
from langchain.agents.structured_output import ProviderStrategy, ToolStrategy
from langchain_classic.retrievers import ContextualCompressionRetriever
from langchain_core.chat_history import InMemoryChatMessageHistory
from langchain_core.documents import Document
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from langchain_core.runnables import RunnablePassthrough, RunnableWithMessageHistory
from langchain_core.vectorstores import InMemoryVectorStore
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from pydantic import BaseModel

from hubmix import Hub
from hubmix.embedded import EmbeddedHub, Fault
from langchain_hubmix import ChatHubmix, HubmixEmbeddings, HubmixRerank

if TYPE_CHECKING:
    from collections.abc import Callable

    Chat = Callable[..., ChatHubmix]


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def multiply(a: int, b: int) -> int:
    """Multiply two numbers."""
    return a * b


def weather(city: str) -> str:
    """The weather in a city."""
    return f"Sunny in {city}."


ASK = {"messages": [("user", "What is 3 plus 4?")]}


def answers(state: dict[str, Any]) -> list[str]:
    return [message.text for message in state["messages"] if message.type == "tool"]


async def test_an_agent_calls_a_tool_and_answers(server: EmbeddedHub, chat: Chat) -> None:
    agent = create_agent(chat(), [add, multiply])
    for state in (agent.invoke(ASK), await agent.ainvoke(ASK)):
        assert answers(state) == ["7"]
        assert "7" in state["messages"][-1].text


def test_an_agent_streams(server: EmbeddedHub, chat: Chat) -> None:
    agent = create_agent(chat(), [add])
    tokens = [piece.text for piece, _ in agent.stream(ASK, stream_mode="messages") if piece.type == "AIMessageChunk"]
    assert "7" in "".join(tokens)
    assert any(request.stream for request in server.requests)


def test_middleware_retries_what_can_be_retried_only(server: EmbeddedHub, chat: Chat) -> None:
    retry = ModelRetryMiddleware(max_retries=1, initial_delay=0, jitter=False, on_failure="error")
    server.fault("embedded/extract", Fault.answer(500))
    llm = chat(max_retries=0)
    agent = create_agent(llm, [add], middleware=[retry])
    assert answers(agent.invoke(ASK)) == ["7"]
    assert len(server.requests) == 3
    llm.hub.reset_health()
    server.clear()
    server.fault("embedded/extract", Fault.answer(400, {"error": {"message": "bad", "code": "invalid_request"}}))
    with pytest.raises(Exception, match="invalid"):
        agent.invoke(ASK)
    assert len(server.requests) == 1


def test_middleware_falls_back(server: EmbeddedHub, chat: Chat) -> None:
    server.fault("embedded/extract", Fault.error("model_denied"), times=None)
    llm = chat()
    agent = create_agent(llm, [add], middleware=[ModelFallbackMiddleware(chat(model="embedded/think"))])
    assert answers(agent.invoke(ASK)) == ["7"]
    llm.hub.reset_health()


def test_summarization_reads_the_window_from_the_catalog() -> None:
    with EmbeddedHub("aihubmix") as rich:
        hub = Hub("aihubmix", base_url=rich.base_url, api_key=rich.api_key)
        hub.models.list()
        llm = ChatHubmix(model="embedded/text", hub=hub)
        assert llm.profile["max_input_tokens"] == 2_048
        middleware = SummarizationMiddleware(llm, trigger=("fraction", 0.3), keep=("messages", 2))
        history = [HumanMessage(f"Fact {i}: " + "the sky is blue. " * 20) for i in range(12)]
        state = create_agent(llm, [], middleware=[middleware]).invoke(
            {"messages": [*history, HumanMessage("And now?")]}
        )
        assert len(state["messages"]) < len(history)
        assert len(rich.requests) > 2


def test_tools_are_selected_by_a_model(server: EmbeddedHub, chat: Chat) -> None:
    selector = LLMToolSelectorMiddleware(model=chat(), max_tools=1, always_include=["add"])
    agent = create_agent(chat(), [add, multiply, weather], middleware=[selector])
    assert answers(agent.invoke(ASK)) == ["7"]
    offered = [len(request.json.get("tools", ())) for request in server.requests]
    assert min(offered[1:]) < 3


class Person(BaseModel):
    """A person."""

    name: str
    age: int


@pytest.mark.parametrize("strategy", [ToolStrategy, ProviderStrategy])
@pytest.mark.parametrize("tools", [[], [add]], ids=["no tools", "tools"])
def test_agents_answer_with_an_object(server: EmbeddedHub, chat: Chat, strategy: Any, tools: list[Any]) -> None:
    agent = create_agent(chat(), tools, response_format=strategy(Person))
    state = agent.invoke({"messages": [("user", "The person's name is 'Anna' and her age is 42.")]})
    assert state["structured_response"] == Person(name="Anna", age=42)
    assert all(request.json.get("tools", True) for request in server.requests)


def test_a_profile_makes_agents_ask_natively() -> None:
    with EmbeddedHub("aihubmix") as rich:
        hub = Hub("aihubmix", base_url=rich.base_url, api_key=rich.api_key)
        hub.models.list()
        agent = create_agent(ChatHubmix(model="embedded/extract", hub=hub), [], response_format=Person)
        agent.invoke({"messages": [("user", "The person's name is 'Anna' and her age is 42.")]})
        assert "response_format" in rich.requests[-1].json


async def test_a_graph_with_a_checkpoint(server: EmbeddedHub, chat: Chat) -> None:
    llm = chat(model="embedded/think", output_version="v1")

    def call(state: MessagesState) -> dict[str, Any]:
        return {"messages": [llm.invoke(state["messages"])]}

    graph = StateGraph(MessagesState)
    graph.add_node("model", call)
    graph.add_edge(START, "model")
    graph.add_edge("model", END)
    app = graph.compile(checkpointer=InMemorySaver())
    config = {"configurable": {"thread_id": "1"}}
    for question in ("The sky is blue.", "Why is the sky blue?"):
        streamed = [
            piece async for piece, _ in app.astream({"messages": [("user", question)]}, config, stream_mode="messages")
        ]
        assert streamed
    messages = app.get_state(config).values["messages"]
    assert [message.type for message in messages] == ["human", "ai", "human", "ai"]
    sent = server.requests[-1].json["messages"]
    assert isinstance(sent[1]["content"], str)
    assert sent[1]["reasoning_content"] == messages[1].additional_kwargs["reasoning_content"]


def test_a_chain_with_a_history(server: EmbeddedHub, chat: Chat) -> None:
    histories: dict[str, InMemoryChatMessageHistory] = {}
    prompt = ChatPromptTemplate.from_messages(
        [("system", "Be brief."), MessagesPlaceholder("history"), ("human", "{question}")]
    )
    chain = RunnableWithMessageHistory(
        prompt | chat(),
        lambda session_id: histories.setdefault(session_id, InMemoryChatMessageHistory()),
        input_messages_key="question",
        history_messages_key="history",
    )
    for question in ("Hello", "What did I say?"):
        list(chain.stream({"question": question}, config={"configurable": {"session_id": "a"}}))
    assert [message["role"] for message in server.requests[-1].json["messages"]] == [
        "system",
        "user",
        "assistant",
        "user",
    ]
    assert len(histories["a"].messages) == 4


DOCUMENTS = [
    Document("The cat sat on the mat.", metadata={"source": "cats"}, id="1"),
    Document("Rain fell on the town all day.", metadata={"source": "rain"}, id="2"),
    Document("Trains leave at noon.", metadata={"source": "trains"}, id="3"),
]


async def test_retrieval_and_reranking(server: EmbeddedHub, chat: Chat) -> None:
    connection = {"base_url": server.base_url, "api_key": server.api_key}
    store = InMemoryVectorStore.from_documents(DOCUMENTS, HubmixEmbeddings(model="embedded/embed", **connection))
    retriever = ContextualCompressionRetriever(
        base_retriever=store.as_retriever(search_kwargs={"k": 3}),
        base_compressor=HubmixRerank(model="embedded/rerank", top_n=1, **connection),
    )
    for found in (retriever.invoke("Where did the cat sit?"), await retriever.ainvoke("Where did the cat sit?")):
        (best,) = found
        assert best.metadata["source"] == "cats"
        assert best.metadata["relevance_score"] > 0
    prompt = ChatPromptTemplate.from_template("Context: {context}\n\nQuestion: {question}")
    chain = {"context": retriever, "question": RunnablePassthrough()} | prompt | chat() | StrOutputParser()
    assert "mat" in chain.invoke("Where did the cat sit?")


THINK = "embedded/think-strict"


@pytest.mark.parametrize("dialect", ["new-api", "aihubmix"])
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("version", ["v0", "v1"])
def test_a_strict_thinking_model_gets_its_reasoning_back(dialect: Any, streamed: bool, version: str) -> None:
    with EmbeddedHub(dialect) as server:
        hub = Hub("aihubmix" if dialect == "aihubmix" else None, base_url=server.base_url, api_key=server.api_key)
        llm = ChatHubmix(model=THINK, hub=hub, streaming=streamed, output_version=version).bind_tools(
            [add, multiply, weather]
        )
        history: list[Any] = [SystemMessage("Use the tools."), HumanMessage("")]
        for question, result in (
            ("What is 3 plus 4?", "7"),
            ("What is 5 times 6?", "30"),
            ("How is the weather in Paris?", "Sunny"),
        ):
            history[-1] = HumanMessage(question)
            message = llm.invoke(history)
            assert type(message) is AIMessage
            assert message.tool_calls, message
            assert message.additional_kwargs["reasoning_content"]
            history += [message, *(ToolMessage(result, tool_call_id=call["id"]) for call in message.tool_calls)]
            final = llm.invoke(history)
            assert result in final.text
            history += [final, HumanMessage("")]
        sent = [m for m in server.requests[-1].json["messages"] if m["role"] == "assistant" and m.get("tool_calls")]
        assert len(sent) == 3
        assert all(m["reasoning_content"] for m in sent)
        assert "hubmix_reasoning" not in json.dumps(server.requests[-1].json)


@pytest.mark.parametrize("dialect", ["new-api", "aihubmix"])
@pytest.mark.parametrize("streamed", [False, True])
async def test_a_strict_thinking_model_goes_on_for_three_steps(dialect: Any, streamed: bool) -> None:
    """One question, three calls in turn: each step sends all earlier reasoning."""
    with EmbeddedHub(dialect) as server:
        hub = Hub("aihubmix" if dialect == "aihubmix" else None, base_url=server.base_url, api_key=server.api_key)
        llm = ChatHubmix(model=THINK, hub=hub, streaming=streamed, parallel_tool_calls=False)
        agent = create_agent(llm, [add, multiply, weather])
        task: Any = {"messages": [("user", "Add 3 and 4, multiply 5 by 6, and tell the weather in Paris.")]}
        for state in (agent.invoke(task), await agent.ainvoke(task)):
            assert [m.type for m in state["messages"]] == ["human", *["ai", "tool"] * 3, "ai"]
            assert answers(state) == ["7", "30", "Sunny in Paris."]
            assert "Sunny" in state["messages"][-1].text
        sent = [m for m in server.requests[-1].json["messages"] if m["role"] == "assistant"]
        field = "reasoning_details" if dialect == "aihubmix" else "reasoning_content"
        assert [bool(m[field]) for m in sent] == [True] * 3


def test_a_strict_thinking_model_keeps_a_conversation(server: EmbeddedHub, chat: Chat) -> None:
    agent = create_agent(chat(model=THINK), [add, multiply])
    state: dict[str, Any] = {"messages": []}
    for question in ("What is 3 plus 4?", "What is 5 times 6?", "What is 2 plus 2?"):
        state = agent.invoke({"messages": [*state["messages"], HumanMessage(question)]})
    assert answers(state) == ["7", "30", "4"]
