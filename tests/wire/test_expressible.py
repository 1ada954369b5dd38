"""What a call asks for that an API cannot say."""

from __future__ import annotations

from typing import Any

import pytest

from hubmix.wire.expressible import dropped_hints, is_hosted, lacking, server_state, wishes_of

USER = {"role": "user", "content": "Hello"}


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({"n": 2}, ("n",)),
        ({"stop": ["x"], "logit_bias": {"1": 5}}, ("stop", "logit_bias")),
        ({"frequency_penalty": 0.5}, ("frequency_penalty",)),
        ({"modalities": ["text", "audio"], "audio": {"voice": "x"}}, ("audio", "modalities")),
        ({"n": 1, "stop": None, "presence_penalty": 0, "modalities": ["text"], "seed": 1}, ()),
    ],
)
def test_parameter_that_cannot_be_said_is_named(given: dict[str, Any], names: tuple[str, ...]) -> None:
    assert lacking("responses", wishes_of({"messages": [USER], **given})) == names


def test_items_among_content_need_the_responses_api() -> None:
    payload = {"messages": [{"role": "system", "content": [{"type": "additional_tools", "tools": []}]}]}
    wishes = wishes_of(payload)
    assert lacking("responses", wishes) == ()
    assert lacking("chat", wishes) == lacking("messages", wishes) == ("additional_tools content",)


def test_sound_in_a_message_cannot_be_said() -> None:
    sound = {"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}]}
    spoken = {"role": "assistant", "content": None, "audio": {"id": "audio_1"}}
    assert lacking("responses", wishes_of({"messages": [sound, sound, spoken]})) == ("input_audio content", "audio")


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({"previous_response_id": "resp_1", "background": True}, ("previous_response_id", "background")),
        ({"tools": [{"type": "web_search"}]}, ("the tool 'web_search'",)),
        ({"tools": [{"type": "web_search", "web_search": {"enable": True}}], "reasoning": {"effort": "low"}}, ()),
        ({"tools": [{"type": "custom", "custom": {"name": "c"}}], "include": None}, ()),
    ],
)
def test_what_chat_cannot_say_is_named(given: dict[str, Any], names: tuple[str, ...]) -> None:
    assert lacking("chat", wishes_of({"messages": [USER], **given})) == names


@pytest.mark.parametrize(
    ("tool", "hosted"),
    [
        ({"type": "mcp", "server_url": "https://x"}, True),
        ({"type": "web_search_preview"}, True),
        ({"type": "custom", "name": "c"}, True),
        ({"type": "function", "function": {"name": "f"}}, False),
        ({"type": "builtin_function", "function": {"name": "$web_search"}}, False),
        ({"googleSearch": {}}, False),
        ("x", False),
    ],
)
def test_hosted_tool_is_told_from_a_vendors_own(tool: Any, hosted: bool) -> None:
    assert is_hosted(tool) is hosted


def test_embeddings_say_everything() -> None:
    assert lacking("embeddings", wishes_of({"n": 4})) == ()


def test_state_of_one_account_is_named() -> None:
    assert server_state({"previous_response_id": "resp_1", "background": False}) == ("previous_response_id",)


def test_hints_are_dropped_by_one_api_alone() -> None:
    payload = {"seed": 0, "prediction": None}
    assert (dropped_hints("responses", payload), dropped_hints("chat", payload)) == (("seed",), ())
