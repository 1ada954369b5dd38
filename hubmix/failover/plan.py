"""What a walk is given: the candidates, the limits, and everything it asks of the rest of the project."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import anyio

from hubmix.failover.breakers import HubHealth
from hubmix.failover.classify import HUB_TYPES, classify
from hubmix.failover.evidence import Evidence, Failure
from hubmix.failover.policy import FailoverPolicy
from hubmix.wire.requirements import Requirements
from hubmix.wire.trace import Attempt

logger = logging.getLogger("hubmix.failover")

DEFAULT_TIMEOUT = 600.0  # seconds, as in the SDK: thinking models take minutes before their first word


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one attempt, in seconds; None is no limit.

    Args:
        timeout: for the whole answer, or the silence before the first content of a stream; None is the default.
        first_token: the wait for the first content of a stream.
        idle: the longest silence inside a stream.
        deadline: when the whole call is over, on the plan's clock (monotonic).
        base_url: the base URL to ask, where it is not the hub's first; None otherwise.
    """

    timeout: float | None = None
    first_token: float | None = None
    idle: float | None = None
    deadline: float | None = None
    base_url: str | None = None

    def end(self, started: float, *, stream: bool) -> float:
        """When an attempt that was begun at `started` has to have its answer, or the first content of its stream."""
        wait = self.timeout or DEFAULT_TIMEOUT
        if stream and self.first_token:
            wait = min(wait, self.first_token)
        return self.bounded(started + wait)

    def bounded(self, moment: float) -> float:
        """A moment, or the deadline of the whole call where that comes first."""
        return moment if self.deadline is None else min(moment, self.deadline)


class AttemptFailed(Exception):  # noqa: N818  # a signal between rooms, never seen by a caller
    """Raised by an attempt function: what was seen, and the answer as far as there was one.

    Args:
        evidence: what was seen.
        partial: the whole but empty answer (`empty_answer`), which is returned where nothing better can be had.
    """

    def __init__(self, evidence: Evidence, partial: Any = None) -> None:
        super().__init__(evidence.cause)
        self.evidence = evidence
        self.partial = partial
        self.at: float | None = None  # on the plan's clock, where something was waited for since


def _nothing(model: str, needs: Requirements) -> str | None:
    return None


@dataclass(slots=True)
class Plan:
    """One call: whom to ask, how long, and where to look things up.

    Args:
        models: the candidates, the primary first; at least one.
        policy: how to walk them.
        health: the breakers of the hub and key.
        endpoints: the hub's base URLs, its mirror after the first.
        hub_types: the error types in which the hub speaks for itself (from its preset).
        timeout: seconds for one attempt.
        total_timeout: seconds for everything, waits included.
        streaming: the attempt function returns an open stream at its first content, and the stream reports its end
            through `health.record`.
        needs: reads the needs of the request; called at most once, and only when a fallback is considered.
        lacks: why a model, by the catalog's explicit word, cannot do what is needed; None where it can or nobody knows.
        window: a model's context window in tokens, None where unknown.
        is_free: whether the catalog prices a model at 0.
        suggest: model IDs spelt like an unknown one.
        on_attempt: told of every failed or skipped attempt as it happens.
        clock: monotonic seconds.
        sleep, async_sleep: wait for some seconds.
        random: a number in [0, 1), for jitter.
        late, alate: names further candidates, which are not known when the call begins; asked once, when an attempt has
            failed and another model may help, for so many seconds at most. `alate` is awaited.
    """

    models: Sequence[str]
    policy: FailoverPolicy = field(default_factory=FailoverPolicy)
    health: HubHealth = field(default_factory=HubHealth)
    endpoints: Sequence[str] = ("",)
    hub_types: frozenset[str] = HUB_TYPES
    timeout: float | None = None
    total_timeout: float | None = None
    streaming: bool = False
    needs: Callable[[], Requirements] = Requirements
    lacks: Callable[[str, Requirements], str | None] = _nothing
    window: Callable[[str], int | None] = lambda model: None
    is_free: Callable[[str], bool] = lambda model: False
    suggest: Callable[[str], Sequence[str]] = lambda model: ()
    on_attempt: Callable[[Attempt], None] | None = None
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    async_sleep: Callable[[float], Awaitable[None]] = anyio.sleep
    random: Callable[[], float] = random.random
    late: Callable[[float], Sequence[str]] | None = None
    alate: Callable[[float], Awaitable[Sequence[str]]] | None = None

    def classify(self, evidence: Evidence) -> Failure:
        """What a failure means: by the table, and by the user's hook, which has the last word."""
        failure = classify(evidence, self.hub_types)
        hook = self.policy.classify
        if hook is None:
            return failure
        try:
            return hook(evidence, failure) or failure
        except Exception:  # a user's hook must not cost the call its permit and its answer
            logger.warning("FailoverPolicy.classify raised; the table's own verdict stands.", exc_info=True)
            return failure
