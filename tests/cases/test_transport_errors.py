"""Kind: what a transport raises, of whatever type, is hubmix's error."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from langchain_core.exceptions import ModelConnectionError

import hubmix
from hubmix import CallOptions, FailoverPolicy, Hub
from hubmix._compat import http
from langchain_hubmix import ChatHubmix
from llamaindex_hubmix import Hubmix

PAYLOAD = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
ONCE = CallOptions(policy=FailoverPolicy(max_retries=0))
ERRORS = [OSError("disk"), ssl.SSLError("bad cert"), ValueError("bug"), RuntimeError("closed"), KeyError("x")]
ERRORS += [ConnectionResetError("reset"), TimeoutError("late"), http().ConnectError("refused"), http().ProxyError("no")]


class Broken(http().BaseTransport, http().AsyncBaseTransport):  # type: ignore[misc]
    """A transport that raises, at once or in the middle of the body."""

    def __init__(self, error: Exception, *, body: bytes | None = None) -> None:
        self.error = error
        self.body = body

    def handle_request(self, request: Any) -> Any:
        if self.body is None:
            raise self.error
        return http().Response(200, headers={"content-type": "application/json"}, stream=Pieces(self.error, self.body))

    async def handle_async_request(self, request: Any) -> Any:
        return self.handle_request(request)


class Pieces(http().SyncByteStream, http().AsyncByteStream):  # type: ignore[misc]
    def __init__(self, error: Exception, body: bytes) -> None:
        self.error = error
        self.body = body

    def __iter__(self) -> Iterator[bytes]:
        yield self.body
        raise self.error

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self.body
        raise self.error


def clients(broken: Broken) -> dict[str, Any]:
    return {
        "base_url": "https://broken.invalid/v1",
        "api_key": "sk-test",
        "http_client": http().Client(transport=broken),
        "http_async_client": http().AsyncClient(transport=broken),
    }


@pytest.mark.parametrize("error", ERRORS, ids=repr)
async def test_error_of_a_transport_is_ours(error: Exception) -> None:
    given = {**clients(Broken(error)), "model": "m", "max_retries": 0}
    chat, llm = ChatHubmix(**given), Hubmix(**given)
    for ask in (lambda: chat.invoke("x"), lambda: list(chat.stream("x")), lambda: llm.complete("x")):
        with pytest.raises(hubmix.HubmixError) as caught:
            ask()
        assert caught.value.kind in ("connect", "reset", "timeout")
    for awaited in (chat.ainvoke("x"), llm.acomplete("x")):
        with pytest.raises(hubmix.HubmixError):
            await awaited
    if not isinstance(error, TimeoutError):
        with pytest.raises(ModelConnectionError):
            chat.invoke("x")


@pytest.mark.parametrize("error", ERRORS, ids=repr)
async def test_error_of_a_transport_on_a_page_is_ours(error: Exception) -> None:
    hub = Hub(**clients(Broken(error)))
    for ask in (hub.balance, hub.models.list, lambda: hub.get("/models")):
        with pytest.raises(hubmix.HubmixError):
            ask()
    with pytest.raises(hubmix.HubmixError):
        await hub.abalance()


@pytest.mark.parametrize("error", [OSError("disk"), ssl.SSLError("bad record"), http().ReadError("cut")], ids=repr)
async def test_error_in_the_middle_of_a_body_is_ours(error: Exception) -> None:
    hub = Hub(**clients(Broken(error, body=b'{"choices": [')))
    with pytest.raises(hubmix.HubmixError):
        hub.chat(PAYLOAD, ONCE)
    with pytest.raises(hubmix.HubmixError):
        list(hub.stream_chat(PAYLOAD, ONCE))
    with pytest.raises(hubmix.HubmixError):
        await hub.achat(PAYLOAD, ONCE)


def test_error_of_a_key_function_stays_as_it_is() -> None:
    def key() -> str:
        raise FileNotFoundError("no token file")

    with pytest.raises(FileNotFoundError):
        ChatHubmix(model="m", base_url="https://broken.invalid/v1", api_key=key, max_retries=0).invoke("x")
