"""Structured output, as far as both frameworks share it. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

from hubmix.plugin.schema import class_schema, closed, inlined, name_of, strict_schema, untitled, wire_name

Method = Literal["json_schema", "function_calling", "json_mode", "text"]
"""How an object is asked for: the vendor's own schema mode, a forced tool call, JSON mode with the schema in the
prompt, or the schema in the prompt alone."""

_SCHEMA_KEYS = frozenset({"properties", "$ref", "$defs", "anyOf", "allOf", "oneOf", "items"})


def response_format(schema: Any, *, strict: bool | None = None) -> dict[str, Any]:
    """Return the `response_format` of a body.

    Args:
        schema: a response format as the wire has it, a JSON schema, or a class that describes an object: pydantic
            (version 2 or 1), TypedDict or dataclass.
        strict: whether the vendor holds the answer to the schema. None: wherever the schema allows it.

    Raises:
        ConfigurationError: no schema can be made of it.
    """
    if not isinstance(schema, Mapping):
        made = class_schema(schema)
        name = wire_name(str(made.pop("title", None) or name_of(schema)))
        about = {"name": name, "description": made.pop("description", None)}
        return _format(about, inlined(made), strict, require_all=True)
    if found := described_schema(schema):
        about = {key: value for key, value in found.items() if key not in ("type", "schema", "strict")}
        return _format(about, found["schema"], found.get("strict") if strict is None else strict)
    if not (_SCHEMA_KEYS & schema.keys() or schema.get("type") == "object"):
        return dict(schema)
    about = {"name": wire_name(str(schema.get("title") or "answer")), "description": schema.get("description")}
    return _format(about, {key: value for key, value in schema.items() if key not in about and key != "title"}, strict)


def schema_tool(target: Any) -> dict[str, Any]:
    """Return a class as a tool, whose arguments are its fields."""
    schema = class_schema(target)
    name = wire_name(str(schema.get("title") or name_of(target)))
    description = schema.pop("description", None) or default_description(name)
    function = {"name": name, "description": description, "parameters": untitled(inlined(schema))}
    return {"type": "function", "function": function}


def default_description(name: str) -> str:
    """Return the description of a tool that stands for a schema without one."""
    return f"Give the answer as {name}."


def described_schema(schema: Any) -> dict[str, Any] | None:
    """Return the parts of a response format, whole or its inner part, or None."""
    if isinstance(schema, Mapping):
        inner = schema.get("json_schema", schema)
        if isinstance(inner, Mapping) and isinstance(inner.get("schema"), Mapping) and inner.get("name"):
            return dict(inner)
    return None


def _format(
    about: Mapping[str, Any], schema: Mapping[str, Any], strict: bool | None, *, require_all: bool = False
) -> dict[str, Any]:
    sent = None if strict is False else strict_schema(schema, require_all=require_all or strict is True)
    if sent is None and strict is True:
        sent = closed(schema)
    described = {key: value for key, value in about.items() if value is not None}
    described["schema"] = dict(schema) if sent is None else sent
    if sent is not None or strict is False or require_all:
        described["strict"] = sent is not None
    return {"type": "json_schema", "json_schema": described}


def in_words(schema: Mapping[str, Any]) -> str:
    """Return the instruction that tells a model the schema in words."""
    return f"Answer with one JSON object and nothing else. It must fit this JSON schema:\n{json.dumps(schema)}"
