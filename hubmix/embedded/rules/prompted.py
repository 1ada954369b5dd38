"""JSON that a prompt asks for in words: a schema written into the text, or the names of the keys."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_KEYS = re.compile(r"((?:['\"`]\w+['\"`][\s,and]*)+)\s*(?:keys?|fields?|properties)", re.I)
_NAMED = re.compile(r"(?:keys?|fields?|properties)\s*:?\s*((?:['\"`]?\w+['\"`]?(?:,\s*|\s+and\s+)?)+)", re.I)
_NOISE = re.compile(
    r"Here's a JSON schema to follow:|Output a valid JSON object but do not repeat the schema\."
    r"|Return (?:the result )?as a? ?JSON[^.\n]*\.?|Return nothing other than JSON\.?"
    r"|The output should be formatted as a JSON instance[^\n]*|As an example, for the schema[^\n]*"
    r"|Here is the output schema:|the object \{\"foo\"[^\n]*|```(?:json)?",
    re.I,
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A schema that a text asks for, and the text without it."""

    schema: Mapping[str, Any]
    text: str


def schema_in(text: str) -> Wanted | None:
    """The last JSON schema written in a text that asks for JSON; None where there is none."""
    if "json" not in text.lower() or ("{" not in text):
        return None
    decoder = json.JSONDecoder()
    found: Wanted | None = None
    position = 0
    while (position := text.find("{", position)) >= 0:
        try:
            value, end = decoder.raw_decode(text, position)
        except ValueError:
            position += 1
            continue
        if isinstance(value, dict) and isinstance(value.get("properties"), dict) and _is_schema(value):
            found = Wanted(value, _NOISE.sub(" ", text[:position] + text[end:]).strip())
        position = end
    if found is None and "{{" in text:  # LlamaIndex sends the braces as it escapes them for its own templates
        return schema_in(text.replace("{{", "{").replace("}}", "}"))
    return found


def keys_in(text: str) -> Wanted | None:
    """A schema of text fields where the prompt names the keys it wants; None where it names none."""
    match = _KEYS.search(text) or _NAMED.search(text)
    if match is None:
        return None
    names = [name for name in re.findall(r"\w+", match.group(1)) if name != "and"]
    schema = {"type": "object", "properties": {name: {"type": "string"} for name in names}, "required": names}
    return Wanted(schema, _NOISE.sub(" ", text.replace(match.group(0), " ")).strip())


def _is_schema(value: Mapping[str, Any]) -> bool:
    return (
        value.get("type") == "object"
        or "$defs" in value
        or any(
            isinstance(part, dict) and ({"type", "$ref", "anyOf", "enum"} & set(part))
            for part in value["properties"].values()
        )
    )
