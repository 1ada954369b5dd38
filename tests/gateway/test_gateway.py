"""Every chat recording through both classes, against the table."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest

import hubmix
from hubmix import HubmixError, StreamInterruptedError
from tests.cassettes.format import Interaction
from tests.cassettes.playback import play
from tests.gateway.pages import hub_for, recorded, request_id, scope_of
from tests.gateway.players import PLAYERS, Outcome, in_turn, outcome_of, row_of
from tests.gateway.table import KINDS, Case, Expected, table

FAULTS = (
    *("The fault is in your request", "The fault is with your key or account", "The fault is the hub's"),
    *("vendor", "for a reason that is not known here"),
)


APIS = {"/v1/chat/completions": "chat", "/v1/responses": "responses"}


def api_of(case: Case) -> str | None:
    """Return the API of the recording; None if our classes cannot ask it."""
    paths = {urlsplit(each.uri).path for each in recorded(case)}
    return APIS.get(paths.pop()) if len(paths) == 1 and not case.wire else None


def asked_over(case: Case) -> str:
    """Return the `api` to ask with.

    "auto" asks chat first. Chat is named where "auto" would go on to the other API.
    """
    goes_on = any(step.fails == "wrong_api" for step in case.steps)
    return "auto" if api_of(case) == "chat" and not goes_on else api_of(case)


PLAYED = [case for case in table().values() if api_of(case)]
SINGLE = [case for case in PLAYED if len(case.steps) == 1]


def check_answer(step: Expected, said: Outcome, sent: Interaction, *, several: bool) -> None:
    wanted = outcome_of(step)
    assert said == (wanted if several else replace(wanted, also=[]))
    assert said.request_id == request_id(sent)
    assert said.trace["served"]
    if said.pieces:
        assert "".join(said.pieces) == said.text


def check_failure(step: Expected, error: HubmixError, came: Interaction, model: str) -> None:
    kind = KINDS[step.fails]
    assert isinstance(error, getattr(hubmix, kind.exception))
    assert (error.kind, scope_of(error)) == (step.fails, kind.scope)
    assert error.request_id == request_id(came)
    assert error.model == model
    assert step.says in (error.hub_message or "")
    if came.status >= 400:
        assert error.status == came.status
    check_words(str(error), model)


def check_words(message: str, model: str) -> None:
    """Check that the message names model and fault, in English."""
    assert model in message
    assert any(words in message for words in FAULTS)
    assert not re.search(r"[\u4e00-\u9fff]", message)
    assert "sk-test" not in message


@pytest.mark.parametrize(("case", "player"), in_turn(PLAYED))
async def test_what_comes_out(case, player):
    hub, api = hub_for(case), asked_over(case)
    history = player.start()
    with play(case.path):
        for step, came in zip(case.steps, recorded(case), strict=True):
            request = json.loads(came.request_body)
            model, stream, n = request["model"], bool(request.get("stream")), request.get("n") or 1
            if step.fails:
                with pytest.raises(HubmixError) as caught:
                    await player.ask(hub, model, history, stream=stream, api=api)
                check_failure(step, caught.value, came, model)
                if step.fails == "interrupted":
                    check_half(step, caught.value, player.pieces)
                else:
                    assert "".join(player.pieces) == ""
                hub.reset_health()
            else:
                said = await player.ask(hub, model, history, stream=stream, n=n, api=api)
                check_answer(step, said, came, several=player.holds_several)
                history = player.go_on(history, said)


def check_half(step: Expected, error: HubmixError, pieces: list[str]) -> None:
    assert isinstance(error, StreamInterruptedError)
    assert error.partial.text == step.partial == "".join(pieces)


# ------------------------------------------------------------------------------------------------ two models


def spare_of(case: Case) -> Case | None:
    """Return the recorded answer of another model at the same gateway."""
    request = json.loads(recorded(case)[0].request_body)
    if api_of(case) == "responses":
        name = "responses_reasoning" if "gemini" in request["model"] else "responses_gemini"
    else:
        name = "ok" if "claude" in request["model"] else "claude"
    spare = table().get((case.gateway, name + ("_stream" if request.get("stream") else "")))
    return spare if spare is not None and spare.steps[0].text is not None else None


def likeness(case: Case) -> tuple[Any, ...]:
    """Return what decides where a failed call goes on."""
    return case.gateway, api_of(case), *row_of(case)


FAILING = [case for case in SINGLE if case.steps[0].kind or case.steps[0].incomplete]
# Portkey was asked for whole answers of one model only, and for the Responses API of one vendor.
WITH_SPARE = [case for case in FAILING if spare_of(case)]


def test_only_portkey_has_no_second_model():
    assert {case.gateway for case in FAILING if case not in WITH_SPARE} == {"portkey"}


@pytest.mark.parametrize(("case", "player"), in_turn(WITH_SPARE, likeness))
async def test_a_second_model_is_asked_where_the_scope_calls_for_it(case, player):
    hub, [step], [came] = hub_for(case), case.steps, recorded(case)
    request = json.loads(came.request_body)
    model, stream = request["model"], bool(request.get("stream"))
    spare = spare_of(case)
    other = json.loads(recorded(spare)[0].request_body)["model"]
    with play(case.path, spare=[spare.path]) as cassette:
        error, said = None, None
        try:
            said = await player.ask(hub, model, player.start(), stream=stream, fallbacks=[other], api=asked_over(case))
        except HubmixError as caught:
            error = caught
        asked_both = cassette.play_counts[1] == 1
    assert asked_both is step.moves_on
    if step.moves_on:
        check_answer(spare.steps[0], said, recorded(spare)[0], several=True)
        assert [each["model"] for each in said.trace["attempts"]] == [model, other]
        assert said.trace["attempts"][0]["kind"] == (step.fails or step.weak)
        assert (said.trace["requested"], said.trace["served"]) == (model, other)
    elif step.fails:
        check_failure(step, error, came, model)
        assert "".join(player.pieces) == step.partial
    else:
        check_answer(step, said, came, several=True)


@pytest.mark.parametrize("player", PLAYERS, ids=repr)
async def test_when_both_fail_the_error_lists_both(player):
    case, other = table()["new-api", "vendor_503"], table()["new-api", "vendor_529"]
    models = [json.loads(recorded(each)[0].request_body)["model"] for each in (case, other)]
    with play(case.path, spare=[other.path]), pytest.raises(hubmix.AllModelsFailedError) as caught:
        await player.ask(hub_for(case), models[0], player.start(), stream=False, fallbacks=models[1:])
    assert [each.kind for each in caught.value.exceptions] == ["server", "rate_model"]
    assert [each.model for each in caught.value.attempts] == models
    for model in models:
        check_words(str(caught.value), model)
    assert request_id(recorded(case)[0]) in str(caught.value)
