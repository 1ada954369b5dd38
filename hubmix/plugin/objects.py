"""Find the JSON object in an answer's text: past reasoning, prose, fences. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from pydantic_core import from_json

# Vendors that put thoughts into the text mark them with one of these tags.
_TAG = re.compile(r"<(/?)(?:think|thinking|thought|reasoning)>", re.IGNORECASE)
# A brace in prose costs a look each; a text of nothing but braces must not cost the square of its length.
_MOST_BRACES = 200
# Models write line breaks into strings without escaping them.
_DECODER = json.JSONDecoder(strict=False)


def spoken(text: str) -> str:
    """Return a text without its reasoning, even if one of its tags is missing."""
    kept: list[str] = []
    end, inside = 0, False
    for tag in _TAG.finditer(text):
        if tag.group(1):
            if not inside:  # the prompt had the opening tag already
                kept.clear()
            inside = False
        else:
            if not inside:
                kept.append(text[end : tag.start()])
            inside = True
        end = tag.end()
    return "".join(kept if inside else [*kept, text[end:]])


def objects_in(text: str) -> Iterator[dict[str, Any]]:
    """Yield the JSON objects of a text in order, first those outside the reasoning.

    Objects inside of objects are not yielded. Objects that are cut off are neither repaired nor yielded.
    """
    outside = spoken(text)
    yield from _scan(outside)
    if outside != text:
        yield from _scan(text)


def _scan(text: str) -> Iterator[dict[str, Any]]:
    at = -1
    for _ in range(_MOST_BRACES):
        at = text.find("{", at + 1)
        if at < 0:
            return
        try:
            found, end = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError):
            continue
        yield found
        at = end - 1


def partial_object(text: str) -> dict[str, Any] | None:
    """Return the object as far as a text that is still growing holds it, or None."""
    text = spoken(text)
    at = -1
    for _ in range(_MOST_BRACES):
        at = text.find("{", at + 1)
        if at < 0:
            return None
        try:
            found = from_json(text[at:].rstrip().removesuffix("```"), allow_partial="trailing-strings")
        except (ValueError, TypeError):  # pydantic's word for half a character (a lone surrogate)
            found = _first_whole(text, at)
        if isinstance(found, dict):
            return found
    return None


def _first_whole(text: str, at: int) -> Any:
    """Return the object at a place that is followed by other text, or None."""
    try:
        return _DECODER.raw_decode(text, at)[0]
    except (ValueError, RecursionError):
        return None
