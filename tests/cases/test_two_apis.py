"""One model over two APIs: which is asked, and what follows a wrong one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages.content import KNOWN_BLOCK_TYPES
from llama_index.core import PromptTemplate
from llama_index.core.base.llms.types import ChatMessage
from pydantic import BaseModel

from hubmix import AllModelsFailedError, ConfigurationError, Hub, HubmixError
from langchain_hubmix import ChatHubmix
from tests.cases.ways import WAYS, WHOLE, Way, chat_hubmix, hubmix
from tests.support.answers import Answer, body, error, whole_or_stream
from tests.support.responses import (
    message,
    refusals,
    response,
    response_events,
    response_stream,
    search,
    strict,
    thought,
)
from tests.support.responses import whole_or_response as responses_answer
from tests.support.scripted_hub import Request, ScriptedHub

Serve = Callable[..., ScriptedHub]
CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"
NOT_CHAT = error(404, "This is not a chat model and thus not supported in the v1/chat/completions endpoint.")
NOT_RESPONSES = error(500, "not implemented", type="new_api_error", code="convert_request_failed")
NO_PATH = error(404, "Invalid URL (POST /v1/responses)", type="invalid_request_error")


def answered(request: Request, words: str = "Hi") -> Answer:
    if request.path == CHAT:
        return whole_or_stream(words, stream=request.stream)
    return next(refusals(request.body), responses_answer(message(words), stream=request.stream))


def responses_only(request: Request) -> Answer:
    return NOT_CHAT if request.path == CHAT else answered(request)


def chat_only(request: Request) -> Answer:
    return NOT_RESPONSES if request.path == RESPONSES else answered(request)


def listed(*rows: tuple[str, list[str]]) -> dict[str, Answer]:
    models = [{"id": name, "object": "model", "supported_endpoint_types": types} for name, types in rows]
    return {"/v1/models": body({"object": "list", "data": models})}


def paths(hub: ScriptedHub) -> list[str]:
    return [request.path for request in hub.requests]


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_plain_model_is_asked_over_chat(way: Way, serve: Serve) -> None:
    hub = serve(answered)
    said = way.ask(hub)
    assert (said.text, paths(hub), said.about["api"]) == ("Hi", [CHAT], "chat")
    assert said.about["hub"] == hub.root_url.removeprefix("http://")


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_named_api_is_asked_and_reported(way: Way, serve: Serve) -> None:
    hub = serve(answered)
    said = way.ask(hub, api="responses")
    assert (said.text, said.finish_reason, said.usage) == ("Hi", "stop", (5, 3, 8))
    assert (paths(hub), said.about["api"]) == ([RESPONSES], "responses")
    assert [attempt["api"] for attempt in said.trace["attempts"]] == ["responses"]


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_wrong_api_is_left_for_the_other_and_remembered(
    way: Way, serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUBMIX_CACHE_DIR", str(tmp_path))
    hub = serve(responses_only)
    said = way.ask(hub)
    assert said.text == "Hi"
    assert [(a["api"], a["outcome"], a["kind"]) for a in said.trace["attempts"]] == [
        ("chat", "error", "wrong_api"),
        ("responses", "ok", None),
    ]
    assert way.ask(hub).text == "Hi"
    assert paths(hub) == [CHAT, RESPONSES, RESPONSES]


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_responses_refused_goes_on_over_chat(
    way: Way, serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUBMIX_CACHE_DIR", str(tmp_path))
    hub = serve(chat_only, pages=listed(("m", ["openai-response"])))
    chat_hubmix(hub).hub.models.list()
    said = way.ask(hub)
    assert (said.text, paths(hub)) == ("Hi", [RESPONSES, CHAT])
    assert said.about["api"] == "chat"


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_catalog_names_the_api_of_a_model(way: Way, serve: Serve) -> None:
    hub = serve(answered, pages=listed(("m", ["openai-response"]), ("n", ["openai", "openai-response"])))
    kept = chat_hubmix(hub).hub  # models of equal settings share a hub
    kept.models.list()
    way.ask(hub)
    way.ask(hub, model="n")
    assert paths(hub) == [RESPONSES, CHAT]


@pytest.mark.parametrize("refusal", [NOT_RESPONSES, NO_PATH, error(404, "Not Found"), Answer(b"", 405)])
@pytest.mark.parametrize("way", WHOLE, ids=str)
def test_named_api_is_not_switched(way: Way, refusal: Answer, serve: Serve) -> None:
    hub = serve(refusal)
    with pytest.raises(HubmixError, match="not served over this API") as caught:
        way.ask(hub, api="responses")
    assert (caught.value.kind, paths(hub)) == ("wrong_api", [RESPONSES])


def test_hub_without_the_path_is_remembered_for_every_model(serve: Serve) -> None:
    hub = serve(lambda request: NO_PATH if request.path == RESPONSES else answered(request))
    llm = chat_hubmix(hub)
    with pytest.raises(HubmixError):
        llm.invoke("go", api="responses")
    assert llm.hub.models.refused_apis.of("another") == {"responses"}


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_other_failure_does_not_change_the_api(way: Way, serve: Serve) -> None:
    hub = serve(error(503, "No available channel", code="model_not_found", type="new_api_error"))
    with pytest.raises(HubmixError) as caught:
        way.ask(hub)
    assert (caught.value.kind, paths(hub)) == ("no_channel", [CHAT])


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_fallback_is_asked_over_its_own_api(way: Way, serve: Serve) -> None:
    def script(request: Request) -> Answer:
        if request.model == "m":
            return error(503, "No available channel", code="model_not_found", type="new_api_error")
        return responses_only(request)

    hub = serve(script)
    said = way.ask(hub, fallbacks=["o3-pro"])
    assert (said.text, said.model) == ("Hi", "o3-pro")
    assert [(r.model, r.path) for r in hub.requests] == [("m", CHAT), ("o3-pro", CHAT), ("o3-pro", RESPONSES)]


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_model_found_after_a_failure_has_its_own_api(way: Way, serve: Serve) -> None:
    def script(request: Request) -> Answer:
        if request.model == "gpt-4o":
            return error(503, "No available channel", code="model_not_found", type="new_api_error")
        return responses_only(request)

    hub = serve(script, pages=listed(("gpt-4o", ["openai"]), ("gpt-4o-pro", ["openai-response"])))
    said = way.ask(hub, model="gpt-4o", fallbacks="auto")
    assert (said.text, said.model, said.about["api"]) == ("Hi", "gpt-4o-pro", "responses")
    assert paths(hub) == [CHAT, RESPONSES]


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_both_apis_refused_is_one_error_about_the_model(way: Way, serve: Serve) -> None:
    hub = serve(lambda request: NOT_CHAT if request.path == CHAT else NOT_RESPONSES)
    with pytest.raises(HubmixError) as caught:
        way.ask(hub)
    assert not isinstance(caught.value, AllModelsFailedError)
    assert [attempt.api for attempt in caught.value.attempts] == ["chat", "responses"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"api": "responses", "stop": ["x"]}, 'cannot say stop.*api="chat"'),
        ({"api": "chat", "instructions": "Be brief."}, 'cannot say instructions.*api="responses"'),
        ({"stop": ["x"], "instructions": "Be brief."}, "No API can say all of this call"),
    ],
)
@pytest.mark.parametrize("way", WHOLE, ids=str)
def test_what_cannot_be_said_is_refused_before_a_request(
    way: Way, settings: dict[str, Any], words: str, serve: Serve
) -> None:
    hub = serve(answered)
    with pytest.raises(ConfigurationError, match=words):
        way.ask(hub, **settings)
    assert paths(hub) == []


def test_hosted_tool_chooses_the_api(serve: Serve) -> None:
    note = {"type": "url_citation", "url": "https://x", "title": "X", "start_index": 0, "end_index": 2}
    said = message("Hi")
    said["content"][0]["annotations"] = [note]
    hub = serve(lambda request: response(thought(), search(), said))
    answer = chat_hubmix(hub).bind_tools([{"type": "web_search"}]).invoke("go")
    assert paths(hub) == [RESPONSES]
    assert hub.bodies[0]["tools"] == [{"type": "web_search"}]
    assert [block["type"] for block in answer.content_blocks] == [
        "reasoning",
        "server_tool_call",
        "server_tool_result",
        "text",
    ]
    citation = {"type": "citation", "url": "https://x", "title": "X", "start_index": 0, "end_index": 2}
    assert answer.content_blocks[-1]["annotations"] == [citation]


@pytest.mark.parametrize(("items", "complete"), [([search(), message("Hi")], False), ([message("Hi")], True)])
def test_cost_of_a_hosted_tool_is_not_complete(items: Any, complete: bool, serve: Serve) -> None:
    hub = serve(response(*items))
    prices = {"m": {"pricing": {"input": 1, "output": 2}}}
    llm = ChatHubmix(model="m", hub=Hub(base_url=hub.base_url, api_key="sk-test", model_overrides=prices))
    cost = llm.invoke("go", api="responses").response_metadata["cost"]
    assert (cost["complete"], cost["total"]) == (complete, 11e-6)


def test_hosted_tool_in_llamaindex_chooses_the_api(serve: Serve) -> None:
    note = {"type": "url_citation", "url": "https://x", "title": "X", "start_index": 0, "end_index": 2}
    said = message("Hi")
    said["content"][0]["annotations"] = [note]
    hub = serve(lambda request: response(search(), said))
    answer = hubmix(hub).chat([ChatMessage(role="user", content="go")], tools=[{"type": "web_search"}])
    assert paths(hub) == [RESPONSES]
    assert [type(block).__name__ for block in answer.message.blocks] == ["TextBlock", "CitationBlock"]
    assert answer.message.additional_kwargs["output_items"] == [search(), said]


@pytest.mark.parametrize("framework", ["langchain", "llamaindex"])
def test_structured_output_is_asked_as_text_format(framework: str, serve: Serve) -> None:
    class City(BaseModel):
        """A city."""

        name: str

    hub = serve(strict(lambda _: [message('{"name": "Oslo"}')]))
    if framework == "langchain":
        found: Any = chat_hubmix(hub, api="responses").with_structured_output(City, method="json_schema").invoke("go")
    else:
        llm = hubmix(hub, api="responses", structured_output_method="json_schema")
        found = llm.structured_predict(City, PromptTemplate("go"))
    assert found == City(name="Oslo")
    sent = hub.bodies[0]["text"]["format"]
    assert (sent["type"], sent["name"], sent["schema"]["required"]) == ("json_schema", "City", ["name"])
    assert "response_format" not in hub.bodies[0]


def test_hint_without_a_place_is_told_of_once(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    hub = serve(answered)
    llm = chat_hubmix(hub, api="responses", seed=4)
    for _ in range(2):
        llm.invoke("go")
    assert [record.message for record in caplog.records if "seed" in record.message] == [
        "The API 'responses' has no place for seed; left out."
    ]
    assert "seed" not in hub.bodies[0]


def test_state_of_the_server_takes_no_fallbacks(serve: Serve) -> None:
    hub = serve(answered)
    with pytest.raises(ConfigurationError, match="previous_response_id cannot be used with fallbacks"):
        chat_hubmix(hub, fallbacks=["b"]).invoke("go", previous_response_id="resp_0")
    assert paths(hub) == []
    assert chat_hubmix(hub).invoke("go", previous_response_id="resp_0", store=True).text == "Hi"
    assert (hub.bodies[0]["previous_response_id"], hub.bodies[0]["store"]) == ("resp_0", True)


def test_answer_in_the_background_is_pending(serve: Serve) -> None:
    hub = serve(response(status="queued", usage=None))
    answer = chat_hubmix(hub).invoke("go", background=True, store=True)
    about = answer.response_metadata
    assert (about["id"], about["incomplete"], about["native_finish_reason"]) == ("resp_1", True, "queued")
    assert (paths(hub), hub.bodies[0]["background"]) == ([RESPONSES], True)


def test_stream_reads_no_further_than_its_end(serve: Serve) -> None:
    """What gateways add behind the end is no part of the answer."""
    lines = response_events(message("Hi"))
    hub = serve(response_stream(*lines, {"error": {"message": "unexpected EOF"}, "type": "error"}))
    assert "".join(chunk.text for chunk in chat_hubmix(hub, api="responses").stream("go")) == "Hi"


@pytest.mark.parametrize("way", [way for way in WAYS if way.framework == "langchain"], ids=str)
def test_refusal_is_the_standard_block_of_it(way: Way, serve: Serve) -> None:
    refusing = {**message("", 1), "content": [{"type": "refusal", "refusal": "I will not."}]}
    hub = serve(lambda request: responses_answer(refusing, stream=request.stream))
    found = way.ask(hub, api="responses", output_version="v1").message.content_blocks
    refusals = [block.get("value", block) for block in found]
    assert [block.get("refusal") for block in refusals if block["type"] == "refusal"] == ["I will not."]
    if "refusal" in KNOWN_BLOCK_TYPES:
        assert found[-1]["type"] == "refusal"
