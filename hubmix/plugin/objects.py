"""Find the JSON object in an answer's text: past reasoning, prose, fences. Pure."""

from __future__ import annotations

import json
import re
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


def objects_in(text: str) -> list[dict[str, Any]]:
    """Return the JSON objects of a text in order, first those outside the reasoning.

    Objects inside of objects are not returned. An object that is cut off is not repaired, and nothing of it is
    returned: a part of it may fit a schema whose fields are optional, and would pass for the answer.
    """
    outside = spoken(text)
    found, is_cut = _scan(outside)
    return found if is_cut or outside == text else found + _scan(text)[0]


def _scan(text: str) -> tuple[list[dict[str, Any]], bool]:
    """Return the objects of a text, and whether the text ends inside of one."""
    found: list[dict[str, Any]] = []
    at = -1
    for _ in range(_MOST_BRACES):
        at = text.find("{", at + 1)
        if at < 0:
            break
        try:
            one, end = _DECODER.raw_decode(text, at)
        except json.JSONDecodeError as error:
            if error.msg.startswith("Unterminated string") or error.pos >= len(text.rstrip()):
                return found, True
        except (ValueError, RecursionError):
            pass
        else:
            found.append(one)
            at = end - 1
    return found, False


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
