"""Ask a scripted hub in every way: frameworks, modes, agents, vectors, rerank."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from langchain.agents import create_agent
from langchain_core.messages import AIMessage
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms.types import ChatMessage, ThinkingBlock, ToolCallBlock
from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.core.tools import FunctionTool

from langchain_hubmix import ChatHubmix, HubmixEmbeddings
from llamaindex_hubmix import Hubmix, HubmixEmbedding, HubmixRerank
from tests.support import ways
from tests.support.scripted_hub import ScriptedHub

# `max_retries=0`: a script that answers once with an error says what a single request leads to.
SETTINGS = {"model": "m", "api_key": "sk-test", "max_retries": 0, "timeout": 60}


def chat_hubmix(hub: ScriptedHub, **settings: Any) -> ChatHubmix:
    """Return LangChain's model on this hub."""
    return ChatHubmix(base_url=hub.base_url, **{**SETTINGS, **settings})


def hubmix(hub: ScriptedHub, **settings: Any) -> Hubmix:
    """Return LlamaIndex's model on this hub."""
    return Hubmix(base_url=hub.base_url, **{**SETTINGS, **settings})


@dataclass(slots=True)
class Outcome:
    """What one answer holds, in the words that both frameworks share.

    `calls` are the executable calls as (name, arguments), `call_ids` their ids in the same order; `invalid` are the
    names of calls that must not run. `usage` is (input, output, total) as the framework counts. `message` is the
    framework's own object, for what has no shared word.
    """

    text: str
    reasoning: str = ""
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    call_ids: list[str | None] = field(default_factory=list)
    invalid: list[str] = field(default_factory=list)
    finish_reason: str | None = None
    model: str | None = None
    usage: tuple[int, int, int] | None = None
    incomplete: bool = False
    pieces: list[str] = field(default_factory=list)
    trace: dict[str, Any] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)
    message: Any = None


class Way(ways.Way):
    """One way to ask for a chat answer."""

    __slots__ = ()

    def ask(self, hub: ScriptedHub, question: Any = "go", tools: Sequence[Any] = (), **settings: Any) -> Outcome:
        """Return the answer to one question, or raise what the framework's user would see.

        Args:
            question: a text, or a history in the framework's own messages.
            tools: functions; they are bound or passed as the framework does it.
            settings: arguments of the constructor.
        """
        ask = _ask_langchain if self.framework == "langchain" else _ask_llamaindex
        return ask(self, hub, question, tools, settings)


WAYS: list[Way] = Way.every()
WHOLE = [way for way in WAYS if not way.stream]
STREAMS = [way for way in WAYS if way.stream]
SYNC = [way for way in WAYS if way.waits]  # where only the reading matters: one way a framework and form


# ------------------------------------------------------------------------------------------------------------ LangChain


def _ask_langchain(
    way: Way, hub: ScriptedHub, question: Any, tools: Sequence[Any], settings: dict[str, Any]
) -> Outcome:
    llm: Any = chat_hubmix(hub, **settings)
    if tools:
        llm = llm.bind_tools(list(tools))
    if not way.stream:
        return of_langchain(llm.invoke(question) if way.waits else asyncio.run(llm.ainvoke(question)))
    chunks = list(llm.stream(question)) if way.waits else asyncio.run(ways.collected(llm.astream(question)))
    outcome = of_langchain(ways.whole_of(chunks))
    outcome.pieces = [chunk.text for chunk in chunks]
    return outcome


def of_langchain(message: AIMessage) -> Outcome:
    """Read an `AIMessage`."""
    about, counts = message.response_metadata, message.usage_metadata
    return Outcome(
        text=str(message.text),
        reasoning=message.additional_kwargs.get("reasoning_content", ""),
        calls=[(call["name"], call["args"]) for call in message.tool_calls],
        call_ids=[call["id"] for call in message.tool_calls],
        invalid=[str(call["name"]) for call in message.invalid_tool_calls],
        finish_reason=about.get("finish_reason"),
        model=about.get("model_name"),
        usage=counts and (counts["input_tokens"], counts["output_tokens"], counts["total_tokens"]),
        incomplete=bool(about.get("incomplete")),
        trace=about.get("failover", {}),
        about=about,
        message=message,
    )


# ----------------------------------------------------------------------------------------------------------- LlamaIndex


