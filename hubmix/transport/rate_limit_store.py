"""The limiter of `SharedRateLimit`: permits counted in a SQLite file or in Redis.

The SQLite file is pyrate-limiter's bucket. The waiting is done here, so that a limit that cannot be met in time is
known at once, and no thread is needed.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
import time
import uuid
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from hubmix._text import redact
from hubmix.errors import HubConnectionError
from hubmix.transport.rate_limit import Rate, SharedRateLimit, parse_rates, too_many
from hubmix.transport.stores import STORE_TIMEOUT, import_extra, open_redis

_CLEAN_EVERY = 64
_CLOCK_ERROR = 1_000  # milliseconds; permits stamped further ahead come from a clock that was wrong

# pyrate-limiter's own script counts up to the caller's clock, so that permits taken by a process whose clock is some
# milliseconds ahead are not seen, and one too many is given. Here Redis tells the time, in microseconds, and nobody
# else. Numbers of that size lose their last digits in Lua unless they are formatted.
_TAKE = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
for _, permit in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], string.format('%.0f', now + 1000000), '+inf')) do
    redis.call('ZADD', KEYS[1], string.format('%.0f', now), permit)
end
local wait, longest = 0, 0
for i = 2, #ARGV, 2 do
    local count, span = tonumber(ARGV[i]), tonumber(ARGV[i + 1])
    longest = math.max(longest, span)
    local last = redis.call('ZREVRANGE', KEYS[1], count - 1, count - 1, 'WITHSCORES')
    if last[2] then
        wait = math.max(wait, tonumber(last[2]) + span - now)
    end
end
if wait > 0 then
    return wait
end
redis.call('ZADD', KEYS[1], string.format('%.0f', now), ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now - longest))
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', math.ceil(longest / 1000)))
return 0
"""


class _Store(Protocol):
    """Where permits are counted."""

    def take(self) -> float:
        """Take a permit and return 0, or return the seconds after which there may be one."""


