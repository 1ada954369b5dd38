"""Shapes: keys and types, and what differs between two answers."""

from __future__ import annotations

import pytest

from tests.cassettes.shapes import difference, events, merged, shape, stream_difference, stream_shape


def test_a_shape_is_flat_and_says_nothing_of_values():
    value = {"id": "x", "choices": [{"index": 0, "logprobs": None, "ok": True}], "empty": []}
    assert {path: sorted(types) for path, types in shape(value).items()} == {
        "": ["object"],
        "id": ["string"],
        "choices": ["list"],
        "choices[]": ["object"],
        "choices[].index": ["number"],
        "choices[].logprobs": ["null"],
        "choices[].ok": ["boolean"],
        "empty": ["list"],
    }


def test_elements_of_a_list_count_together():
    found = shape([{"a": 1}, {"a": None, "b": {"c": [["x"]]}}])
    assert found["[].a"] == {"number", "null"}
    assert found["[].b"] == {"object", "absent"}
    assert found["[].b.c[][]"] == {"string"}


def test_keys_that_are_data_count_as_one():
    value = {"ratio": {"default": 1, "vip": 0.5}, "data": [{"groups": {"a": "x"}}, {"groups": {}}]}
    found = shape(value, maps=["ratio", "data[].groups"])
    assert found["ratio.*"] == {"number"}
    assert found["data[].groups.*"] == {"string", "absent"}
    assert not [path for path in found if path.endswith((".default", ".a"))]


def test_merged_shapes_allow_what_each_of_them_has():
    found = merged([shape({"a": {"b": 1}}), shape({"a": {}}), shape({"a": None})])
    assert found["a"] == {"object", "null"}
    assert found["a.b"] == {"number", "absent"}


@pytest.mark.parametrize(
    ("actual", "line"),
    [
        ({"a": 2, "b": "y"}, None),
        ({"a": 1}, "- b: string is missing"),
        ({"a": 1, "b": "x", "c": []}, "+ c: list is new"),
        ({"a": None, "b": "x"}, "~ a: number became null"),
        ({"a": 1.5, "b": "x"}, None),
    ],
)
def test_a_difference_names_path_and_types(actual, line):
    assert difference(shape({"a": 1, "b": "x"}), shape(actual)) == ([line] if line else [])


STREAM = b': PING\n\ndata: {"a":1}\n\ndata: {"a":2}\n\nevent: error\ndata: {"e":"x"}\n\n{"bare":1}\n\ndata: [DONE]\n\n'


def test_events_are_found_with_what_a_reader_skips():
    assert [(each.kind, each.name, each.value) for each in events(STREAM)] == [
        ("comment", None, "PING"),
        ("data", None, {"a": 1}),
        ("data", None, {"a": 2}),
        ("data", "error", {"e": "x"}),
        ("bare", None, {"bare": 1}),
        ("done", None, None),
    ]


def test_stream_shape_is_the_same_in_any_pieces():
    longer = STREAM.replace(b'data: {"a":2}\n\n', b'data: {"a":2}\n\n' * 5)
    assert stream_difference(stream_shape(STREAM), stream_shape(longer)) == []
    assert [kind for kind, _ in stream_shape(STREAM)] == ["comment", "data", "data error", "bare", "done"]


def test_a_difference_of_streams_names_the_step():
    other = STREAM.replace(b"data: [DONE]\n\n", b"").replace(b'{"a":1}', b'{"a":"x"}').replace(b'{"a":2}', b'{"a":"y"}')
    assert stream_difference(stream_shape(STREAM), stream_shape(other)) == [
        "step 2: ~ a: number became string",
        "- step 5: done ",
    ]
