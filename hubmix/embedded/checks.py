"""What the readers of all APIs share: refusals, and the check of schemas."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

MAX_DEPTH = 40
_TYPES = ("string", "number", "integer", "boolean", "object", "array", "null")
_NUMBERS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
_COUNTS = ("minItems", "maxItems", "minLength", "maxLength")
_TEXTS = ("$ref", "pattern", "format", "description", "title")


class RefusedError(Exception):
    """The request is not answered.

    Args:
        by: `hub` (its own `case`, with the message as its words) or `vendor` (an error object of OpenAI).
        status: of a vendor's refusal.
    """

    def __init__(
        self,
        message: str,
        *,
        by: Literal["hub", "vendor"] = "hub",
        case: str = "invalid_request",
        param: str | None = None,
        code: str | None = None,
        status: int = 400,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.by = by
        self.case = case
        self.param = param
        self.code = code
        self.status = status

    @property
    def vendor_body(self) -> dict[str, Any]:
        """The error as an OpenAI vendor words it."""
        return {
            "error": {"message": self.message, "type": "invalid_request_error", "param": self.param, "code": self.code}
        }


def refused(message: str, param: str | None = None, code: str | None = None, status: int = 400) -> RefusedError:
    """Return a refusal in the vendor's words."""
    return RefusedError(message, by="vendor", param=param, code=code, status=status)


def fault_of(schema: object, depth: int = 0) -> str | None:
    """What is wrong with a schema, in a few words; None where nothing is."""
    if isinstance(schema, bool):
        return None
    if not isinstance(schema, Mapping):
        return f"{schema!r} is not of type 'object', 'boolean'"
    if depth > MAX_DEPTH:
        return f"it is nested deeper than {MAX_DEPTH} levels"
    return _of_type(schema) or _of_values(schema) or _of_parts(schema, depth)


def _of_type(schema: Mapping[str, Any]) -> str | None:
    given = schema.get("type")
    names = given if isinstance(given, list) else [] if given is None else [given]
    wrong = [name for name in names if name not in _TYPES]
    return f"{wrong[0]!r} is not a type" if wrong else None


def _of_values(schema: Mapping[str, Any]) -> str | None:
    for name in _NUMBERS:
        # Draft 4 has booleans here; they bound nothing.
        if not isinstance(schema.get(name, 0), int | float):
            return f"{name} is not a number"
    for name in _COUNTS:
        value = schema.get(name, 0)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            return f"{name} is not a count"
    for name in _TEXTS:
        if not isinstance(schema.get(name, ""), str):
            return f"{name} is not a string"
    required = schema.get("required", [])
    if isinstance(required, list) and not all(isinstance(key, str) for key in required):
        return "required is not a list of strings"
    if not isinstance(required, list | bool):
        return "required is not a list of strings"
    return None if isinstance(schema.get("enum", []), list) else "enum is not a list"


def _of_parts(schema: Mapping[str, Any], depth: int) -> str | None:
    parts: list[Any] = []
    for name in ("properties", "$defs", "definitions"):
        found = schema.get(name, {})
        if not isinstance(found, Mapping):
            return f"{name} is not an object"
        parts += found.values()
    for name in ("anyOf", "oneOf", "allOf", "prefixItems"):
        found = schema.get(name, [])
        if not isinstance(found, list):
            return f"{name} is not a list"
        parts += found
    parts += [schema[name] for name in ("items", "additionalProperties") if name in schema]
    return next((wrong for part in parts if (wrong := fault_of(part, depth + 1))), None)
