"""The hubs that are known by name, as data. A new hub is one more row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

Dialect = Literal["aihubmix", "new-api", "generic"]


GATEWAY_ERROR_TYPES = frozenset(
    f"{gateway}_{kind}" for gateway in ("new_api", "one_api", "one_hub") for kind in ("error", "panic")
)
"""The `type` of errors that gateways of the New API family make themselves; done-hub writes one-hub's."""
AIHUBMIX_ERROR_TYPES = frozenset({"Aihubmix_api_error", "Aihubmix_api_panic"})


@dataclass(frozen=True, slots=True)
class Preset:
    """What is known of a hub before it is asked.

    Args:
        name: The name that ``Hub("…")`` takes.
        base_url: Where its OpenAI-compatible API lives, ending in ``/v1``.
        mirrors: Other base URLs of the same hub, same keys, used only when the first cannot be reached.
        key_variables: Environment variables that hold a key for this hub.
        catalog_sources: The catalog dialects to ask, richest first.
        own_error_types: The ``type`` of errors that the hub makes itself; every other type is a vendor's.
        reasoning_replay: How it takes the reasoning of earlier turns: unchanged `reasoning_details`, plain
            `reasoning_content`, or both if that is not known.
        balance: Which way it tells what is left on a key.
        bills_served: It bills the model that answered, where it is another one than the model asked for.
        free_limit: Its free models have a limit of their own, under which other models are not.
    """

    name: str
    base_url: str
    mirrors: tuple[str, ...] = ()
    key_variables: tuple[str, ...] = ()
    catalog_sources: tuple[str, ...] = ("new-api", "openai")
    own_error_types: frozenset[str] = GATEWAY_ERROR_TYPES
    reasoning_replay: Literal["reasoning_details", "reasoning_content", "both"] = "both"
    balance: Dialect = "generic"
    bills_served: bool = False
    free_limit: bool = False


# Sources: docs.aihubmix.com (integration, App-code, unified inference and FAQ pages) and aihubapi.ai's developer
# documentation. AIHubMix descends from one-api; AIHubAPI runs New API, which drops reasoning_details from messages and
# keeps reasoning_content (read in its source and measured on a running gateway).
AIHUBMIX = Preset(
    name="aihubmix",
    base_url="https://aihubmix.com/v1",
    mirrors=("https://api.inferera.com/v1",),
    key_variables=("AIHUBMIX_API_KEY",),
    catalog_sources=("aihubmix", "openai"),
    own_error_types=GATEWAY_ERROR_TYPES | AIHUBMIX_ERROR_TYPES,
    reasoning_replay="reasoning_details",
    balance="aihubmix",
    bills_served=True,
    free_limit=True,
)
AIHUBAPI = Preset(
    name="aihubapi",
    base_url="https://aihubapi.ai/v1",
    key_variables=("AIHUBAPI_API_KEY",),
    catalog_sources=("new-api", "openai"),
    reasoning_replay="reasoning_content",
    balance="new-api",
)
CUSTOM = Preset(
    name="custom",
    base_url="",
    catalog_sources=("new-api", "openai", "one-hub", "litellm"),
    own_error_types=GATEWAY_ERROR_TYPES | AIHUBMIX_ERROR_TYPES,
)

PRESETS: dict[str, Preset] = {preset.name: preset for preset in (AIHUBMIX, AIHUBAPI)}


_BY_HOST: dict[str | None, Preset] = {
    urlsplit(url).hostname: preset for preset in PRESETS.values() for url in (preset.base_url, *preset.mirrors)
}


def preset_for(base_url: str) -> Preset:
    """Return the preset of this host or mirror, else the one for an unknown hub."""
    return _BY_HOST.get(urlsplit(base_url).hostname, CUSTOM)
