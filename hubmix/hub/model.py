"""A model of one hub, as a fallback of calls through another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from hubmix.failover.route import RouteHub


class ModelOwner(Protocol):
    """What a model needs of its hub."""

    @property
    def base_url(self) -> str:
        """Where the hub is."""

    def fallback_for(self, model: str) -> tuple[RouteHub, str]:
        """Return the hub and the model to ask."""


@dataclass(frozen=True, slots=True)
class HubModel:
    """One model of one hub. `Hub.model` makes it; `fallbacks` takes it.

    Args:
        hub: the hub, with its own key, connection and catalog.
        model: the model ID there.
    """

    hub: ModelOwner
    model: str

    def fallback_for(self, model: str) -> tuple[RouteHub, str]:
        """Return the hub and the model to ask if a call for `model` has to go on."""
        return self.hub.fallback_for(self.model)
