"""Structured output: what is asked, and how the answer becomes the object."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, cast

from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.output_parsers import BaseCumulativeTransformOutputParser
from langchain_core.outputs import ChatGeneration
from langchain_core.runnables import AddableDict, RunnableConfig, RunnableGenerator
from langchain_core.utils.function_calling import convert_to_json_schema
from pydantic import ValidationError
from pydantic.v1 import ValidationError as ValidationErrorV1

from hubmix.plugin.objects import objects_in, partial_object, spoken
from hubmix.plugin.structured import default_description, described_schema
from hubmix.wire.json_text import loads
from langchain_hubmix._errors import ConfigurationError, RefusalError, StructuredOutputError
from langchain_hubmix._tools import is_class, uncut, wire_response_format, wire_tool

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
        strict: whether the vendor holds the answer to the schema. None: with "json_schema" wherever the schema
            allows it.
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
        return list(tools or ()), {"response_format": wire_response_format(schema, strict=strict), "strict": strict}
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
    tool = wire_tool(_bare(schema), strict=strict)
    if isinstance(function := tool.get("function"), dict):
        function["description"] = function.get("description") or default_description(str(function.get("name")))
    return tool


def _bare(schema: Any) -> Any:
    """Return a response format or JSON schema with a title; anything else unchanged."""
    if not (described := described_schema(schema)):
        if isinstance(schema, dict) and schema.get("type") == "object" and not {"title", "name"} & schema.keys():
            return {"title": "answer", **schema}  # the wire needs a name, which nobody but the model sees
        return schema
    about = {"title": described["name"], "description": described.get("description")}
    return {**{name: text for name, text in about.items() if text}, **described["schema"]}


class StructuredParser(BaseCumulativeTransformOutputParser[Any]):
    """Reads the object out of an answer, whole or while it streams.

    If there is none, the error says which model was asked and how: a model that ignores a schema is the usual reason,
    and another method the usual cure.
    """

    target: Any
    """A pydantic class, which validates the answer; anything else gives the dict as it came."""

    method: Method
    name_of_tool: str | None = None

    @property
    def OutputType(self) -> Any:  # noqa: N802 - LangChain's name
        """The class of what is returned, from which `get_output_schema()` is made."""
        return self.target if is_class(self.target) and hasattr(self.target, "model_validate") else dict[str, Any]

    def parse_result(self, result: list[Generation], *, partial: bool = False) -> Any:
        """Return the object in an answer.

        Raises:
            RefusalError: the model refused, or a content filter ended the answer.
            StructuredOutputError: there is no such object in the answer.
        """
        message = cast("ChatGeneration", result[0]).message
        if partial:
            return self._so_far(message)
        raise_if_refused(message)
        try:
            return self._object(message)
        except StructuredOutputError:
            raise_if_filtered(message)
            raise

    def parse(self, text: str) -> Any:
        """Return the object in a text."""
        return self.parse_result([ChatGeneration(message=AIMessage(text))])

    def _so_far(self, message: BaseMessage) -> Any:
        """Return what can be read of an answer that is still coming, or None."""
        if self.method == "function_calling":
            calls = [c for c in getattr(message, "tool_calls", ()) if c["name"] == self.name_of_tool]
            found = calls[0]["args"] if calls else None
        else:
            found = partial_object(message.text)
        if found is None or not is_class(self.target):
            return found
        try:
            return validated(self.target, found)
        except Exception:  # noqa: BLE001 - a validator of the user's may stumble over what is not whole yet
            return None

    def _object(self, message: BaseMessage) -> Any:
        found = self._found_call(message) if self.method == "function_calling" else self._found_text(message)
        if not is_class(self.target):
            return found[0]
        try:
            return first_valid(self.target, found)
        except (ValidationError, ValidationErrorV1) as error:
            raise self._error(message, f"the answer does not fit {self.target.__name__}: {error}") from error

    def _found_text(self, message: BaseMessage) -> list[dict[str, Any]]:
        text = message.text
        if found := objects_in(text):
            return found
        if not text.strip():
            raise self._error(message, "the answer holds no text")
        try:
            other = loads(spoken(text))
        except ValueError as error:
            raise self._error(message, f"the answer is not JSON ({error})") from error
        raise self._error(message, f"the answer is a JSON {type(other).__name__}, not an object")

    def _found_call(self, message: BaseMessage) -> list[dict[str, Any]]:
        if found := [c["args"] for c in getattr(message, "tool_calls", ()) if c["name"] == self.name_of_tool]:
            return found
        for broken in getattr(message, "invalid_tool_calls", ()):
            if found := objects_in(uncut(broken["args"] or "")):  # in a fence, or among other words
                return found
            why = broken.get("error") or "cut short or no JSON object"
            raise self._error(
                message, f"the arguments of the call are broken ({why}): {uncut(broken['args'] or '')[:200]}"
            )
        if found := objects_in(message.text):  # of a model that takes no forced call, as thinking ones
            return found
        raise self._error(message, f"the model did not call {self.name_of_tool!r}")

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
    """What a parser has read of a stream; its end is judged as a whole answer."""

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
    """An answer (`raw`) with the object in it (`parsed`) or the `parsing_error`.

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


def raise_if_refused(message: BaseMessage) -> None:
    """Raise `RefusalError` if the model refused, as ours or another model says it."""
    blocks = [block for block in message.content if isinstance(block, dict) and block.get("type") == "refusal"]
    if (refusal := message.additional_kwargs.get("refusal")) or blocks:
        said = refusal or "".join(block.get("refusal") or "" for block in blocks)
        raise _refused(message, f"refused: {said}" if said else "refused without a reason.")


def raise_if_filtered(message: BaseMessage) -> None:
    """Raise `RefusalError` if a content filter ended the answer."""
    if message.response_metadata.get("finish_reason") == "content_filter":
        raise _refused(message, "was stopped by a content filter before its answer was whole")


def _refused(message: BaseMessage, what: str) -> RefusalError:
    about = message.response_metadata
    model = about.get("model_name")
    error = RefusalError(f"Model {model!r} {what}", model=model, request_id=about.get("request_id"))
    error.raw_message = message
    return error


def first_valid(target: Any, found: list[dict[str, Any]]) -> Any:
    """Return the first of the objects that a pydantic class accepts.

    Raises:
        ValidationError: it accepts none; the error is that of the first one.
    """
    for candidate in found:
        try:
            return validated(target, candidate)
        except (ValidationError, ValidationErrorV1):
            continue
    return validated(target, found[0])


def validated(target: Any, found: dict[str, Any]) -> Any:
    """Return an instance of a pydantic class, of version 2 or 1."""
    return target.model_validate(found) if hasattr(target, "model_validate") else target.parse_obj(found)


def parsed_of(target: Any, text: str) -> Any:
    """Return the object of a class that an answer's text holds, or None."""
    for found in objects_in(text):
        try:
            return validated(target, found)
        except (ValidationError, ValidationErrorV1):
            continue
    return None
