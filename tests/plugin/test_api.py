"""`api=` and the parameters of the Responses API, in both frameworks."""

from __future__ import annotations

from typing import Any

import pytest

from hubmix import ConfigurationError
from hubmix.failover.options import CallOptions
from hubmix.plugin.request import chat_request, read_call
from langchain_hubmix import ChatHubmix
from llamaindex_hubmix import Hubmix

CLASSES = (ChatHubmix, Hubmix)


def make(kind: Any, **settings: Any) -> Any:
    return kind(model="m", api_key="sk-test", base_url="http://127.0.0.1:9/v1", **settings)


def request(one: Any, **call: Any) -> Any:
    return chat_request(one.__dict__, read_call(call, where="A call"), [])


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize(
    ("settings", "call", "api"),
    [
        ({}, {}, "auto"),
        ({"api": "responses"}, {}, "responses"),
        ({"use_responses_api": True}, {}, "responses"),
        ({"use_responses_api": False}, {}, "chat"),
        ({"use_responses_api": None}, {}, "auto"),
        ({"api": "responses"}, {"api": "chat"}, "chat"),
        ({"api": "responses"}, {"api": None}, "auto"),
        ({}, {"use_responses_api": True}, "responses"),
    ],
)
def test_api_is_a_field_and_a_parameter_of_a_call(kind: Any, settings: Any, call: Any, api: str) -> None:
    assert request(make(kind, **settings), **call).options.api == api


@pytest.mark.parametrize("kind", CLASSES)
def test_api_of_no_name_is_refused(kind: Any) -> None:
    with pytest.raises(ConfigurationError, match="api should be 'auto', 'chat', 'responses' or 'messages'"):
        make(kind, api="completions")
    with pytest.raises(ConfigurationError, match="api must be one of"):
        request(make(kind), api="completions")
    with pytest.raises(ConfigurationError, match="api must be one of"):
        CallOptions(api="completions")  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", CLASSES)
def test_parameters_of_the_responses_api_are_sent(kind: Any) -> None:
    one = make(kind, include=["x"], truncation="auto", instructions="Be brief.", reasoning={"summary": "auto"})
    call = {"previous_response_id": "resp_1", "background": True, "conversation": "conv_1", "max_tool_calls": 2}
    body = request(one, **call).body
    assert body == {
        "model": "m",
        "messages": [],
        "include": ["x"],
        "truncation": "auto",
        "instructions": "Be brief.",
        "reasoning": {"summary": "auto"},
        **call,
    }


@pytest.mark.parametrize("kind", CLASSES)
def test_two_words_for_one_api_must_agree(kind: Any) -> None:
    with pytest.raises(ConfigurationError, match="same parameter"):
        make(kind, api="chat", use_responses_api=True)
