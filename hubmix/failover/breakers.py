"""Circuit breakers, shared by everything in the process that asks the same hub with the same key.

A breaker stands for a base URL, for a key at a base URL, or for a model under a key. Closed lets all through; open lets
none through until its deadline; after that it is half-open and lets exactly one through, whose fate decides. Locks
guard changes of state and are never held during a request.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

from hubmix.errors import Scope
from hubmix.failover.evidence import Evidence, Failure

logger = logging.getLogger(__name__)

THRESHOLD = 3
"""Counted failures in a row that open a breaker."""

_FIRST_COOLDOWN = 5.0  # seconds that a breaker opened by counting stays open, doubled each time in a row
_LONGEST_GROWTH = 60.0  # seconds to which a cooldown may grow by doubling
_LONGEST = 3600.0  # seconds; a Retry-After beyond that is not believed
_PROBE_POLL = 1.0  # seconds after which to look again while another call is probing
_MANY = 1000  # breakers; above that the long expired ones are dropped
_EXPIRED = 600.0  # seconds after its deadline


class Key(NamedTuple):
    """What a breaker stands for; an empty account and model stand for all."""

    base_url: str
    account: str = ""
    model: str = ""

    @property
    def target(self) -> Scope:
        return Scope.MODEL if self.model else Scope.ACCOUNT if self.account else Scope.ENDPOINT


@dataclass(slots=True)
class _Breaker:
    failures: int = 0
    openings: int = 0
    opened_at: float = 0.0
    until: float = 0.0  # 0: closed
    probe: Permit | None = None
    failure: Failure | None = None
    evidence: Evidence | None = None


@dataclass(slots=True, eq=False)
class Permit:
    """The right to send one request; given back exactly once, as success, failure or neither."""

    keys: tuple[Key, ...]
    started: float
    probes: tuple[Key, ...] = ()


@dataclass(frozen=True, slots=True)
class Block:
    """Why a request may not be sent now: what is closed, for how many seconds more, and what closed it."""

    target: Scope
    seconds: float
    failure: Failure
    evidence: Evidence
    probing: bool = False

    @property
    def soft(self) -> bool:
        """Whether answers did come, and only their ends were in doubt: better than none, where no other model is left.

        Some gateways never send a finish reason (measured: Gemini streamed through one-api).
        """
        return self.evidence.cause == "no_finish"


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


class Health:
    """A registry of breakers. `REGISTRY` is the one of the process; tests make their own with their own clock."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._forget()

    def _forget(self) -> None:
        # After a fork too: the locks and permits of the parent's threads would never be given back.
        self._lock = threading.Lock()
        self._breakers: dict[Key, _Breaker] = {}

    def block(self, keys: tuple[Key, ...]) -> Block | None:
        """Why none may be sent for these keys now, the hardest and longest block of several; None if one may. Changes
        nothing.
        """
        if not self._breakers:
            return None
        now = self.clock()
        with self._lock:
            return self._block(keys, now)

    def enter(self, keys: tuple[Key, ...]) -> Permit | Block:
        """A permit for one request, or why there is none. Where a breaker is half-open the permit is its only probe."""
        now = self.clock()
        permit = Permit(keys, now)
        if not self._breakers:
            return permit
        with self._lock:
            if block := self._block(keys, now):
                return block
            permit.probes = tuple(key for key in keys if (breaker := self._breakers.get(key)) and breaker.until)
            for key in permit.probes:
                self._breakers[key].probe = permit
        return permit

    def succeeded(self, permit: Permit) -> None:
        """The request was answered: its breakers close, unless they opened after it was sent."""
        if not self._breakers:
            return
        with self._lock:
            for key in permit.keys:
                breaker = self._breakers.get(key)
                if breaker and (not breaker.until or breaker.probe is permit or breaker.opened_at < permit.started):
                    del self._breakers[key]

    def ended_well(self, permit: Permit) -> None:
        """A stream ended as it should: what was counted is wiped out; a breaker that has opened since stays open."""
        with self._lock:
            for key in permit.keys:
                breaker = self._breakers.get(key)
                if breaker and not breaker.until:
                    del self._breakers[key]

    def committed(self, permit: Permit) -> None:
        """A stream has begun to answer: others may be sent again, but only its end wipes out what was counted."""
        if not permit.probes:
            return
        with self._lock:
            for key in permit.probes:
                breaker = self._breakers.get(key)
                if breaker and breaker.probe is permit:
                    breaker.probe, breaker.until, breaker.failures = None, 0.0, THRESHOLD - 1

    def released(self, permit: Permit) -> None:
        """The request came to no end that says anything (cancelled, or the caller's own mistake)."""
        if not permit.probes:
            return
        with self._lock:
            self._release(permit)

    def failed(self, permit: Permit, failure: Failure, evidence: Evidence) -> None:
        """The request failed: count it, or open at once, as the failure says."""
        now = self.clock()
        opened = None
        with self._lock:
            reached = evidence.status is not None or evidence.phase in ("body", "committed")
            for key in permit.keys:
                if key.target is failure.cooldown.target:
                    opened = self._count(key, permit, failure, evidence, now)
                elif key.target is Scope.ENDPOINT and reached and self._closes(key, permit):
                    del self._breakers[key]
            self._release(permit)
            if len(self._breakers) > _MANY:
                self._drop_expired(now)
        if opened:
            key, seconds = opened
            logger.warning("%s opened for %.3g s: %s%s", _name(key), seconds, failure.kind, _status_and_id(evidence))

    def states(self, urls: Sequence[str] | None = None, account: str | None = None) -> list[BreakerState]:
        """Every breaker that is not in perfect health, of some base URLs and an account or of all."""
        now = self.clock()
        with self._lock:
            return [_state(key, self._breakers[key], now) for key in self._keys(urls, account)]

    def reset(self, urls: Sequence[str] | None = None, account: str | None = None) -> None:
        """Close every breaker of some base URLs and an account, or of all."""
        with self._lock:
            for key in list(self._keys(urls, account)):
                del self._breakers[key]

    def _keys(self, urls: Sequence[str] | None, account: str | None) -> Iterator[Key]:
        for key in self._breakers:
            if (urls is None or key.base_url in urls) and (account is None or key.account in ("", account)):
                yield key

    def _block(self, keys: tuple[Key, ...], now: float) -> Block | None:
        longest: Block | None = None
        for key in keys:
            breaker = self._breakers.get(key)
            if breaker is None or not breaker.until or breaker.failure is None or breaker.evidence is None:
                continue
            probing = now >= breaker.until
            if probing and breaker.probe is None:
                continue
            seconds = _PROBE_POLL if probing else breaker.until - now
            block = Block(key.target, seconds, breaker.failure, breaker.evidence, probing)
            if longest is None or (not block.soft, seconds) > (not longest.soft, longest.seconds):
                longest = block
        return longest

    def _closes(self, key: Key, permit: Permit) -> bool:
        breaker = self._breakers.get(key)
        return breaker is not None and (not breaker.until or breaker.probe is permit)

    def _release(self, permit: Permit) -> None:
        for key in permit.probes:
            breaker = self._breakers.get(key)
            if breaker and breaker.probe is permit:
                breaker.probe = None

    def _count(
        self, key: Key, permit: Permit, failure: Failure, evidence: Evidence, now: float
    ) -> tuple[Key, float] | None:
        breaker = self._breakers.setdefault(key, _Breaker())
        breaker.failures += 1
        was_open = breaker.until > now
        probing = breaker.probe is permit
        counted = failure.cooldown.counted and not probing
        if counted and was_open and failure.retry_after is None:
            # A request sent past or before it says nothing new: the breaker keeps its deadline, and what opened it.
            return None
        opens = not counted or breaker.failures >= THRESHOLD
        if opens or not breaker.until:
            breaker.failure, breaker.evidence = failure, evidence
        if not opens and not was_open:
            return None
        seconds = _cooldown(failure, breaker.openings - (1 if was_open and breaker.openings else 0))
        breaker.until = max(breaker.until, now + seconds)
        if was_open:
            return None
        breaker.openings += 1
        breaker.opened_at = now
        return key, seconds

    def _drop_expired(self, now: float) -> None:
        for key in [k for k, b in self._breakers.items() if b.probe is None and b.until < now - _EXPIRED]:
            del self._breakers[key]


