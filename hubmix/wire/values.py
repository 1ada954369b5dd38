"""What an answer is once it has been read: plain values, no framework."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Literal

from hubmix._text import plain
from hubmix.wire.trace import Trace

__all__ = [
    "AnswerError", "Delta", "EmbeddingReply", "RankedDocument", "Reply", "RerankReply", "ToolCall", "ToolCallDelta",
    "Usage",
]  # fmt: skip

AnswerFault = Literal["error_body", "undecodable", "no_choices", "empty_stream", "html"]


class AnswerError(Exception):
    """The bytes came, but they are no answer.

    The reader raises it for an error object under status 200, for something that is not a chat completion at all and
    for a stream with nothing in it. The transport turns it into evidence; users see the exception that the failover
    table gives it.

    Args:
        cause: ``error_body``, ``undecodable``, ``no_choices``, ``empty_stream`` or ``html``.
        message: What was found, in English.
        body: The error object or whatever came in its place.
    """

    def __init__(self, cause: AnswerFault, message: str, body: Any = None) -> None:
        super().__init__(message)
        self.cause: AnswerFault = cause
        self.message = message
        self.body = body

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.cause, self.message, self.body)


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts of one call, under one meaning whatever the vendor's.

    ``input_tokens`` includes what was read from and written to a prompt cache; ``output_tokens`` includes reasoning.
    A count nobody gave is None. ``raw`` is the object as it came.
    """

    input_tokens: int
    output_tokens: int
    total_tokens: int
    cache_read: int | None = None
    cache_creation: int | None = None
    reasoning: int | None = None
    audio_input: int | None = None
    audio_output: int | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True)
class ToolCall:
    """A tool call of a whole answer.

    ``args`` holds the parsed arguments, or None when the call must not be executed; ``error`` then says why.
    `extra` holds fields that the vendor sent with the call and needs back (Gemini's thought signature is in
    `extra_content`).
    """

    index: int
    id: str
    name: str
    arguments: str
    args: dict[str, Any] | None
    error: str | None = None
    kind: str = "function"
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def json(self) -> str:
        """The arguments as the JSON text of deltas; a custom tool's input is one value."""
        return json.dumps(self.args, ensure_ascii=False) if self.kind == "custom" and self.args else self.arguments


@dataclass(slots=True)
class ToolCallDelta:
    """A piece of a tool call.

    Only the first piece has the `id`. A later piece may continue the name.
    """

    index: int
    id: str | None
    name: str | None
    arguments: str


def _has_server_tools(blocks: Any) -> bool:
    """Return whether blocks of the Messages API tell of a tool that the server ran."""
    listed = blocks if isinstance(blocks, list) else ()
    return any(isinstance(block, dict) and block.get("type") in _SERVER_TOOLS for block in listed)


_SERVER_TOOLS = frozenset({"server_tool_use", "mcp_tool_use"})


@dataclass(slots=True)
class Reply:
    """A whole answer, or everything a stream brought.

    ``reasoning_details`` is what the hub sent under that name, pieces joined, for the way back: a list (OpenRouter's
    form) or an object (AIHubMix's). ``citations`` holds whichever of ``citations``, ``search_results`` and
    ``annotations`` came. ``extra`` holds every other field of the message and of the answer, so that nothing is lost.
    ``items`` holds an answer of the Responses API as its items came, in order, where the chat form would lose something
    on the way back: reasoning, hosted tools, phases, custom calls.
    `headers` (those that say which model served), `request_id`, `served`, `hub` (a host), `api`, `trace` and `cost` are
    filled by the hub, not by the reader.
    """

    text: str = ""
    reasoning: str = ""
    reasoning_details: list[Any] | dict[str, Any] | None = None
    tool_calls: list[ToolCall] = field(default_factory=list)
    refusal: str = ""
    audio: dict[str, Any] | None = None
    images: list[Any] | None = None
    logprobs: dict[str, Any] | None = None
    citations: dict[str, Any] = field(default_factory=dict)
    finish_reason: str | None = None
    native_finish_reason: str | None = None
    usage: Usage | None = None
    id: str | None = None
    model: str | None = None
    created: int | None = None
    system_fingerprint: str | None = None
    service_tier: str | None = None
    incomplete: bool = False
    choices: list[Reply] = field(default_factory=list)
    items: list[dict[str, Any]] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)
    raw: dict[str, Any] = field(default_factory=dict, repr=False)
    headers: dict[str, str] = field(default_factory=dict, repr=False, compare=False)
    request_id: str | None = None
    served: str | None = None
    hub: str | None = None
    api: str | None = None
    trace: Trace | None = None
    cost: Cost | None = None

    @property
    def has_output(self) -> bool:
        """True if there is anything to use: text, a call, a refusal, media, a hosted item."""
        said = self.text or self.tool_calls or self.refusal or self.audio or self.images
        return bool(said) or any(item.get("type") not in ("message", "reasoning") for item in self.items)

    @property
    def used_hosted_tools(self) -> bool:
        """True if the server ran tools or turns of its own, which it bills besides."""
        # Anthropic's advisor and compaction are iterations that the sum of the tokens leaves out.
        turns = self.usage.raw.get("iterations") if self.usage is not None else None
        if (isinstance(turns, list) and len(turns) > 1) or _has_server_tools(self.extra.get("output")):
            return True
        if not self.items:
            return False
        caller = {"message", "reasoning", "function_call", "compaction", "mcp_list_tools", "mcp_approval_request"}
        ids = {call.id for call in self.tool_calls}
        return any(item.get("type") not in caller and item.get("call_id") not in ids for item in self.items)

    @property
    def model_requested(self) -> str | None:
        """The model that was asked for, if another one answered."""
        return self.trace.requested if self.trace is not None and self.trace.switched else None

    def provenance(self) -> dict[str, Any]:
        """Return who answered, over what and at which price, as JSON-safe values."""
        found = {
            "model_requested": self.model_requested,
            "hub": self.hub,
            "api": self.api,
            "cost": self.cost.to_dict() if self.cost is not None else None,
            "failover": self.trace.to_dict() if self.trace is not None else None,
        }
        return {name: value for name, value in found.items() if value is not None}

    @property
    def is_pending(self) -> bool:
        """True if the server still works on the answer in the background."""
        return self.incomplete and self.native_finish_reason in ("queued", "in_progress")

    def to_wire_message(self) -> dict[str, Any]:
        """Return this answer as an assistant message for the next turn."""
        message: dict[str, Any] = {"role": "assistant", "content": self.text or None}
        if self.reasoning:
            message["reasoning_content"] = self.reasoning
        if self.reasoning_details:
            message["reasoning_details"] = self.reasoning_details
        if self.refusal:
            message["refusal"] = self.refusal
        if self.tool_calls:
            message["tool_calls"] = [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {"name": call.name, "arguments": call.arguments},
                    **call.extra,
                }
                for call in self.tool_calls
            ]
        return message


