"""What a failure means over an API that not every hub has."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from hubmix.failover.classify import classify
from hubmix.failover.evidence import Evidence, Recovery
from hubmix.failover.over_api import over_route, refused_model
from hubmix.failover.route import Route, RouteHub
from hubmix.wire.apis import CHAT, RESPONSES


def judged(evidence: Evidence, api: Any = RESPONSES, *, answered: bool = False, **payload: Any) -> Any:
    hub = SimpleNamespace(has_answered=lambda api: answered)
    route = Route("m", cast(RouteHub, hub), api)
    return over_route(classify(evidence), evidence, route, payload)


def refused(status: int, message: str = "", **more: Any) -> Evidence:
    return Evidence("status", "body", status=status, message=message, **more)


@pytest.mark.parametrize(
    "evidence",
    [
        refused(404, "Invalid URL (POST /v1/responses)", type="invalid_request_error"),
        refused(404, "Not Found"),
        refused(404, "404 page not found"),
        refused(404, "openai_error", code="bad_response_status_code", type="bad_response_status_code"),
        refused(404, "Provider API error: bad response status code 404", code="bad_response_status_code"),
        refused(404, "Unknown request URL: POST /v1/responses.", code="unknown_url"),
        refused(405, empty_body=True),
        refused(500, "not implemented", code="convert_request_failed", type="new_api_error"),
        refused(500, "createModelResponse is not supported by anthropic"),
        refused(400, "This model is only supported in v1/chat/completions and not in v1/responses."),
        refused(400, "This model does not support the Responses API."),
    ],
)
def test_missing_path_is_the_wrong_api(evidence: Evidence) -> None:
    assert judged(evidence).kind == "wrong_api"


@pytest.mark.parametrize(
    "evidence",
    [
        refused(400, "/v1/chat/completions is not supported. Please use /v1/responses"),
        refused(404, "This model is only supported in v1/responses and not in v1/chat/completions."),
        refused(400, "The chatCompletion operation does not work with the specified model, o3-pro."),
        refused(400, "The model gpt-5-codex only supports the Responses API."),
    ],
)
def test_chat_that_is_refused_is_the_wrong_api(evidence: Evidence) -> None:
    assert judged(evidence, CHAT).kind == "wrong_api"


@pytest.mark.parametrize(
    ("evidence", "kind"),
    [
        (refused(404, "The model `m` does not exist or you do not have access to it."), "not_found"),
        (refused(404, "Item with id 'rs_1' not found. Items are not persisted.", body={}), "refused"),
        (refused(404, "Previous response with id 'resp_1' not found.", body={}), "refused"),
        (refused(503, "No available channel", code="model_not_found", type="new_api_error"), "no_channel"),
    ],
)
def test_other_404_keeps_its_kind(evidence: Evidence, kind: str) -> None:
    assert judged(evidence).kind == kind


def test_missing_path_of_chat_is_a_fault_of_the_url() -> None:
    assert judged(refused(404, "Invalid URL (POST /v1/chat/completions)"), CHAT).kind == "endpoint"


def test_path_that_has_answered_is_no_fault_of_the_url() -> None:
    missing = refused(404, "Invalid URL (POST /v1/chat/completions)")
    assert judged(missing, CHAT, answered=True).kind == "refused"


def test_hub_without_the_path_refuses_every_model() -> None:
    route = Route("m", cast(RouteHub, None), RESPONSES)
    assert refused_model(route, refused(404, "Invalid URL (POST /v1/responses)")) is None
    assert refused_model(route, refused(404, "Not Found")) == "m"


def test_request_in_the_background_is_not_sent_twice() -> None:
    late = Evidence("read_timeout", "open")
    assert judged(late).action is not Recovery.FAIL
    assert (judged(late, background=True).action, judged(late, background=True).retries) == (Recovery.FAIL, 0)


@pytest.mark.parametrize(
    ("apart", "free", "kind"),
    [(True, True, "rate_model"), (True, False, "rate_account"), (False, True, "rate_account")],
)
def test_limit_on_free_models_is_theirs_alone(apart: bool, free: bool, kind: str) -> None:
    hub = SimpleNamespace(free_limit=apart, is_free=lambda model: free)
    evidence = Evidence("status", "body", status=429, empty_body=True, headers={"retry-after": "7"})
    failure = over_route(classify(evidence), evidence, Route("m", cast(RouteHub, hub), CHAT), {})
    assert (failure.kind, failure.retry_after) == (kind, 7)
