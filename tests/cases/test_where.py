"""Where a hub is: the OPENAI_* pair, and gateways on a local network."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from hubmix import ConfigurationError, Hub
from langchain_hubmix import ChatHubmix, HubmixEmbeddings
from llamaindex_hubmix import Hubmix, HubmixEmbedding
from tests.support.answers import completion
from tests.support.scripted_hub import ScriptedHub

CHATS: list[Callable[..., Any]] = [
    lambda **given: ChatHubmix(model="m", **given).invoke("hi").text,
    lambda **given: Hubmix(model="m", **given).complete("hi").text,
]
CLASSES: list[Callable[..., Any]] = [ChatHubmix, Hubmix, HubmixEmbeddings, HubmixEmbedding]


@pytest.mark.parametrize("variable", ["OPENAI_BASE_URL", "OPENAI_API_BASE"])
@pytest.mark.parametrize("ask", CHATS)
def test_openai_pair_names_hub_and_key(
    ask: Callable[..., str], variable: str, serve: Callable[..., ScriptedHub], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hubs' documentation tells users to set this pair (case 401)."""
    hub = serve(completion("hello"))
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-pair")
    monkeypatch.setenv(variable, hub.base_url)
    assert ask() == "hello"
    assert hub.requests[-1].headers["authorization"] == "Bearer sk-test-pair"


@pytest.mark.parametrize("ask", CHATS)
def test_openai_key_stays_away_from_another_hub(
    ask: Callable[..., str], serve: Callable[..., ScriptedHub], monkeypatch: pytest.MonkeyPatch
) -> None:
    named, other = serve(completion("hello")), serve(completion("hello"))
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-pair")
    monkeypatch.setenv("OPENAI_BASE_URL", named.base_url.replace("127.0.0.1", "localhost"))
    with pytest.raises(ConfigurationError, match="No key"):
        ask(base_url=other.base_url)
    assert (named.requests, other.requests) == ([], [])


@pytest.mark.parametrize("make", CLASSES)
@pytest.mark.parametrize(
    "url", ["http://new-api:3000/v1", "http://host.docker.internal:3000/v1", "http://192.168.1.10:3000/v1"]
)
def test_gateway_on_the_local_network_is_taken(make: Callable[..., Any], url: str) -> None:
    """A self-hosted gateway in a container has no certificate (case 400)."""
    assert make(model="m", base_url=url, api_key="sk-test").hub.base_url == url


@pytest.mark.parametrize("make", [*CLASSES, lambda model, **given: Hub(**given)])
def test_public_host_over_http_is_refused_with_the_word(make: Callable[..., Any]) -> None:
    with pytest.raises((ConfigurationError, ValueError), match=re.escape("allow_http=True")):
        make(model="m", base_url="http://gateway.example.com/v1", api_key="sk-test")


def test_public_host_over_http_can_be_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "http://gateway.example.com/v1"
    assert Hub(base_url=url, api_key="sk-test", allow_http=True).base_url == url
    monkeypatch.setenv("HUBMIX_ALLOW_HTTP", "1")
    for make in CLASSES:
        assert make(model="m", base_url=url, api_key="sk-test").hub.base_url == url
