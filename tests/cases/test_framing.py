"""The framing that came decides, and the last bytes count."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hubmix import HubmixError, MalformedAnswerError
from tests.cases.ways import SYNC, WAYS, Way, embed
from tests.support.answers import DONE, EVENTS, Answer, chunk, completion_body, encoded, events, usage_event, vectors
from tests.support.scripted_hub import ScriptedHub

Serve = Callable[..., ScriptedHub]
HELLO = encoded(completion_body("hello"))
PIECES = (chunk(role="assistant", content="hel"), chunk(content="lo"), chunk("stop"), usage_event())
LINES = [b"data: " + encoded(piece) for piece in PIECES]
FRAMINGS = {
    "document": Answer(HELLO),
    "document as events": Answer(HELLO, content_type=EVENTS),
    "document in lines": Answer(HELLO.replace(b", ", b",\n  "), content_type=EVENTS),
    "document, then [DONE]": Answer(HELLO + b"\n\ndata: [DONE]\n\n"),
    "comments, then a document": Answer(b": PING\n\n: PING\n\n" + HELLO, content_type=EVENTS),
    "byte order mark": Answer(b"\xef\xbb\xbf" + HELLO),
    "events": events(*PIECES),
    "events as JSON": Answer(b"\n\n".join(LINES) + b"\n\n"),
    "events after comments": Answer(b": PING\n\n" + b"\n\n".join(LINES) + b"\n\n", content_type=EVENTS),
    "events with CRLF": Answer(b"\r\n\r\n".join(LINES) + b"\r\n\r\n", content_type=EVENTS),
    "events without empty lines": Answer(b"\n".join([*LINES, b"data: [DONE]"]) + b"\n\n", content_type=EVENTS),
    "no empty line at the end": Answer(b"\n\n".join([*LINES[:3]]), content_type=EVENTS),
    "one line break at the end": Answer(b"\n\n".join([*LINES[:3]]) + b"\n", content_type=EVENTS),
    "one event with all": events(completion_body("hello")),
}


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("framing", FRAMINGS)
def test_answer_is_read_in_the_framing_that_came(framing: str, way: Way, serve: Serve) -> None:
    """Gateways stream a whole answer, and the reverse (QuantumNous/new-api#5230)."""
    found = way.ask(serve(FRAMINGS[framing]))
    assert (found.text, found.finish_reason, found.incomplete) == ("hello", "stop", False)
    if way.stream:
        assert "".join(found.pieces) == "hello"


@pytest.mark.parametrize("way", SYNC, ids=str)
@pytest.mark.parametrize("tail", [b"", b"\n", b"\r\n", b"\n\n"])
def test_last_event_counts_without_an_empty_line(tail: bytes, way: Way, serve: Serve) -> None:
    """Its words are streamed, and so is a first event that is the last."""
    last = b"data: " + encoded(chunk("stop", content="THE END"))
    for begin in (b"", b"data: " + encoded(chunk(content="begin ")) + b"\n\n"):
        found = way.ask(serve(Answer(begin + last + tail, content_type=EVENTS)))
        assert found.text == ("begin " if begin else "") + "THE END"
        if way.stream:
            assert "".join(found.pieces) == found.text


@pytest.mark.parametrize("way", SYNC, ids=str)
@pytest.mark.parametrize(
    "answer",
    [
        Answer(b"<html><title>Bad gateway</title></html>", content_type="text/html"),
        Answer(b'{"id": "c", "choices": [{"message": {"content": "hal', content_type=EVENTS),
        Answer(b"upstream unavailable", content_type=EVENTS),
        Answer(b'"a bare string"'),
        Answer(b""),
        events(DONE, done=False),
        events(b"data: {garbled\n\n"),
    ],
    ids=["page", "half a document", "plain text", "bare string", "nothing", "only [DONE]", "garbled event"],
)
def test_what_is_no_answer_is_an_error_of_ours(answer: Answer, way: Way, serve: Serve) -> None:
    with pytest.raises(HubmixError):
        way.ask(serve(answer))


@pytest.mark.parametrize("way", SYNC, ids=str)
def test_error_document_in_place_of_a_stream_has_its_words(way: Way, serve: Serve) -> None:
    with pytest.raises(HubmixError, match="the engine is on fire"):
        way.ask(serve(Answer(encoded({"error": {"message": "the engine is on fire", "code": 500}}))))


@pytest.mark.parametrize("framework", ["langchain", "llamaindex"])
def test_vectors_in_an_event_are_read(framework: str, serve: Serve) -> None:
    plain = vectors(["a", "b", "c"])
    assert isinstance(plain.body, bytes)
    assert embed(framework, serve(Answer(b"data: " + plain.body + b"\n\n", content_type=EVENTS))) == [0.0, 1.0, 2.0]


@pytest.mark.parametrize("framework", ["langchain", "llamaindex"])
def test_empty_event_stream_for_vectors_is_an_error(framework: str, serve: Serve) -> None:
    with pytest.raises(MalformedAnswerError):
        embed(framework, serve(Answer(b"data: [DONE]\n\n", content_type=EVENTS)))
