"""An answer that would fill the memory ends in an error. Case 503."""

from __future__ import annotations

import asyncio
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from hubmix import CallOptions, FailoverPolicy, Hub, HubmixError, MalformedAnswerError
from langchain_hubmix import ChatHubmix, HubmixEmbeddings
from llamaindex_hubmix import Hubmix
from tests.support.answers import EVENTS, JSON, Answer, chunk, completion_body, encoded, events
from tests.support.scripted_hub import ScriptedHub

PAYLOAD = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
ONCE = CallOptions(policy=FailoverPolicy(max_retries=0))
LARGEST = 40_000  # bytes of a body; 160,000 of a stream, 10,000 of an event
GZIP, ZLIB, RAW = zlib.MAX_WBITS | 16, zlib.MAX_WBITS, -zlib.MAX_WBITS


def packed(plain: bytes, bits: int = GZIP) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, bits)
    return packer.compress(plain) + packer.flush()


def coded(body: bytes, coding: str, kind: str = JSON, status: int = 200) -> Answer:
    return Answer(body, status, kind, {"Content-Encoding": coding})


def endless(piece: bytes) -> Iterator[bytes]:
    """The same piece a thousand times, as a hub without a length sends it."""
    return (piece for _ in range(1000))


class Endless:
    """Comments without an end; `closed` is set once the server cannot write any more."""

    def __init__(self) -> None:
        self.closed = threading.Event()

    def __iter__(self) -> Iterator[bytes]:
        try:
            while True:
                yield b": ping\n\n" * 1000
        finally:
            self.closed.set()


@contextmanager
def serving(answer: Answer) -> Iterator[Hub]:
    """A hub that gives one answer."""
    with ScriptedHub(answer) as server, Hub(base_url=server.base_url, api_key="sk-test", max_body=LARGEST) as hub:
        yield hub


def ask(hub: Hub, way: str) -> Any:
    """Ask through the core, in one of four ways."""

    async def collected() -> Any:
        return [delta async for delta in hub.astream_chat(PAYLOAD, ONCE)]

    if way == "whole":
        return hub.chat(PAYLOAD, ONCE)
    if way == "stream":
        return list(hub.stream_chat(PAYLOAD, ONCE))
    return asyncio.run(hub.achat(PAYLOAD, ONCE) if way == "async whole" else collected())


ASKS = ("whole", "stream", "async whole", "async stream")
BLANKS = b" " * 1_000_000
LONG_EVENT = b"data: " + b" " * 20_000 + encoded(chunk(content="x")) + b"\n\n"
DEEP = b'{"choices": ' + b"[" * 201 + b"]" * 201 + b"}"
ERROR = b'{"error": {"message": "' + b"x" * 1_100_000 + b'"}}'
BODIES: Mapping[str, Callable[[], Answer]] = {
    "gzip": lambda: coded(packed(BLANKS), "gzip"),
    "deflate with a header": lambda: coded(packed(BLANKS, ZLIB), "deflate"),
    "deflate without a header": lambda: coded(packed(BLANKS, RAW), "deflate"),
    "packed twice": lambda: coded(packed(packed(BLANKS)), "gzip, gzip"),
    "a coding that was not asked for": lambda: coded(b"\x28\xb5\x2f\xfd", "zstd"),
    "no gzip": lambda: coded(b"{}", "gzip"),
    "without a length": lambda: Answer(endless(b" " * 1000)),
    "too deep": lambda: Answer(DEEP),
    "packed events": lambda: coded(packed(b": ping\n\n" * 100_000), "gzip", EVENTS),
    "large error": lambda: Answer(ERROR, 503),
    "packed error": lambda: coded(packed(BLANKS * 2), "gzip", status=400),
    "error without a length": lambda: Answer(endless(b" " * 2000), 500),
}
STREAMS: Mapping[str, Callable[[], Answer]] = {
    "comments": lambda: Answer(endless(b": ping\n\n" * 100), content_type=EVENTS),
    "long line": lambda: Answer(LONG_EVENT, content_type=EVENTS),
    "line without an end": lambda: Answer(endless(b" " * 100), content_type=EVENTS),
    "event of many lines": lambda: Answer(b"data: 1\n" * 5000, content_type=EVENTS),
    "deep event": lambda: events(b"data: " + DEEP + b"\n\n"),
}


@pytest.mark.parametrize("way", ASKS)
@pytest.mark.parametrize("what", BODIES)
def test_body_past_its_limit_is_malformed(what: str, way: str) -> None:
    with serving(BODIES[what]()) as hub, pytest.raises(MalformedAnswerError) as caught:
        ask(hub, way)
    assert len(str(caught.value)) < 2000


