"""Which schemas may be strict, and what they become."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from hubmix import ConfigurationError
from hubmix.plugin.schema import strict_schema
from hubmix.plugin.structured import response_format


class Place(BaseModel):
    """A place."""

    name: str = Field(description="Its name.")
    note: str | None = None


class Trip(BaseModel):
    """A trip."""

    start: Place = Field(description="Where it begins.")
    stops: list[Place] = Field(default_factory=list)
    kind: Literal["a", "b"] = "a"


class Cat(BaseModel):
    sort: Literal["cat"]


class Dog(BaseModel):
    sort: Literal["dog"]


class Pet(BaseModel):
    who: Annotated[Cat | Dog, Field(discriminator="sort")]


class Node(BaseModel):
    value: int
    children: list[Node] = []


class Free(BaseModel):
    facts: dict[str, str]


class Anything(BaseModel):
    value: Any


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    name: str


class Pair(BaseModel):
    both: tuple[int, str]


class Typed(TypedDict):
    name: str


@dataclass
class Data:
    name: str


def sent(schema: Any, **how: Any) -> dict[str, Any]:
    found: dict[str, Any] = response_format(schema, **how)["json_schema"]
    return found


def objects(schema: Any) -> list[dict[str, Any]]:
    """Every object of a schema."""
    if isinstance(schema, list):
        return [found for item in schema for found in objects(item)]
    if not isinstance(schema, dict):
        return []
    inner = [found for value in schema.values() for found in objects(value)]
    return [schema, *inner] if isinstance(schema.get("properties"), dict) else inner


@pytest.mark.parametrize("schema", [Place, Trip, Pet, Node, Typed, Data])
def test_what_vendors_accept_as_strict(schema: Any) -> None:
    described = sent(schema)
    assert described["strict"] is True
    assert (described["name"], described["schema"]["type"]) == (schema.__name__, "object")
    for found in objects(described["schema"]):
        assert found["additionalProperties"] is False
        assert found["required"] == list(found["properties"])
        assert not any("default" in each or "oneOf" in each for each in found["properties"].values())


@pytest.mark.parametrize("schema", [Free, Anything, Open, Pair])
def test_what_strict_mode_does_not_know_is_sent_without(schema: Any) -> None:
    assert sent(schema)["strict"] is False
    assert sent(schema)["schema"]["properties"].keys() == schema.model_fields.keys()


def test_references_are_inlined_unless_they_are_circular() -> None:
    assert "$ref" not in str(sent(Trip)) + str(sent(Trip, strict=False))
    assert sent(Trip)["schema"]["properties"]["start"]["description"] == "Where it begins."
    node = sent(Node)["schema"]
    assert node["properties"]["children"]["items"] == {"$ref": "#/$defs/Node"}
    assert node["$defs"]["Node"]["required"] == ["value", "children"]


def test_a_dict_becomes_strict_only_if_nothing_must_be_invented() -> None:
    name, note = {"type": "string"}, {"type": ["string", "null"]}
    closed = {"type": "object", "properties": {"name": name, "note": note}, "required": ["name"]}
    assert sent(closed)["strict"] is True
    assert sent(closed)["schema"]["required"] == ["name", "note"]
    optional = {"type": "object", "properties": {"name": name, "nick": name}, "required": ["name"]}
    assert "strict" not in sent(optional)
    assert sent(optional)["schema"] == optional
    assert sent(optional, strict=True)["schema"]["required"] == ["name", "nick"]
    assert closed["required"] == ["name"]  # the caller's is left alone


def test_a_demand_for_strict_is_sent_whatever_the_schema() -> None:
    assert sent(Free, strict=True)["strict"] is True
    assert sent(Place, strict=False)["strict"] is False
    given = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}, "strict": True}}
    assert response_format(given)["json_schema"]["strict"] is True


@pytest.mark.parametrize(
    "given",
    [{"type": "json_object"}, {"type": "text"}, {"type": "grammar", "grammar": "x"}, {"type": "regex", "regex": "a+"}],
)
def test_other_formats_of_the_wire_pass(given: dict[str, Any]) -> None:
    assert response_format(given) == given


def test_a_property_may_have_the_name_of_a_keyword() -> None:
    schema = {"type": "object", "properties": {"properties": {"type": "string"}, "default": {"type": "integer"}}}
    made = strict_schema({**schema, "required": ["properties", "default"]}, require_all=False)
    assert made is not None
    assert list(made["properties"]) == ["properties", "default"]


@pytest.mark.parametrize("wrong", [int, 5, "x", len, list[int]])
def test_what_describes_no_object_is_refused(wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match="a dict or a pydantic class"):
        response_format(wrong)
