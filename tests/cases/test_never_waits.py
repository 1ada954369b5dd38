"""No breaker makes a call wait or refuses it. Cases 140, 141, 406, 504, 512."""

from __future__ import annotations

import ssl
from typing import Any

import pytest

from hubmix import Hub, HubConnectionError, HubmixError, errors
from hubmix._compat import http
from hubmix.failover.breakers import REGISTRY
from hubmix.failover.plan import SystemClock
from tests.cases.ways import WAYS, Way
from tests.support.answers import Answer, error, whole_or_stream
from tests.support.scripted_hub import Request, ScriptedHub

MESSAGES = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that calls would have waited; nothing is slept."""
    noted: list[float] = []

    async def sleep(self: SystemClock, seconds: float) -> None:
        noted.append(seconds)

    monkeypatch.setattr(SystemClock, "sleep", lambda self, seconds: noted.append(seconds))
    monkeypatch.setattr(SystemClock, "async_sleep", sleep)
    REGISTRY.reset()
    return noted


def ok(request: Request, text: str = "ok") -> Answer:
    return whole_or_stream(text, stream=request.stream)


BUSY = error(503, "upstream overloaded", type="server_error")


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("max_retries", [0, 1])
def test_each_call_asks_a_failing_hub_and_waits_as_the_sdk(way: Way, max_retries: int, waits: list[float]) -> None:
    with ScriptedHub(BUSY) as hub:
        for call in range(1, 6):
            with pytest.raises(HubmixError):
                way.ask(hub, max_retries=max_retries)
            assert len(hub.requests) == call * (3 if max_retries else 1)
    assert sum(waits) <= 5 * (0.5 + 1.0)


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize(
    "refusal",
    [
        error(403, "model not enabled for this key", type="x"),
        error(403, "no money", type="new_api_error", code="insufficient_user_quota"),
        error(401, "Invalid token", type="new_api_error"),
        error(404, "The model `m` does not exist", code="model_not_found"),
        error(429, "slow down", type="requests", code="rate_limit_exceeded"),
    ],
    ids=["permission", "quota", "auth", "not_found", "rate"],
)
def test_what_was_mended_is_asked_again_at_once(way: Way, refusal: Any, waits: list[float]) -> None:
    def script(request: Request) -> Any:
        return refusal if request.number == 0 else ok(request)

    with ScriptedHub(script) as hub:
        with pytest.raises(HubmixError):
            way.ask(hub)
        assert way.ask(hub).text == "ok"
    assert waits == []


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 524, 529])
def test_a_sole_model_survives_what_the_sdk_survives(way: Way, status: int) -> None:
    def script(request: Request) -> Any:
        return error(status, "later", type="x") if request.number < 2 else ok(request)

    with ScriptedHub(script) as hub:
        assert way.ask(hub, max_retries=2).text == "ok"
        assert len(hub.requests) == 3


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_an_overloaded_hub_is_asked_for_the_same_model(way: Way, waits: list[float]) -> None:
    overloaded = error(503, "system cpu overloaded", type="new_api_error", code="system_cpu_overloaded")
    with ScriptedHub(overloaded) as hub:
        with pytest.raises(errors.ServerError, match="hub itself is overloaded"):
            way.ask(hub, fallbacks=["b", "c"], max_retries=1)
        assert set(hub.models) == {"m"}
    assert min(waits) >= 2


def test_a_broken_proxy_of_one_user_concerns_no_other() -> None:
    with ScriptedHub(lambda request: ok(request, "hello")) as hub:
        proxied = http().Client(proxy="http://127.0.0.1:9")
        first = Hub(base_url=hub.base_url, api_key="sk-test-a", http_client=proxied)
        second = Hub(base_url=hub.base_url, api_key="sk-test-b")
        for _ in range(5):
            with pytest.raises(HubConnectionError):
                first.chat(MESSAGES)
        assert [state.target for state in first.health()] == ["endpoint"]
        assert second.health() == []
        assert second.chat(MESSAGES).text == "hello"
        proxied.close()


@pytest.mark.parametrize(
    "raised",
    [OSError("disk"), ssl.SSLError("bad certificate"), ValueError("bug"), ConnectionResetError("gone")],
    ids=repr,
)
def test_whatever_a_transport_raises_is_a_connection_error(raised: Exception) -> None:
    def handler(request: Any) -> Any:
        raise raised

    client = http().Client(transport=http().MockTransport(handler))
    with client, Hub(base_url="https://hub.invalid/v1", api_key="sk-test", http_client=client) as hub:
        with pytest.raises(HubConnectionError, match=str(raised.args[0])) as caught:
            hub.chat(MESSAGES)
        assert len(caught.value.attempts) == 3
        with pytest.raises(HubConnectionError):
            list(hub.stream_chat(MESSAGES))
