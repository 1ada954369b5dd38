"""Tools, the choice among them and response formats, in the words of the OpenAI wire. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_json_schema, convert_to_openai_tool
from langchain_core.utils.json import parse_partial_json

from hubmix.plugin.structured import described_schema
from langchain_hubmix._errors import ConfigurationError


def wire_tool(tool: dict[str, Any] | type | Callable[..., Any] | BaseTool, *, strict: bool | None) -> dict[str, Any]:
    """One tool as the wire has it.

    Args:
        tool: a LangChain tool, a function, a pydantic or TypedDict class, a JSON schema with a title, a tool in
            Anthropic's, Bedrock's or OpenAI's format, or a vendor's built-in tool (a dict with a `type` of its own).
        strict: whether the vendor shall hold the arguments to the schema; None says nothing about it.

    Returns:
        A new dict. A prompt-cache marker (`cache_control`) stays beside it, where Claude's cache looks for it.
    """
    if isinstance(tool, dict):
        kind = tool.get("type")
        if kind == "function" and isinstance(tool.get("function"), dict):
            function = dict(tool["function"])
            return {**tool, "function": function if strict is None else {**function, "strict": strict}}
        if kind not in (None, "function", "object") and "input_schema" not in tool:
            return dict(tool)
        marker = tool.get("cache_control")
    else:
        marker = (getattr(tool, "extras", None) or {}).get("cache_control")
    converted = dict(convert_to_openai_tool(tool, strict=strict))
    if marker:
        converted["cache_control"] = marker
    return converted


def wire_tools(tools: Any) -> list[dict[str, Any]]:
    """Return the `tools` of a body; a dict with a type is taken for one in the wire's form already.

    Raises:
        ConfigurationError: they are no list.
    """
    if not isinstance(tools, Iterable) or isinstance(tools, (str, Mapping)):
        raise ConfigurationError(f"tools must be a list of tools, not {type(tools).__name__}.")
    return [tool if isinstance(tool, dict) and "type" in tool else wire_tool(tool, strict=None) for tool in tools]


def wire_response_format(schema: Any, *, strict: bool | None = None) -> dict[str, Any]:
    """A `response_format` of the wire.

    Args:
        schema: a response format already, a JSON schema with a title, or a pydantic or TypedDict class.
        strict: whether the vendor shall hold the answer to the schema; None says nothing about it.
    """
    formats = ("json_schema", "json_object", "text")
    if found := described_schema(schema):
        described = {name: value for name, value in found.items() if name != "type"}
    elif isinstance(schema, dict) and schema.get("type") in formats and "properties" not in schema:
        return schema
    else:
        function = _function_of(schema, strict)
        described = {"name": function["name"], "schema": function["parameters"]}
        if function.get("description"):
            described["description"] = function["description"]
    if strict is not None:
        described["strict"] = strict
    return {"type": "json_schema", "json_schema": described}


def _function_of(schema: Any, strict: bool | None) -> dict[str, Any]:
    function = dict(convert_to_openai_tool(schema, strict=strict or None)["function"])
    if "parameters" not in function:
        function["parameters"] = convert_to_json_schema(schema)
    return function


# Tool calls whose arguments broke off must not be executed. LangChain repairs JSON that breaks off, which turns a call
# cut at `max_tokens` into a valid call with wrong arguments. No other field of a chunk survives merging, so the
# arguments themselves have to say that they end here: its parser gives up at a closing bracket that matches nothing.

# What stands before the bracket, to leave a string first; behind a lone backslash it takes a second quote.
_NOTES = {"": " (cut short)", '"': " (cut short inside a string)", '""': " (cut short inside a string, escaped)"}


def cut_marker(arguments: str) -> str:
    """What to append to broken arguments so that LangChain does not repair them into a call; "" where it would not.

    Args:
        arguments: The JSON text as far as it came.
    """
    if not arguments.strip():  # LangChain takes "" for an empty object, and a space for a mistake
        return " "
    try:
        repaired = parse_partial_json(arguments)
    except ValueError:  # beyond repair: LangChain calls it invalid by itself
        return ""
    if not isinstance(repaired, dict):
        return ""
    closers: list[str] = []
    in_string = escaped = False
    for char in arguments:
        if in_string:
            in_string = escaped or char != '"'
            escaped = char == "\\" and not escaped
        elif char == '"':
            in_string, escaped = True, False
        elif char in "{[":
            closers.append("}" if char == "{" else "]")
        elif char in "}]":
            closers.pop()
    quote = ('""' if escaped else '"') if in_string else ""
    return quote + ("}" if closers and closers[-1] == "]" else "]") + _NOTES[quote]


def uncut(arguments: str) -> str:
    """Broken arguments as they came, without `cut_marker`."""
    for quote, note in _NOTES.items():
        if arguments.endswith(note):
            return arguments[: -len(note) - 1 - len(quote)]
    return arguments if arguments.strip() else ""
