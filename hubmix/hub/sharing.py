"""What processes tell each other of open circuit breakers, over a store.

Breakers of models and accounts are shared, by hub and key. Those of a base URL are not: another process may reach the
hub another way.

The process decides by its own breakers, and brings them and the store into line before a call and after it. No call
waits for a store that is down: the exchange runs in a thread, and is waited for only while the store answers.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import threading
import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future, wait
from functools import lru_cache
from typing import Any

from hubmix._text import redact
from hubmix.errors import Scope
from hubmix.failover import failures
from hubmix.failover.breakers import HubBreakers, Key, Opened
from hubmix.failover.evidence import Evidence, Failure
from hubmix.failover.plan import Plan
from hubmix.hub.breaker_store import BreakerStore, Row, open_store

logger = logging.getLogger(__name__)

EVERY = 0.25  # seconds for which what was read is taken as it stands
REST = 30.0  # seconds without a try after a failure of the store
LEASE = 10.0  # seconds that one process may take to find out whether a fault is over
WAIT = 0.1  # seconds that a call waits for a store which answered last time
_SLACK = 0.5  # seconds by which two clocks may differ without news


class SharedBreakers:
    """The breakers of one hub and key, shared over a store.

    Args:
        store: `sqlite:///path` or `redis://…`.
        breakers: the breakers of the hub and key.
        clock: seconds on a clock that only goes forward.

    Raises:
        ConfigurationError: the text names no store, or the `ratelimit` extra is missing.
    """

    def __init__(
        self, store: str | BreakerStore, breakers: HubBreakers, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._hub, self._account = breakers.base_urls[0], breakers.account
        self._registry = breakers.registry
        group = hashlib.sha256(f"{self._hub}\n{self._account}".encode()).hexdigest()[:24]
        self._store = open_store(store, group) if isinstance(store, str) else store
        self._clock = clock
        self._begin_process()
        self._answers = True
        self._next = float("-inf")  # when the store is read again without a reason
        self._rests_until = float("-inf")
        self._seen = -1
        self._known: dict[Key, float] = {}  # in the store when it was last read, and for how many seconds more

    def _begin_process(self) -> None:
        """Begin, also after a fork: an exchange of the parent's never ends here."""
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._busy = False

    def share(self, keys: Collection[Key] = ()) -> None:
        """Bring breakers and store into line.

        Args:
            keys: those of the call that begins; it may find out whether their faults are over.
        """
        exchange = self._begin(keys)
        if exchange is not None and self._answers:
            wait([exchange], WAIT)

    async def ashare(self, keys: Collection[Key] = ()) -> None:
        """`share`, for asyncio."""
        exchange = self._begin(keys)
        if exchange is not None and self._answers:
            _, late = await asyncio.wait([asyncio.wrap_future(exchange)], timeout=WAIT)
            for waiting in late:
                waiting.cancel()  # the waiting alone, not the exchange

    def _begin(self, keys: Collection[Key]) -> Future[None] | None:
        if self._pid != os.getpid():
            self._begin_process()
        now = self._clock()
        with self._lock:
            due = now >= self._next or self._registry.changes != self._seen
            if not due or self._busy or now < self._rests_until:
                return None
            self._busy = True
        exchange: Future[None] = Future()
        exchange.set_running_or_notify_cancel()
        threading.Thread(target=self._run, args=(exchange, keys), name="hubmix-breakers", daemon=True).start()
        return exchange

    def _run(self, exchange: Future[None], keys: Collection[Key]) -> None:
        try:
            self.exchange(keys)
            self._answers = True
        # Whatever a store raises, breakers only order: the call goes on with those of this process.
        except Exception as error:  # noqa: BLE001
            self._known.clear()
            self._rests_until = self._clock() + REST
            if self._answers:
                what = redact(f"{type(error).__name__}: {error}")
                logger.warning("The store of the circuit breakers cannot be used; each process has its own. %s", what)
            self._answers = False
        finally:
            self._busy = False
            exchange.set_result(None)

    # -- the exchange -----------------------------------------------------------------------------------------------

    def exchange(self, keys: Collection[Key] = ()) -> None:
        """Write what changed here, then take in what changed there."""
        seen = self._registry.changes
        here = self._registry.opened(self._concerns)
        for key, opened in here.items():
            if opened.seconds > self._left(key) + _SLACK:
                self._store.write(key.model, Row(_text_of(opened), opened.seconds))
        for key in [key for key in self._known if key not in here]:
            self._store.remove(key.model)
        self._take_in(self._store.read(), here, keys)
        self._seen = seen
        self._next = self._clock() + EVERY

    def _take_in(self, rows: Mapping[str, Row], here: Mapping[Key, Opened], keys: Collection[Key]) -> None:
        now, known = self._clock(), {}
        for name, row in rows.items():
            key = Key(self._hub, self._account, name)
            opened = _opened_of(row)
            if opened is None:
                continue
            if row.seconds <= 0 and key in keys and not self._store.claim(name, LEASE):
                opened = Opened(LEASE, opened.openings, opened.failure, opened.evidence)
            if key not in here or opened.seconds > here[key].seconds + _SLACK:
                self._registry.learn(key, opened)
            known[key] = now + opened.seconds
        for key in here:
            if key in self._known and key not in known:
                self._registry.forget(key)
        self._known = known

    def _left(self, key: Key) -> float:
        """How long a breaker is open in the store, as it was read last."""
        until = self._known.get(key)
        return float("-inf") if until is None else max(until - self._clock(), 0.0)

    def _concerns(self, key: Key) -> bool:
        return key.target is not Scope.ENDPOINT and key.base_url == self._hub and key.account == self._account


def _text_of(opened: Opened) -> str:
    evidence = opened.evidence
    told = {"kind": opened.failure.kind, "openings": opened.openings, "cause": evidence.cause, "phase": evidence.phase}
    told |= {"status": evidence.status, "code": evidence.code, "request_id": evidence.request_id}
    return json.dumps(told)


def _opened_of(row: Row) -> Opened | None:
    """Return the breaker of a row; None if another version of hubmix wrote it."""
    try:
        told: dict[str, Any] = json.loads(row.text)
        failure = _failures()[told.pop("kind")]
        openings = int(told.pop("openings"))
        evidence = Evidence(**told)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    return Opened(max(row.seconds, 0.0), openings, failure, evidence)


@lru_cache(maxsize=1)
def _failures() -> dict[str, Failure]:
    """Every failure that opens a breaker of a model or an account, by its kind."""
    every = [value for value in vars(failures).values() if isinstance(value, Failure)]
    return {failure.kind: failure for failure in every if failure.cooldown.target not in (None, Scope.ENDPOINT)}


def shared_by(plan: Plan) -> list[tuple[SharedBreakers, Collection[Key]]]:
    """Return what the hubs of a call share, each with the keys to find out about.

    They are those of the first route: a route behind a healthy one is not asked.
    """
    found: dict[SharedBreakers, Collection[Key]] = {}
    for route in plan.routes:
        shared = getattr(route.hub, "shared", None)
        if shared is not None:
            found.setdefault(shared, route.keys if route is plan.routes[0] else ())
    return list(found.items())
