"""A clock that moves only when somebody waits, with plans and breakers."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hubmix.failover.breakers import BreakerRegistry, HubBreakers
from hubmix.failover.classify import HUB_TYPES
from hubmix.failover.evidence import Evidence, Failure
from hubmix.failover.plan import Plan
from hubmix.failover.route import Route
from hubmix.wire.apis import CHAT
from hubmix.wire.requirements import Requirements

HUB, MIRROR = "https://hub.example/v1", "https://mirror.example/v1"


@dataclass(frozen=True)
class Breakers(HubBreakers):
    """The breakers of a hub, to which tests can tell what earlier calls have seen."""

    def record(self, model: str, failure: Failure | None = None, evidence: Evidence | None = None) -> None:
        """Report how a stream ended after its first content: well, or broken off."""
        permit = self.registry.enter(self.keys(model))
        if failure is None:
            self.registry.ended_well(permit)
        else:
            permit.probes = ()
            self.registry.failed(permit, failure, evidence or Evidence("cut", "committed"))

    def open_for(self, model: str) -> float:
        """Seconds for which a model goes to the back of the order."""
        found = self.registry.block(self.keys(model))
        return found.seconds if found else 0.0


@dataclass(frozen=True, eq=False)
class FakeHub:
    """A hub of which a test says everything."""

    breakers: HubBreakers
    base_urls: Sequence[str] = (HUB,)
    name: str = "hub.example"
    key_source: str = "argument"
    timeout: float | None = None
    own_error_types: frozenset[str] = HUB_TYPES
    free_limit: bool = False
    lacks: Callable[[str, Requirements], str | None] = lambda model, requirements: None
    window: Callable[[str], int | None] = lambda model: None
    is_free: Callable[[str], bool] = lambda model: False
    suggest: Callable[[str], Sequence[str]] = lambda model: ()
    answered: bool = False
    discover: Callable[[float], Sequence[str]] = lambda timeout: ()

    def has_answered(self, api: str) -> bool:
        return self.answered

    def lists(self, model: str) -> bool | None:
        return None

    def successor(self, model: str) -> str | None:
        return None

    def learn_models(self, timeout: float) -> None: ...

    async def alearn_models(self, timeout: float) -> None: ...

    def missing_capability(self, model: str, requirements: Requirements) -> str | None:
        return self.lacks(model, requirements)

    def discover_fallbacks(self, model: str, max_price_ratio: float, timeout: float) -> Sequence[str]:
        return self.discover(timeout)

    async def adiscover_fallbacks(self, model: str, max_price_ratio: float, timeout: float) -> Sequence[str]:
        return self.discover(timeout)


_OF_HUB = ("answered", "own_error_types", "lacks", "window", "is_free", "suggest", "discover")


@dataclass
class FakeTime:
    """Time for a plan and its breakers that `sleep` moves at once."""

    seed: int = 0
    now: float = 1000.0
    waits: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds

    async def async_sleep(self, seconds: float) -> None:
        self.sleep(seconds)

    def health(self, base_url: str = HUB, account: str = "key", registry: BreakerRegistry | None = None) -> Breakers:
        return Breakers((base_url, MIRROR), account, registry=registry or BreakerRegistry(self.monotonic))

    def hub(self, health: HubBreakers | None = None, **details: Any) -> FakeHub:
        return FakeHub(health or self.health(), **details)

    def plan(
        self,
        *models: str,
        health: HubBreakers | None = None,
        endpoints: Sequence[str] = (HUB,),
        requirements: Requirements | None = None,
        **details: Any,
    ) -> Plan:
        """A plan over models of one hub, with its mirrors behind each."""
        of_hub = {name: details.pop(name) for name in _OF_HUB if name in details}
        hub = self.hub(health, base_urls=endpoints, **of_hub)
        api = CHAT if requirements is None else replace(CHAT, requirements=lambda payload: requirements)
        routes = [Route(model, hub, api, mirror) for model in models for mirror in (None, *endpoints[1:])]

        def routes_to(model: str) -> list[Route]:
            return [replace(route, model=model) for route in routes if route.model == models[0]]

        return self.over(routes, discover=routes_to if "discover" in of_hub else None, **details)

    def over(self, routes: Sequence[Route], **details: Any) -> Plan:
        """A plan over any routes."""
        registry = routes[0].hub.breakers.registry if routes else BreakerRegistry(self.monotonic)
        return Plan(routes, clock=self, breakers=registry, **details)
