"""Where a call can go: a model ID, at one hub, over one API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from hubmix.errors import Scope
from hubmix.failover.breakers import HubBreakers, Key
from hubmix.wire.api import Api
from hubmix.wire.requirements import Requirements


class RouteHub(Protocol):
    """What failover asks of a hub. Only `discover_fallbacks` waits."""

    @property
    def timeout(self) -> float | None:
        """Seconds for one attempt unless the call says otherwise, or None."""

    @property
    def name(self) -> str:
        """The host, with a port if it is not the scheme's own, for traces and errors."""

    @property
    def key_source(self) -> str:
        """Where the key came from: a variable's name, or another word."""

    @property
    def base_urls(self) -> Sequence[str]:
        """The base URL and its mirrors."""

    @property
    def own_error_types(self) -> frozenset[str]:
        """The error types in which the hub speaks for itself (from its preset)."""

    @property
    def free_limit(self) -> bool:
        """Whether free models have a limit of their own (from its preset)."""

    @property
    def breakers(self) -> HubBreakers:
        """The circuit breakers of the hub and its key."""

    def missing_capability(self, model: str, requirements: Requirements) -> str | None:
        """Return what the catalog says the model cannot do, or None."""

    def window(self, model: str) -> int | None:
        """Return the context window in tokens; None if it is unknown."""

    def is_free(self, model: str) -> bool:
        """Return whether the catalog prices the model at 0."""

    def has_answered(self, api: str) -> bool:
        """Return whether the hub has answered over this API before."""

    def lists(self, model: str) -> bool | None:
        """Return whether the hub's list has the model; None if no list is known."""

    def learn_models(self, timeout: float) -> None:
        """Get the hub's list if none is known, within `timeout` seconds."""

    async def alearn_models(self, timeout: float) -> None:
        """`learn_models`, for asyncio."""

    def successor(self, model: str) -> str | None:
        """Return the model ID that follows a retired one, if the hub's list names it."""

    def suggest(self, model: str) -> Sequence[str]:
        """Return model IDs that are spelt like an unknown one."""

    def discover_fallbacks(self, model: str, max_price_ratio: float, timeout: float) -> Sequence[str]:
        """Return model IDs near this one, once the list is there or time is up."""

    def remember_wrong_api(self, model: str | None, api: str) -> None:
        """Remember that the hub refused an API for a model (None: for every one)."""

    async def adiscover_fallbacks(self, model: str, max_price_ratio: float, timeout: float) -> Sequence[str]:
        """`discover_fallbacks`, for asyncio."""


@dataclass(frozen=True, slots=True)
class Route:
    """One place that can answer a call.

    Args:
        model: the model ID, as the caller spelt it.
        hub: the hub, with its key, breakers and catalog.
        api: the API over which the model is asked.
        mirror: the base URL, if it is not the hub's first.
        alternate: asked only if the hub has said that another API is the wrong one for the model.
    """

    model: str
    hub: RouteHub
    api: Api[Any]
    mirror: str | None = None
    alternate: bool = False

    @property
    def base_url(self) -> str:
        """The base URL that is asked."""
        return self.mirror or self.hub.base_urls[0]

    @property
    def keys(self) -> tuple[Key, Key, Key]:
        """The circuit breakers on which a request depends: endpoint, account, model."""
        return self.hub.breakers.keys(self.model, self.mirror)

    @property
    def account(self) -> Key:
        """The hub and the key: who pays."""
        return self.keys[1]

    @property
    def served(self) -> Key:
        """The model under the key: equal for all base URLs and APIs of a hub."""
        return self.keys[2]

    def shares(self, scope: Scope, other: Route) -> bool:
        """Whether both routes are inside the same scope."""
        if scope is Scope.MODEL:
            return self.served == other.served
        if scope is Scope.ACCOUNT:
            return self.account == other.account
        return scope is Scope.REQUEST or self.base_url == other.base_url


def key_names(routes: Sequence[Route]) -> Mapping[Key, str]:
    """Name the accounts of the hubs that a call can ask with several keys.

    Returns:
        Account to the name of its key: its variable, or "key 2" for the second one of a hub. Empty for most calls.
    """
    first = routes[0].hub
    if all(route.hub is first for route in routes):
        return {}
    hubs: dict[str, dict[Key, str]] = {}
    for route in routes:
        hubs.setdefault(route.hub.name, {})[route.account] = route.hub.key_source
    return {
        account: source if source.isupper() and list(keys.values()).count(source) == 1 else f"key {number}"
        for keys in hubs.values()
        if len(keys) > 1
        for number, (account, source) in enumerate(keys.items(), 1)
    }
