"""Which APIs a model is asked over."""

from __future__ import annotations

from typing import Any

import pytest

from hubmix import ConfigurationError
from hubmix.wire.api_choice import able_apis, check_api_name, check_server_state, ordered_apis

ASKED: dict[str, Any] = {"messages": [{"role": "user", "content": "Hello"}]}
SEARCH = {**ASKED, "tools": [{"type": "web_search"}]}


@pytest.mark.parametrize(
    ("listed", "refused", "apis"),
    [
        ((), (), ("chat", "responses")),
        (("chat", "responses"), (), ("chat", "responses")),
        (("responses",), (), ("responses", "chat")),
        (("messages",), (), ("chat", "responses")),
        ((), ("chat",), ("responses", "chat")),
        (("responses",), ("responses",), ("chat", "responses")),
        ((), ("chat", "responses"), ("chat", "responses")),
    ],
)
def test_auto_follows_the_list_then_what_refusals_taught(listed: Any, refused: Any, apis: tuple[str, ...]) -> None:
    assert ordered_apis(able_apis("auto", ASKED), listed=listed, refused=refused) == apis


@pytest.mark.parametrize(
    ("payload", "apis"), [(SEARCH, ("responses",)), ({**ASKED, "n": 2}, ("chat",)), ({**ASKED, "stop": []}, None)]
)
def test_auto_takes_the_api_that_can_say_it(payload: Any, apis: tuple[str, ...] | None) -> None:
    assert ordered_apis(able_apis("auto", payload), refused=apis or ()) == (apis or ("chat", "responses"))


@pytest.mark.parametrize("name", ["chat", "responses", "messages"])
def test_named_api_is_the_only_one(name: str) -> None:
    assert ordered_apis(able_apis(name, ASKED), listed=("responses",), refused=(name,)) == (name,)


@pytest.mark.parametrize(
    ("name", "payload", "words"),
    [
        ("responses", {**ASKED, "n": 2, "stop": ["x"]}, ("The Responses API cannot say n and stop", 'api="chat"')),
        ("chat", SEARCH, ("Chat completions cannot say the tool 'web_search'", 'api="responses"')),
        ("chat", {**SEARCH, "n": 2}, ("Chat completions", "no API can say all of it")),
        ("auto", {**SEARCH, "n": 2}, ("No API", "'web_search'", "cannot say n")),
    ],
)
def test_what_cannot_be_said_names_the_other_api(name: str, payload: Any, words: tuple[str, ...]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        able_apis(name, payload)
    assert all(word in str(caught.value) for word in words)


def test_state_of_one_account_refuses_fallbacks() -> None:
    payload = {**ASKED, "previous_response_id": "resp_1"}
    check_server_state(payload, alone=True)
    check_server_state(ASKED, alone=False)
    with pytest.raises(ConfigurationError, match="previous_response_id cannot be used with fallbacks"):
        check_server_state(payload, alone=False)


@pytest.mark.parametrize("name", ["chat ", "completions", None, 1])
def test_word_that_names_no_api_is_refused(name: object) -> None:
    check_api_name("auto")
    with pytest.raises(ConfigurationError, match="api must be one of 'auto'"):
        check_api_name(name)
