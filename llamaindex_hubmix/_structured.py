"""Structured output: what is asked for and how the answer is read. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic

from llama_index.core.base.llms.types import ChatMessage, ChatResponse, MessageRole, TextBlock, ToolCallBlock
from llama_index.core.program.utils import FlexibleModel, create_flexible_model
from llama_index.core.types import Model
from pydantic import BaseModel, ValidationError

from hubmix.errors import HubmixError, RefusalError, StructuredOutputError
from hubmix.plugin.objects import objects_in, partial_object, spoken
from hubmix.plugin.structured import Method, in_words, response_format, schema_tool
from llamaindex_hubmix._messages import INVALID_CALLS


def ask(
    method: Method, output_cls: type[BaseModel], messages: Sequence[ChatMessage]
) -> tuple[list[ChatMessage], dict[str, Any]]:
    """The messages to send and the parameters of the call; the caller's stay as is."""
    if method == "json_schema":
        return list(messages), {"response_format": response_format(output_cls)}
    if method == "function_calling":
        tool = schema_tool(output_cls)
        return list(messages), {"tools": [tool], "tool_choice": tool["function"]["name"]}
    parameters: dict[str, Any] = {"response_format": {"type": "json_object"}} if method == "json_mode" else {}
    return _with_instructions(messages, output_cls), parameters


def _with_instructions(messages: Sequence[ChatMessage], output_cls: type[BaseModel]) -> list[ChatMessage]:
    text = in_words(output_cls.model_json_schema())
    if not messages:
        return [ChatMessage(role=MessageRole.USER, content=text)]
    last = messages[-1]
    if last.role != MessageRole.USER:
        return [*messages, ChatMessage(role=MessageRole.USER, content=text)]
    asked = last.model_copy(update={"blocks": [*last.blocks, TextBlock(text=text)]})
    return [*messages[:-1], asked]


# ------------------------------------------------------------------------------------------------------- answer


def read_object(method: Method, output_cls: type[Model], response: ChatResponse) -> Model:
    """Return the object in a whole answer.

    Raises:
        RefusalError: the model refused, or a content filter ended the answer.
        StructuredOutputError: the answer is not such an object, and why.
    """
    if refusal := response.additional_kwargs.get("refusal"):
        raise RefusalError(f"{_who(response)} refused: {refusal}", **_origin(response))
    try:
        if method == "function_calling" and (call := _call(response)) is not None:
            if invalid := response.message.additional_kwargs.get(INVALID_CALLS):
                if isinstance(call.tool_kwargs, str) and objects_in(call.tool_kwargs):
                    return _first_valid(output_cls, call.tool_kwargs)
                raise _failed(output_cls, response, str(invalid[0]["error"]))
            return output_cls.model_validate(call.tool_kwargs)
        return _first_valid(output_cls, response.message.content or "")
    except ValidationError as error:
        raise _failed(output_cls, response, _what_is_wrong(error, response)) from error


def _first_valid(output_cls: type[Model], text: str) -> Model:
    """Return the first object of a text that the class accepts.

    Raises:
        ValidationError: the class accepts none; the error is that of the first object.
    """
    found = objects_in(text)
    for candidate in found:
        try:
            return output_cls.model_validate(candidate)
        except ValidationError:
            continue
    return output_cls.model_validate(found[0]) if found else output_cls.model_validate_json(spoken(text))


class PartialObjects(Generic[Model]):
    """Reads the object that a stream has brought so far.

    Args:
        method: How it was asked for.
        output_cls: Its class; while fields are missing that must not be, a class without requirements stands in.
    """

    def __init__(self, method: Method, output_cls: type[Model]) -> None:
        self._method = method
        self._output_cls = output_cls
        self._flexible = create_flexible_model(output_cls)
        self._before: Any = None

    def read(self, response: ChatResponse) -> Model | FlexibleModel | None:
        """The object so far, or None where this response brought nothing new of it."""
        found = self._data(response)
        if not isinstance(found, dict) or found == self._before:
            return None
        self._before = found
        try:
            return self._output_cls.model_validate(found)
        except ValidationError:
            return self._flexible.model_validate(found)

    def _data(self, response: ChatResponse) -> Any:
        text: Any = response.message.content or ""
        if self._method == "function_calling" and (call := _call(response)) is not None:
            text = call.tool_kwargs
        return partial_object(text) if isinstance(text, str) else text


def _call(response: ChatResponse) -> ToolCallBlock | None:
    return next((block for block in response.message.blocks if isinstance(block, ToolCallBlock)), None)


def _failed(output_cls: type[BaseModel], response: ChatResponse, why: str) -> HubmixError:
    reason = response.additional_kwargs.get("finish_reason")
    if reason == "content_filter":
        what = "was stopped by a content filter before its answer was whole"
        return RefusalError(f"{_who(response)} {what}.", **_origin(response))
    hint = "Try another structured_output_method (json_schema, function_calling, json_mode, text) or another model."
    if reason == "length":
        hint = "The answer was cut by max_tokens: raise it."
    said = response.message.content or ""
    heard = f" It said: {said[:200]!r}." if said else ""
    return StructuredOutputError(
        f"{_who(response)} gave no {output_cls.__name__}: {why}.{heard} {hint}", **_origin(response)
    )


def _what_is_wrong(error: ValidationError, response: ChatResponse) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    if first["type"] == "json_invalid":
        return "the answer is no JSON" if response.message.content else "the answer is empty"
    place = ".".join(str(step) for step in first["loc"])
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return f"{place}: {first['msg']}{more}" if place else f"{first['msg']}{more}"


def _who(response: ChatResponse) -> str:
    model = response.additional_kwargs.get("model")
    return f"The model {model!r}" if model else "The model"


def _origin(response: ChatResponse) -> dict[str, Any]:
    return {name: response.additional_kwargs.get(name) for name in ("model", "request_id")}
