"""What hubs of 2026 refuse with, measured or reported, in every way to ask."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest

import hubmix
from hubmix import HubmixError
from hubmix.hub.registry import resolve_hub
from tests.cases.ways import WAYS, Way
from tests.support.answers import Answer, body, encoded, error, whole_or_stream
from tests.support.responses import message, whole_or_response
from tests.support.scripted_hub import Request, ScriptedHub

Serve = Callable[..., ScriptedHub]
NEW_API = {"type": "new_api_error"}
ONE_HUB = {"type": "one_hub_error"}
UNREAD = {"type": "bad_response_status_code"}
ROUTE = "(request id: 202611260217593786032848268d9d6)"


class Refusal(NamedTuple):
    """An answer to the first model; a second is asked if the scope is the model."""

    kind: str
    answer: Answer
    error: type[HubmixError] = HubmixError
    scope: str = "model"
    api: str = "chat"


def overloaded(part: str) -> Refusal:
    said = f"system {part} overloaded (current: 99.4%, threshold: 90%)"
    answer = error(503, said, **NEW_API, param="", code=f"system_{part}_overloaded")
    return Refusal("hub_overloaded", answer, hubmix.ServerError, "endpoint")


def of_the_key(kind: str, answer: Answer, error: type[HubmixError] = hubmix.AuthenticationError) -> Refusal:
    return Refusal(kind, answer, error, "account")


def over_responses(answer: Answer) -> Refusal:
    return Refusal("wrong_api", answer, api="responses")


NOT_PRICED = f"模型 m 的价格未配置；Model m price not configured. Go to System Settings. {ROUTE}"
DENIED = encoded(
    {"error": {"message": "Model m is not supported for current token", "code": "one_hub_error", **ONE_HUB}}
)
BUSY = f"当前分组上游负载已饱和，请稍后再试 {ROUTE}"
REFUSALS = {
    "New API: processor": overloaded("cpu"),
    "New API: memory": overloaded("memory"),
    "New API: disk": overloaded("disk"),
    "New API: no price": Refusal("no_channel", error(400, NOT_PRICED, **NEW_API, code="model_price_error")),
    "New API: the key's group is gone": of_the_key(
        "account", error(403, f"无权访问 dear 分组 {ROUTE}", **NEW_API, code=""), hubmix.PermissionDeniedError
    ),
    "New API: not in this group": Refusal(
        "no_channel", error(503, "No available channel for model m under group vip", **NEW_API, code="model_not_found")
    ),
    "one-hub: unknown or banned key": of_the_key("auth", error(401, f"无效的令牌 {ROUTE}", **ONE_HUB)),
    "one-hub: expired key": of_the_key("auth", error(401, f"令牌已过期 {ROUTE}", **ONE_HUB)),
    "one-hub: disabled key": of_the_key("auth", error(401, f"令牌状态不可用 {ROUTE}", **ONE_HUB)),
    "one-hub: spent key": of_the_key(
        "quota", error(401, f"令牌额度已用尽 {ROUTE}", **ONE_HUB), hubmix.QuotaExceededError
    ),
    "one-hub: empty account": of_the_key(
        "quota",
        error(429, "上游负载已饱和，请稍后再试", type="system_error", code="insufficient_user_quota"),
        hubmix.QuotaExceededError,
    ),
    "one-hub: limit of the account": of_the_key(
        "rate_account", error(429, f"您的速率达到上限，请稍后再试。 {ROUTE}", **ONE_HUB), hubmix.RateLimitedError
    ),
    "one-hub: model not for this key": Refusal("permission", Answer(DENIED, 404, "text/plain; charset=utf-8")),
    "one-hub: unknown model": Refusal(
        "no_channel", error(503, f"当前分组 default 下对于模型 m 无可用渠道 {ROUTE}", **ONE_HUB, code="one_hub_error")
    ),
    "one-hub: busy vendor": Refusal("rate_model", error(429, BUSY, type="requests", code="rate_limit_exceeded")),
    "one-hub: its own wallet is empty": Refusal(
        "channel_quota", error(429, BUSY, type="insufficient_quota", code="insufficient_quota")
    ),
    "Portkey: a page as JSON": Refusal(
        "server", body({"html-message": "<!DOCTYPE html><html>Just a moment...</html>"})
    ),
    "AIHubMix: retired": Refusal("retired", error(404, "The model m has been retired.", code="model_retired")),
    "AIHubMix: retired, in a code alone": Refusal(
        "retired", error(404, "Not found.", type="Aihubmix_api_error", code="model_retired")
    ),
    "AIHubMix: removed": Refusal("retired", error(410, "Gone")),
    "AIHubMix: removed, empty": Refusal("retired", Answer(b"", 410)),
    "New API: Responses over another wire": over_responses(
        error(500, f"not implemented {ROUTE}", **NEW_API, code="convert_request_failed")
    ),
    "New API: a vendor without Responses": over_responses(
        error(404, "openai_error", **UNREAD, code="bad_response_status_code")
    ),
    "New API: a vendor's 405": over_responses(error(405, "openai_error", **UNREAD, code="bad_response_status_code")),
    "Portkey: Responses of Claude": over_responses(
        body({"status": "failure", "message": "createModelResponse is not supported by anthropic"}, 500)
    ),
    "New API: chat of a model of Responses alone": Refusal(
        "wrong_api", error(404, "This model is only supported in v1/responses and not in v1/chat/completions.")
    ),
}


def whole(asked: Request) -> Answer:
    if asked.path == "/v1/responses":
        return whole_or_response(message("whole"), stream=asked.stream)
    return whole_or_stream("whole", stream=asked.stream)


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("fact", REFUSALS.values(), ids=REFUSALS)
def test_refusal_has_its_meaning(fact: Refusal, way: Way, serve: Serve) -> None:
    hub = serve(lambda asked: fact.answer if asked.model == "m" else whole(asked))
    if fact.scope == "model":
        found = way.ask(hub, fallbacks=["b"], api=fact.api)
        assert (found.text, hub.models) == ("whole", ["m", "b"])
        assert found.trace["attempts"][0]["kind"] == fact.kind
        return
    with pytest.raises(fact.error) as caught:
        way.ask(hub, fallbacks=["b"])
    assert (caught.value.kind, caught.value.scope.value, hub.models) == (fact.kind, fact.scope, ["m"])


BUSY_FOR = {
    "seconds": ({"Retry-After": "20"}, 20.0),
    "milliseconds": ({"retry-after-ms": "1500", "Retry-After": "2"}, 1.5),
    "a limit that is used up": ({"RateLimit": '"default";r=0;t=30', "RateLimit-Policy": '"default";q=60;w=60'}, 30.0),
    "a limit with room": ({"RateLimit": '"default";r=3;t=30'}, None),
}


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize(("headers", "wait"), BUSY_FOR.values(), ids=BUSY_FOR)
def test_wait_that_a_hub_names_is_told(headers: dict[str, str], wait: float | None, way: Way, serve: Serve) -> None:
    hub = serve(error(429, "Slow down.", type="requests", code="rate_limit_exceeded", headers=headers))
    with pytest.raises(hubmix.RateLimitedError) as caught:
        way.ask(hub)
    assert caught.value.retry_after == wait


FREE_LIMIT = error(429, "Free model quota exceeded.", type="Aihubmix_api_error")
FREE = {
    "/api/v1/models": body(
        {
            "success": True,
            "data": [
                {"model_id": "m", "types": "llm", "pricing": {"input": 0, "output": 0}},
                {"model_id": "b", "types": "llm", "pricing": {"input": 1, "output": 2}},
            ],
        }
    )
}


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_limit_on_free_models_leaves_the_others(way: Way, serve: Serve) -> None:
    hub = serve(lambda asked: FREE_LIMIT if asked.model == "m" else whole(asked), pages=FREE)
    kept = resolve_hub(hub="aihubmix", base_url=hub.base_url, api_key="sk-test")
    kept.models.refresh()
    assert way.ask(hub, hub_source="aihubmix", fallbacks=["b"]).text == "whole"
    assert hub.models == ["m", "b"]
    with pytest.raises(hubmix.RateLimitedError, match="limit on its free models"):
        way.ask(hub, hub_source="aihubmix")
