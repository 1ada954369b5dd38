"""JSON schemas of structured output: inlined, and strict where possible. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel, PydanticUserError, TypeAdapter

from hubmix.errors import ConfigurationError

Schema = dict[str, Any]

_NESTED = ("properties", "$defs", "definitions")  # keywords whose keys are names
# OpenAI refuses a strict schema with one of these; `oneOf` and a lone `allOf` are rewritten.
_NOT_STRICT = frozenset(
    {"patternProperties", "propertyNames", "dependentRequired", "dependentSchemas", "unevaluatedProperties", "if"}
    | {"then", "else", "not", "prefixItems", "contains", "uniqueItems", "minProperties", "maxProperties"}
)


class _NotStrictError(Exception):
    """The schema has something that strict mode does not know."""


def class_schema(target: Any) -> Schema:
    """Return the JSON schema of a pydantic class, a TypedDict or a dataclass.

    Raises:
        ConfigurationError: it is no class that describes an object.
    """
    if isinstance(target, type) and issubclass(target, BaseModel):
        return target.model_json_schema()
    if hasattr(target, "__get_validators__") and hasattr(target, "schema"):  # pydantic 1
        return dict(target.schema())
    try:
        schema = TypeAdapter(target).json_schema()
    except (PydanticUserError, TypeError, AttributeError):
        schema = {}
    if not ({"properties", "$ref"} & schema.keys()):
        raise ConfigurationError(f"response_format must be a dict or a pydantic class, not {name_of(target)}.")
    return {"title": name_of(target), **schema}


def name_of(target: Any) -> str:
    """Return the name of a class, or of the class of a value."""
    return str(getattr(target, "__name__", type(target).__name__))


def wire_name(name: str) -> str:
    """Return a name that vendors take for a schema or a tool."""
    return re.sub(r"[^a-zA-Z0-9_-]", "_", name)[:64] or "answer"


def inlined(schema: Mapping[str, Any]) -> Schema:
    """Return the schema without references; a schema that refers to itself keeps them.

    Several vendors behind hubs do not follow references.
    """
    try:
        found: Schema = _inline(schema, schema, ())
    except RecursionError:
        root = _target(str(schema["$ref"]), schema) if "$ref" in schema else {}
        return {**{key: value for key, value in schema.items() if key != "$ref"}, **root}
    return {key: value for key, value in found.items() if key not in ("$defs", "definitions")}


def _inline(node: Any, root: Mapping[str, Any], inside: tuple[str, ...]) -> Any:
    if isinstance(node, list):
        return [_inline(item, root, inside) for item in node]
    if not isinstance(node, Mapping):
        return node
    reference = node.get("$ref")
    if not isinstance(reference, str) or not reference.startswith("#/"):
        return {key: _inline(value, root, inside) for key, value in node.items() if key not in ("$defs", "definitions")}
    if reference in inside:
        raise RecursionError
    siblings = {key: value for key, value in node.items() if key != "$ref"}
    return _inline({**_target(reference, root), **siblings}, root, (*inside, reference))


def _target(reference: str, root: Mapping[str, Any]) -> Mapping[str, Any]:
    node: Any = root
    for step in reference.removeprefix("#/").split("/"):
        node = node.get(step.replace("~1", "/").replace("~0", "~"), {}) if isinstance(node, Mapping) else {}
    return node if isinstance(node, Mapping) else {}


def untitled(schema: Any) -> Any:
    """Return the schema without the titles that pydantic makes of the names."""
    if isinstance(schema, list):
        return [untitled(item) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    titled = isinstance(schema.get("title"), str)
    return {key: _inside(key, value, untitled) for key, value in schema.items() if not (titled and key == "title")}


def _inside(key: str, value: Any, change: Callable[[Any], Any]) -> Any:
    """Change the schemas in a keyword's value, which may stand there by name."""
    if key in _NESTED and isinstance(value, Mapping):
        return {name: change(each) for name, each in value.items()}
    return change(value)


def strict_schema(schema: Mapping[str, Any], *, require_all: bool) -> Schema | None:
    """Return the schema as strict mode wants it, or None if it cannot be said so.

    Strict mode knows only objects whose keys are all declared and all required.

    Args:
        schema: a JSON schema of an object.
        require_all: whether every optional key may become a required one. Otherwise only keys that may be null, or
            that have a default, become required, because a model must not be forced to invent a value.
    """
    whole = inlined(schema)
    if whole.get("type") != "object":
        return None
    try:
        return dict(_strict(whole, require_all))
    except _NotStrictError:
        return None


def closed(schema: Mapping[str, Any]) -> Schema:
    """Return the schema with every object closed and every key required.

    This is for a caller who demands strict mode: the vendor then says what it cannot do.
    """
    return dict(_close(inlined(schema)))


def _close(node: Any) -> Any:
    if isinstance(node, list):
        return [_close(item) for item in node]
    if not isinstance(node, Mapping):
        return node
    made = {key: _inside(key, value, _close) for key, value in node.items() if key != "default"}
    if isinstance(made.get("properties"), dict):
        made["required"] = list(made["properties"])
        made.setdefault("additionalProperties", False)
    return made


def _strict(node: Mapping[str, Any], require_all: bool) -> Schema:
    if _NOT_STRICT & node.keys():
        raise _NotStrictError
    made = {key: value for key, value in node.items() if key not in ("default", "discriminator")}
    if "oneOf" in made:  # a discriminated union; OpenAI takes it as anyOf
        made["anyOf"] = [*made.pop("oneOf"), *made.get("anyOf", ())]
    if len(parts := made.pop("allOf", ())) == 1:
        made = {**parts[0], **made}
    elif parts:
        raise _NotStrictError
    if not {"type", "anyOf", "$ref", "const", "enum"} & made.keys():
        raise _NotStrictError  # anything at all
    for key in ("$defs", "definitions"):
        if key in made:
            made[key] = {name: _strict(each, require_all) for name, each in made[key].items()}
    if "anyOf" in made:
        made["anyOf"] = [_strict(each, require_all) for each in made["anyOf"]]
    if isinstance(made.get("items"), Mapping):
        made["items"] = _strict(made["items"], require_all)
    elif made.get("type") == "array":
        raise _NotStrictError
    if made.get("type") == "object":
        _strict_object(made, node, require_all)
    return made


def _strict_object(made: Schema, node: Mapping[str, Any], require_all: bool) -> None:
    properties = node.get("properties")
    if node.get("additionalProperties", False) is not False or not isinstance(properties, Mapping):
        raise _NotStrictError  # free keys
    required = node.get("required", ())
    for name, each in properties.items():
        if not (require_all or name in required or "default" in each or _may_be_null(each)):
            raise _NotStrictError
    made["properties"] = {name: _strict(each, require_all) for name, each in properties.items()}
    made["required"] = list(properties)
    made["additionalProperties"] = False


def _may_be_null(schema: Mapping[str, Any]) -> bool:
    kinds = schema.get("type")
    if kinds == "null" or (isinstance(kinds, list) and "null" in kinds):
        return True
    return any(_may_be_null(each) for each in schema.get("anyOf", ()) if isinstance(each, Mapping))
