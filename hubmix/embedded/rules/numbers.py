"""A number for a property of a schema: the one that stands beside its name, else the next that is free."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from hubmix.embedded.rules import literals as lit
from hubmix.embedded.rules.literals import Filled, Literals
from hubmix.embedded.rules.strings import spoken
from hubmix.embedded.rules.text import name_words

# How the numbers of some properties are written, by the stem of the name.
_HINTS: Mapping[str, str] = {
    "age": r"(-?\d+)[ -]*(?:years?|yrs?)|\baged? (-?\d+)",
    "price": r"[$€£]\s?(-?\d+(?:\.\d+)?)|(-?\d+(?:\.\d+)?)\s*(?:usd|dollars?|euros?)",
    "temperatur": r"(-?\d+(?:\.\d+)?)\s*(?:°|degrees?)",
    "degree": r"(-?\d+(?:\.\d+)?)\s*(?:°|degrees?)",
    "year": r"\b((?:19|20)\d\d)\b",
}


def fill(schema: Mapping[str, Any], name: str, literals: Literals) -> Filled:
    """A number for the property `name`, within the bounds of the schema."""
    integer = schema.get("type") == "integer"
    literal = _hinted(name, literals) or _said(name, literals)
    if literal is None:
        fitting = (free for free in literals.free(literals.numbers) if _value(free.value, integer) is not None)
        free = next(fitting, None)
        literal = literals.use(free) if free is not None else None
    value = _value(literal, integer) if literal is not None else None
    if value is None:
        return Filled(within(schema, schema.get("default", 0)), False)
    return Filled(within(schema, value), True)


def _value(literal: str, integer: bool) -> int | float | None:
    return lit.number(literal, integer=integer)


def _hinted(name: str, literals: Literals) -> str | None:
    for word in name_words(name):
        match = re.search(_HINTS[word], literals.text, re.I) if word in _HINTS else None
        if match:
            return _take(next(group for group in match.groups() if group), literals)
    return None


def _said(name: str, literals: Literals) -> str | None:
    if not spoken(name):
        return None
    pattern = rf"(?i)\b{spoken(name)}\b\W{{0,3}}(?:is|of|=|:|to|was)?\W{{0,2}}(-?\d+(?:\.\d+)?)"
    match = re.search(pattern, literals.text)
    return _take(match.group(1), literals) if match else None


def _take(value: str, literals: Literals) -> str:
    for literal in literals.free(literals.numbers):
        if literal.value == value:
            literals.use(literal)
            break
    return value


def within(schema: Mapping[str, Any], value: Any) -> Any:
    """The value nearest to `value` that the bounds of the schema allow."""
    step = 1 if schema.get("type") == "integer" else 1e-6
    low = schema.get(
        "minimum", schema["exclusiveMinimum"] + step if _is_number(schema.get("exclusiveMinimum")) else None
    )
    high = schema.get(
        "maximum", schema["exclusiveMaximum"] - step if _is_number(schema.get("exclusiveMaximum")) else None
    )
    if not _is_number(value):
        value = 0
    if low is not None and value < low:
        value = low
    if high is not None and value > high:
        value = high
    multiple = schema.get("multipleOf")
    if _is_number(multiple) and multiple:
        value = round(value / multiple) * multiple
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