@dataclass(slots=True)
class Delta:
    """One step of a stream.

    The last step of every stream carries ``final``, the whole answer, and nothing else: usage, finish reason, ids,
    citations, cost and the failover trace are read from there, once. ``raw`` is the chunk as it came.
    """

    text: str = ""
    reasoning: str = ""
    reasoning_details: list[Any] | None = None
    tool_calls: Sequence[ToolCallDelta] = ()
    refusal: str = ""
    audio: dict[str, Any] | None = None
    logprobs: dict[str, Any] | None = None
    raw: Any = None
    final: Reply | None = None

    @property
    def has_content(self) -> bool:
        """True when this step brings something visible: the stream commits to its model."""
        return bool(self.text or self.reasoning or self.tool_calls or self.refusal or self.audio)


def as_delta(reply: Reply) -> Delta:
    """Return a whole answer as one step of a stream."""
    details = reply.reasoning_details
    return Delta(
        text=reply.text,
        reasoning=reply.reasoning,
        reasoning_details=[details] if isinstance(details, dict) else details,
        tool_calls=[ToolCallDelta(call.index, call.id, call.name, call.json) for call in reply.tool_calls],
        refusal=reply.refusal,
        audio=reply.audio,
        logprobs=reply.logprobs,
        raw=reply.raw,
    )


@dataclass(slots=True, kw_only=True)
class _Told:
    """What an answer says besides its content, most of it filled in by the hub."""

    usage: Usage | None = None
    model: str | None = None
    raw: dict[str, Any] = field(default_factory=dict, repr=False)
    headers: dict[str, str] = field(default_factory=dict, repr=False, compare=False)
    request_id: str | None = None
    served: str | None = None
    hub: str | None = None
    api: str | None = None
    trace: Trace | None = None
    cost: Cost | None = None


@dataclass(slots=True)
class EmbeddingReply(_Told):
    """Vectors in the order of the inputs, each a list of floats.

    `cost` and `usage` add up the requests of a list that was split; `trace` and `raw` are those of the last one.
    """

    vectors: list[list[float]]


@dataclass(slots=True)
class RankedDocument:
    """One result of a rerank: position, relevance, and the document if it came."""

    index: int
    score: float
    document: Any | None = None


@dataclass(slots=True)
class RerankReply(_Told):
    """The ranked documents, best first."""

    results: list[RankedDocument]


@dataclass(frozen=True, slots=True)
class Cost:
    """What one call cost, in USD.

    `total` is None and `complete` is False where a price was missing that the call needed: an unknown price is never
    counted as 0. The parts that could be priced are given all the same.

    Attributes:
        model: the id that answered.
        input, output: what the uncached prompt tokens and the completion tokens (reasoning inside) cost.
        cache_read, cache_write: what prompt tokens cost that came from, or went into, the prompt cache.
        per_call: the flat price, where the hub charges by call.
    """

    model: str
    total: Decimal | None = None
    input: Decimal | None = None
    output: Decimal | None = None
    cache_read: Decimal | None = None
    cache_write: Decimal | None = None
    audio: Decimal | None = None
    per_call: Decimal | None = None
    currency: str = "USD"
    complete: bool = False

    def __add__(self, other: Cost) -> Cost:
        """Return the cost of both calls. The total is None if one of them is."""
        pairs = {name: (getattr(self, name), getattr(other, name)) for name in _PARTS}
        parts = {
            name: sum(known) for name, pair in pairs.items() if (known := [one for one in pair if one is not None])
        }
        total = None if self.total is None or other.total is None else self.total + other.total
        return replace(self, **parts, total=total, complete=self.complete and other.complete)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-safe values.

        Amounts are floats, which every reader of JSON can plot. `exact` is the total as decimal text, for sums over
        thousands of calls.
        """
        values: dict[str, Any] = {"model": self.model, "currency": self.currency, "complete": self.complete}
        values["total"] = None if self.total is None else float(self.total)
        values["exact"] = None if self.total is None else plain(self.total)
        for name in _PARTS:
            if (amount := getattr(self, name)) is not None:
                values[name] = float(amount)
        return values

    def __str__(self) -> str:
        return f"{self.currency} {plain(self.total)}" if self.total is not None else "cost unknown"


_PARTS = ("input", "output", "cache_read", "cache_write", "audio", "per_call")
