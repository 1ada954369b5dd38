"""Kind: what a vendor refuses is sent differently, once, and remembered."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel

import hubmix
from hubmix import Hub
from tests.cases.ways import SYNC, WAYS, Way, chat_hubmix, embed, run_agent
from tests.support.answers import Answer, completion, error, tool_call, vectors, whole_or_stream
from tests.support.scripted_hub import Request, ScriptedHub

Serve = Callable[..., ScriptedHub]
INVALID = "invalid_request_error"


def get_weather(city: str) -> str:
    """The weather in a city."""
    return "sunny"


def call(id: str, **message: Any) -> Answer:
    return completion(None, "tool_calls", tool_calls=[tool_call("get_weather", '{"city": "Paris"}', id)], **message)


def has_reasoning(request: Request) -> bool:
    return any("reasoning_content" in m or "reasoning_details" in m for m in request.body["messages"])


def strict_of_reasoning(request: Request) -> Answer:
    if has_reasoning(request):
        return error(400, "'messages.1' : property 'reasoning_content' is unsupported", type=INVALID)
    return completion("It is sunny.") if request.after_tools else call("abcdefghi", reasoning="I need a tool.")


def after_a_thinker(request: Request) -> Answer:
    if request.model != "thinker":
        return strict_of_reasoning(request)
    busy = error(503, "busy", type="server_error")
    return busy if request.after_tools else call("call_1", reasoning_content="I need a tool.")


@pytest.mark.parametrize("framework", ["langchain", "llamaindex"])
@pytest.mark.parametrize("script", [strict_of_reasoning, after_a_thinker])
def test_agent_survives_refused_reasoning(framework: str, script: Any, serve: Serve) -> None:
    hub = serve(script)
    said = run_agent(framework, hub, get_weather, model="thinker", fallbacks=["strict"])
    assert "It is sunny." in said
    assert not has_reasoning(hub.requests[-1])


@pytest.mark.parametrize("framework", ["langchain", "llamaindex"])
@pytest.mark.parametrize(
    ("first", "fits", "refusal"),
    [
        ("functions.get_weather:0", "[a-zA-Z0-9_-]+", "tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'"),
        ("x" * 64, ".{1,40}", "Invalid 'messages[1].tool_calls[0].id': string too long, maximum length 40"),
        ("functions.x:0", "[a-zA-Z0-9]{9}", "Tool call id was functions.x:0 but must be a-z, with a length of 9."),
    ],
)
def test_agent_survives_refused_call_ids(framework: str, first: str, fits: str, refusal: str, serve: Serve) -> None:
    def script(request: Request) -> Answer:
        if request.model == "first":
            return error(503, "busy", type="server_error") if request.after_tools else call(first)
        ids = [one["id"] for m in request.body["messages"] for one in m.get("tool_calls") or ()]
        if not all(re.fullmatch(fits, one) for one in ids):
            return error(400, refusal, type=INVALID)
        answered = [m["tool_call_id"] for m in request.body["messages"] if m["role"] == "tool"]
        return completion("It is sunny.") if answered == ids else error(400, "tool results do not match the calls")

    said = run_agent(framework, serve(script), get_weather, model="first", fallbacks=["second"])
    assert "It is sunny." in said


@pytest.mark.parametrize("framework", ["langchain", "llamaindex"])
def test_agent_survives_call_ids_that_come_again(framework: str, serve: Serve) -> None:
    def script(request: Request) -> Answer:
        ids = [one["id"] for m in request.body["messages"] for one in m.get("tool_calls") or ()]
        if len(ids) != len(set(ids)):
            return error(400, f"Duplicate function_call_output for call_id '{ids[0]}'.", type=INVALID)
        return call("get_weather:0") if len(ids) < 2 else completion("done")

    assert "done" in run_agent(framework, serve(script), get_weather)


def refusing(field: str, words: str) -> Callable[[Request], Answer]:
    """Return a script that refuses a field and answers without it."""

    def script(request: Request) -> Answer:
        if field in request.body:
            return error(400, words, type=INVALID)
        return whole_or_stream("hello", stream=request.stream)

    return script


SAMPLING = "sampling parameters that the model refuses left out"
NO_TEMPERATURE = refusing("temperature", "Unsupported value: 'temperature' does not support 0 with this model.")


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_amendment_is_told_in_the_trace(way: Way, serve: Serve) -> None:
    outcome = way.ask(serve(NO_TEMPERATURE), temperature=0.0)
    assert outcome.text == "hello"
    failed, answered = outcome.trace["attempts"]
    assert (failed["kind"], failed["status"]) == ("amended", 400)
    assert SAMPLING in failed["reason"]
    assert list(answered["amended"]) == [SAMPLING]


def test_amendment_is_remembered_for_the_model(serve: Serve) -> None:
    server = serve(NO_TEMPERATURE)
    hub = Hub(base_url=server.base_url, api_key="sk-test")
    payload = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "temperature": 0}
    hub.chat(payload)
    reply = hub.chat(payload)
    *_, last = hub.stream_chat(payload)
    for answered in (reply, last.final):
        assert answered is not None
        assert answered.trace is not None
        assert [attempt.amended for attempt in answered.trace.attempts] == [(SAMPLING,)]
    assert ["temperature" in body for body in server.bodies] == [True, False, False, False]
    hub.chat({**payload, "model": "another"})
    assert "temperature" in server.bodies[4]


@pytest.mark.parametrize("way", SYNC, ids=str)
@pytest.mark.parametrize("named", ["max_tokens", "max_completion_tokens"])
def test_limit_is_sent_under_the_name_given(way: Way, named: str, serve: Serve) -> None:
    other = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}[named]
    hub = serve(refusing(other, f"Unsupported parameter: '{other}' is not supported. Use '{named}' instead."))
    assert way.ask(hub, **{named: 50}).text == "hello"
    assert [body.get(named) for body in hub.bodies] == [50]
    hub = serve(refusing(named, f"Unsupported parameter: '{named}' is not supported. Use '{other}' instead."))
    assert way.ask(hub, **{named: 50}).text == "hello"
    assert hub.bodies[-1][other] == 50


class Person(BaseModel):
    """Somebody."""

    name: str
    age: int


@pytest.mark.parametrize("method", ["function_calling", None])
def test_structured_output_survives_refused_tool_choice(method: Any, serve: Serve) -> None:
    found = '{"name": "Ann", "age": 3}'

    def script(request: Request) -> Answer:
        if request.body.get("tool_choice") not in (None, "auto", "none"):
            return error(400, "The tool_choice parameter does not support being set to required in thinking mode")
        if tools := request.body.get("tools"):
            return completion(None, "tool_calls", tool_calls=[tool_call(tools[-1]["function"]["name"], found)])
        return completion(found)

    assert chat_hubmix(serve(script)).with_structured_output(Person, method=method).invoke("x") == Person(
        name="Ann", age=3
    )


@pytest.mark.parametrize("way", SYNC, ids=str)
def test_refusal_that_stays_is_told_as_it_is(way: Way, serve: Serve) -> None:
    hub = serve(error(400, "Unsupported value: 'temperature' does not support 0 with this model.", type=INVALID))
    with pytest.raises(hubmix.CapabilityError) as caught:
        way.ask(hub, temperature=0.0)
    assert caught.value.kind == "capability"
    assert len(hub.requests) == 2


@pytest.mark.parametrize("framework", ["langchain", "llamaindex"])
@pytest.mark.parametrize(
    ("limit", "status", "words"),
    [(10, 400, "batch size is invalid, it should not be larger than 10"), (64, 413, "maximum allowed batch size 64")],
)
def test_batch_over_the_limit_is_split(framework: str, limit: int, status: int, words: str, serve: Serve) -> None:
    def script(request: Request) -> Answer:
        texts = request.body["input"]
        if len(texts) > limit:
            return error(status, f"input batch size {len(texts)}: {words}")
        return vectors(texts)

    hub = serve(script)
    found = embed(framework, hub, [f"t{at}" for at in range(100)])
    assert found == [float(at % limit) for at in range(100)]
    assert sum(len(body["input"]) > limit for body in hub.bodies) == 1


@pytest.mark.parametrize("framework", ["langchain", "llamaindex"])
def test_batch_that_is_too_large_is_halved(framework: str, serve: Serve) -> None:
    def script(request: Request) -> Answer:
        texts = request.body["input"]
        return vectors(texts) if len(texts) <= 2 else error(413, "Request Entity Too Large")

    hub = serve(script)
    found = embed(framework, hub, [f"t{number}" for number in range(8)])
    assert [len(body["input"]) for body in hub.bodies] == [8, 4, 2, 2, 4, 2, 2]
    assert len(found) == 8


def test_one_text_that_is_too_large_is_refused(serve: Serve) -> None:
    hub = serve(error(413, "Request Entity Too Large"))
    with pytest.raises(hubmix.HubmixError, match="Entity Too Large"):
        embed("langchain", hub, ["t"])
    assert len(hub.bodies) == 1


async def test_batch_over_the_limit_is_split_in_asyncio(serve: Serve) -> None:
    def script(request: Request) -> Answer:
        texts = request.body["input"]
        return vectors(texts) if len(texts) <= 2 else error(400, "at most 2 texts in one batch")

    hub = Hub(base_url=serve(script).base_url, api_key="sk-test")
    for _ in range(2):
        reply = await hub.aembed({"model": "e", "input": ["a", "b", "c"]})
        assert [vector[0] for vector in reply.vectors] == [0.0, 1.0, 0.0]
        assert reply.usage is not None
        assert reply.usage.total_tokens == 2
    await hub.aclose()


def test_other_refusal_of_texts_is_told(serve: Serve) -> None:
    with pytest.raises(hubmix.BadRequestError):
        Hub(base_url=serve(error(400, "no", type="x")).base_url, api_key="sk-test").embed(
            {"model": "e", "input": ["a"]}
        )


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_reasoning_settings_are_said_as_an_effort(way: Way, serve: Serve) -> None:
    def script(request: Request) -> Answer:
        if "reasoning" in request.body:
            return error(400, "Unknown parameter: 'reasoning'.", type=INVALID, param="reasoning")
        return whole_or_stream("ok", stream=request.stream)

    hub = serve(script)
    outcome = way.ask(hub, reasoning={"effort": "low", "summary": "auto"})
    assert outcome.text == "ok"
    assert hub.bodies[-1]["reasoning_effort"] == "low"
    assert "reasoning sent as reasoning_effort" in str(outcome.trace)
