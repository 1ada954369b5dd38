"""Where a call can go: a model ID, at one hub, over one API."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from hubmix.wire.api import Api
from hubmix.wire.requirements import Requirements


class RouteHub(Protocol):
    """What failover asks of a hub. Nothing here waits or sends, except `discover_fallbacks`."""

    @property
    def name(self) -> str:
        """The host, with a port if it is not the scheme's own: how traces and errors name the hub."""

    @property
    def base_urls(self) -> Sequence[str]:
        """The base URL and its mirrors."""

    @property
    def key_id(self) -> str:
        """A salted hash of the key: which account pays."""

    @property
    def own_error_types(self) -> frozenset[str]:
        """The error types in which the hub speaks for itself (from its preset)."""

    def missing_capability(self, model: str, requirements: Requirements) -> str | None:
        """Return what the catalog says the model cannot do; None if it can or if that is unknown."""

    def window(self, model: str) -> int | None:
        """Return the context window in tokens; None if it is unknown."""

    def is_free(self, model: str) -> bool:
        """Return whether the catalog prices the model at 0."""

    def suggest(self, model: str) -> Sequence[str]:
        """Return model IDs that are spelt like an unknown one."""

    def discover_fallbacks(self, model: str, max_price_ratio: float, timeout: float) -> Sequence[str]:
        """Return model IDs near this one. Waits for the catalog for at most `timeout` seconds."""

    async def adiscover_fallbacks(self, model: str, max_price_ratio: float, timeout: float) -> Sequence[str]:
        """`discover_fallbacks`, for asyncio."""


@dataclass(frozen=True, slots=True)
class Route:
    """One place that can answer a call.

    Args:
        model: the model ID, as the caller spelt it.
        hub: the hub, with its connection, key, breakers and catalog.
        api: the API over which the model is asked.
        mirror: the base URL, if it is not the hub's first.
    """

    model: str
    hub: RouteHub
    api: Api[Any]
    mirror: str | None = None

    @property
    def base_url(self) -> str:
        """The base URL that is asked."""
        return self.mirror or self.hub.base_urls[0]
