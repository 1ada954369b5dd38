"""What a request needs of a model, read from its payload."""

from __future__ import annotations

import time
from typing import Any

import pytest

from hubmix.wire.requirements import Requirements, requirements_of


def user(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": list(parts)}]}


@pytest.mark.parametrize(
    ("payload", "needed"),
    [
        ({"messages": [{"role": "user", "content": "hi"}]}, set()),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, {"tools"}),
        ({"functions": [{"name": "f"}]}, {"tools"}),
        ({"tools": [{}], "tool_choice": "auto"}, {"tools"}),
        ({"tools": [{}], "tool_choice": "none"}, {"tools"}),
        ({"tools": [{}], "tool_choice": "required"}, {"tools", "forced_tool"}),
        ({"tools": [{}], "tool_choice": "any"}, {"tools", "forced_tool"}),
        ({"tools": [{}], "tool_choice": {"type": "function"}}, {"tools", "forced_tool"}),
        ({"tools": [], "tool_choice": "required"}, set()),
        (user({"type": "image_url", "image_url": {"url": "data:x"}}), {"images"}),
        (user({"type": "input_audio", "input_audio": {}}), {"audio"}),
        ({"modalities": ["text", "audio"]}, {"audio"}),
        (user({"type": "file", "file": {}}), {"files"}),
        ({"response_format": {"type": "json_schema", "json_schema": {}}}, {"structured_output"}),
        ({"response_format": {"type": "json_object"}}, set()),
        ({"response_format": None}, set()),
        ({"messages": None}, set()),
        ({"messages": [None, {"content": None}, {"content": {"a": 1}}, {}]}, set()),
        ({}, set()),
    ],
)
def test_what_a_payload_needs(payload: dict[str, Any], needed: set[str]) -> None:
    requirements = requirements_of(payload)
    names = ("tools", "forced_tool", "images", "audio", "files", "structured_output")
    assert {name for name in names if getattr(requirements, name)} == needed


def test_tokens_are_a_low_estimate_in_any_script() -> None:
    def tokens(text: str) -> int:
        return requirements_of({"messages": [{"role": "user", "content": text}]}).tokens

    assert tokens("word " * 1000) == 1250
    assert 500 <= tokens("天" * 1000) <= 1000
    assert tokens("\ud800") == 0  # half a character, as a broken client sends it


def test_tools_calls_and_images_are_counted_without_image_bytes() -> None:
    tools = [{"type": "function", "function": {"name": "f", "description": "x" * 4000}}]
    assert requirements_of({"tools": tools}).tokens > 1000
    calls = [{"function": {"name": "f", "arguments": "y" * 4000}}]
    assert requirements_of({"messages": [{"role": "assistant", "content": None, "tool_calls": calls}]}).tokens > 1000
    image = user({"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 1_000_000}})
    assert requirements_of(image).tokens == 85


def test_the_default_needs_nothing() -> None:
    assert requirements_of({}) == Requirements()


def test_a_long_history_is_read_in_no_time() -> None:
    messages = [{"role": "user", "content": "some words of a turn " * 10}] * 10_000
    started = time.process_time()
    assert requirements_of({"messages": messages}).tokens == 525_000
    assert time.process_time() - started < 2.0  # about 10 ms; only a quadratic walk takes longer