@dataclass(frozen=True, slots=True)
class HubHealth:
    """The breakers of one hub and key: what a `Plan` carries, and what `hub.health()` and `hub.reset_health()` show.

    Args:
        base_url: the hub's base URL.
        account: a salted hash of the key, never the key.
        mirrors: its other base URLs.
        registry: where the breakers live; by default those of the process.
    """

    base_url: str = ""
    account: str = "-"
    mirrors: tuple[str, ...] = ()
    registry: Health = field(default_factory=lambda: REGISTRY)

    def keys(self, model: str, base_url: str | None = None) -> tuple[Key, Key, Key]:
        """The breakers that a request for `model` depends on: endpoint, account, model."""
        url = self.base_url if base_url is None else base_url
        return Key(url), Key(url, self.account), Key(url, self.account, model)

    def record(
        self,
        model: str,
        failure: Failure | None = None,
        evidence: Evidence | None = None,
        *,
        base_url: str | None = None,
    ) -> None:
        """Report how a stream ended after its first content: well (no failure), or broken off."""
        permit = Permit(self.keys(model, base_url), self.registry.clock())
        if failure is None:
            self.registry.ended_well(permit)
        else:
            self.registry.failed(permit, failure, evidence or Evidence("cut", "committed"))

    def snapshot(self) -> list[BreakerState]:
        """Every breaker of this hub and key that is not in perfect health."""
        return self.registry.states((self.base_url, *self.mirrors), self.account)

    def reset(self) -> None:
        """Close them all: after a top-up, say, or a repaired setting."""
        self.registry.reset((self.base_url, *self.mirrors), self.account)


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


REGISTRY: Health = Health()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=REGISTRY._forget)
