"""ChatHubmix: every chat model of a hub as one LangChain chat model."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Sequence
from contextlib import aclosing, closing, suppress
from typing import TYPE_CHECKING, Any

from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from pydantic import BaseModel

from hubmix.errors import HubmixError
from hubmix.plugin.correction import correction
from hubmix.plugin.document import documented
from hubmix.plugin.request import wire_tool_choice
from hubmix.transport.closing import Owned
from langchain_hubmix._blocks import register_blocks
from langchain_hubmix._callbacks import retry_state
from langchain_hubmix._errors import raises_langchain_errors
from langchain_hubmix._model import ChatSettings, request_of, target_of
from langchain_hubmix._replies import chat_result
from langchain_hubmix._stream import ChunkWriter
from langchain_hubmix._structured import Method, StructuredParser, WithRaw, schema_tool, structured_request
from langchain_hubmix._tools import is_class, wire_tool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
    from langchain_core.messages import BaseMessage
    from langchain_core.outputs import ChatGenerationChunk

    from hubmix.wire.trace import Attempt

# What stands in the annotations of public methods is imported at runtime: `with_fallbacks` reads them.

register_blocks()


@documented
class ChatHubmix(ChatSettings):
    """A chat model served by an OpenAI-compatible hub such as AIHubMix or New API.

    It asks the hub what its models can do, tries `fallbacks` inside one call when a model fails, and keeps everything
    that an answer brings: reasoning, citations, token details, log-probabilities, refusals.

    The parameters are listed by `help()` and on the reference page.

    Any of these but the connection's own may also stand in a single call or in `bind`: `llm.invoke(…, model="…")`,
    `llm.bind(fallbacks=[])`. A parameter that nobody knows is an error that names the near one.

    An answer's `response_metadata` holds `model_name` (the model that served), `model_version` (where the vendor named
    it otherwise), `finish_reason`, `id`, `request_id`, `token_usage` (as the hub sent it), `failover` (every attempt),
    `cost` where the catalog knows prices, `logprobs`, `citations`, and `incomplete: True` where a stream stopped
    without an end.

    Raises:
        ConfigurationError: an unknown or contradictory parameter; no key.
        HubmixError: what a call failed with; each is LangChain's `ModelError` of the same meaning too.
        AllModelsFailedError: every candidate failed; it lists the attempts.

    Example:
        ```python
        from langchain_hubmix import ChatHubmix

        llm = ChatHubmix(model="embedded/extract", fallbacks=["embedded/think"])
        answer = llm.invoke("What is the capital of France? Context: Paris is the capital of France.")
        assert answer.response_metadata["model_name"] == "embedded/extract"

        for chunk in llm.stream("Say hello."):
            print(chunk.text, end="")
        ```
    """

    def candidates(self, **kwargs: Any) -> list[str]:
        """The models that a call would try, in order.

        Args:
            **kwargs: what the call would say, such as `model=` or `fallbacks=`.
        """
        body, options = request_of(self, [], None, kwargs)
        return self.hub.candidates(body["model"], options)

    # ------------------------------------------------------------------------------------------- calls and streams

    @raises_langchain_errors
    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        report: Callable[[Attempt], None] | None = None
        if run_manager is not None and run_manager.handlers:
            failed: list[Attempt] = []

            def report(attempt: Attempt) -> None:
                failed.append(attempt)
                run_manager.on_retry(retry_state(attempt, len(failed)))

        body, options = request_of(self, messages, stop, kwargs, on_attempt=report)
        reply = self.hub.chat(body, options)
        if (again := correction(body, reply)) is not None:
            with suppress(HubmixError):  # the first answer is still one
                reply = self.hub.chat(again, options)
        return chat_result(reply, target_of(self, kwargs))

    @raises_langchain_errors
    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        report: Callable[[Attempt], None] | None = None
        events: list[asyncio.Task[None]] = []
        if run_manager is not None and run_manager.handlers:

            def report(attempt: Attempt) -> None:
                state = retry_state(attempt, len(events) + 1)
                events.append(asyncio.ensure_future(run_manager.on_retry(state)))

        body, options = request_of(self, messages, stop, kwargs, on_attempt=report)
        try:
            reply = await self.hub.achat(body, options)
            if (again := correction(body, reply)) is not None:
                with suppress(HubmixError):
                    reply = await self.hub.achat(again, options)
            return chat_result(reply, target_of(self, kwargs))
        finally:
            if events:
                await asyncio.gather(*events)

    # LangChain's `stream` calls these without a run manager and announces the tokens itself.

    @raises_langchain_errors
    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        body, options = request_of(self, messages, stop, kwargs, streamed=True)
        writer = ChunkWriter(target_of(self, kwargs))
        again: dict[str, Any] | None = None
        with closing(self.hub.stream_chat(body, options)) as deltas:
            for delta in deltas:
                if delta.final is not None and (again := correction(body, delta.final)) is not None:
                    yield writer.held(delta.final)
                else:
                    yield writer.write(delta)
        if again is None:
            return
        try:
            with closing(self.hub.stream_chat(again, options)) as deltas:
                for delta in deltas:
                    yield writer.write(delta)
        except HubmixError:
            yield writer.resumed()

    @raises_langchain_errors
    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        body, options = request_of(self, messages, stop, kwargs, streamed=True)
        writer = ChunkWriter(target_of(self, kwargs))
        again: dict[str, Any] | None = None
        async with aclosing(Owned(self.hub.astream_chat(body, options))) as deltas:
            async for delta in deltas:
                if delta.final is not None and (again := correction(body, delta.final)) is not None:
                    yield writer.held(delta.final)
                else:
                    yield writer.write(delta)
        if again is None:
            return
        try:
            async with aclosing(Owned(self.hub.astream_chat(again, options))) as deltas:
                async for delta in deltas:
                    yield writer.write(delta)
        except HubmixError:
            yield writer.resumed()

    def _combine_llm_outputs(self, llm_outputs: list[dict[str, Any] | None]) -> dict[str, Any]:
        totals: dict[str, int] = {}
        for output in llm_outputs:
            for name, count in ((output or {}).get("token_usage") or {}).items():
                if name.endswith("_tokens") and isinstance(count, int):
                    totals[name] = totals.get(name, 0) + count
        return {"token_usage": totals, "model_name": self.model}

    # ------------------------------------------------------------------------------------ tools, structured output

    @raises_langchain_errors
    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: str | bool | dict[str, Any] | None = None,
        strict: bool | None = None,
        parallel_tool_calls: bool | None = None,
        response_format: Any = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """A model that may call tools.

        Args:
            tools: LangChain tools, functions, pydantic or TypedDict classes, JSON schemas with a title, or dicts in
                OpenAI's or Anthropic's format. An empty list is left out of the request.
            tool_choice: `"auto"`, `"none"`, `"any"` (or `"required"`, True), the name of a tool, or a dict in OpenAI's
                or Anthropic's format. None or False leave it to the model.
            strict: whether the vendor shall hold arguments to the schemas. None says nothing about it.
            parallel_tool_calls: whether several calls may come at once. None says nothing about it.
            response_format: a response format, or a pydantic or TypedDict class or JSON schema to make one of.
            **kwargs: whatever else a call takes.

        Returns:
            The model with these bound.

        Example:
            ```python
            from langchain_hubmix import ChatHubmix

            def weather(city: str) -> str:
                '''The weather in a city.'''
                return f"Sunny in {city}."

            llm = ChatHubmix(model="embedded/extract").bind_tools([weather], tool_choice="any")
            assert llm.invoke("How is the weather in Paris?").tool_calls[0]["name"] == "weather"
            ```
        """
        bound = dict(kwargs)
        if formatted := [wire_tool(tool, strict=strict) for tool in tools]:
            bound["tools"] = formatted
            choice = wire_tool_choice(tool_choice, formatted)
            given = {"tool_choice": choice, "parallel_tool_calls": parallel_tool_calls}
            bound.update({name: value for name, value in given.items() if value is not None})
        if response_format is not None:
            bound["response_format"] = response_format
        return super().bind(**bound)

    @raises_langchain_errors
    def with_structured_output(
        self,
        schema: dict[str, Any] | type | None = None,
        *,
        method: Method | None = None,
        include_raw: bool = False,
        strict: bool | None = None,
        tools: list[Any] | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, dict[str, Any] | BaseModel]:
        """A model that answers with an object of a schema.

        Args:
            schema: a pydantic class (version 2 or 1), a TypedDict class, a JSON schema, or a tool or
                response format in OpenAI's format. May be None with `method="json_mode"`.
            method: `"json_schema"` (the vendor holds the answer to the schema), `"function_calling"` (the schema is a
                tool that must be called) or `"json_mode"` (any JSON object; the schema is told in the prompt). Default:
                `"json_schema"`, unless the hub's catalog says that the model does not have it.
            include_raw: give a dict of `raw`, `parsed` and `parsing_error` and raise nothing that the answer is to
                blame for.
            strict: whether the vendor holds the answer to the schema. None: with `"json_schema"` wherever the schema
                allows it, with `"function_calling"` the vendor's default.
            tools: further tools that the model may call, with `method="json_schema"`.
            **kwargs: whatever else a call takes.

        Returns:
            A runnable that returns an instance of a pydantic class, else the dict as the model gave it.

        Raises:
            StructuredOutputError: the model did not follow the schema; raised by the call, not here.
            RefusalError: the model refused, or a content filter ended the answer; raised by the call, not here.

        Example:
            ```python
            from pydantic import BaseModel
            from langchain_hubmix import ChatHubmix

            class Person(BaseModel):
                name: str
                age: int

            llm = ChatHubmix(model="embedded/extract").with_structured_output(Person)
            assert isinstance(llm.invoke("Anna is 42 years old."), Person)
            ```
        """
        how: Method = method or self._method_of(kwargs.get("model") or self.model)
        wire_tools, bound = structured_request(schema, how, strict, tools)
        shown: dict[str, Any] = {"method": how} if strict is None else {"method": how, "strict": strict}
        if schema is not None:
            bound["ls_structured_output_format"] = {"kwargs": shown, "schema": schema_tool(schema)}
        llm = self.bind_tools(wire_tools, **bound, **kwargs)
        parser = StructuredParser(
            target=schema if is_class(schema) else None,
            method=how,
            name_of_tool=wire_tools[0]["function"]["name"] if how == "function_calling" else None,
        )
        return llm | (WithRaw(parser) if include_raw else parser)

    def _method_of(self, model: str) -> Method:
        """Return ChatOpenAI's default unless the catalog says that the model lacks it."""
        info = self.catalog.cached.find(model)
        return "function_calling" if info is not None and info.structured_output is False else "json_schema"


# LangChain inspects the signatures of these two at every call; worked out once, that costs a third.
for _method in (ChatHubmix._generate, ChatHubmix._agenerate):
    _method.__dict__["__signature__"] = inspect.signature(_method)
