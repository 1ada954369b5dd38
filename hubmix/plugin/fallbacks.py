"""The `fallbacks` of both frameworks' classes, and their form without keys."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hubmix.errors import ConfigurationError
from hubmix.failover.options import Fallback, read_fallbacks
from hubmix.hub.hub import Hub
from hubmix.hub.model import HubModel
from hubmix.hub.registry import resolve_hub


def loaded(given: Any) -> Any:
    """Return fallbacks as a call takes them, also from what `dumped` made."""
    if given is None:
        return None
    if isinstance(given, (list, tuple)):
        given = [_loaded(one) for one in given]
    found = read_fallbacks(given)
    return list(found) if isinstance(found, tuple) else found


def dumped(fallbacks: Iterable[Any] | str | None) -> Any:
    """Return fallbacks in plain JSON values: a hub as its base URL, and no key."""
    if fallbacks is None or isinstance(fallbacks, str):
        return fallbacks
    return [_dumped(one) for one in fallbacks]


def only_hubs(fallbacks: Any, model: str | None) -> Any:
    """Refuse other models for vectors, which cannot be compared."""
    for one in fallbacks or ():
        name = one.model if isinstance(one, HubModel) else one
        if isinstance(name, str) and (name != model or isinstance(one, str)):
            raise ConfigurationError(
                f"fallbacks of embeddings are other hubs for the same model, not {name!r}: vectors of two models "
                "cannot be compared. Give a Hub, or hub.model() with the same ID."
            )
    return fallbacks


def _loaded(one: Any) -> Any:
    if not (isinstance(one, Mapping) and isinstance(one.get("hub"), str)):
        return one
    hub = resolve_hub(base_url=one["hub"])
    return hub.model(one["model"]) if one.get("model") else hub


def _dumped(one: str | Fallback) -> Any:
    if isinstance(one, HubModel):
        return {"hub": one.hub.base_url, "model": one.model}
    return {"hub": one.base_url} if isinstance(one, Hub) else one
