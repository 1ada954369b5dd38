"""Structured prediction for an LLM that can call functions.

In llama-index-core 0.14.25 the streamed programs leave `tool_choice` at ``auto`` (so a model may answer prose), the
async one forgets `system_prompt`, the text one writes its parser into the caller's prompt, the model's own schema mode
is in no program at all, and `predict_and_call` fails for models without tools.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Generator, Sequence
from typing import TYPE_CHECKING, Any

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.instrumentation.events.llm import LLMStructuredPredictEndEvent, LLMStructuredPredictStartEvent
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.program.utils import FlexibleModel
from llama_index.core.prompts import PromptTemplate
from llama_index.core.types import Model, PydanticProgramMode
from llama_index_instrumentation import get_dispatcher

from hubmix.plugin.structured import Method
from llamaindex_hubmix._structured import PartialObjects, ask, read_object
from llamaindex_hubmix._tools import react_defaults

if TYPE_CHECKING:
    from llama_index.core.chat_engine.types import AgentChatResponse
    from llama_index.core.tools.types import BaseTool

dispatcher = get_dispatcher(__name__)

_MODES: dict[PydanticProgramMode, Method] = {
    PydanticProgramMode.FUNCTION: "function_calling",
    PydanticProgramMode.LLM: "text",
}
# Core's programs drop the same from the caller's llm_kwargs: the method decides them.
_DECIDED = frozenset({"tools", "tool_choice", "tool_required", "allow_parallel_tool_calls", "response_format"})


class StructuredPrediction(FunctionCallingLLM):
    """The `structured_predict` family over `chat` and its siblings."""

    def _best_method(self, model: str | None) -> Method:
        """The strongest method for `model`; None is the model's own."""
        raise NotImplementedError  # not an abstract method: core puts a span around what implements one

    def _method(self, llm_kwargs: dict[str, Any]) -> Method | None:
        """The method to use, or None for the modes that belong to other packages."""
        if self.pydantic_program_mode == PydanticProgramMode.DEFAULT:
            return self._best_method(llm_kwargs.get("model"))
        return _MODES.get(self.pydantic_program_mode)

    def _ask(
        self, method: Method, output_cls: type[Model], prompt: Any, llm_kwargs: dict[str, Any], values: dict[str, Any]
    ) -> tuple[list[ChatMessage], dict[str, Any]]:
        messages = self._extend_messages(prompt.format_messages(llm=self, **values))
        asked, parameters = ask(method, output_cls, messages)
        kept = {name: value for name, value in llm_kwargs.items() if name not in _DECIDED}
        return asked, {**kept, **parameters}

    @dispatcher.span
    def structured_predict(
        self,
        output_cls: type[Model],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Model:
        """An object of `output_cls` for a prompt.

        Args:
            output_cls: A pydantic class.
            prompt: Its template.
            llm_kwargs: Parameters of this call, as `chat` takes them.
            prompt_args: The template's variables.

        Raises:
            StructuredOutputError: the model answered, but not with such an object.
            RefusalError: the model refused.

        Example:
            ```python
            from llama_index.core.prompts import PromptTemplate
            from pydantic import BaseModel
            from llamaindex_hubmix import Hubmix

            class City(BaseModel):
                name: str

            llm = Hubmix(model="embedded/extract")
            print(llm.structured_predict(City, PromptTemplate("Which city? {text}"), text="name: Paris"))
            ```
        """
        kwargs = llm_kwargs or {}
        method = self._method(kwargs)
        if method is None:
            by_core: Model = super().structured_predict(output_cls, prompt, llm_kwargs, **prompt_args)
            return by_core
        _started(output_cls, prompt, prompt_args)
        messages, parameters = self._ask(method, output_cls, prompt, kwargs, prompt_args)
        result = read_object(method, output_cls, self.chat(messages, **parameters))
        dispatcher.event(LLMStructuredPredictEndEvent(output=result))
        return result

    @dispatcher.span
    async def astructured_predict(
        self,
        output_cls: type[Model],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Model:
        """`structured_predict`, awaited."""
        kwargs = llm_kwargs or {}
        method = self._method(kwargs)
        if method is None:
            by_core: Model = await super().astructured_predict(output_cls, prompt, llm_kwargs, **prompt_args)
            return by_core
        _started(output_cls, prompt, prompt_args)
        messages, parameters = self._ask(method, output_cls, prompt, kwargs, prompt_args)
        result = read_object(method, output_cls, await self.achat(messages, **parameters))
        dispatcher.event(LLMStructuredPredictEndEvent(output=result))
        return result

    def predict_and_call(self, tools: Sequence[BaseTool], *args: Any, **kwargs: Any) -> AgentChatResponse:
        """Let the model choose a tool and its arguments, and call it.

        Args:
            tools: what may be called. A model without tool calling is prompted for them, as a ReAct agent does.
            args, kwargs: as core has them: `user_msg`, `chat_history`, `verbose`, `allow_parallel_tool_calls`,
                `error_on_no_tool_call`, `error_on_tool_error`, and parameters of the call.
        """
        if not self.metadata.is_function_calling_model:
            kwargs = react_defaults(kwargs)
        by_core = inspect.unwrap(super().predict_and_call)  # without its span: core puts one around this method, too
        result: AgentChatResponse = by_core(tools, *args, **kwargs)
        return result

    async def apredict_and_call(self, tools: Sequence[BaseTool], *args: Any, **kwargs: Any) -> AgentChatResponse:
        """`predict_and_call`, awaited."""
        if not self.metadata.is_function_calling_model:
            kwargs = react_defaults(kwargs)
        result: AgentChatResponse = await inspect.unwrap(super().apredict_and_call)(tools, *args, **kwargs)
        return result

    # `stream_structured_predict` and its async twin are core's: they send the events and call these two.

    def _structured_stream_call(
        self,
        output_cls: type[Model],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Generator[Model | list[Model] | FlexibleModel | list[FlexibleModel], None, None]:
        kwargs = llm_kwargs or {}
        method = self._method(kwargs)
        if method is None:
            return super()._structured_stream_call(output_cls, prompt, llm_kwargs, **prompt_args)
        messages, parameters = self._ask(method, output_cls, prompt, kwargs, prompt_args)
        return self._partial_objects(method, output_cls, messages, parameters)

    def _partial_objects(
        self, method: Method, output_cls: type[Model], messages: list[ChatMessage], parameters: dict[str, Any]
    ) -> Generator[Model | FlexibleModel, None, None]:
        partial = PartialObjects(method, output_cls)
        response = last = None
        for response in self.stream_chat(messages, **parameters):
            if (found := partial.read(response)) is not None:
                yield (last := found)
        if response is not None and (whole := read_object(method, output_cls, response)) != last:
            yield whole

    async def _structured_astream_call(
        self,
        output_cls: type[Model],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> AsyncGenerator[Model | list[Model] | FlexibleModel | list[FlexibleModel], None]:
        kwargs = llm_kwargs or {}
        method = self._method(kwargs)
        if method is None:
            return await super()._structured_astream_call(output_cls, prompt, llm_kwargs, **prompt_args)
        messages, parameters = self._ask(method, output_cls, prompt, kwargs, prompt_args)
        return self._apartial_objects(method, output_cls, messages, parameters)

    async def _apartial_objects(
        self, method: Method, output_cls: type[Model], messages: list[ChatMessage], parameters: dict[str, Any]
    ) -> AsyncGenerator[Model | FlexibleModel, None]:
        partial = PartialObjects(method, output_cls)
        response = last = None
        async for response in await self.astream_chat(messages, **parameters):
            if (found := partial.read(response)) is not None:
                yield (last := found)
        if response is not None and (whole := read_object(method, output_cls, response)) != last:
            yield whole


def _started(output_cls: type[Any], prompt: Any, values: dict[str, Any]) -> None:
    dispatcher.event(LLMStructuredPredictStartEvent(output_cls=output_cls, template=prompt, template_args=values))
