"""Circuit breakers: what earlier calls teach about the order of routes.

A breaker stands for a base URL, for a key at a hub, or for a model under a key. It is closed while all is well; open,
it sends its routes to the back of the order for a while; then it is half-open, and one request goes ahead in the user's
order to find out. Breakers refuse nothing and make no call wait. Locks are never held during a request.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

from hubmix.errors import Scope
from hubmix.failover.evidence import Evidence, Failure

logger = logging.getLogger(__name__)

THRESHOLD = 3
"""Counted failures in a row that open a breaker."""
CAPACITY = 10_000
"""Breakers that are remembered at most; the oldest closed one is dropped first."""

_FIRST_COOLDOWN = 5.0  # seconds that a breaker opened by counting stays open, doubled each time in a row
_LONGEST_GROWTH = 60.0  # seconds to which a cooldown may grow by doubling
_LONGEST = 3600.0  # seconds; a Retry-After beyond that is not believed


class Key(NamedTuple):
    """What a breaker stands for; an empty account and model stand for all.

    Args:
        base_url: the base URL; of an account and a model, the hub's first.
        account: a salted hash of the key.
        model: the model ID.
        way: of a base URL, the client that goes there: one user's broken proxy concerns nobody else.
    """

    base_url: str
    account: str = ""
    model: str = ""
    way: str = ""

    @property
    def target(self) -> Scope:
        """What is closed: a model, an account or an endpoint."""
        return Scope.MODEL if self.model else Scope.ACCOUNT if self.account else Scope.ENDPOINT


@dataclass(slots=True)
class _Breaker:
    failures: int = 0
    openings: int = 0
    opened_at: float = float("-inf")
    until: float = 0.0  # 0: closed
    probe: Permit | None = None
    failure: Failure | None = None
    evidence: Evidence | None = None


@dataclass(slots=True, eq=False)
class Permit:
    """One request on its way; given back exactly once, as success, failure or neither."""

    keys: tuple[Key, ...]
    started: float
    probes: tuple[Key, ...] = ()


@dataclass(frozen=True, slots=True)
class OpenBreaker:
    """An open breaker: of what, until when, and what opened it."""

    target: Scope
    until: float  # on the registry's clock
    seconds: float  # from now on
    failure: Failure
    evidence: Evidence
    probing: bool = False

    @property
    def soft(self) -> bool:
        """Whether answers came and only their ends were in doubt.

        Some gateways never send a finish reason (measured: Gemini streamed through one-api).
        """
        return self.evidence.cause == "no_finish"

    @property
    def order(self) -> tuple[bool, float]:
        """A sort key: the first to be asked comes first.

        Not by the seconds that are left: they shrink between two looks at one breaker, and routes that it holds back
        alike would change places.
        """
        return not self.soft, self.until

    def describe(self) -> str:
        """Say why the route was not asked in its turn."""
        until = "another call is trying it" if self.probing else f"{self.seconds:.3g} s more"
        return f"The circuit breaker of the {self.target.value} is open ({until})."


@dataclass(frozen=True, slots=True)
class Opened:
    """An open breaker as processes tell each other of it.

    Args:
        seconds: until it is half-open; 0 if it is.
        openings: how often it opened in a row.
        failure, evidence: what opened it.
    """

    seconds: float
    openings: int
    failure: Failure
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class BreakerState:
    """One breaker that is not in perfect health, as `hub.health()` shows it.

    Args:
        target: "model", "account" or "endpoint".
        base_url: the base URL.
        model: the model ID, None for an account or an endpoint.
        state: "closed" (but with failures counted), "open" or "half_open".
        failures: failures in a row.
        retry_in: seconds until it is half-open; 0 unless open.
        kind: the last failure's kind.
        status, code, request_id: of the last failure.
    """

    target: str
    base_url: str
    model: str | None
    state: Literal["closed", "open", "half_open"]
    failures: int
    retry_in: float
    kind: str | None
    status: int | None
    code: str | None
    request_id: str | None


class BreakerRegistry:
    """All breakers of a process (`REGISTRY`), or of a test with its own clock.

    Args:
        clock: monotonic seconds.
        capacity: breakers that are remembered at most.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, capacity: int = CAPACITY) -> None:
        self.clock = clock
        self._capacity = capacity
        self._forget()

    def _forget(self) -> None:
        # After a fork too: the locks and permits of the parent's threads would never be given back.
        self._lock = threading.Lock()
        # Open and half-open breakers apart from the closed ones: a healthy call looks at the first alone, and the
        # oldest closed one is found at once when there are too many.
        self._open: dict[Key, _Breaker] = {}
        self._closed: dict[Key, _Breaker] = {}
        self.changes = 0  # grows with every breaker that opens or closes

    # -- before a request -------------------------------------------------------------------------------------------

    @property
    def has_open(self) -> bool:
        """Whether any breaker is open or half-open."""
        return bool(self._open)

    def block(self, keys: tuple[Key, ...]) -> OpenBreaker | None:
        """Return the hardest and longest open breaker of these keys, or None."""
        if not self._open:
            return None
        now = self.clock()
        with self._lock:
            return self._hardest(keys, now)

    def enter(self, keys: tuple[Key, ...]) -> Permit:
        """Return a permit; the first past a half-open breaker is its probe."""
        now = self.clock()
        permit = Permit(keys, now)
        if self._open:
            with self._lock:
                permit.probes = tuple(key for key in keys if self._is_half_open(key, now))
                for key in permit.probes:
                    self._open[key].probe = permit
        return permit

    def _hardest(self, keys: tuple[Key, ...], now: float) -> OpenBreaker | None:
        hardest: OpenBreaker | None = None
        for key in keys:
            breaker = self._open.get(key)
            if breaker is None or breaker.failure is None or breaker.evidence is None:
                continue
            probing = now >= breaker.until
            if probing and breaker.probe is None:
                continue
            left = max(breaker.until - now, 0.0)
            found = OpenBreaker(key.target, breaker.until, left, breaker.failure, breaker.evidence, probing)
            if hardest is None or found.order > hardest.order:
                hardest = found
        return hardest

    def _is_half_open(self, key: Key, now: float) -> bool:
        breaker = self._open.get(key)
        return breaker is not None and breaker.probe is None and now >= breaker.until

    # -- what came of it --------------------------------------------------------------------------------------------

    def succeeded(self, permit: Permit) -> None:
        """Close the breakers of an answered request that had opened before it."""
        if not self._open and not self._closed:
            return
        with self._lock:
            for key in permit.keys:
                breaker = self._open.get(key)
                if breaker is None or breaker.probe is permit or breaker.opened_at < permit.started:
                    self._close(key)

    def ended_well(self, permit: Permit) -> None:
        """Forget what was counted: a stream ended well. Open breakers stay open."""
        if not self._closed:
            return
        with self._lock:
            for key in permit.keys:
                if key in self._closed:
                    self._close(key)

    def committed(self, permit: Permit) -> None:
        """Close what a stream's first content proves; its end forgets the count."""
        if not permit.probes:
            return
        with self._lock:
            for key in permit.probes:
                breaker = self._open.get(key)
                if breaker and breaker.probe is permit:
                    breaker.probe, breaker.until, breaker.failures = None, 0.0, THRESHOLD - 1
                    self._closed[key] = self._open.pop(key)
                    self.changes += 1

    def released(self, permit: Permit) -> None:
        """Give a permit back that proved nothing, such as of a cancelled request."""
        if not permit.probes:
            return
        with self._lock:
            self._release(permit)

    def failed(self, permit: Permit, failure: Failure, evidence: Evidence) -> None:
        """Count a failed request, or open the breaker at once.

        What this process caused itself counts for nothing, and so does a request that began before the breaker opened.
        """
        if evidence.own:
            self.released(permit)
            return
        now = self.clock()
        opened = None
        with self._lock:
            reached = evidence.status is not None or evidence.phase in ("body", "committed")
            for key in permit.keys:
                if key.target is failure.cooldown.target:
                    opened = self._count(key, permit, failure, evidence, now)
                elif key.target is Scope.ENDPOINT and reached and self._closes(key, permit):
                    self._close(key)
            self._release(permit)
        if opened:
            key, seconds = opened
            logger.info("%s opened for %.3g s: %s%s", _name(key), seconds, failure.kind, _status_and_id(evidence))

    def _count(
        self, key: Key, permit: Permit, failure: Failure, evidence: Evidence, now: float
    ) -> tuple[Key, float] | None:
        breaker = self._open.get(key) or self._closed.get(key)
        if breaker is None:
            breaker = self._remember(key)
        probing = breaker.probe is permit
        was_open = breaker.until > now
        counted = failure.cooldown.counted and not probing
        if permit.started < breaker.opened_at or (was_open and counted and failure.retry_after is None):
            # It says nothing that is not known: the breaker keeps its deadline, and what opened it.
            return None
        breaker.failures += 1
        opens = not counted or breaker.failures >= THRESHOLD
        if opens or not breaker.until:
            # Thousands of breakers keep their evidence; what a hub said in full is in the exception.
            breaker.failure, breaker.evidence = failure, replace(evidence, body=None)
        if not opens and not was_open:
            return None
        seconds = _cooldown(failure, breaker.openings - (1 if was_open and breaker.openings else 0))
        breaker.until = max(breaker.until, now + seconds)
        self._open[key] = self._closed.pop(key, breaker)
        self.changes += 1
        if was_open:
            return None
        breaker.openings += 1
        breaker.opened_at = now
        return key, seconds

    def _remember(self, key: Key) -> _Breaker:
        if len(self._open) + len(self._closed) >= self._capacity:
            oldest = self._closed or self._open
            del oldest[next(iter(oldest))]
        breaker = self._closed[key] = _Breaker()
        return breaker

    def _close(self, key: Key) -> None:
        """Close a breaker; it keeps the moment of its opening, for stale requests."""
        self.changes += key in self._open
        breaker = self._open.pop(key, None) or self._closed.pop(key, None)
        if breaker is not None and breaker.opened_at > float("-inf"):
            self._closed[key] = _Breaker(opened_at=breaker.opened_at)

    def _closes(self, key: Key, permit: Permit) -> bool:
        breaker = self._open.get(key)
        return breaker is None or breaker.probe is permit

    def _release(self, permit: Permit) -> None:
        for key in permit.probes:
            breaker = self._open.get(key)
            if breaker and breaker.probe is permit:
                breaker.probe = None

    # -- what they show ---------------------------------------------------------------------------------------------

    def states(self, keys: Callable[[Key], bool] = lambda key: True) -> list[BreakerState]:
        """Return every breaker that is not in perfect health, of those keys or of all."""
        now = self.clock()
        with self._lock:
            every = (*self._open.items(), *self._closed.items())
        found = [(key, breaker) for key, breaker in every if breaker.failure and keys(key)]
        return [_state(key, breaker, now) for key, breaker in found]

    # -- what other processes found out -----------------------------------------------------------------------------

    def opened(self, keys: Callable[[Key], bool]) -> dict[Key, Opened]:
        """Return the open and half-open breakers of those keys."""
        now = self.clock()
        with self._lock:
            found = [(key, breaker) for key, breaker in self._open.items() if keys(key)]
            return {
                key: Opened(max(breaker.until - now, 0.0), breaker.openings, breaker.failure, breaker.evidence)
                for key, breaker in found
                if breaker.failure is not None and breaker.evidence is not None
            }

    def learn(self, key: Key, opened: Opened) -> None:
        """Open a breaker that another process opened, unless it is open for longer here."""
        now = self.clock()
        with self._lock:
            breaker = self._open.get(key) or self._closed.get(key) or self._remember(key)
            if not breaker.until:
                breaker.opened_at = now
            breaker.failure, breaker.evidence = opened.failure, opened.evidence
            breaker.openings = max(breaker.openings, opened.openings)
            breaker.until = max(breaker.until, now + min(opened.seconds, _LONGEST))
            self._open[key] = self._closed.pop(key, breaker)

    def forget(self, key: Key) -> None:
        """Close a breaker that another process closed."""
        with self._lock:
            if key in self._open:
                self._close(key)

    def reset(self, keys: Callable[[Key], bool] = lambda key: True) -> None:
        """Close every breaker of those keys, or of all."""
        with self._lock:
            self.changes += 1
            for breakers in (self._open, self._closed):
                for key in [key for key in breakers if keys(key)]:
                    del breakers[key]