@pytest.mark.parametrize("way", ["stream", "async stream"])
@pytest.mark.parametrize("what", STREAMS)
def test_stream_past_its_limit_is_malformed(what: str, way: str) -> None:
    with serving(STREAMS[what]()) as hub, pytest.raises(MalformedAnswerError):
        ask(hub, way)


@pytest.mark.parametrize("way", ["stream", "async stream"])
def test_stream_past_its_limit_keeps_its_words(way: str) -> None:
    """After the first word no other route may answer."""
    words = [chunk(content="word ") for _ in range(2000)]
    with serving(events(*words)) as hub, pytest.raises(HubmixError, match="larger than 160000 bytes") as caught:
        ask(hub, way)
    assert caught.value.kind == "interrupted"
    assert caught.value.partial.text.startswith("word word")  # type: ignore[attr-defined]


@pytest.mark.parametrize("way", ASKS)
@pytest.mark.parametrize(("status", "kind"), [(200, JSON), (200, EVENTS), (500, JSON)])
def test_connection_of_an_endless_answer_is_closed(status: int, kind: str, way: str) -> None:
    pieces = Endless()
    with serving(Answer(pieces, status, kind)) as hub:
        with pytest.raises(MalformedAnswerError):
            ask(hub, way)
        assert pieces.closed.wait(60)


@pytest.mark.parametrize("path", ["models", "balance", "page"])
@pytest.mark.parametrize("waits", [True, False])
def test_page_past_its_limit_is_an_error(path: str, waits: bool) -> None:
    bomb = coded(packed(BLANKS), "gzip")
    names = (
        "/v1/models",
        "/dashboard/billing/subscription",
        "/dashboard/billing/remain",
        "/api/usage/token/",
        "/api/pricing",
        "/page",
    )
    with ScriptedHub(bomb, dict.fromkeys(names, bomb)) as server:
        hub = Hub(base_url=server.base_url, api_key="sk-test", max_body=LARGEST)

        def get() -> Any:
            if path == "page":
                return hub.get("//page") if waits else asyncio.run(hub.aget("//page"))
            if path == "balance":
                return hub.balance() if waits else asyncio.run(hub.abalance())
            return hub.models.list() if waits else asyncio.run(hub.models.alist())

        with pytest.raises(HubmixError, match=r"larger than 40000 bytes"):
            get()


def test_frameworks_take_the_limit_of_their_hub() -> None:
    with ScriptedHub(BODIES["gzip"]()) as server:
        hub = Hub(base_url=server.base_url, api_key="sk-test", max_body=LARGEST)
        chat, llm = ChatHubmix(model="m", hub=hub, max_retries=0), Hubmix(model="m", hub=hub, max_retries=0)
        vectors = HubmixEmbeddings(model="m", hub=hub, max_retries=0)
        for one in (lambda: chat.invoke("x"), lambda: llm.complete("x"), lambda: vectors.embed_query("x")):
            with pytest.raises(MalformedAnswerError, match="larger than 40000 bytes"):
                one()


@pytest.mark.parametrize("way", ASKS)
@pytest.mark.parametrize(("coding", "bits"), [("gzip", GZIP), ("deflate", ZLIB), ("deflate", RAW), ("identity", 0)])
@pytest.mark.parametrize("kind", [JSON, EVENTS])
def test_packed_answer_within_its_limit_is_read(kind: str, coding: str, bits: int, way: str) -> None:
    plain = encoded(completion_body("hello"))
    if kind == EVENTS:
        plain = b"".join(b"data: " + encoded(one) + b"\n\n" for one in (chunk(content="hello"), chunk("stop")))
    answer = coded(packed(plain, bits) if bits else plain, coding, kind)
    with serving(answer) as hub:
        found = ask(hub, way)
    assert (found[-1].final if isinstance(found, list) else found).text == "hello"


def test_packed_error_is_classified_by_its_words() -> None:
    said = coded(packed(b'{"error": {"message": "quota", "code": "insufficient_user_quota"}}'), "gzip", status=403)
    with serving(said) as hub, pytest.raises(HubmixError) as caught:
        hub.chat(PAYLOAD, ONCE)
    assert (caught.value.kind, caught.value.status) == ("quota", 403)


@pytest.mark.parametrize("largest", [0, -1, True, "64 MB", 1.5])
def test_limit_that_is_no_number_of_bytes_is_refused(largest: Any) -> None:
    with pytest.raises(HubmixError, match="max_body"):
        Hub(base_url="http://hub.example.lan/v1", api_key="sk-test", max_body=largest)
