"""The limiter of `SharedRateLimit`: pyrate-limiter's buckets in a SQLite file or in Redis.

Only the buckets are used, which count; the waiting is done here, so that a limit that cannot be met in time is known
at once, and so that no thread runs beside the program.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
import time
from collections.abc import Awaitable, Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from hubmix.errors import ConfigurationError, HubConnectionError
from hubmix.rate_limit import SharedRateLimit, parse_rates, too_many
from hubmix.redaction import redact

_CLEAN_EVERY = 64
_REDIS_PATIENCE = 5.0


class StoredRateLimiter:
    """Permits counted in a store that other processes count in too. Which of the waiting processes is next is chance.

    Where the store cannot be reached, nothing is sent and `HubConnectionError` says so: a limit that holds only while
    nothing is wrong would be none.

    Args:
        limit: the rate and where it is counted.
        fingerprint: a hash of the key.
        base_url: the hub's base URL.
        sleep, asleep: for tests.
    """

    def __init__(
        self,
        limit: SharedRateLimit,
        fingerprint: str,
        base_url: str,
        *,
        sleep: Callable[[float], None] = time.sleep,
        asleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._limit = limit
        self._name = base_url
        self._rates = parse_rates(limit.rate)
        self._table = "hubmix_" + hashlib.sha256(f"{base_url}\n{fingerprint}".encode()).hexdigest()[:24]
        self._sleep = sleep
        self._asleep = asleep
        self._lock = threading.Lock()
        self._bucket: Any = None
        self._pid = os.getpid()
        self._taken = 0
        _extra("pyrate_limiter")

    def acquire(self, timeout: float | None = None) -> None:
        """Wait for a permit. Raises `RateLimitedError` at once where none will be free within `timeout` seconds."""
        left = timeout
        while (wait := self._try_once(left)) > 0:
            self._sleep(wait)
            left = None if left is None else left - wait

    async def aacquire(self, timeout: float | None = None) -> None:
        """`acquire`, for asyncio; the store is asked in a thread."""
        left = timeout
        while (wait := await asyncio.to_thread(self._try_once, left)) > 0:
            await self._asleep(wait)
            left = None if left is None else left - wait

    def _try_once(self, timeout: float | None) -> float:
        """Take a permit and return 0, or return how many seconds to wait before the next try."""
        with self._lock:
            try:
                wait = self._take_or_reopen()
            except Exception as error:
                self._bucket = None
                raise HubConnectionError(
                    f"The shared rate limit of {self._name} cannot be counted: {redact(str(error))}. Nothing was sent. "
                    f"Check {'the Redis server' if self._limit.redis else 'that the SQLite file can be written'}."
                ) from error
        if timeout is not None and wait > max(timeout, 0.0):
            raise too_many(self._name, self._rates, wait, timeout)
        return wait

    def _take_or_reopen(self) -> float:
        known = self._bucket is not None
        try:
            return self._take()
        except Exception:
            # A Redis server that was restarted has forgotten the script that counts; a file may have been removed.
            if not known:
                raise
            self._bucket = None
            return self._take()

    def _take(self) -> float:
        if self._bucket is None or self._pid != os.getpid():
            # A connection does not survive a fork.
            self._bucket, self._pid = self._open(), os.getpid()
        now = self._bucket.now()
        item = _extra("pyrate_limiter").RateItem("request", now)
        self._taken += 1
        if self._taken % _CLEAN_EVERY == 1:
            self._bucket.leak(now)
        if self._bucket.put(item):
            return 0.0
        return max(int(self._bucket.waiting(item)), 1) / 1000

    def _open(self) -> Any:
        pyrate = _extra("pyrate_limiter")
        rates = [pyrate.Rate(rate.count, int(rate.seconds * 1000)) for rate in self._rates]
        rates.sort(key=lambda rate: rate.interval)
        if self._limit.redis is not None:
            client = _extra("redis").Redis.from_url(
                self._limit.redis, socket_timeout=_REDIS_PATIENCE, socket_connect_timeout=_REDIS_PATIENCE
            )
            return pyrate.RedisBucket.init(rates, client, self._table)
        _extra("filelock")
        path = Path(os.fspath(self._limit.sqlite or "")).expanduser()
        path.parent.mkdir(parents=True, exist_ok=True)
        return pyrate.SQLiteBucket.init_from_file(rates, table=self._table, db_path=str(path), use_file_lock=True)


def _extra(module: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise ConfigurationError(f'SharedRateLimit needs {module}: pip install "hubmix[ratelimit]"') from error
