"""Whether a real hub still answers in the shapes that were recorded.

What the recordings of one endpoint have in common is what our reader is tested on. An answer that lacks some of it, or
has another type there, has drifted away from the recordings; a field that no recording has is news, not drift.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from tests.cassettes.format import Interaction
from tests.cassettes.shapes import ABSENT, Shape, events, merged, shape

NO_RECORDINGS = (
    "cassettes/live holds no recording of a real hub. With a key, `make record-live` makes them and `make live` asks "
    "the hub without keeping anything; see cassettes/live/README.md"
)
# Objects whose keys are data: a price list has one for each group of users.
MAPS = ("group_ratio", "usable_group", "supported_endpoint", "data.model_limits")
Topic = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Drift:
    """How one answer differs from those recorded: `broken` matters, `new` is news."""

    topic: Topic
    broken: list[str]
    new: list[str]


def topic(interaction: Interaction) -> Topic:
    """Return the endpoint and the kind of what was answered."""
    endpoint = urlsplit(interaction.uri).path.removeprefix("/v1").strip("/")
    if _content_type(interaction).startswith("text/event-stream") and interaction.status < 400:
        return endpoint, "stream"
    found = _json(interaction)
    if not isinstance(found, dict):
        return endpoint, "text"
    failed = interaction.status >= 400 or found.get("error") or found.get("success") is False
    return ("any", "error") if failed else (endpoint, "answer")


def known_shapes(interactions: Iterable[Interaction]) -> Mapping[Topic, Shape]:
    """Return what all recorded answers to a topic allow."""
    found: dict[Topic, list[Shape]] = defaultdict(list)
    for interaction in interactions:
        found[topic(interaction)].append(answer_shape(interaction))
    return {name: merged(shapes) for name, shapes in found.items()}


def answer_shape(interaction: Interaction) -> Shape:
    """Return the shape of a body; for a stream, of all its chunks together."""
    if topic(interaction)[1] == "stream":
        chunks = [each.value for each in events(interaction.response_body) if isinstance(each.value, dict)]
        return merged(shape(chunk, maps=MAPS) for chunk in chunks)
    return shape(_json(interaction), maps=MAPS)


def drift(interaction: Interaction, known: Mapping[Topic, Shape]) -> Drift:
    """Compare one answer with `known`; a topic that was never recorded is all new."""
    name = topic(interaction)
    expected, actual = known.get(name, {}), answer_shape(interaction)
    broken = [
        f"{path}: {_words(types)} is missing" for path, types in sorted(expected.items()) if _lacks(actual, path, types)
    ]
    broken += [
        f"{path}: was {_words(expected[path])}, is {_words(types)}"
        for path, types in sorted(actual.items())
        if path in expected and not types - {ABSENT} <= expected[path]
    ]
    return Drift(name, broken, sorted(actual.keys() - expected.keys()))


def _lacks(actual: Shape, path: str, types: frozenset[str]) -> bool:
    if ABSENT in types or path in actual:
        return False
    # An empty list has no elements to compare, and an object that is null no keys.
    parent = path[:-2] if path.endswith("[]") else path.rpartition(".")[0]
    holds = actual.get(parent, frozenset())
    return "object" in holds and not path.endswith("[]")


def _json(interaction: Interaction) -> object:
    try:
        return json.loads(interaction.response_body)
    except ValueError:
        return None


def _content_type(interaction: Interaction) -> str:
    return (interaction.response_headers.get("content-type") or [""])[0]


def _words(types: frozenset[str]) -> str:
    return " or ".join(sorted(types - {ABSENT}))
