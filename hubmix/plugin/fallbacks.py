"""The `fallbacks` of both frameworks' classes, and their form without keys."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from hubmix.errors import ConfigurationError
from hubmix.failover.options import Fallback, read_fallbacks
from hubmix.hub.hub import Hub
from hubmix.hub.model import HubModel
from hubmix.hub.registry import resolve_hub
from hubmix.presets import preset_for

_SHARED_VARIABLE = "HUBMIX_API_KEY"


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
    hub = _with_its_own_key(one["hub"], one.get("key_from"))
    return hub.model(one["model"]) if one.get("model") else hub


def _with_its_own_key(base_url: str, source: str | None) -> Hub:
    """Return a hub with the key of a variable; it is never sent another hub's key.

    Args:
        base_url: where it is.
        source: where its key came from, if not from `HUBMIX_API_KEY`.

    Raises:
        ConfigurationError: the variable is not set, or the key was given in the code.
    """
    if source in (None, _SHARED_VARIABLE):
        return resolve_hub(base_url=base_url)
    preset = preset_for(base_url)
    names = (source, *preset.key_variables)
    key = next((value for name in names if name and (value := os.environ.get(name, "").strip())), None)
    if key is None:
        where = f"from {source}" if source and source.isupper() else "in the code"
        raise ConfigurationError(
            f"The fallback at {base_url} had its key {where}, and a dump holds no keys. Set the variable, or put a Hub "
            "with its api_key in place of this entry.",
            kind="no_key",
        )
    return resolve_hub(base_url=base_url, api_key=key)


def _dumped(one: str | Fallback) -> Any:
    if isinstance(one, HubModel) and isinstance(one.hub, Hub):
        return {**_dumped(one.hub), "model": one.model}
    if not isinstance(one, Hub):
        return one
    source = one.key_source
    return {"hub": one.base_url} if source == _SHARED_VARIABLE else {"hub": one.base_url, "key_from": source}
