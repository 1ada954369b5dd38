"""A request that reached a model, whichever API it came over."""

from __future__ import annotations

import time
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from hubmix.embedded.dialects import Dialect
from hubmix.embedded.faults import Fault
from hubmix.embedded.http import Response
from hubmix.embedded.models import EmbeddedModel

# The response, and the tokens that are charged: `prompt_tokens`, `completion_tokens`.
Answered = tuple[Response, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Settings:
    """What a hub does to every call.

    Args:
        pings: whether comments stand between the events of a stream.
        pace: seconds between the events.
        groups: the ratios of the groups of prices.
        group: the one that keys are billed with.
    """

    pings: bool = False
    pace: float = 0.0
    groups: Mapping[str, float] = field(default_factory=lambda: {"default": 1, "vip": 1})
    group: str = "default"

    @property
    def group_ratio(self) -> float:
        """What prices are multiplied with."""
        return self.groups[self.group]


@dataclass(frozen=True, slots=True)
class ModelCall:
    """A model, what it is asked, and what goes wrong.

    Args:
        memory: what the vendor has stored: the messages of responses by their id, and the ids of items.
        now: Unix time.
    """

    dialect: Dialect
    model: EmbeddedModel
    body: Mapping[str, Any]
    key: str
    request_id: str
    fault: Fault | None = None
    settings: Settings = Settings()
    memory: MutableMapping[str, Any] = field(default_factory=dict)
    now: int = field(default_factory=lambda: int(time.time()))
