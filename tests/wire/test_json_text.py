"""JSON of a hub, however deep."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubmix.wire import json_text
from hubmix.wire.json_text import NESTING, JsonLimitError, _depth, loads

SCALARS = st.none() | st.booleans() | st.integers() | st.text(alphabet='[]{}"\\,:aé\n')
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text('[]{}"\\'), inner))


def nested(levels: int, opening: str = "[", closing: str = "]") -> str:
    return opening * levels + closing * levels


@pytest.mark.parametrize("text", [nested(NESTING), '{"a": ' * NESTING + "1" + "}" * NESTING], ids=["list", "object"])
def test_json_within_the_limit_is_read(text: str) -> None:
    assert loads(text) == loads(text.encode()) == json.loads(text)


@pytest.mark.parametrize("levels", [NESTING + 1, 100_000])
@pytest.mark.parametrize("opening", ["[", '{"a":', '[{"]":'])
@pytest.mark.parametrize("closed", [True, False])
def test_json_that_is_too_deep_is_refused(levels: int, opening: str, closed: bool) -> None:
    text = opening * levels + ("]}"["{" in opening] * levels if closed else "")
    for given_text in (text, text.encode()):
        with pytest.raises(JsonLimitError):
            loads(given_text)


@pytest.mark.parametrize("text", ["[" * 1000, '\\"[' * 1000, "\\\\[" * 1000, '{\\"a' * 1000])
def test_brackets_in_strings_do_not_count(text: str) -> None:
    encoded = json.dumps([text, {text: text}])
    assert loads(encoded) == [text, {text: text}]


@given(VALUES)
def test_depth_is_that_of_the_value(value: Any) -> None:
    def depth(found: Any) -> int:
        inner = found.values() if isinstance(found, dict) else found if isinstance(found, list) else ()
        return max(map(depth, inner), default=0) + isinstance(found, (dict, list))

    assert _depth(json.dumps(value).encode()) == depth(value)


@pytest.mark.parametrize("text", ["", "nul", "[1,]", '{"a": 1', "[" * 150, "1" * 5000])
def test_text_that_is_no_json_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        loads(text)


@pytest.mark.parametrize("opening", ["[],", '{"a":0},', '"[",'])
def test_json_of_too_many_values_is_refused(opening: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_text, "MOST_VALUES", 1000)
    assert len(loads(f"[{opening * 998}0]")) == 999
    with pytest.raises(JsonLimitError, match="more than"):
        loads(f"[{opening * 1000}0]")


HALVES = [
    (r"\ud83d\ude00", "😀"),
    (r"\uD83D\uDE00!", "😀!"),
    (r"\ud83d", "\ufffd"),
    (r"\ude00\ud83d", "\ufffd\ufffd"),
    (r"\ud83d\ud83d\ude00", "\ufffd😀"),
    (r"\\ud83d", r"\ud83d"),
    (r"\\\ud83d", "\\\ufffd"),
    ("\ud83d", "\ufffd"),
    ("\ud83d\ude00", "😀"),
]


@pytest.mark.parametrize(("written", "read"), HALVES)
def test_half_a_character_becomes_the_replacement_character(written: str, read: str) -> None:
    """No file, terminal or pydantic model takes half a character."""
    document = f'"a{written}b"'.encode("utf-8", "surrogatepass")
    assert loads(document) == f"a{read}b"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_encodings_of_json_are_read(encoding: str) -> None:
    assert loads('{"a": "é😀"}'.encode(encoding)) == {"a": "é😀"}
