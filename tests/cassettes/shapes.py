"""Keys and types of JSON and event streams, and the difference of two shapes.

    >>> shape({"choices": [{"index": 0, "logprobs": None}]})["choices[].logprobs"]
    frozenset({'null'})

A shape is flat: a path and the types seen there. `[]` stands for every element of a list; a key that only some elements
have is also "absent". Numbers are one type: a price of 0 and one of 0.5 do not differ in shape.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Shape = Mapping[str, frozenset[str]]
ABSENT = "absent"


def shape(value: Any, *, maps: Iterable[str] = ()) -> Shape:
    """Return the types at every path of `value`.

    `maps` are paths of objects whose keys are data (a group's name, a token id): all of them count as one key, `*`.
    """
    found: dict[str, set[str]] = {}
    _collect(value, "", frozenset(maps), found)
    return {path: frozenset(types) for path, types in found.items()}


def merged(shapes: Iterable[Shape]) -> Shape:
    """Return what all of `shapes` allow, with "absent" for a path that one lacks."""
    shapes = list(shapes)
    paths = {path for each in shapes for path in each}
    return {path: frozenset().union(*(each.get(path, _lacking(path, each)) for each in shapes)) for path in paths}


def difference(expected: Shape, actual: Shape) -> list[str]:
    """Return one line for each path that differs."""
    lines = []
    for path in sorted({*expected, *actual}):
        want, got = expected.get(path), actual.get(path)
        if want == got:
            continue
        if got is None:
            lines.append(f"- {path or '(top)'}: {_names(want)} is missing")
        elif want is None:
            lines.append(f"+ {path or '(top)'}: {_names(got)} is new")
        else:
            lines.append(f"~ {path or '(top)'}: {_names(want)} became {_names(got)}")
    return lines


# ------------------------------------------------------------------------------------------------ event streams


@dataclass(frozen=True, slots=True)
class Event:
    """One thing in a stream; `kind` is data, done, comment, or bare (no event)."""

    kind: str
    name: str | None
    value: Any


def events(body: bytes | str) -> list[Event]:
    """Split an event stream into what is in it; broken JSON stays text."""
    text = (body.decode("utf-8", "replace") if isinstance(body, bytes) else body).replace("\r\n", "\n")
    found: list[Event] = []
    name: str | None = None
    for line in text.split("\n"):
        if line.startswith(":"):
            found.append(Event("comment", None, line[1:].strip()))
        elif line.startswith("event:"):
            name = line[6:].strip()
        elif line.startswith("data:"):
            data = line[5:].strip()
            found.append(Event("done", name, None) if data == "[DONE]" else Event("data", name, _json_or_text(data)))
            name = None
        elif line.strip():
            found.append(Event("bare", None, _json_or_text(line)))
    return found


def stream_shape(body: bytes | str, *, maps: Iterable[str] = ()) -> list[tuple[str, Shape]]:
    """Return the (kind, shape) pairs of a stream; a run of equal ones counts once."""
    sequence: list[tuple[str, Shape]] = []
    for event in events(body):
        label = f"{event.kind} {event.name}" if event.name else event.kind
        step = (label, shape(event.value, maps=maps) if event.kind in ("data", "bare") else {})
        if not sequence or sequence[-1] != step:
            sequence.append(step)
    return sequence


def stream_difference(expected: Sequence[tuple[str, Shape]], actual: Sequence[tuple[str, Shape]]) -> list[str]:
    """Return the lines in which two streams differ, step by step."""
    lines = []
    for number in range(max(len(expected), len(actual))):
        want = expected[number] if number < len(expected) else None
        got = actual[number] if number < len(actual) else None
        if want is None or got is None:
            kind, summary = _summary(got or want)
            lines.append(f"{'+' if want is None else '-'} step {number + 1}: {kind} {summary}")
        elif want[0] != got[0]:
            lines.append(f"~ step {number + 1}: {want[0]} became {got[0]}")
        else:
            lines += [f"step {number + 1}: {line}" for line in difference(want[1], got[1])]
    return lines


def _collect(value: Any, path: str, maps: frozenset[str], found: dict[str, set[str]]) -> None:
    found.setdefault(path, set()).add(_type(value))
    if isinstance(value, Mapping):
        for key, item in value.items():
            _collect(item, f"{path}.{'*' if path in maps else key}".lstrip("."), maps, found)
    elif isinstance(value, list) and value:
        prefix = f"{path}[]"
        inside = [each.removeprefix(prefix).lstrip(".") for each in maps if each.startswith(prefix)]
        for inner, types in merged(shape(item, maps=inside) for item in value).items():
            separator = "." if inner and not inner.startswith("[]") else ""
            found.setdefault(f"{prefix}{separator}{inner}", set()).update(types)


def _lacking(path: str, each: Shape) -> frozenset[str]:
    """Return "absent" for a path that a shape lacks while it has the parent object."""
    parent = path[:-2] if path.endswith("[]") else path.rpartition(".")[0]
    holds = "object" in each.get(parent, frozenset()) and not path.endswith("[]")
    return frozenset({ABSENT}) if holds else frozenset()


def _type(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    return {str: "string", list: "list"}.get(type(value), "object")


def _names(types: frozenset[str] | None) -> str:
    return " or ".join(sorted(types or ()))


def _summary(step: tuple[str, Shape] | None) -> tuple[str, str]:
    kind, paths = step or ("", {})
    return kind, ", ".join(sorted(paths)[:6])


def _json_or_text(data: str) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return data
