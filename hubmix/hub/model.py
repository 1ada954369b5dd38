"""A model of one hub, as a fallback of calls through another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hubmix.failover.route import RouteHub
    from hubmix.hub.hub import Hub


@dataclass(frozen=True, slots=True)
class HubModel:
    """One model of one hub. `Hub.model` makes it; `fallbacks` takes it.

    Args:
        hub: the hub, with its own key, connection and catalog.
        model: the model ID there.
    """

    hub: Hub
    model: str

    def fallback_for(self, model: str) -> tuple[RouteHub, str]:
        """Return the hub and the model to ask if a call for `model` has to go on."""
        return self.hub.fallback_for(self.model)
