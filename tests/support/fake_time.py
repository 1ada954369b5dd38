"""A clock that moves only when somebody waits."""

from __future__ import annotations

import random
from typing import Any

from hubmix.failover.breakers import Health, HubHealth
from hubmix.failover.plan import Plan


class FakeTime:
    """Time for a plan and its breakers: `sleep` and `async_sleep` move it at once and are remembered."""

    def __init__(self, seed: int = 0) -> None:
        self.now = 1000.0
        self.waits: list[float] = []
        self.random = random.Random(seed)

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds

    async def async_sleep(self, seconds: float) -> None:
        self.sleep(seconds)

    def health(self) -> HubHealth:
        return HubHealth("https://hub.example/v1", "key", ("https://mirror.example/v1",), Health(self.clock))

    def plan(self, *models: str, **details: Any) -> Plan:
        details.setdefault("health", self.health())
        details.setdefault("random", lambda: 1.0)
        details.setdefault("endpoints", ("https://hub.example/v1",))
        return Plan(models, clock=self.clock, sleep=self.sleep, async_sleep=self.async_sleep, **details)
