"""Find which model answered and which is billed, and warn of models that retire."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hubmix._text import one_line
from hubmix.catalog.models import ModelInfo
from hubmix.catalog.readers import is_router
from hubmix.wire import Usage

# AIHubMix names the model that answered if it is not the one asked for: its router's choice, then its own fallback.
_NAMING = ("x-aihubmix-router-resolved-model", "x-aihubmix-model")
_LONGEST = 200  # characters of a model ID


@dataclass(frozen=True, slots=True)
class Served:
    """Who answered a request.

    Attributes:
        model: the model that answered.
        billed: the model whose price the hub charges.
        substituted: the hub let another model answer than the one asked for.
    """

    model: str
    billed: str
    substituted: bool = False


def served_model(
    asked: str,
    headers: Mapping[str, str],
    named: object,
    find: Callable[[str], ModelInfo | None],
    *,
    bills_served: bool,
) -> Served:
    """Return the model that answered, from the headers, then the body's `model`.

    A name that the catalog does not know is not used.

    A body that names an unknown model names a version of the one asked for ("gpt-4o-2024-08-06"), unless the hub's
    router was asked.

    Args:
        asked: the model of the request.
        headers: of the answer, in lower case.
        named: the body's `model`.
        find: the catalog's lookup.
        bills_served: the hub bills the model that answers, whatever the source of its name. AIHubMix does; New API
            and one-hub bill the id that was asked for (read in New API's source).
    """
    if named in (None, asked) and not any(header in headers for header in _NAMING):
        return Served(asked, asked)
    own = find(asked)
    by_header = [name for header in _NAMING if (name := _name(headers.get(header)))]
    body = _name(named)
    for name in (*by_header, *([body] if body is not None else ())):
        if name == asked or (info := find(name)) is None:
            continue
        if own is not None and info.id == own.id:
            return Served(asked, asked)
        return Served(info.id, info.id if bills_served or name in by_header else asked, substituted=True)
    for name in (*by_header, *([body] if body is not None and is_router(asked) else ())):
        if name != asked:
            return Served(name, asked, substituted=True)
    return Served(asked, asked)


def _name(value: object) -> str | None:
    name = one_line(value)[:_LONGEST] if isinstance(value, str) else ""
    return name or None


_CACHEABLE = 4_096  # tokens; the longest of the prompts that Claude's models begin to cache


def unread_marks(payload: Mapping[str, Any], model: str, usage: Usage | None) -> bool:
    """Return whether a chat payload has cache marks that did nothing.

    Args:
        payload: of the call; its marks go to its own model alone.
        model: that answered.
        usage: of the answer.
    """
    if usage is None or usage.cache_read or usage.cache_creation or usage.input_tokens < _CACHEABLE:
        return False
    return model == payload.get("model") and any(
        map(_marked, (*(payload.get("messages") or ()), *(payload.get("tools") or ())))
    )


def _marked(part: Mapping[str, Any]) -> bool:
    content = part.get("content")
    return "cache_control" in part or (isinstance(content, list) and any("cache_control" in each for each in content))


_warned: set[tuple[str, str]] = set()


def warn_of_the_end(hub: str, model: str, info: ModelInfo | None, headers: Mapping[str, str]) -> None:
    """Warn once a process of a model that the hub has retired or is about to.

    Args:
        hub: the hub's name.
        model: the model that was asked.
        info: what the catalog knows of it.
        headers: of the answer; `Deprecation` (RFC 9745) and `Sunset` (RFC 8594) count.
    """
    told = "deprecation" in headers or "sunset" in headers
    ending = info is not None and _may_end(info) and info.ending
    if not (told or ending) or (hub, model) in _warned:
        return
    _warned.add((hub, model))
    when = headers.get("sunset") or (info.retired_at.date().isoformat() if info and info.retired_at else "")
    end = f" and ends on {one_line(when)[:60]}" if when else ""
    successor = f" Use {info.successor!r}." if info is not None and info.successor else ""
    warnings.warn(f"{hub} has deprecated the model {model!r}{end}.{successor}", DeprecationWarning, stacklevel=2)


def _may_end(info: ModelInfo) -> bool:
    return bool(info.retired_at or info.deprecated_at or info.retire_stage)


def forget_warnings() -> None:
    """Start anew, for tests."""
    _warned.clear()
