"""Tools, tool choice and response formats as they go out."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.tools import tool
from pydantic import BaseModel, Field
from pydantic.v1 import BaseModel as BaseModelV1
from typing_extensions import TypedDict

from hubmix import ConfigurationError
from hubmix.plugin.request import wire_tool_choice
from langchain_hubmix import ChatHubmix
from langchain_hubmix._tools import wire_response_format, wire_tool

MARKER = {"type": "ephemeral"}


class City(BaseModel):
    """A city."""

    name: str = Field(description="Its name")


class OldCity(BaseModelV1):
    """A city."""

    name: str

    class Config:
        title = "City"


class CityDict(TypedDict):
    """A city."""

    name: str


CityDict.__name__ = "City"


def weather(city: str) -> str:
    """The weather.

    Args:
        city: Where.
    """
    return city


@tool(extras={"cache_control": MARKER})
def cached(city: str) -> str:
    """The weather."""
    return city


@tool(extras={"defer_loading": True, "async": True, "own": 1})
def deferred(city: str) -> str:
    """The weather."""
    return city


OPENAI = {"type": "function", "function": {"name": "City", "parameters": {"type": "object", "properties": {}}}}
ANTHROPIC = {
    "name": "City",
    "description": "A city.",
    "input_schema": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
    "cache_control": MARKER,
}
JSON_SCHEMA = {
    "title": "City",
    "description": "A city.",
    "type": "object",
    "properties": {"name": {"type": "string"}},
    "required": ["name"],
}


@pytest.mark.parametrize("given", [City, OldCity, CityDict, ANTHROPIC, JSON_SCHEMA])
def test_every_form_of_a_tool(given: Any) -> None:
    wire = wire_tool(given, strict=None)
    assert wire["type"] == "function"
    assert wire["function"]["name"] == "City"
    assert wire["function"]["description"] == "A city."
    assert list(wire["function"]["parameters"]["properties"]) == ["name"]
    assert wire["function"]["parameters"]["required"] == ["name"]
    assert "strict" not in wire["function"]


def test_functions_and_tools_and_their_cache_markers() -> None:
    assert wire_tool(weather, strict=None)["function"]["name"] == "weather"
    assert wire_tool(cached, strict=None)["cache_control"] == MARKER
    assert wire_tool(ANTHROPIC, strict=None)["cache_control"] == MARKER
    assert wire_tool({**OPENAI, "cache_control": MARKER}, strict=None)["cache_control"] == MARKER


def test_openai_settings_among_a_tools_extras_are_sent() -> None:
    wire = wire_tool(deferred, strict=None)
    assert wire.pop("function")["name"] == "deferred"
    assert wire == {"type": "function", "defer_loading": True, "async": True}


def test_credentials_of_mcp_servers_are_not_traced() -> None:
    server = {"type": "mcp", "server_url": "https://x", "headers": {"Authorization": "Bearer secret"}}
    llm = ChatHubmix(model="m", base_url="https://hub.example/v1", api_key="sk-test")
    other = {**server, "headers": {"Authorization": "Bearer other"}}
    traced = llm._get_invocation_params(tools=[server, OPENAI])["tools"]
    assert traced == [{**server, "headers": "**REDACTED**"}, OPENAI]
    assert "Bearer" not in llm._get_llm_string(tools=[server])
    assert llm._get_llm_string(tools=[server]) != llm._get_llm_string(tools=[other])


@pytest.mark.parametrize("strict", [True, False])
def test_strict(strict: bool) -> None:
    for given in (City, weather, OPENAI):
        assert wire_tool(given, strict=strict)["function"]["strict"] is strict
    assert "strict" not in OPENAI["function"]


def test_a_vendor_s_own_tool_passes() -> None:
    for given in ({"type": "web_search"}, {"type": "custom", "custom": {"name": "calc"}}):
        assert wire_tool(given, strict=None) == given


TOOLS = [wire_tool(City, strict=None), {"type": "custom", "custom": {"name": "calc"}}, {"type": "web_search"}]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, None),
        (False, None),
        ("auto", "auto"),
        ("none", "none"),
        ("any", "required"),
        ("required", "required"),
        (True, "required"),
        ("City", {"type": "function", "function": {"name": "City"}}),
        ("calc", {"type": "custom", "custom": {"name": "calc"}}),
        ("web_search", {"type": "web_search"}),
        ({"type": "function", "function": {"name": "City"}}, {"type": "function", "function": {"name": "City"}}),
        ({"type": "tool", "name": "City"}, {"type": "function", "function": {"name": "City"}}),
        ({"name": "City"}, {"type": "function", "function": {"name": "City"}}),
        ({"type": "any"}, "required"),
        ({"type": "auto"}, "auto"),
    ],
)
def test_tool_choice(choice: Any, expected: Any) -> None:
    assert wire_tool_choice(choice, TOOLS) == expected


def test_a_choice_that_names_no_tool_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"'Town'.*'City', 'calc', 'web_search'"):
        wire_tool_choice("Town", TOOLS)
    assert wire_tool_choice("any", []) is None
    assert [wire_tool_choice(nothing, TOOLS) for nothing in (None, False, "", {})] == [None] * 4


@pytest.mark.parametrize("given", [City, OldCity, CityDict, JSON_SCHEMA])
@pytest.mark.parametrize("strict", [None, True, False])
def test_response_formats(given: Any, strict: bool | None) -> None:
    wire = wire_response_format(given, strict=strict)
    described = wire["json_schema"]
    assert (wire["type"], described["name"], described["description"]) == ("json_schema", "City", "A city.")
    assert list(described["schema"]["properties"]) == ["name"]
    is_strict = strict is not False
    assert described["strict"] is is_strict
    assert described["schema"].get("additionalProperties") is (False if is_strict else None)


def test_response_formats_of_the_wire_pass() -> None:
    for given in ({"type": "json_object"}, {"type": "json_schema", "json_schema": {"name": "a", "schema": {}}}):
        assert wire_response_format(given) == given
    named = {"name": "a", "schema": {"type": "object"}}
    assert wire_response_format(named) == {"type": "json_schema", "json_schema": named}
