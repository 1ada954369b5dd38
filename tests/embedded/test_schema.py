"""Values for schemas: always valid, and made of what the text says."""

from __future__ import annotations

import enum
from datetime import date
from typing import Annotated, Any, Literal

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from hubmix.embedded.rules.fill import fill

TEXT = {"type": "string"}
NUMBER = {"type": "integer"}
SWITCH = {"type": "boolean"}
DATE = {"type": "string", "format": "date"}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


PERSON = _object(name=TEXT, age=NUMBER)


@pytest.mark.parametrize(
    ("text", "schema", "value"),
    [
        ("Alice is a 30 year old engineer living in Paris.", _object(name=TEXT, age=NUMBER, city=TEXT),
         ["Alice", 30, "Paris"]),
        ("Paris, 21 degrees", _object(city=TEXT, degrees=NUMBER), ["Paris", 21]),
        ("Book a flight from Oslo to Rome on 2026-05-01.", _object(origin=TEXT, destination=TEXT, date=DATE),
         ["Oslo", "Rome", "2026-05-01"]),
        ("Write to ann@example.com about it", _object(email=TEXT), ["ann@example.com"]),
        ("a=3 and b is 4", _object(b=NUMBER, a=NUMBER), [4, 3]),
        ("It costs $12.50 for 3 pieces", _object(price={"type": "number"}, pieces=NUMBER), [12.5, 3]),
        ("The review is negative and not urgent", _object(mood={"enum": ["positive", "negative"]}, urgent=SWITCH),
         ["negative", False]),
        ("Set it to 5000", _object(level={**NUMBER, "maximum": 100}), [100]),
        ("Nothing is said here", _object(score={**NUMBER, "exclusiveMinimum": 0}), [1]),
        ("Order number AB-123 please", _object(order={**TEXT, "pattern": "^[A-Z]{2}-\\d+$"}), ["AB-123"]),
        ("Tags: red, green and blue", _object(tags={"type": "array", "items": TEXT}), [["red", "green", "blue"]]),
        ("Add 1, 2 and 3", _object(values={"type": "array", "items": {"type": "number"}}), [[1, 2, 3]]),
        ("Alice is 30 and Bob is 25.", _object(people={"type": "array", "items": PERSON}),
         [[{"name": "Alice", "age": 30}, {"name": "Bob", "age": 25}]]),
        ("Create '你好啊集团' - a technology company", _object(customer_name=TEXT, description=TEXT),
         ["你好啊集团", "a technology company"]),
        ("Nobody is named here", _object(age=_nullable(NUMBER)), [None]),
        ("name: Ann Lee, title is Head of Sales", _object(title=TEXT, name=TEXT), ["Head of Sales", "Ann Lee"]),
    ],
)  # fmt: skip
def test_the_literals_of_the_text_are_used(text: str, schema: dict[str, Any], value: list[Any]) -> None:
    filled = fill(schema, text)
    jsonschema.validate(filled, schema)
    assert list(filled.values()) == value


def test_an_optional_property_without_evidence_is_left_out() -> None:
    schema = {**_object(name=TEXT), "properties": {"name": TEXT, "age": _nullable(NUMBER)}}
    assert fill(schema, "Alice came by") == {"name": "Alice"}


class _Mood(enum.Enum):
    GOOD = "good"
    BAD = "bad"


class _Node(BaseModel):
    label: str
    children: list[_Node] = []


class _Order(BaseModel):
    """An order with everything that pydantic writes into a schema."""

    customer: str = Field(min_length=2, max_length=20)
    quantity: Annotated[int, Field(gt=0, le=10)]
    ratio: float = 0.5
    kind: Literal["new", "used"]
    mood: _Mood | None = None
    due: date
    lines: list[_Node] = Field(min_length=1, max_length=3)
    note: str | int | None
    pair: tuple[int, str]
    extra: dict[str, int] = {}


@pytest.mark.parametrize("text", ["", "Ann orders 4 used books by 2026-01-31", "?", "99999 No Names"])
def test_pydantic_takes_what_comes_out(text: str) -> None:
    value = fill(_Order.model_json_schema(), text)
    _Order.model_validate(value)


def test_a_schema_that_refers_to_itself_ends() -> None:
    schema = _Node.model_json_schema()
    jsonschema.validate(fill(schema, "A has B, C and D. B has E."), schema)


_SCALARS = st.sampled_from(
    [
        TEXT,
        NUMBER,
        {"type": "number", "minimum": -1, "maximum": 1},
        {"type": "integer", "minimum": 3, "exclusiveMaximum": 9},
        {"type": "boolean"},
        {"type": "null"},
        {"enum": ["a", "b", 3]},
        {"const": 7},
        {"type": ["string", "null"]},
        {"type": "string", "maxLength": 3},
        {"type": "string", "minLength": 5},
        {"type": "string", "format": "date-time"},
        {"type": "string", "format": "uuid"},
    ]
)
_SCHEMAS = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(
        st.builds(lambda items: {"type": "array", "items": items}, inner),
        st.builds(lambda items: {"type": "array", "items": items, "minItems": 2, "maxItems": 3}, inner),
        st.builds(lambda one: {"anyOf": [one, {"type": "null"}]}, inner),
        st.builds(
            lambda properties: {**_object(**properties), "additionalProperties": False},
            st.dictionaries(st.sampled_from(["name", "city", "age", "is_open", "query", "tags"]), inner, max_size=4),
        ),
    ),
    max_leaves=8,
)
_TEXTS = st.one_of(
    st.text(max_size=60),
    st.sampled_from(["Alice is 30 and Bob is 25 in Oslo.", "'x' 3 2026-01-01T00:00:00Z", "a, b and c"]),
)


@settings(max_examples=200, deadline=None)
@given(schema=_SCHEMAS, text=_TEXTS)
def test_whatever_the_schema_and_the_text_the_value_is_valid(schema: dict[str, Any], text: str) -> None:
    jsonschema.validate(fill(schema, text), schema)
