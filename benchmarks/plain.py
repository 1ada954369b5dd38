"""`ChatOpenAI` and `OpenAILike` on a hub, and what their users get of an answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

KEY = "sk-test"


@dataclass(slots=True)
class Got:
    """What one answer holds; arguments that are no JSON object are None."""

    text: str
    reasoning: str = ""
    calls: list[tuple[str, dict[str, Any] | None]] = field(default_factory=list)
    finish: str | None = None
    usage: tuple[Any, ...] | None = None  # input, output, total, cached, reasoning


def chat_openai(url: str, **settings: Any) -> Any:
    """Return LangChain's plain client, set up for another base URL."""
    from langchain_openai import ChatOpenAI

    return ChatOpenAI(base_url=url, **{"model": "m", "api_key": KEY, "max_retries": 0, **settings})


def openai_like(url: str, **settings: Any) -> Any:
    """Return LlamaIndex's plain client as its documentation sets it up."""
    from llama_index.llms.openai_like import OpenAILike

    flags = {"is_chat_model": True, "is_function_calling_model": True}
    return OpenAILike(api_base=url, **{"model": "m", "api_key": KEY, "max_retries": 0, **flags, **settings})


def ask_chat_openai(llm: Any, question: Any, tools: Sequence[Any] = (), *, stream: bool, waits: bool = True) -> Got:
    """Ask `ChatOpenAI` and read its message."""
    bound = llm.bind_tools(list(tools)) if tools else llm
    if not stream:
        return of_message(bound.invoke(question) if waits else asyncio.run(bound.ainvoke(question)))
    chunks = list(bound.stream(question)) if waits else asyncio.run(_all(bound.astream(question)))
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole = whole + chunk
    return of_message(whole)


def of_message(message: Any) -> Got:
    """Read LangChain's message."""
    counts = message.usage_metadata
    usage = None
    if counts is not None:
        inputs, outputs = counts.get("input_token_details", {}), counts.get("output_token_details", {})
        kept = tuple(counts[name] for name in ("input_tokens", "output_tokens", "total_tokens"))
        usage = (*kept, inputs.get("cache_read") or 0, outputs.get("reasoning") or 0)
    calls: list[tuple[str, dict[str, Any] | None]] = [(call["name"], call["args"]) for call in message.tool_calls]
    calls += [(str(call["name"]), None) for call in message.invalid_tool_calls]
    reasoning = message.additional_kwargs.get("reasoning_content") or ""
    return Got(str(message.text), reasoning.strip(), calls, message.response_metadata.get("finish_reason"), usage)


def ask_openai_like(llm: Any, question: Any, tools: Sequence[Any] = (), *, stream: bool, waits: bool = True) -> Got:
    """Ask `OpenAILike` and read its response, `raw` of every streamed one too."""
    from llama_index.core.base.llms.types import ChatMessage
    from llama_index.core.tools import FunctionTool

    history = [ChatMessage(role="user", content=question)] if isinstance(question, str) else question
    name = ("" if waits else "a") + ("stream_chat" if stream else "chat") + ("_with_tools" if tools else "")
    arguments = {"tools": [FunctionTool.from_defaults(tool) for tool in tools]} if tools else {}
    given = getattr(llm, name)(**{"chat_history" if tools else "messages": history}, **arguments)
    if not waits:
        given = asyncio.run(_opened(given) if stream else given)
    responses = list(given) if stream else [given]
    got = of_response(responses[-1])
    for response in responses:
        choices = getattr(response.raw, "choices", None)
        got.finish = (choices and choices[0].finish_reason) or got.finish
        got.usage = _raw_usage(getattr(response.raw, "usage", None)) or got.usage
    return got


def of_response(response: Any) -> Got:
    """Read LlamaIndex's response, without what stands in `raw` alone."""
    blocks = response.message.blocks
    calls = [(block.tool_name, _object(block.tool_kwargs)) for block in blocks if block.block_type == "tool_call"]
    thoughts = "".join(block.content or "" for block in blocks if block.block_type == "thinking")
    return Got(response.message.content or "", thoughts.strip(), calls)


def _object(arguments: Any) -> dict[str, Any] | None:
    try:
        value = json.loads(arguments) if isinstance(arguments, str) else arguments
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _raw_usage(usage: Any) -> tuple[Any, ...] | None:
    if usage is None:
        return None
    read = getattr(usage.prompt_tokens_details, "cached_tokens", None) or 0
    thought = getattr(usage.completion_tokens_details, "reasoning_tokens", None) or 0
    return usage.prompt_tokens, usage.completion_tokens, usage.total_tokens, read, thought


async def _all(stream: Any) -> list[Any]:
    return [chunk async for chunk in stream]


async def _opened(given: Any) -> list[Any]:
    return await _all(await given)
