"""Kind: an error blames the right one, and shows no key and no escape."""

from __future__ import annotations

import io
import logging
import pickle
import traceback
from collections.abc import Callable
from typing import Any

import pytest

import hubmix
from hubmix import FailoverPolicy, Hub
from tests.cases.ways import SYNC, WAYS, Way, chat_hubmix
from tests.support.answers import Answer, body, completion, error, whole_or_stream
from tests.support.scripted_hub import ScriptedHub

Serve = Callable[..., ScriptedHub]

WRONG_KEY = error(401, "无效的令牌 (request id: 2026)", type="one_hub_error")
OVERLOADED = error(
    503, "system cpu overloaded (current: 91.3%, threshold: 90%)", type="new_api_error", code="system_cpu_overloaded"
)
UNSERVED = error(
    503, "No available channel for model X under group default", type="new_api_error", code="model_not_found"
)
LIST = body({"object": "list", "data": [{"id": name, "object": "model"} for name in ("gpt-4o-mini", "claude-haiku")]})


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_wrong_key_at_one_hub_asks_once(way: Way, serve: Serve) -> None:
    hub = serve(WRONG_KEY)
    with pytest.raises(hubmix.AuthenticationError):
        way.ask(hub, fallbacks=["b"])
    assert hub.models == ["m"]


def test_wrong_key_of_a_page_is_the_users(serve: Serve) -> None:
    pages = {"/v1/dashboard/billing/subscription": WRONG_KEY, "/api/usage/token/": WRONG_KEY, "/v1/models": WRONG_KEY}
    with pytest.raises(hubmix.AuthenticationError):
        Hub(base_url=serve(WRONG_KEY, pages=pages).base_url, api_key="sk-test").balance()


@pytest.mark.parametrize("way", SYNC, ids=str)
def test_overloaded_hub_is_asked_for_no_other_model(way: Way, serve: Serve) -> None:
    hub = serve(OVERLOADED)
    with pytest.raises(hubmix.ServerError, match="hub itself is overloaded") as caught:
        way.ask(hub, fallbacks=["b", "c"])
    assert set(hub.models) == {"m"}
    assert "vendor behind" not in str(caught.value)


@pytest.fixture
def list_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUBMIX_CATALOG_REFRESH", "1")
    monkeypatch.setattr("hubmix.failover.run._DISCOVERY", 60.0)  # three seconds are too few on a busy machine


@pytest.mark.usefixtures("list_is_asked_for")
@pytest.mark.parametrize("way", SYNC, ids=str)
def test_typo_is_told_with_what_the_list_has(way: Way, serve: Serve) -> None:
    hub = serve(UNSERVED, pages={"/v1/models": LIST})
    with pytest.raises(hubmix.ModelNotFoundError, match="list has no model 'gpt-4o-mimi'") as caught:
        way.ask(hub, model="gpt-4o-mimi")
    said = str(caught.value)
    assert "\n" not in said
    assert "Did you mean 'gpt-4o-mini'?" in said
    assert not any(words in said for words in ("not yours", "ome back", "vendor"))
    assert caught.value.suggestions == ("gpt-4o-mini",)
    assert hub.models == ["gpt-4o-mimi"]


@pytest.mark.usefixtures("list_is_asked_for")
@pytest.mark.parametrize("way", SYNC, ids=str)
def test_typo_in_a_fallback_is_told_in_its_line(way: Way, serve: Serve) -> None:
    hub = serve(UNSERVED, pages={"/v1/models": LIST})
    with pytest.raises(hubmix.AllModelsFailedError) as caught:
        way.ask(hub, model="gpt-4o-mini", fallbacks=["claude-hiku"])
    (line,) = [line for line in str(caught.value).splitlines() if "2. 'claude-hiku'" in line]
    assert "list has no model 'claude-hiku'. Did you mean 'claude-haiku'?" in line
    first, second = caught.value.exceptions
    assert isinstance(first, hubmix.ModelUnavailableError)
    assert isinstance(second, hubmix.ModelNotFoundError)


