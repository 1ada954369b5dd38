"""Tools, the choice among them and response formats, in the words of the OpenAI wire. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_json_schema, convert_to_openai_tool

from langchain_hubmix._errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_CHOICES = {"auto": "auto", "none": "none", "any": "required", "required": "required", True: "required"}


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


def tool_name(tool: dict[str, Any]) -> str:
    """The name of a tool of the wire; a built-in one is named for its type."""
    held = tool.get(tool.get("type", ""))
    return str((held if isinstance(held, dict) else tool).get("name") or tool.get("type"))


def wire_tool_choice(choice: str | bool | dict[str, Any] | None, tools: Sequence[dict[str, Any]]) -> Any:
    """A choice among tools as the wire has it, or None where there is nothing to say.

    Args:
        choice: "auto", "none", "any", "required", True (as "required"), False or None (nothing), the name of a tool,
            or a dict in OpenAI's or Anthropic's format.
        tools: the tools of the same request, as the wire has them.

    Raises:
        ConfigurationError: no tool has the name.
    """
    if not tools or choice is None or choice is False:
        return None
    if isinstance(choice, dict):
        if choice.get("type") in ("any", "auto", "none"):
            return _CHOICES[choice["type"]]
        if choice.get("type") in ("tool", None) and "name" in choice:
            return wire_tool_choice(str(choice["name"]), tools)
        return choice
    if choice is True or choice in _CHOICES:
        return _CHOICES[choice]
    for tool in tools:
        if tool_name(tool) == choice:
            kind = tool.get("type", "function")
            return {"type": kind, kind: {"name": choice}} if kind in ("function", "custom") else {"type": kind}
    names = ", ".join(repr(tool_name(tool)) for tool in tools)
    raise ConfigurationError(
        f"tool_choice {choice!r} names none of the tools bound to the model ({names}). "
        "It takes one of these names, 'auto', 'none' or 'any'."
    )


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


def described_schema(schema: Any) -> dict[str, Any] | None:
    """The `name`, `schema`, `description` and `strict` of a response format, whole or its inner part; else None."""
    if isinstance(schema, dict):
        inner = schema.get("json_schema", schema)
        if isinstance(inner, dict) and isinstance(inner.get("schema"), dict) and inner.get("name"):
            return inner
    return None


def _function_of(schema: Any, strict: bool | None) -> dict[str, Any]:
    function = dict(convert_to_openai_tool(schema, strict=strict or None)["function"])
    if "parameters" not in function:
        function["parameters"] = convert_to_json_schema(schema)
    return function