@dataclass(frozen=True, slots=True)
class HubBreakers:
    """The breakers of one hub and key, for `hub.health()` and `reset_health()`.

    Args:
        base_urls: the hub's base URL and its mirrors.
        account: a salted hash of the key, never the key.
        way: the client that goes there, see `Key`.
        registry: where the breakers live; by default those of the process.
    """

    base_urls: Sequence[str]
    account: str = "-"
    way: str = ""
    registry: BreakerRegistry = field(default_factory=lambda: REGISTRY)
    _keys: dict[tuple[str, str | None], tuple[Key, Key, Key]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def keys(self, model: str, base_url: str | None = None) -> tuple[Key, Key, Key]:
        """The breakers that a request for `model` depends on: endpoint, account, model."""
        found = self._keys.get((model, base_url))
        if found is None:
            if len(self._keys) >= CAPACITY:
                self._keys.clear()
            hub = self.base_urls[0]
            found = Key(base_url or hub, way=self.way), Key(hub, self.account), Key(hub, self.account, model)
            self._keys[model, base_url] = found
        return found

    def snapshot(self) -> list[BreakerState]:
        """Return every breaker of this hub and key that is not in perfect health."""
        return self.registry.states(self._concerns)

    def reset(self) -> None:
        """Close them all: after a top-up, say, or a repaired setting."""
        self.registry.reset(self._concerns)

    def _concerns(self, key: Key) -> bool:
        whose = key.account == self.account if key.account else key.way == self.way
        return whose and key.base_url in self.base_urls


def _cooldown(failure: Failure, openings: int) -> float:
    cooldown = failure.cooldown
    base = cooldown.seconds or _FIRST_COOLDOWN
    if cooldown.growing or cooldown.counted:
        base = min(base * 2 ** min(openings, 10), _LONGEST_GROWTH)
    return min(max(base, failure.retry_after or 0.0), _LONGEST)


def _state(key: Key, breaker: _Breaker, now: float) -> BreakerState:
    evidence = breaker.evidence
    is_open = breaker.until > now
    return BreakerState(
        target=key.target.value,
        base_url=key.base_url,
        model=key.model or None,
        state="open" if is_open else "half_open" if breaker.until else "closed",
        failures=breaker.failures,
        retry_in=round(breaker.until - now, 3) if is_open else 0.0,
        kind=breaker.failure.kind if breaker.failure else None,
        status=evidence.status if evidence else None,
        code=evidence.code if evidence else None,
        request_id=evidence.request_id if evidence else None,
    )


def _name(key: Key) -> str:
    host = urlsplit(key.base_url).netloc or key.base_url
    what = {Scope.MODEL: f"model {key.model!r}", Scope.ACCOUNT: "account"}.get(key.target, "endpoint")
    return f"Circuit breaker of the {what} at {host}"


def _status_and_id(evidence: Evidence) -> str:
    facts = [f"HTTP {evidence.status}" if evidence.status else "", evidence.request_id or ""]
    told = ", ".join(fact for fact in facts if fact)
    return f" ({told})" if told else ""


REGISTRY: BreakerRegistry = BreakerRegistry()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=REGISTRY._forget)