class StoredRateLimiter:
    """Permits counted in a store that other processes count in too.

    Which of the waiting processes is next is chance. If the store cannot be reached, nothing is sent and
    `HubConnectionError` says so: a limit that holds only while nothing is wrong would be none.

    Args:
        limit: the rate and where it is counted.
        fingerprint: a hash of the key.
        base_url: the hub's base URL.
        sleep: for tests.
    """

    def __init__(
        self, limit: SharedRateLimit, fingerprint: str, base_url: str, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._limit = limit
        self._name = base_url
        self._rates = parse_rates(limit.rate)
        self._sleep = sleep
        self._key = "hubmix_" + hashlib.sha256(f"{base_url}\n{fingerprint}".encode()).hexdigest()[:24]
        self._open_store()
        _limiters.add(self)

    def acquire(self, timeout: float | None = None) -> None:
        """Wait for a permit.

        Raises:
            RateLimitedError: at once, if none will be free within `timeout` seconds.
            HubConnectionError: the store cannot be reached.
        """
        left = timeout
        while (wait := self._try_once(left)) > 0:
            self._sleep(wait)
            left = None if left is None else left - wait

    async def aacquire(self, timeout: float | None = None) -> None:
        """`acquire`, for asyncio; the store is asked in a thread."""
        left = timeout
        while (wait := await asyncio.to_thread(self._try_once, left)) > 0:
            await asyncio.sleep(wait)
            left = None if left is None else left - wait

    def heard(self, headers: Mapping[str, str]) -> None:
        """Take in nothing: the store counts for all, and other processes heard nothing."""

    def _try_once(self, timeout: float | None) -> float:
        """Take a permit and return 0, or return the seconds until the next try."""
        try:
            wait = self._store.take()
        except Exception as error:
            words = redact(str(error)).rstrip(".")
            raise HubConnectionError(
                f"The shared rate limit of {self._name} cannot be counted: {words}. Nothing was sent. "
                f"Check {'the Redis server' if self._limit.redis else 'that the SQLite file can be written'}."
            ) from error
        if timeout is not None and wait > max(timeout, 0.0):
            raise too_many(self._name, self._rates, wait, timeout)
        return wait

    def _open_store(self) -> None:
        if self._limit.redis is not None:
            self._store: _Store = _RedisStore(self._limit.redis, self._key, self._rates)
        else:
            path = Path(os.path.expanduser(self._limit.sqlite or ""))
            self._store = _SQLiteStore(path, self._key, self._rates)

    def _after_fork(self) -> None:
        # Neither a connection nor a lock that another thread held survives a fork. The parent's connection is not
        # closed here: that is the parent's to do.
        _of_the_parent.append(self._store)
        self._open_store()


class _RedisStore:
    """Counts in a sorted set, by a script that Redis runs as one step."""

    def __init__(self, url: str, key: str, rates: tuple[Rate, ...]) -> None:
        self._script = open_redis(url, "SharedRateLimit", STORE_TIMEOUT).register_script(_TAKE)
        self._key = key
        self._rates = [number for rate in rates for number in (rate.count, int(rate.seconds * 1_000_000))]

    def take(self) -> float:
        wait: int = self._script(keys=[self._key], args=[uuid.uuid4().hex, *self._rates])
        return wait / 1_000_000


class _SQLiteStore:
    """Counts in pyrate-limiter's bucket; its file lock keeps processes apart."""

    def __init__(self, path: Path, table: str, rates: tuple[Rate, ...]) -> None:
        _extra("pyrate_limiter")
        _extra("filelock")
        self._path = path
        self._table = table
        self._rates = rates
        self._lock = threading.Lock()
        self._bucket: Any = None
        self._taken = 0

    def take(self) -> float:
        with self._lock:
            known = self._bucket is not None
            try:
                return self._take()
            except Exception:
                self._bucket = None
                # The file may have been removed since it was opened.
                if not known:
                    raise
                return self._take()

    def _take(self) -> float:
        if self._bucket is None:
            self._bucket = self._open()
        now = self._bucket.now()
        self._set_back(now)
        item = _extra("pyrate_limiter").RateItem("request", now)
        self._taken += 1
        if self._taken % _CLEAN_EVERY == 1:
            self._bucket.leak(now)
        if self._bucket.put(item):
            return 0.0
        return max(int(self._bucket.waiting(item)), 1) / 1000

    def _set_back(self, now: int) -> None:
        """Take permits of the future as given now: their clock was ahead."""
        query = f'UPDATE "{self._table}" SET item_timestamp = ? WHERE item_timestamp > ?'
        with self._bucket.lock:
            found = self._bucket.conn.execute(
                f'SELECT MAX(item_timestamp) FROM "{self._table}"'
            ).fetchone()  # first a look, which takes no lock on the file
            if found[0] is not None and found[0] > now + _CLOCK_ERROR:
                self._bucket.conn.execute(query, (now, now + _CLOCK_ERROR)).close()
                self._bucket.conn.commit()

    def _open(self) -> Any:
        pyrate = _extra("pyrate_limiter")
        rates = [pyrate.Rate(rate.count, int(rate.seconds * 1000)) for rate in self._rates]
        rates.sort(key=lambda rate: rate.interval)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with _extra("filelock").FileLock(f"{self._path}.lock", timeout=STORE_TIMEOUT):
            pass  # raises if another process hangs with it: the bucket itself would wait without a limit
        bucket = pyrate.SQLiteBucket.init_from_file(
            rates, table=self._table, db_path=str(self._path), use_file_lock=True
        )
        bucket.lock.timeout = STORE_TIMEOUT
        bucket.conn.execute(f"PRAGMA busy_timeout = {int(STORE_TIMEOUT * 1000)}").close()
        return bucket


def _extra(module: str) -> Any:
    return import_extra(module, "SharedRateLimit")


_limiters: weakref.WeakSet[StoredRateLimiter] = weakref.WeakSet()
_of_the_parent: list[_Store] = []


def _after_fork() -> None:
    for limiter in list(_limiters):
        limiter._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
