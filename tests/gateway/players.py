"""Both classes, sync and async, behind one verb and in shared words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import pytest
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, ToolMessage
from llama_index.core.base.llms.types import ChatMessage, ChatResponse, MessageRole, ThinkingBlock, ToolCallBlock

from hubmix import FailoverPolicy, Hub
from langchain_hubmix import ChatHubmix
from llamaindex_hubmix import Hubmix
from tests.gateway.table import Case, Expected, Usage
from tests.support.ways import whole_of

QUESTION = "Why is the sky blue?"
# No second request to the same model: a recording holds one answer to each.
ONCE = FailoverPolicy(max_retries=0)


@dataclass(slots=True)
class Outcome:
    """What one call gave, under the names of the table; `pieces` are streamed texts."""

    text: str = ""
    reasoning: str = ""
    details: Any = None
    calls: list[dict[str, Any]] = field(default_factory=list)
    invalid: list[str] = field(default_factory=list)
    refusal: str = ""
    also: list[str] = field(default_factory=list)
    logprobs: int = 0
    finish: str | None = None
    native: str | None = None
    usage: Usage | None = None
    incomplete: bool = False
    pieces: list[str] = field(default_factory=list, compare=False)
    trace: dict[str, Any] = field(default_factory=dict, compare=False)
    request_id: str | None = field(default=None, compare=False)
    message: Any = field(default=None, compare=False, repr=False)


def outcome_of(expected: Expected) -> Outcome:
    """The outcome that the table wants."""
    names = ("text", "reasoning", "details", "calls", "invalid", "refusal", "also", "logprobs", "finish", "native")
    return Outcome(
        **{name: getattr(expected, name) for name in names}, usage=expected.usage, incomplete=expected.incomplete
    )


class LangChain:
    """`ChatHubmix`. Its `n` gives several generations; streams leave it out."""

    holds_several = True

    def __init__(self, *, waits: bool) -> None:
        self.waits = waits
        self.pieces: list[str] = []

    def __repr__(self) -> str:
        return f"langchain-{'sync' if self.waits else 'async'}"

    def start(self) -> list[Any]:
        return [HumanMessage(QUESTION)]

    def go_on(self, history: list[Any], said: Outcome) -> list[Any]:
        """The history with the answer, and with a result for each call in it."""
        results = [ToolMessage("9", tool_call_id=call["id"]) for call in said.message.tool_calls]
        return [*history, said.message, *(results or [HumanMessage(QUESTION)])]

    async def ask(
        self,
        hub: Hub,
        model: str,
        history: list[Any],
        *,
        stream: bool,
        fallbacks: Sequence[str] = (),
        n: int = 1,
        api: Literal["auto", "chat", "responses"] = "auto",
    ) -> Outcome:
        several = {"n": n} if n > 1 else {}
        llm = ChatHubmix(model=model, hub=hub, fallbacks=list(fallbacks), failover=ONCE, api=api, **several)
        self.pieces = []
        if stream:
            return await self._stream(llm, history)
        result = llm.generate([history]) if self.waits else await llm.agenerate([history])
        first, *others = [each.message for each in result.generations[0]]
        return replace(_of_langchain(first), also=[str(each.content) for each in others])

    async def _stream(self, llm: ChatHubmix, history: list[Any]) -> Outcome:
        chunks: list[AIMessageChunk] = []
        if self.waits:
            for chunk in llm.stream(history):
                self._keep(chunks, chunk)
        else:
            async for chunk in llm.astream(history):
                self._keep(chunks, chunk)
        return replace(_of_langchain(whole_of(chunks)), pieces=self.pieces)

    def _keep(self, chunks: list[AIMessageChunk], chunk: Any) -> None:
        chunks.append(chunk)
        self.pieces.append(str(chunk.content))


class LlamaIndex:
    """`Hubmix`. A response holds one answer."""

    holds_several = False

    def __init__(self, *, waits: bool) -> None:
        self.waits = waits
        self.pieces: list[str] = []

    def __repr__(self) -> str:
        return f"llamaindex-{'sync' if self.waits else 'async'}"

    def start(self) -> list[Any]:
        return [ChatMessage(role=MessageRole.USER, content=QUESTION)]

    def go_on(self, history: list[Any], said: Outcome) -> list[Any]:
        results = [
            ChatMessage(role=MessageRole.TOOL, content="9", additional_kwargs={"tool_call_id": block.tool_call_id})
            for block in said.message.blocks
            if isinstance(block, ToolCallBlock)
        ]
        return [*history, said.message, *(results or self.start())]

    async def ask(
        self,
        hub: Hub,
        model: str,
        history: list[Any],
        *,
        stream: bool,
        fallbacks: Sequence[str] = (),
        n: int = 1,
        api: Literal["auto", "chat", "responses"] = "auto",
    ) -> Outcome:
        llm = Hubmix(model=model, hub=hub, fallbacks=list(fallbacks), failover=ONCE, api=api)
        self.pieces = []
        if stream:
            return await self._stream(llm, history)
        return _of_llamaindex(llm.chat(history) if self.waits else await llm.achat(history))

    async def _stream(self, llm: Hubmix, history: list[Any]) -> Outcome:
        last: ChatResponse | None = None
        if self.waits:
            for last in llm.stream_chat(history):
                self.pieces.append(last.delta or "")
        else:
            async for last in await llm.astream_chat(history):
                self.pieces.append(last.delta or "")
        assert last is not None, "a stream without a response"
        return replace(_of_llamaindex(last), pieces=self.pieces)


PLAYERS = [kind(waits=waits) for kind in (LangChain, LlamaIndex) for waits in (True, False)]


def in_turn(cases: Iterable[Case], likeness: Callable[[Case], Any] = lambda case: case.id) -> list[Any]:
    """Return parameters (case, player) for every pair; most are marked slow.

    The first case of a row of the failover table goes to all players, once whole and once streamed. Of the other cases
    the first of each likeness goes to one of the players in turn. All further pairs are marked slow.
    """
    parameters, rows, likenesses = [], set(), set()
    for number, case in enumerate(cases):
        row, like = row_of(case), likeness(case)
        for turn, player in enumerate(PLAYERS):
            fast = row not in rows or (like not in likenesses and turn == number % len(PLAYERS))
            marks = () if fast else (pytest.mark.slow,)
            parameters.append(pytest.param(case, player, id=f"{case.id}-{player!r}", marks=marks))
        rows.add(row)
        likenesses.add(like)
    return parameters


def row_of(case: Case) -> tuple[Any, ...]:
    """Return the row of the failover table of a case, and if it streams."""
    return case.steps[0].fails, case.steps[0].weak, case.name.endswith("_stream")


def _of_langchain(message: AIMessage) -> Outcome:
    extras, about = message.additional_kwargs, message.response_metadata
    counts = message.usage_metadata
    usage = None
    if counts is not None:
        inputs, outputs = counts.get("input_token_details", {}), counts.get("output_token_details", {})
        usage = Usage(
            counts["input_tokens"],
            counts["output_tokens"],
            counts["total_tokens"],
            inputs.get("cache_read", 0),
            inputs.get("cache_creation", 0),
            outputs.get("reasoning", 0),
        )
    return Outcome(
        text=str(message.content),
        reasoning=extras.get("reasoning_content", "").strip(),
        details=extras.get("reasoning_details"),
        calls=[{call["name"]: call["args"]} for call in message.tool_calls],
        invalid=[str(call["name"]) for call in message.invalid_tool_calls],
        refusal=extras.get("refusal", ""),
        logprobs=len((about.get("logprobs") or {}).get("content") or ()),
        finish=about.get("finish_reason"),
        native=about.get("native_finish_reason"),
        usage=usage,
        incomplete=about.get("incomplete", False),
        trace=about["failover"],
        request_id=about.get("request_id"),
        message=message,
    )


def _of_llamaindex(response: ChatResponse) -> Outcome:
    message, about = response.message, response.additional_kwargs
    thoughts = [block for block in message.blocks if isinstance(block, ThinkingBlock)]
    calls = [_with_text_named(block, message) for block in message.blocks if isinstance(block, ToolCallBlock)]
    return Outcome(
        text=message.content or "",
        reasoning="".join(block.content or "" for block in thoughts).strip(),
        details=next((d for block in thoughts if (d := block.additional_information.get("reasoning_details"))), None),
        calls=[{call.tool_name: call.tool_kwargs} for call in calls if isinstance(call.tool_kwargs, dict)],
        invalid=[call.tool_name for call in calls if not isinstance(call.tool_kwargs, dict)],
        refusal=about.get("refusal", ""),
        logprobs=len(response.logprobs or ()),
        finish=about.get("finish_reason"),
        native=about.get("native_finish_reason"),
        usage=_llamaindex_usage(about),
        incomplete=about.get("incomplete", False),
        trace=about["failover"],
        request_id=about.get("request_id"),
        message=message,
    )


def _with_text_named(block: ToolCallBlock, message: ChatMessage) -> ToolCallBlock:
    """Give the text of a custom tool the name that it has in LangChain."""
    custom = {call["id"] for call in message.additional_kwargs["tool_calls"] if call["type"] == "custom"}
    if block.tool_call_id not in custom:
        return block
    return block.model_copy(update={"tool_kwargs": {"__arg1": block.tool_kwargs}})


def _llamaindex_usage(about: dict[str, Any]) -> Usage | None:
    if "total_tokens" not in about:
        return None
    counts = [about[name] for name in ("prompt_tokens", "completion_tokens", "total_tokens")]
    details = [about.get(name, 0) for name in ("cached_tokens", "cache_creation_tokens", "reasoning_tokens")]
    return Usage(*counts, *details)
