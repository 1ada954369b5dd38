"""How gateways of 2026 end, translate and lose answers, in every way to ask."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import pytest

from hubmix import StreamInterruptedError
from tests.cases.ways import STREAMS, WHOLE, Way
from tests.support.answers import (
    EVENTS,
    Answer,
    body,
    call_piece,
    calls,
    chunk,
    completion,
    events,
    usage,
    usage_event,
    whole_or_stream,
)
from tests.support.responses import call, message, response, response_body, response_events, response_stream
from tests.support.responses import whole_or_response as responses_answer
from tests.support.scripted_hub import Request, ScriptedHub

Serve = Callable[..., ScriptedHub]
BEGUN = (chunk(role="assistant", content=""), chunk(content="Sunlight is"))
BARE_ERROR = '{"error":{"code":"system error","message":"it broke","type":"one_hub_error"}}'
PARIS = '{"city": "Paris"}'
ONE_CALL = [("get_weather", {"city": "Paris"})]


class Fact(NamedTuple):
    """An answer, and what comes of it."""

    answer: Answer
    api: str = "chat"
    found: Mapping[str, Any] = {}


def over_responses(*pieces: Any, **found: Any) -> Fact:
    return Fact(response_stream(*pieces), "responses", found)


def over_chat(*pieces: Any, done: bool = True, **found: Any) -> Fact:
    return Fact(events(*pieces, done=done), "chat", found)


def whole(answer: Answer, api: str = "responses", **found: Any) -> Fact:
    return Fact(answer, api, found)


def parameters(ways: list[Way], facts: Mapping[str, Fact]) -> Any:
    """Return a decorator that gives each fact to each way."""
    pairs = [pytest.param(way, fact, id=f"{name}-{way}") for name, fact in facts.items() for way in ways]
    return pytest.mark.parametrize(("way", "fact"), pairs)


SAID = response_events(message("Sunlight is"))
CUT = SAID[: next(at for at, event in enumerate(SAID) if event["type"] == "response.output_text.done")]
OPENED = SAID[:3]
FAILED_EVENT = {"type": "response.failed", "response": {**response_body(), "status": "failed", "error": None}}
QUOTA = {"type": "insufficient_quota", "code": "insufficient_quota", "message": "You exceeded your current quota."}


# ---- noticed after the first word

CUT_OFF = {
    "one-hub: cut": over_chat(*BEGUN, "data: unexpected EOF\n\n", done=False),
    "Portkey: cut": over_chat(*BEGUN, done=False),
    "Portkey: Claude overloaded": over_chat(*BEGUN, chunk("overloaded_error")),
    "New API, Responses behind: failed": over_chat(*BEGUN, BARE_ERROR, done=False),
    "Responses: cut, early end or stall": over_responses(*CUT),
    "one-hub, Responses: cut": over_responses(*CUT, "unexpected EOF"),
    "one-hub, Responses of Claude: cut": over_responses(
        *CUT, {"type": "error", "code": "error", "message": "unexpected EOF"}
    ),
    "Responses: error in the middle": over_responses(*CUT, {"type": "error", "error": QUOTA}, FAILED_EVENT),
}


@parameters(STREAMS, CUT_OFF)
def test_cut_answer_is_an_error_with_what_came(way: Way, fact: Fact, serve: Serve) -> None:
    with pytest.raises(StreamInterruptedError) as caught:
        way.ask(serve(fact.answer), api=fact.api)
    assert caught.value.partial.text == "Sunlight is"


# ---- nothing came: the next one

WITHOUT_A_WORD = {
    "Responses: a page or a document for a stream": Fact(Answer(b"", content_type=EVENTS), "responses"),
    "Portkey, Responses: a page": Fact(Answer(b"<!DOCTYPE html><html>x</html>", content_type="text/html"), "responses"),
    "one-hub, Responses: a refusal is lost": over_responses(
        *OPENED, "event: response.content_part.added\n" + BARE_ERROR
    ),
    "Responses: error, then failed": over_responses(*SAID[:2], {"type": "error", "error": QUOTA}, FAILED_EVENT),
    "New API, Responses of Gemini: blocked": over_responses(*response_events()),
    "New API, Responses behind: a refusal is lost": over_chat(chunk(role="assistant", content=""), chunk("stop")),
    "New API, Responses behind: error before a word": over_chat(
        chunk(role="assistant", content=""), BARE_ERROR, done=False
    ),
}
WITHOUT_A_WORD_WHOLE = {
    "Responses: failed under 200": whole(
        response(status="failed", error={"code": "server_error", "message": "The model failed."})
    ),
    "one-hub, Responses of Claude: failed without an error": whole(
        body({**response_body(), "status": "failed", "output": None})
    ),
    "Responses: an error under 200": whole(
        body({"error": {"message": "Upstream is busy", "type": "upstream_error", "code": "busy"}})
    ),
    "Portkey, Responses: a page as JSON": whole(body({"html-message": "<!DOCTYPE html>", "provider": "openai"})),
    "Responses: no output": whole(response()),
    "New API, Responses behind: failed": whole(completion("", "stop"), "chat"),
}


def answered(fact: Fact) -> Callable[[Request], Answer]:
    def script(asked: Request) -> Answer:
        if asked.model == "m":
            return fact.answer
        if asked.path == "/v1/responses":
            return responses_answer(message("whole"), stream=asked.stream)
        return whole_or_stream("whole", stream=asked.stream)

    return script


@parameters(STREAMS, WITHOUT_A_WORD)
def test_stream_without_a_word_asks_the_next(way: Way, fact: Fact, serve: Serve) -> None:
    hub = serve(answered(fact))
    assert (way.ask(hub, fallbacks=["b"], api=fact.api).text, hub.models) == ("whole", ["m", "b"])


@parameters(WHOLE, WITHOUT_A_WORD_WHOLE)
def test_answer_without_a_word_asks_the_next(way: Way, fact: Fact, serve: Serve) -> None:
    hub = serve(answered(fact))
    assert (way.ask(hub, fallbacks=["b"], api=fact.api).text, hub.models) == ("whole", ["m", "b"])


# ---- read as it stands

SUMMARY = {
    "type": "reasoning",
    "id": "rs_1",
    "status": "completed",
    "content": [{"type": "summary_text", "text": "Blue."}],
}
ASKED = call("get_weather", PARIS)
BLANK = {**message("", 9), "content": [{"type": "output_text"}]}
READ = {
    "Responses: [DONE] proves nothing": over_responses(*CUT, "data: [DONE]\n\n", text="Sunlight is", incomplete=True),
    "one-hub: early end": over_chat(*BEGUN, usage_event(), text="Sunlight is", incomplete=True, finish_reason=None),
    "one-hub, Responses of DeepSeek: early end": over_responses(
        *response_events(message("Sunlight is"), status="completed")[:-1],
        {"type": "response.completed", "response": {**response_body(message("Sunlight is")), "status": ""}},
        text="Sunlight is",
        incomplete=True,
    ),
    "one-hub, Responses behind: calls end in stop": over_chat(
        calls(call_piece(0, "call_1", "get_weather", "")),
        calls(call_piece(0, arguments=PARIS)),
        chunk("stop"),
        usage_event(),
        calls=ONE_CALL,
        finish_reason="stop",
    ),
    "New API, Responses behind: cut looks whole": over_chat(
        *BEGUN, chunk("stop"), usage_event(), text="Sunlight is", finish_reason="stop"
    ),
    "one-hub, Responses: an error behind a whole answer": over_responses(
        *SAID, BARE_ERROR, text="Sunlight is", finish_reason="stop", incomplete=False
    ),
    "Responses: keepalive and unknown events": over_responses(
        *SAID[:2],
        {"type": "keepalive", "sequence_number": 2},
        {"type": "response.something.new"},
        *SAID[2:],
        text="Sunlight is",
        finish_reason="stop",
    ),
    "one-hub, Responses of Claude: a limit without its reason": over_responses(
        *response_events(message("Sunlight is"), status="incomplete"), text="Sunlight is", finish_reason="length"
    ),
    "New API, Responses of Gemini: cut looks whole": over_responses(
        *[{**event, "sequence_number": None} for event in SAID if event["type"] != "response.in_progress"],
        text="Sunlight is",
        finish_reason="stop",
    ),
    "one-hub, Responses of DeepSeek: blank messages": over_responses(
        *response_events({**BLANK, "content": []}, {**SUMMARY, "summary": []}, ASKED)[:-1],
        {"type": "response.completed", "response": response_body(BLANK, SUMMARY, ASKED, BLANK)},
        text="",
        reasoning="Blue.",
        calls=ONE_CALL,
        finish_reason="tool_calls",
    ),
}
READ_WHOLE = {
    "one-hub, Responses of DeepSeek: blank messages": whole(
        response(BLANK, SUMMARY, ASKED, BLANK), text="", reasoning="Blue.", calls=ONE_CALL, finish_reason="tool_calls"
    ),
    "Responses: no usage": whole(response(message("Hi"), usage=None), text="Hi", usage=None),
    "New API, Responses of Gemini: counts of chat": whole(
        response(message("Hi"), usage=usage(12, 9), id="chatcmpl-1"), text="Hi", usage=(12, 9, 21)
    ),
    "one-hub: nulls and keys are gone": whole(
        body({"id": "r", "object": "response", "status": "completed", "model": "m", "output": [message("Hi")]}),
        text="Hi",
        finish_reason="stop",
    ),
}


def check(way: Way, fact: Fact, serve: Serve) -> None:
    outcome = way.ask(serve(fact.answer), tools=[get_weather], api=fact.api)
    assert {name: getattr(outcome, name) for name in fact.found} == fact.found


def get_weather(city: str) -> str:
    """Return the weather in a city."""
    return f"sunny in {city}"


@parameters(STREAMS, READ)
def test_streamed_answer_is_read_as_it_stands(way: Way, fact: Fact, serve: Serve) -> None:
    check(way, fact, serve)


@parameters(WHOLE, READ_WHOLE)
def test_whole_answer_is_read_as_it_stands(way: Way, fact: Fact, serve: Serve) -> None:
    check(way, fact, serve)