@pytest.mark.usefixtures("list_is_asked_for")
@pytest.mark.parametrize("way", SYNC, ids=str)
def test_several_typos_are_told_in_one_line(way: Way, serve: Serve) -> None:
    hub = serve(UNSERVED, pages={"/v1/models": LIST})
    with pytest.raises(hubmix.AllModelsFailedError) as caught:
        way.ask(hub, model="gpt-4o-mimi", fallbacks=["claude-hiku"])
    said = str(caught.value)
    assert "\n" not in said
    assert "Did you mean 'gpt-4o-mini'?" in said
    assert "Did you mean 'claude-haiku'?" in said


@pytest.mark.usefixtures("list_is_asked_for")
@pytest.mark.parametrize("way", SYNC, ids=str)
@pytest.mark.parametrize("model", ["GPT-4o-Mini", " gpt-4o-mini"])
def test_typo_in_case_or_spaces_is_told(way: Way, model: str, serve: Serve) -> None:
    hub = serve(
        lambda request: whole_or_stream("ok", stream=request.stream) if request.model == "gpt-4o-mini" else UNSERVED,
        pages={"/v1/models": LIST},
    )
    with pytest.raises(hubmix.ModelNotFoundError, match="Did you mean 'gpt-4o-mini'") as caught:
        way.ask(hub, model=model)
    assert "not yours" not in str(caught.value)


def test_words_of_each_refusal_stand_in_the_error_of_all(serve: Serve) -> None:
    hub = serve(lambda request: error(400, f"Odd words of {request.model}.", type="invalid_request_error"))
    with pytest.raises(hubmix.AllModelsFailedError) as caught:
        chat_hubmix(hub, fallbacks=["b"]).invoke("hi")
    assert 'What came back: "Odd words of m."' in str(caught.value)
    assert 'What came back: "Odd words of b."' in str(caught.value)


@pytest.mark.usefixtures("list_is_asked_for")
@pytest.mark.parametrize("way", SYNC, ids=str)
def test_model_that_is_listed_is_no_typo(way: Way, serve: Serve) -> None:
    with pytest.raises(hubmix.ModelUnavailableError) as caught:
        way.ask(serve(UNSERVED, pages={"/v1/models": LIST}), model="gpt-4o-mini")
    assert "Did you mean" not in str(caught.value)


def test_no_list_is_asked_for_if_the_user_wants_none(serve: Serve) -> None:
    hub = serve(UNSERVED, pages={"/v1/models": LIST})
    with pytest.raises(hubmix.ModelUnavailableError):
        Hub(base_url=hub.base_url, api_key="sk-test", catalog_refresh=False).chat(PAYLOAD)
    assert hub.pages_asked == []


# ---------------------------------------------------------------------------------------- the key and escapes, echoed

PAYLOAD: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
KEYS = ["sk-test", "3f2b8c1d-77aa-4e9b-9c55-0123456789ab"]
ECHOES: dict[str, Callable[[str], Answer]] = {
    "message": lambda key: error(401, f"Invalid token {key} given", type="new_api_error", code="invalid"),
    "code": lambda key: error(400, "x", type="t", code=key),
    "type": lambda key: error(400, "x", type=key),
    "param": lambda key: error(400, "x", param=key),
    "header": lambda key: error(400, "x", type="t", headers={"x-request-id": key}),
    "request id": lambda key: error(400, f"x (request id: {key})"),
    "200": lambda key: body({"success": False, "message": f"bad key {key}"}),
    "field name": lambda key: body({"error": {"message": "x", "details": {key: [key]}}}, 400),
    "escaped": lambda key: Answer(b'{"error": {"message": "%s"}}' % key.encode("utf-16-be").hex(" ", 2).encode(), 400),
    "page": lambda key: Answer(f"<html><title>bad key {key}</title></html>".encode(), 403, "text/html"),
    "text": lambda key: Answer(f"bad key {key}".encode(), 500, "text/plain"),
    "no answer": lambda key: body([key]),
}


