"""Kind: a refusal of one model, or an unknown one: the next is asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

import hubmix
from hubmix.presets import CUSTOM
from tests.cases.ways import SYNC, WAYS, Way
from tests.support.answers import Answer, body, completion, error, whole_or_stream
from tests.support.scripted_hub import Request, ScriptedHub

Serve = Callable[..., ScriptedHub]

INVALID = "invalid_request_error"
NO_PRICE = "模型 a 的价格未配置。请前往「系统设置」；Model a price not configured. Go to Settings. (request id: 2026)"
MALFORMED = {
    "error": {
        "message": "Failed to call a function. Please adjust your prompt. See 'failed_generation' for more details.",
        "type": INVALID,
        "code": "tool_use_failed",
        "failed_generation": '<function=get_weather>{"city": "Paris"}</function>',
    }
}
# What one model refuses, by what it is.
OF_ONE_MODEL = {
    "nobody serves it": error(404, "No endpoints found for a:free.", code=404),
    "no allowed provider": error(404, "No allowed providers are available for the selected model.", code=404),
    "unknown 400": error(400, "This is not to our taste.", type=INVALID),
    "unknown 404": error(404, "Nothing here by that name.", type="x", code="x"),
    "unknown 422": error(422, "Unprocessable.", type=INVALID),
    "two parameters": error(400, "`temperature` and `top_p` cannot both be specified for this model.", type=INVALID),
    "max_tokens": error(400, "max_tokens is too large: 9. This model supports at most 8 completion tokens", code="x"),
    "one temperature": error(400, "invalid temperature: only 1 is allowed for this model", type=INVALID),
    "streams only": error(400, "This model only support stream mode, please enable the stream parameter.", code="x"),
    "unpriced": error(400, NO_PRICE, type="new_api_error", code="model_price_error"),
    "retired": error(404, "The model `a` has been retired. Use b.", type=INVALID, code="model_retired"),
    "removed": error(410, "The model `a` has been removed.", type=INVALID, code="model_removed"),
    "decommissioned": error(400, "The model `a` has been decommissioned.", type=INVALID, code="model_decommissioned"),
}


def refusing(refusal: Answer) -> Callable[[Request], Answer]:
    """Return a script in which the model `b` answers and every other refuses."""
    return lambda request: whole_or_stream("hello", stream=request.stream) if request.model == "b" else refusal


@pytest.mark.parametrize("refusal", OF_ONE_MODEL.values(), ids=OF_ONE_MODEL)
@pytest.mark.parametrize("way", SYNC, ids=str)
def test_refusal_of_one_model_goes_on_once(way: Way, refusal: Answer, serve: Serve) -> None:
    hub = serve(refusing(refusal))
    assert way.ask(hub, model="a", fallbacks=["b"]).text == "hello"
    assert hub.models == ["a", "b"]


@pytest.mark.parametrize("way", SYNC, ids=str)
def test_second_unknown_refusal_ends_the_call(way: Way, serve: Serve) -> None:
    hub = serve(error(400, "This is not to our taste.", type=INVALID))
    with pytest.raises(hubmix.AllModelsFailedError, match="Two models refused") as caught:
        way.ask(hub, model="a", fallbacks=["b", "c"])
    assert hub.models == ["a", "b"]
    assert [part.kind for part in caught.value.exceptions] == ["refused", "refused"]


@pytest.mark.parametrize("way", SYNC, ids=str)
def test_request_at_fault_asks_no_other_model(way: Way, serve: Serve) -> None:
    hub = serve(error(400, "field messages is required", type="new_api_error", code="invalid_request"))
    with pytest.raises(hubmix.BadRequestError):
        way.ask(hub, model="a", fallbacks=["b"])
    assert hub.models == ["a"]


@pytest.mark.parametrize("way", SYNC, ids=str)
def test_retired_model_alone_names_its_successor(way: Way, serve: Serve) -> None:
    with pytest.raises(hubmix.ModelNotFoundError, match="has been retired") as caught:
        way.ask(serve(OF_ONE_MODEL["retired"]), model="a")
    assert "Use b." in str(caught.value)
    assert "/v1" not in str(caught.value)


@pytest.mark.parametrize("way", SYNC, ids=str)
def test_english_words_beside_chinese_ones_are_shown(way: Way, serve: Serve) -> None:
    with pytest.raises(hubmix.ModelUnavailableError, match="price not configured") as caught:
        way.ask(serve(OF_ONE_MODEL["unpriced"]), model="a")
    assert str(caught.value).isascii()
    assert "价格未配置" in str(caught.value.hub_message)


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_malformed_call_is_asked_again_and_kept(way: Way, serve: Serve) -> None:
    hub = serve(refusing(body(MALFORMED, 400)))
    assert way.ask(hub, model="a", fallbacks=["b"], max_retries=1).text == "hello"
    assert hub.models == ["a", "a", "b"]
    with pytest.raises(hubmix.MalformedAnswerError) as caught:
        way.ask(serve(body(MALFORMED, 400)), model="a")
    assert caught.value.body == MALFORMED


OTHER_SHAPES: dict[str, tuple[Any, str, set[str]]] = {
    "MiniMax, empty": (
        {"choices": None, "base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}},
        "insufficient balance",
        {"quota", "channel_quota"},
    ),
    "MiniMax, key": (
        {"choices": None, "base_resp": {"status_code": 1004, "status_msg": "login fail: Please carry the key"}},
        "login fail",
        {"auth", "channel_auth"},
    ),
    "flat": ({"code": 30001, "message": "Sorry, your balance is insufficient"}, "balance", {"quota", "channel_quota"}),
    "Baidu": ({"error_code": 18, "error_msg": "Open api qps limit reached"}, "qps limit", {"server"}),
    "detail": ({"detail": "Not authenticated"}, "Not authenticated", {"auth"}),
    "object": ({"object": "error", "message": "The model `m` does not exist.", "code": 404}, "exist", {"not_found"}),
}


@pytest.mark.parametrize(("said", "words", "kinds"), OTHER_SHAPES.values(), ids=OTHER_SHAPES)
@pytest.mark.parametrize("way", WAYS, ids=str)
def test_error_under_200_is_read_in_any_shape(way: Way, said: Any, words: str, kinds: set[str], serve: Serve) -> None:
    hub = serve(body(said))
    with pytest.raises(hubmix.HubmixError) as caught:
        way.ask(hub)
    assert caught.value.kind in kinds
    assert words in str(caught.value.hub_message)
    assert caught.value.body == said
    assert len(hub.requests) == 1


@pytest.mark.parametrize("way", SYNC, ids=str)
def test_successor_of_the_list_is_named(way: Way, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUBMIX_CATALOG_REFRESH", "1")
    monkeypatch.setattr("hubmix.failover.run._DISCOVERY", 60.0)  # three seconds are too few on a busy machine
    row = {"model_id": "a", "retire_stage": "retired", "successor_model": "b", "types": "llm", "pricing": {}}
    hub = serve(error(410, "gone", code="model_removed"), pages={"/api/v1/models": body({"data": [row]})})
    monkeypatch.setattr("hubmix.presets.CUSTOM", replace(CUSTOM, catalog_sources=("aihubmix",)))
    with pytest.raises(hubmix.ModelNotFoundError, match="Its successor is 'b'") as caught:
        way.ask(hub, model="a")
    assert caught.value.suggestions == ("b",)


def test_half_of_a_broken_answer_is_kept_for_each_model(serve: Serve) -> None:
    hub = serve(completion("The capital of", "network_error"))
    payload = {"model": "a", "messages": [{"role": "user", "content": "hi"}]}
    with pytest.raises(hubmix.AllModelsFailedError) as caught:
        hubmix.Hub(base_url=hub.base_url, api_key="sk-test").chat(payload, hubmix.CallOptions(fallbacks=("b",)))
    for part in caught.value.exceptions:
        assert isinstance(part, hubmix.StreamInterruptedError)
        assert part.partial.text == "The capital of"


NO_PAGE = Answer(b"<html>404 page not found</html>", 404, "text/html")


@pytest.mark.parametrize("way", SYNC, ids=str)
def test_missing_page_of_a_url_that_never_answered_is_the_urls(way: Way, serve: Serve) -> None:
    hub = serve(NO_PAGE)
    with pytest.raises(hubmix.EndpointError, match="/v1"):
        way.ask(hub, model="a", fallbacks=["b"])
    assert hub.models == ["a"]


def test_missing_page_of_a_url_that_has_answered_is_the_models(serve: Serve) -> None:
    hub = hubmix.Hub(base_url=serve(refusing(NO_PAGE)).base_url, api_key="sk-test")
    ask = {"messages": [{"role": "user", "content": "hi"}]}
    hub.chat({"model": "b", **ask})
    assert hub.chat({"model": "a", **ask}, hubmix.CallOptions(fallbacks=("b",))).text == "hello"
