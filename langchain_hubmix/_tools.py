"""Tools, tool choice and response formats in the words of the wire. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_json_schema, convert_to_openai_tool
from langchain_core.utils.json import parse_partial_json
from langchain_core.utils.pydantic import is_basemodel_subclass
from typing_extensions import is_typeddict

from hubmix.plugin.structured import response_format
from langchain_hubmix._errors import ConfigurationError

# What stands next to a tool's definition: Claude's cache marker, and OpenAI's settings of tool search and waiting.
_BESIDE = ("cache_control", "defer_loading", "async")


def wire_tool(tool: dict[str, Any] | type | Callable[..., Any] | BaseTool, *, strict: bool | None) -> dict[str, Any]:
    """One tool as the wire has it.

    Args:
        tool: a LangChain tool, a function, a pydantic or TypedDict class, a JSON schema with a title, a tool in
            Anthropic's, Bedrock's or OpenAI's format, or a vendor's built-in tool (a dict with a `type` of its own).
        strict: whether the vendor shall hold the arguments to the schema; None says nothing about it.

    Returns:
        A new dict. A prompt-cache marker (`cache_control`) stays next to the definition, where Claude's cache looks for
        it; so do `defer_loading` and `async` of a tool's `extras`.
    """
    if isinstance(tool, dict):
        kind = tool.get("type")
        if kind == "function" and isinstance(tool.get("function"), dict):
            function = dict(tool["function"])
            return {**tool, "function": function if strict is None else {**function, "strict": strict}}
        if kind not in (None, "function", "object") and "input_schema" not in tool:
            return dict(tool)
        extras = tool
    else:
        extras = getattr(tool, "extras", None) or {}
    converted = dict(convert_to_openai_tool(tool, strict=strict))
    return {**converted, **{name: extras[name] for name in _BESIDE if extras.get(name)}}


def wire_tools(tools: Any) -> list[dict[str, Any]]:
    """Return the `tools` of a body; a dict with a type is in the wire's form already.

    Raises:
        ConfigurationError: they are no list.
    """
    if not isinstance(tools, Iterable) or isinstance(tools, (str, Mapping)):
        raise ConfigurationError(f"tools must be a list of tools, not {type(tools).__name__}.")
    return [tool if isinstance(tool, dict) and "type" in tool else wire_tool(tool, strict=None) for tool in tools]


def without_credentials(tools: Any, instead: Callable[[Any], str] = lambda _: "**REDACTED**") -> Any:
    """Return tools without the credentials of MCP servers.

    Args:
        tools: tools in any form; anything but a list is returned unchanged.
        instead: what stands in place of a credential.
    """
    if not isinstance(tools, (list, tuple)):
        return tools
    return [
        {name: instead(value) if name in ("headers", "authorization") else value for name, value in tool.items()}
        if isinstance(tool, dict) and tool.get("type") == "mcp"
        else tool
        for tool in tools
    ]


def wire_response_format(schema: Any, *, strict: bool | None = None) -> dict[str, Any]:
    """Return the `response_format` of a body.

    Args:
        schema: a response format, a JSON schema, or a pydantic or TypedDict class.
        strict: whether the vendor holds the answer to the schema. None: wherever the schema allows it.
    """
    if isinstance(schema, dict) and _is_tool(schema):
        function = wire_tool(schema, strict=None)["function"]
        schema = {**function, "schema": function.get("parameters") or {"type": "object", "properties": {}}}
        del schema["parameters"]
    elif is_typeddict(schema) or (callable(schema) and not isinstance(schema, type)):
        schema = convert_to_json_schema(schema)  # which reads docstrings
    return response_format(schema, strict=strict)


def _is_tool(schema: dict[str, Any]) -> bool:
    anthropic, bare = "input_schema" in schema, {"name", "parameters"} <= schema.keys()
    return isinstance(schema.get("function"), dict) or anthropic or bare


def is_class(target: Any) -> bool:
    """Whether this is a pydantic class, of version 2 or 1."""
    return isinstance(target, type) and is_basemodel_subclass(target)


# Tool calls whose arguments broke off must not be executed. LangChain repairs JSON that breaks off, which turns a call
# cut at `max_tokens` into a valid call with wrong arguments. No other field of a chunk survives merging, so the
# arguments themselves have to say that they end here: its parser gives up at a closing bracket that matches nothing.

# What stands before the bracket, to leave a string first; behind a lone backslash it takes a second quote.
_NOTES = {"": " (cut short)", '"': " (cut short inside a string)", '""': " (cut short inside a string, escaped)"}


def cut_marker(arguments: str) -> str:
    """What to append so that LangChain does not repair broken arguments, or "".

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
