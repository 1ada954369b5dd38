"""Structured output: what is asked of the model, and how its answer becomes the object that was asked for."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal, cast

from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.output_parsers import BaseCumulativeTransformOutputParser
from langchain_core.outputs import ChatGeneration
from langchain_core.runnables import AddableDict, RunnableConfig, RunnableGenerator
from langchain_core.utils.function_calling import convert_to_json_schema
from langchain_core.utils.json import parse_json_markdown
from langchain_core.utils.pydantic import is_basemodel_subclass
from pydantic import ValidationError
from pydantic.v1 import ValidationError as ValidationErrorV1

from hubmix.plugin.structured import described_schema
from langchain_hubmix._errors import ConfigurationError, RefusalError, StructuredOutputError
from langchain_hubmix._tools import uncut, wire_response_format, wire_tool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from langchain_core.messages import BaseMessage
    from langchain_core.outputs import Generation

Method = Literal["function_calling", "json_schema", "json_mode"]
METHODS = ("function_calling", "json_schema", "json_mode")


def structured_request(
    schema: Any, method: Method, strict: bool | None, tools: list[Any] | None
) -> tuple[list[Any], dict[str, Any]]:
    """The tools and the keyword arguments to bind for a schema.

    Args:
        schema: what is asked for, in any form that LangChain takes; None in JSON mode for any object.
        method: how to ask.
        strict: whether the vendor shall hold the answer to the schema; None says nothing about it.
        tools: further tools that the model may call, where `method` is "json_schema".

    Raises:
        ConfigurationError: the parts do not fit together.
    """
    if method not in METHODS:
        raise ConfigurationError(f"method {method!r} is not one of {', '.join(map(repr, METHODS))}.")
    if schema is None and method != "json_mode":
        raise ConfigurationError(
            f"with_structured_output needs a schema for method {method!r}; only 'json_mode' can do without."
        )
    if tools and method != "json_schema":
        raise ConfigurationError(
            f"with_structured_output takes tools= with method 'json_schema' only, not with {method!r}."
        )
    if method == "json_mode":
        if strict is not None:
            raise ConfigurationError(
                "strict= cannot be used with method 'json_mode': no vendor holds to a schema there."
            )
        told = {} if schema is None else {"schema_in_words": convert_to_json_schema(_bare(schema))}
        return [], {"response_format": {"type": "json_object"}, **told}
    if method == "json_schema":
        asked = schema if described_schema(schema) else _bare(schema)
        return list(tools or ()), {"response_format": wire_response_format(asked, strict=strict), "strict": strict}
    tool = schema_tool(schema, strict=strict)
    return [tool], {"tool_choice": tool["function"]["name"]}


def schema_tool(schema: Any, *, strict: bool | None = None) -> dict[str, Any]:
    """A schema as a tool, whose call is the object asked for.

    Args:
        schema: in any form that `structured_request` takes.
        strict: whether the vendor shall hold the arguments to the schema; None leaves it to a response format's own.
    """
    if strict is None and (described := described_schema(schema)):
        strict = described.get("strict")
    return wire_tool(_bare(schema), strict=strict)


def _bare(schema: Any) -> Any:
    """A response format, or a JSON schema without a title, as one with a title; anything else as it is."""
    if not (described := described_schema(schema)):
        if isinstance(schema, dict) and schema.get("type") == "object" and not {"title", "name"} & schema.keys():
            return {"title": "answer", **schema}  # the wire needs a name, which nobody but the model sees
        return schema
    about = {"title": described["name"], "description": described.get("description")}
    return {**{name: text for name, text in about.items() if text}, **described["schema"]}


def required_keys(schema: Any) -> tuple[str, ...]:
    """The keys that a dict of this schema must have."""
    if schema is None:
        return ()
    return tuple(schema_tool(schema)["function"].get("parameters", {}).get("required", ()))


class StructuredParser(BaseCumulativeTransformOutputParser[Any]):
    """Reads the object out of an answer, whole or while it streams.

    Where there is none, the error says which model was asked and how, since a model that ignores a schema is the usual
    reason and another method the usual cure.
    """

    target: Any
    """A pydantic class, which validates the answer; anything else gives a dict."""

    method: Method
    name_of_tool: str | None = None
    required: tuple[str, ...] = ()
    """Keys that a dict must have; a pydantic class knows its own."""

    def parse_result(self, result: list[Generation], *, partial: bool = False) -> Any:
        """The object in an answer.

        Raises:
            RefusalError: the model refused.
            StructuredOutputError: there is no such object in the answer.
        """
        message = cast("ChatGeneration", result[0]).message
        if partial:
            return self._so_far(message)
        _raise_if_refused(message)
        return self._built(self._found(message), message)

    def parse(self, text: str) -> Any:
        """The object in a text."""
        return self.parse_result([ChatGeneration(message=AIMessage(text))])

    def _so_far(self, message: BaseMessage) -> Any:
        """What can be read of an answer that is still coming, or None."""
        if self.method == "function_calling":
            calls = [c for c in getattr(message, "tool_calls", ()) if c["name"] == self.name_of_tool]
            found = calls[0]["args"] if calls else None
        else:
            try:
                found = parse_json_markdown(message.text) if message.text else None
            except ValueError:
                return None
        if not isinstance(found, dict):
            return None
        if not _is_class(self.target):
            return found
        try:
            return _validated(self.target, found)
        except Exception:  # noqa: BLE001 - a validator of the user's may stumble over what is not whole yet
            return None

    def _found(self, message: BaseMessage) -> dict[str, Any]:
        if self.method == "function_calling":
            return self._found_call(message)
        if not message.text.strip():
            raise self._error(message, "the answer holds no text")
        try:
            # Fences are taken off, but what broke off is not repaired: half an object is not the one asked for.
            found = parse_json_markdown(message.text, parser=json.loads)
        except ValueError as error:
            raise self._error(message, f"the answer is not JSON ({error})") from error
        if not isinstance(found, dict):
            raise self._error(message, f"the answer is a JSON {type(found).__name__}, not an object")
        return found

    def _found_call(self, message: BaseMessage) -> dict[str, Any]:
        for call in getattr(message, "tool_calls", ()):
            if call["name"] == self.name_of_tool:
                return cast("dict[str, Any]", call["args"])
        for broken in getattr(message, "invalid_tool_calls", ()):
            why = broken.get("error") or "cut short or no JSON object"
            raise self._error(
                message, f"the arguments of the call are broken ({why}): {uncut(broken['args'] or '')[:200]}"
            )
        raise self._error(message, f"the model did not call {self.name_of_tool!r}")

    def _built(self, found: dict[str, Any], message: BaseMessage) -> Any:
        if not _is_class(self.target):
            if missing := [name for name in self.required if name not in found]:
                raise self._error(message, f"the answer lacks {', '.join(map(repr, missing))}")
            return found
        try:
            return _validated(self.target, found)
        except (ValidationError, ValidationErrorV1) as error:
            raise self._error(message, f"the answer does not fit {self.target.__name__}: {error}") from error

    def _error(self, message: BaseMessage, what: str) -> StructuredOutputError:
        about = message.response_metadata
        model = about.get("model_name")
        others = " or ".join(repr(m) for m in METHODS if m != self.method)
        hint = f"Another method ({others}) or another model may follow the schema."
        if about.get("finish_reason") == "length":
            hint = "The answer was cut at its token limit: raise max_tokens."
        return StructuredOutputError(
            f"Model {model!r} gave no structured output by method {self.method!r}: {what}. {hint}",
            model=model,
            request_id=about.get("request_id"),
        )

    def _transform(self, input: Iterator[str | BaseMessage]) -> Iterator[Any]:
        state = _Streamed(self)
        for chunk in input:
            yield from state.feed(chunk)
        yield from state.end()

    async def _atransform(self, input: AsyncIterator[str | BaseMessage]) -> AsyncIterator[Any]:
        state = _Streamed(self)
        async for chunk in input:
            for parsed in state.feed(chunk):
                yield parsed
        for parsed in state.end():
            yield parsed


class _Streamed:
    """What a parser has read of a stream; at its end the answer is judged as a whole one is."""

    def __init__(self, parser: StructuredParser) -> None:
        self._parser = parser
        self._whole: Any = None
        self._last: Any = None

    def feed(self, chunk: str | BaseMessage) -> Iterator[Any]:
        piece = AIMessageChunk(content=chunk) if isinstance(chunk, str) else chunk
        self._whole = piece if self._whole is None else self._whole + piece
        parsed = self._parser.parse_result([ChatGeneration(message=self._whole)], partial=True)
        if parsed is not None and parsed != self._last:
            self._last = parsed
            yield parsed

    def end(self) -> Iterator[Any]:
        if self._whole is not None:
            parsed = self._parser.parse_result([ChatGeneration(message=self._whole)])
            if parsed != self._last:
                yield parsed


class WithRaw(RunnableGenerator[Any, Any]):
    """An answer beside the object in it (`raw`, `parsed`), or beside the reason for there being none (`parsing_error`).

    A stream brings the answer's chunks as they come, then the other two.

    Args:
        parser: what reads the object.
    """

    def __init__(self, parser: StructuredParser) -> None:
        self._parser = parser
        pieces: tuple[Any, Any] = (self._pieces, self._apieces)  # LangChain's annotations leave out the config
        super().__init__(*pieces, name="StructuredOutputWithRaw")

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> dict[str, Any]:
        """The three of a whole answer."""
        return dict(super().invoke(input, config, **kwargs))

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> dict[str, Any]:
        """The same without blocking the event loop."""
        return dict(await super().ainvoke(input, config, **kwargs))

    def _pieces(self, answer: Iterator[BaseMessage], config: RunnableConfig) -> Iterator[AddableDict]:
        whole: Any = None
        for piece in answer:
            whole = piece if whole is None else whole + piece
            yield AddableDict(raw=piece)
        try:
            found = AddableDict(parsed=self._parser.invoke(whole, config), parsing_error=None)
        except Exception as error:  # noqa: BLE001 - it is handed to the caller, whose own validators may raise anything
            found = AddableDict(parsed=None, parsing_error=error)
        yield found

    async def _apieces(self, answer: AsyncIterator[BaseMessage], config: RunnableConfig) -> AsyncIterator[AddableDict]:
        whole: Any = None
        async for piece in answer:
            whole = piece if whole is None else whole + piece
            yield AddableDict(raw=piece)
        try:
            found = AddableDict(parsed=await self._parser.ainvoke(whole, config), parsing_error=None)
        except Exception as error:  # noqa: BLE001 - as above
            found = AddableDict(parsed=None, parsing_error=error)
        yield found


def _raise_if_refused(message: BaseMessage) -> None:
    refusal = message.additional_kwargs.get("refusal")
    if refusal:
        about = message.response_metadata
        model = about.get("model_name")
        raise RefusalError(f"Model {model!r} refused: {refusal}", model=model, request_id=about.get("request_id"))


def _is_class(target: Any) -> bool:
    return isinstance(target, type) and is_basemodel_subclass(target)


def _validated(target: Any, found: dict[str, Any]) -> Any:
    """An instance of a pydantic class, of version 2 or 1."""
    return target.model_validate(found) if hasattr(target, "model_validate") else target.parse_obj(found)