def _ask_llamaindex(
    way: Way, hub: ScriptedHub, question: Any, tools: Sequence[Any], settings: dict[str, Any]
) -> Outcome:
    llm: Any = hubmix(hub, **settings)
    history = [ChatMessage(role="user", content=question)] if isinstance(question, str) else question
    name = ("" if way.waits else "a") + ("stream_chat" if way.stream else "chat")
    arguments: dict[str, Any] = {}
    if tools:
        name += "_with_tools"
        arguments["tools"] = [FunctionTool.from_defaults(tool) for tool in tools]
        arguments["chat_history"] = history
    verb = getattr(llm, name)
    given = verb(**arguments) if tools else verb(history)
    if not way.stream:
        return of_llamaindex(given if way.waits else asyncio.run(given))
    responses = list(given) if way.waits else asyncio.run(ways.opened(given))
    outcome = of_llamaindex(responses[-1])
    outcome.pieces = [response.delta or "" for response in responses]
    return outcome


def of_llamaindex(response: Any) -> Outcome:
    """Read a `ChatResponse`."""
    message, about = response.message, response.additional_kwargs
    blocks = [block for block in message.blocks if isinstance(block, ToolCallBlock)]
    valid = [block for block in blocks if isinstance(block.tool_kwargs, dict)]
    thoughts = [block.content or "" for block in message.blocks if isinstance(block, ThinkingBlock)]
    counts = ("prompt_tokens", "completion_tokens", "total_tokens")
    return Outcome(
        text=message.content or "",
        reasoning="".join(thoughts),
        calls=[(block.tool_name, dict(block.tool_kwargs)) for block in valid],
        call_ids=[block.tool_call_id for block in valid],
        invalid=[block.tool_name for block in blocks if block not in valid],
        finish_reason=about.get("finish_reason"),
        model=about.get("model"),
        usage=tuple(about[name] for name in counts) if "total_tokens" in about else None,  # type: ignore[arg-type]
        incomplete=bool(about.get("incomplete")),
        trace=about.get("failover", {}),
        about=about,
        message=message,
    )


# --------------------------------------------------------------------------------------------------------------- agents


def order_tool() -> tuple[Callable[..., str], list[Any]]:
    """Return a tool `order(item)` and the list of the items that it was called with."""
    ran: list[Any] = []

    def order(item: str = "MISSING") -> str:
        """Order one item."""
        ran.append(item)
        return f"ordered {item}"

    return order, ran


def run_langchain_agent(hub: ScriptedHub, *tools: Any, question: str = "go", **settings: Any) -> list[Any]:
    """Return the messages of a LangChain agent's whole run."""
    agent = create_agent(chat_hubmix(hub, **settings), list(tools))
    messages: list[Any] = agent.invoke({"messages": [("user", question)]})["messages"]
    return messages


def run_llamaindex_agent(
    hub: ScriptedHub, *tools: Any, question: str = "go", streaming: bool = True, **settings: Any
) -> str:
    """Return the last words of a LlamaIndex `FunctionAgent`."""

    async def run() -> str:
        wrapped = [FunctionTool.from_defaults(tool) for tool in tools]
        return str(await FunctionAgent(llm=hubmix(hub, **settings), tools=wrapped, streaming=streaming).run(question))

    return asyncio.run(run())


def run_agent(framework: str, hub: ScriptedHub, *tools: Any, **settings: Any) -> str:
    """Return the last words of the framework's agent."""
    if framework == "langchain":
        return str(run_langchain_agent(hub, *tools, **settings)[-1].text)
    return run_llamaindex_agent(hub, *tools, **settings)


# --------------------------------------------------------------------------------------------------- vectors and rerank


def embed(framework: str, hub: ScriptedHub, texts: Sequence[str] = ("a", "b", "c"), **settings: Any) -> list[float]:
    """Return the first number of each vector."""
    given = {**SETTINGS, "model": "e", **settings}
    if framework == "langchain":
        found = HubmixEmbeddings(base_url=hub.base_url, **given).embed_documents(list(texts))
    else:
        found = HubmixEmbedding(base_url=hub.base_url, **given).get_text_embedding_batch(list(texts))
    return [vector[0] for vector in found]


def rerank(hub: ScriptedHub, texts: Sequence[str] = ("a", "b", "c"), **settings: Any) -> list[tuple[str, float | None]]:
    """Return the (text, score) pairs of LlamaIndex's reranker, best first."""
    reranker = HubmixRerank(base_url=hub.base_url, **{**SETTINGS, "model": "r", **settings})
    nodes = [NodeWithScore(node=TextNode(text=text), score=0.1) for text in texts]
    return [(node.text, node.score) for node in reranker.postprocess_nodes(nodes, query_str="which one?")]
