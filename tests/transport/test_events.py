"""Server-sent events in pieces of any size, and text outside of them."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubmix.transport.events import EventDecoder

STREAM = (
    b": PING\n\nevent: error\ndata: {\"a\": 1}\n\ndata:{\"b\":\ndata: 2}\n\nid: 7\nretry: 3\n"
    b"data: \xc3\xa9\xe4\xb8\xad\n\ndata: [DONE]\n\n"
)  # fmt: skip
EVENTS = [(b"error", b'{"a": 1}'), (b"", b'{"b":\n2}'), (b"", "é中".encode()), (b"", b"[DONE]")]


def decoded(pieces: list[bytes]) -> tuple[list[tuple[bytes, bytes]], EventDecoder]:
    decoder = EventDecoder()
    events = [event for piece in pieces for event in decoder.feed(piece)]
    return events + decoder.end(), decoder


@given(st.sets(st.integers(0, len(STREAM))), st.sampled_from([b"\n", b"\r\n", b"\r"]))
def test_the_pieces_do_not_matter(cuts: set[int], ending: bytes) -> None:
    stream = STREAM.replace(b"\n", ending)
    marks = [0, *sorted(cuts), len(stream)]
    events, decoder = decoded([stream[a:b] for a, b in itertools.pairwise(marks)])
    assert events == [(name, data.replace(b"\n", b"\n")) for name, data in EVENTS]
    assert decoder.stray == []


def test_a_last_event_without_its_empty_line_counts() -> None:
    assert decoded([b"data: 1\n\ndata: 2"])[0] == [(b"", b"1"), (b"", b"2")]


@pytest.mark.parametrize("tail", [b"", b"\n", b"\n\n"])
def test_json_outside_of_any_event_is_kept(tail: bytes) -> None:
    events, decoder = decoded([b": PING\n\n: PI", b'NG\n\n{"error":{"message":"busy"}}' + tail])
    assert events == []
    assert decoder.stray == [b'{"error":{"message":"busy"}}']


def test_a_web_page_is_noticed_and_does_not_fill_the_memory() -> None:
    _, decoder = decoded([b"<html>\n" * 50_000])
    assert decoder.stray
    assert sum(map(len, decoder.stray)) < 70_000


def test_a_byte_order_mark_is_no_part_of_the_first_event() -> None:
    assert decoded([b"\xef\xbb\xbfdata: 1\n\n"])[0] == [(b"", b"1")]


def test_a_long_line_is_joined_once() -> None:
    line = b"data: " + b"x" * 1_000_000 + b"\n\n"
    decoder = EventDecoder()
    for start in range(0, len(line), 1000):
        assert len(decoder._rest) <= 1000  # what is joined at every piece would grow with the line
        events = decoder.feed(line[start : start + 1000])
    assert events == [(b"", b"x" * 1_000_000)]
