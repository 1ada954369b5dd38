"""Hubmix: every chat model of a hub as a LlamaIndex LLM."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import aclosing, closing
from typing import TYPE_CHECKING, Any

from llama_index.core.base.llms.types import ChatMessage, ChatResponse, CompletionResponse, LLMMetadata, MessageRole
from llama_index.core.llms.callbacks import llm_chat_callback, llm_completion_callback
from llama_index.core.llms.llm import ToolSelection
from pydantic import Field, field_serializer

from hubmix.plugin.document import documented
from hubmix.plugin.fields import ChatFields
from hubmix.plugin.request import ChatRequest, wire_tool_choice
from hubmix.plugin.structured import Method, response_format
from hubmix.transport.closing import Owned
from llamaindex_hubmix._messages import RemoteContent, to_wire
from llamaindex_hubmix._model import HubComponent, request_of
from llamaindex_hubmix._prediction import StructuredPrediction
from llamaindex_hubmix._replies import chat_response, completion_response
from llamaindex_hubmix._stream import ResponseStream
from llamaindex_hubmix._tools import tool_selections, wire_tools

if TYPE_CHECKING:
    from llama_index.core.tools.types import BaseTool

    from hubmix.catalog import ModelInfo

DEFAULT_CONTEXT_WINDOW = 128_000
"""Tokens assumed of a model that the catalog does not know. Core's own default of 3,900 would cut an agent's memory at
2,925 tokens."""


@documented
class Hubmix(ChatFields, HubComponent, StructuredPrediction):
    """A chat model of an OpenAI-compatible hub such as AIHubMix or New API.

    The parameters are listed by `help()` and on the reference page.

    The parameters of core's `LLM` are taken too: `system_prompt`, `callback_manager`, `rate_limiter`,
    `messages_to_prompt`, `completion_to_prompt`, `query_wrapper_prompt`, `output_parser`, `pydantic_program_mode`. Any
    of the above but the connection's own may stand in a single call, where it wins: `llm.chat(messages, model="…",
    fallbacks=[])`. A parameter that nobody knows is an error that names the near one.

    A response's `additional_kwargs` hold `finish_reason`, `prompt_tokens`, `completion_tokens`, `total_tokens` (as the
    hub sent them), `model` (the one that served), `request_id`, `failover` (every attempt), `cost` where the catalog
    knows prices, `citations`, and `incomplete: True` where a stream stopped without an end. `raw` is the answer as it
    came, a dict. Of a stream, the last response has all of this.

    Raises:
        ConfigurationError: an unknown or contradictory parameter; no key.
        HubmixError: what a call failed with.
        AllModelsFailedError: every candidate failed; it lists the attempts.

    Example:
        ```python
        from llama_index.core.llms import ChatMessage
        from llamaindex_hubmix import Hubmix

        llm = Hubmix(model="embedded/extract", fallbacks=["embedded/think"])
        answer = llm.chat([ChatMessage("What is the capital of France? Context: Paris is the capital of France.")])
        print(answer.message.content, answer.additional_kwargs["total_tokens"])

        for piece in llm.stream_complete("Say hello."):
            print(piece.delta, end="")
        ```
    """

    context_window: int | None = Field(default=None, description="Tokens. Default: the catalog's number, else 128,000.")
    num_output: int | None = Field(
        default=None,
        description="Tokens that LlamaIndex keeps free for the answer when it packs a prompt. Default: `max_tokens`.",
    )
    is_function_calling_model: bool | None = Field(
        default=None, description="Whether tools may be given. Default: yes, unless the catalog says no."
    )
    structured_output_method: Method | None = Field(
        default=None,
        description="How objects are asked for: json_schema, function_calling, json_mode or text. "
        "Default: the strongest that the catalog says the model has.",
    )

    @classmethod
    def class_name(cls) -> str:
        """Its name in serialised form."""
        return "Hubmix"

    @field_serializer("response_format")
    def _format_to_dict(self, wanted: Any) -> dict[str, Any] | None:
        return None if wanted is None else response_format(wanted)

    # -------------------------------------------------------------------------------------------- what it is

    @property
    def model_info(self) -> ModelInfo | None:
        """What the catalog says of the model, or None while it is not known.

        It is looked up in the cache: `llm.hub.models.get(llm.model)` asks the hub.
        """
        return self._known(self.model)

    @property
    def metadata(self) -> LLMMetadata:
        """Core reads it several times a call: a cached look-up, never a request."""
        info = self._known(self.model)
        tools = self.is_function_calling_model
        if tools is None:
            tools = info is None or info.tools is not False
        return LLMMetadata(
            context_window=self.context_window or (info and info.context_window) or DEFAULT_CONTEXT_WINDOW,
            num_output=self.num_output or self.max_tokens or self.max_completion_tokens or -1,
            is_chat_model=True,
            is_function_calling_model=tools,
            model_name=self.model,
        )

    def to_payload(self) -> dict[str, Any]:
        """What events and callbacks say of this model: nothing secret is among it."""
        known = {"class_name": self.class_name(), **self.metadata.model_dump()}
        return {**known, "model": self.model, "temperature": self.temperature}

    def candidates(self, **kwargs: Any) -> list[str]:
        """The models that a call would try, in order.

        Args:
            kwargs: what the call would say, such as `model=` or `fallbacks=`.
        """
        request = self._request([], kwargs)
        return self.hub.candidates(request.body["model"], request.options)

    # ------------------------------------------------------------------------------------------------- chat

    @llm_chat_callback()
    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """Answer a conversation.

        Args:
            messages: the conversation; it is left as it is.
            kwargs: parameters of this call; they win over the model's own.

        Raises:
            HubmixError: what the call failed with.
        """
        return self._chat(messages, kwargs)

    @llm_chat_callback()
    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> Generator[ChatResponse, None, None]:
        """Answer a conversation piece by piece.

        Each response carries the new text as `delta` and the message so far; `additional_kwargs["thinking_delta"]`
        holds new reasoning. The last one carries the whole message with usage, finish reason and failover trace.

        Raises:
            StreamInterruptedError: the stream broke off after its first word; `.partial` is what had arrived.
        """
        return self._stream_chat(messages, kwargs)

    @llm_chat_callback()
    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """`chat`, awaited."""
        return await self._achat(messages, kwargs)

    @llm_chat_callback()
    async def astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> AsyncGenerator[ChatResponse, None]:
        """`stream_chat`, for asyncio: `async for response in await llm.astream_chat(…)`."""
        return await self._astream_chat(messages, kwargs)

    # --------------------------------------------------------------------------------------------- complete

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """Answer one prompt, sent as a user message.

        Args:
            prompt: the text.
            formatted: whether it is finished; else `completion_to_prompt` is applied.
            kwargs: parameters of this call.
        """
        return completion_response(self._chat(self._as_messages(prompt, formatted), kwargs))

    @llm_completion_callback()
    def stream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> Generator[CompletionResponse, None, None]:
        """Answer one prompt piece by piece."""
        return _completions(self._stream_chat(self._as_messages(prompt, formatted), kwargs))

    @llm_completion_callback()
    async def acomplete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """`complete`, awaited."""
        return completion_response(await self._achat(self._as_messages(prompt, formatted), kwargs))

    @llm_completion_callback()
    async def astream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> AsyncGenerator[CompletionResponse, None]:
        """`stream_complete`, asynchronous."""
        return _acompletions(await self._astream_chat(self._as_messages(prompt, formatted), kwargs))

    def _as_messages(self, prompt: str, formatted: bool) -> list[ChatMessage]:
        if not formatted and self.completion_to_prompt is not None:
            prompt = self.completion_to_prompt(prompt)
        return [ChatMessage(role=MessageRole.USER, content=prompt)]

    # ------------------------------------------------------------------------- the calls, without callbacks

    def _request(self, wire: list[dict[str, Any]], kwargs: dict[str, Any], *, stream: bool = False) -> ChatRequest:
        return request_of(self.__dict__, kwargs, wire, stream=stream)

    def _chat(self, messages: Sequence[ChatMessage], kwargs: dict[str, Any]) -> ChatResponse:
        request = self._request(to_wire(messages), kwargs)
        reply = self.hub.chat(request.body, request.options)
        return chat_response(reply, single_call=request.single_call)

    async def _achat(self, messages: Sequence[ChatMessage], kwargs: dict[str, Any]) -> ChatResponse:
        request = self._request(await _to_wire(messages), kwargs)
        reply = await self.hub.achat(request.body, request.options)
        return chat_response(reply, single_call=request.single_call)

    def _stream_chat(
        self, messages: Sequence[ChatMessage], kwargs: dict[str, Any]
    ) -> Generator[ChatResponse, None, None]:
        return self._stream(self._request(to_wire(messages), kwargs, stream=True))

    def _stream(self, request: ChatRequest) -> Generator[ChatResponse, None, None]:
        responses = ResponseStream(request.body["model"], single_call=request.single_call)
        # Closed here and now when the caller stops early: left to the garbage collector, an SDK stream can lock up the
        # thread that collects it (httpcore issues 990 and 996).
        with closing(self.hub.stream_chat(request.body, request.options)) as deltas:
            for delta in deltas:
                yield responses.read(delta)

    async def _astream_chat(
        self, messages: Sequence[ChatMessage], kwargs: dict[str, Any]
    ) -> AsyncGenerator[ChatResponse, None]:
        return self._astream(self._request(await _to_wire(messages), kwargs, stream=True))

    async def _astream(self, request: ChatRequest) -> AsyncGenerator[ChatResponse, None]:
        responses = ResponseStream(request.body["model"], single_call=request.single_call)
        async with aclosing(Owned(self.hub.astream_chat(request.body, request.options))) as deltas:
            async for delta in deltas:
                yield responses.read(delta)

    # ------------------------------------------------------------------------------------------------ tools

    def _prepare_chat_with_tools(
        self,
        tools: Sequence[BaseTool],
        user_msg: str | ChatMessage | None = None,
        chat_history: list[ChatMessage] | None = None,
        verbose: bool = False,
        allow_parallel_tool_calls: bool = False,
        tool_required: bool = False,
        tool_choice: str | dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        if isinstance(user_msg, str):
            user_msg = ChatMessage(role=MessageRole.USER, content=user_msg)
        prepared: dict[str, Any] = {"messages": [*(chat_history or []), *([user_msg] if user_msg else [])]}
        if tools:
            prepared["tools"] = wire_tools(tools)
            asked = tool_choice if tool_choice is not None else "required" if tool_required else "auto"
            if not allow_parallel_tool_calls:  # parallel is what vendors do by themselves; some refuse the parameter
                prepared["parallel_tool_calls"] = False
            prepared["tool_choice"] = wire_tool_choice(asked, prepared["tools"])
        return {**prepared, **kwargs}

    def get_tool_calls_from_response(
        self, response: ChatResponse, error_on_no_tool_call: bool = True, **kwargs: Any
    ) -> list[ToolSelection]:
        """The calls of a response that may be executed, or those of it so far.

        Args:
            response: of `chat_with_tools` or one of its siblings.
            error_on_no_tool_call: whether it is an error that there is none.

        Raises:
            MalformedAnswerError: the only calls were cut short and must not be executed.
            ValueError: there is no call and `error_on_no_tool_call` is set.
        """
        return tool_selections(response, error_on_no_tool_call=error_on_no_tool_call)

    def _best_method(self, model: str | None) -> Method:
        if self.structured_output_method is not None:
            return self.structured_output_method
        info = self._known(model or self.model)
        # Claude refuses a forced tool while it thinks with a budget.
        if info.structured_output if info is not None and info.structured_output is not None else self._has_budget():
            return "json_schema"
        tools = self.is_function_calling_model
        if tools is None:
            tools = info is None or info.tools is not False
        return "function_calling" if tools else "text"

    def _has_budget(self) -> bool:
        thinking = (self.extra_body or {}).get("thinking")
        return isinstance(thinking, dict) and thinking.get("type") == "enabled"


async def _to_wire(messages: Sequence[ChatMessage]) -> list[dict[str, Any]]:
    try:
        return to_wire(messages, download=False)
    except RemoteContent:
        return await asyncio.to_thread(to_wire, messages)


def _completions(responses: Generator[ChatResponse, None, None]) -> Generator[CompletionResponse, None, None]:
    with closing(responses):
        for response in responses:
            yield completion_response(response)


async def _acompletions(responses: AsyncGenerator[ChatResponse, None]) -> AsyncGenerator[CompletionResponse, None]:
    async with aclosing(Owned(responses)) as owned:
        async for response in owned:
            yield completion_response(response)
