"""The object of an answer among thoughts, prose and fences."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hubmix.plugin.objects import objects_in, partial_object, spoken

OBJECT = '{"name": "Paris", "people": 2}'
PARIS = json.loads(OBJECT)
AROUND = {
    "alone": OBJECT,
    "think": f"<think>\nThe user wants {{name, people}}. Paris it is.\n</think>\n\n{OBJECT}",
    "draft": f'<think>\nDraft: {{"name": "Rome", "people": 1}}? No.\n</think>\n{OBJECT}',
    "open": f'Draft: {{"name": "Rome"}}? No.\n</think>\n{OBJECT}',
    "other tag": f"<thinking>{{}}</thinking>{OBJECT}",
    "fence": f"Here it is:\n```json\n{OBJECT}\n```\nHere {{name}} is the city.",
    "fence without a language": f"```\n{OBJECT}\n```",
    "prose": f"Well, {{city}} is {OBJECT}, I think.",
    "list": f"[{OBJECT}]",
    "line break in a string": '{"name": "Pa\nris", "people": 2}',
    "only in the thoughts": f"<think>{OBJECT}</think>",
}


@pytest.mark.parametrize("text", AROUND.values(), ids=AROUND)
def test_the_object_comes_first(text: str) -> None:
    expected = {**PARIS, "name": "Pa\nris"} if "Pa\nris" in text else PARIS
    assert objects_in(text)[0] == expected


@pytest.mark.parametrize("text", ["", "no", "[1]", "{", '{"name": "Pa', "{name}", "<think>{", "{" * 5_000, '"{}'])
def test_what_is_no_object_gives_none(text: str) -> None:
    assert objects_in(text) == ([{}] if text == '"{}' else [])


def test_objects_come_in_their_order_and_whole() -> None:
    assert objects_in('{"a": {"b": 1}} and {"c": 2}') == [{"a": {"b": 1}}, {"c": 2}]
    assert objects_in('<think>{"a": 1}</think> {"b": 2}') == [{"b": 2}, {"a": 1}, {"b": 2}]


@pytest.mark.parametrize(
    "end", ['{"name": "B", "ag', '{"name": "B",', '{"name": "B", "age": ', '{"name": "B"}', '{"name": "B"}], "kind"']
)
@pytest.mark.parametrize("start", ["", "```json\n", '<think>{"kind": "draft"}</think>\n'])
def test_nothing_of_an_object_that_is_cut_off_is_returned(start: str, end: str) -> None:
    assert objects_in(start + '{"people": [{"name": "A", "age": 1}, ' + end) == []


@pytest.mark.parametrize("text", [AROUND[name] for name in ("alone", "think", "draft", "fence", "prose")])
def test_a_growing_text_gives_a_growing_object(text: str) -> None:
    seen: list[Any] = []
    for end in range(len(text) + 1):
        found = partial_object(text[:end])
        if found and found not in seen:
            seen.append(found)
    assert seen[-1] == PARIS
    assert len(seen) > 2
    assert all("Paris".startswith(step["name"]) for step in seen if "name" in step)


def test_thoughts_are_taken_out() -> None:
    assert spoken("<think>a</think>b<THINK>c</THINK>d") == "bd"
    assert spoken("a</think>b") == "b"
    assert spoken("a<think>b") == "a"
    assert spoken("2 < 3 > 1") == "2 < 3 > 1"


@pytest.mark.parametrize("text", ["{" * 50_000, '{"a":' * 20_000, "<think>" * 20_000, "</think>" * 20_000])
def test_long_nonsense_is_given_up(text: str) -> None:
    assert objects_in(text) == []
    partial_object(text)  # neither a RecursionError nor the square of the length