def seen(error_: BaseException, log: str) -> str:
    """Return everything that somebody may print, keep or send on of an error."""
    parts = [str(error_), repr(error_), "".join(traceback.format_exception(error_)), repr(pickle.dumps(error_)), log]
    return "".join([*parts, repr(vars(error_)), repr(getattr(error_, "attempts", ""))])


def error_of(ask: Callable[[], object]) -> Exception | None:
    try:
        ask()
    except hubmix.HubmixError as failed:
        return failed
    return None


@pytest.fixture
def log() -> Any:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    logger = logging.getLogger("hubmix")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield stream
    logger.removeHandler(handler)
    logger.setLevel(level)


@pytest.mark.parametrize("key", KEYS, ids=["known prefix", "no prefix"])
@pytest.mark.parametrize("echo", ECHOES.values(), ids=ECHOES)
@pytest.mark.parametrize("way", SYNC, ids=str)
def test_echoed_key_is_seen_nowhere(
    way: Way, echo: Callable[[str], Answer], key: str, serve: Serve, log: io.StringIO
) -> None:
    hub = serve(echo(key))
    with pytest.raises(hubmix.HubmixError) as caught:
        way.ask(hub, api_key=key)
    assert key not in seen(caught.value, log.getvalue())


@pytest.mark.parametrize("key", KEYS, ids=["known prefix", "no prefix"])
@pytest.mark.parametrize("echo", ECHOES.values(), ids=ECHOES)
def test_echoed_key_of_a_page_is_seen_nowhere(
    echo: Callable[[str], Answer], key: str, serve: Serve, log: io.StringIO
) -> None:
    answer = echo(key)
    pages = dict.fromkeys(("/v1/models", "/api/pricing", "/v1/dashboard/billing/subscription"), answer)
    hub = Hub(base_url=serve(answer, pages=pages).base_url, api_key=key)
    for ask in (hub.balance, hub.models.list):
        failed = error_of(ask)
        assert failed is None or key not in seen(failed, log.getvalue())
    assert key not in repr(hub.health()) + repr(hub.models.info()) + log.getvalue()


ESCAPE = "\x1b]0;pwned\x07\x1b[2J"
EVIL = f"{ESCAPE}evil\n2026-01-01 CRITICAL forged line"


@pytest.mark.parametrize(
    "answer",
    [
        error(400, EVIL),
        error(400, "x", code=EVIL),
        error(400, "x", type=EVIL, param=EVIL),
        error(400, f"x (request id: {ESCAPE}abc)"),
        body({"success": False, "message": EVIL}),
        Answer(EVIL.encode(), 200, "application/json"),
    ],
)
@pytest.mark.parametrize("way", SYNC, ids=str)
def test_control_characters_are_shown_not_obeyed(way: Way, answer: Answer, serve: Serve, log: io.StringIO) -> None:
    with pytest.raises(hubmix.HubmixError) as caught:
        way.ask(serve(answer), fallbacks=["b"])
    for text in (str(caught.value), str(caught.value.hub_message), log.getvalue()):
        assert "\x1b" not in text
        assert "\n2026" not in text


def test_policy_hook_reads_the_body(serve: Serve) -> None:
    bodies: list[Any] = []
    policy = FailoverPolicy(max_retries=0, classify=lambda evidence, failure: bodies.append(evidence.body))
    hub = serve([error(400, "no", type="x"), completion("hello")])
    with pytest.raises(hubmix.BadRequestError):
        Hub(base_url=hub.base_url, api_key="sk-test").chat(PAYLOAD, hubmix.CallOptions(policy=policy))
    assert bodies == [{"error": {"message": "no", "type": "x"}}]
