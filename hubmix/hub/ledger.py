"""Where a budget counts: this process, a SQLite file, or Redis.

Each operation is one atomic step.

A ledger knows what was spent and what is reserved in one period. Amounts are whole pico-dollars (1e-12 USD), so that
sums are exact in every store. A reservation that is neither settled nor released expires: its process was killed.
"""

from __future__ import annotations

import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from hubmix._text import redact
from hubmix.errors import HubConnectionError
from hubmix.transport.stores import STORE_TIMEOUT, open_redis, open_sqlite


@dataclass(frozen=True, slots=True)
class Balance:
    """The state of a ledger in one period, in pico-dollars.

    Args:
        spent: what settled calls cost.
        reserved: what calls under way may still cost.
        by_model: `spent`, by the model that served.
    """

    spent: int = 0
    reserved: int = 0
    by_model: dict[str, int] = field(default_factory=dict)


class Ledger(Protocol):
    """What a budget asks of a store.

    Every method raises `HubConnectionError` if the store cannot be reached."""

    def now(self) -> float:
        """The store's own clock, in seconds since 1970."""

    def reserve(
        self, period: str, amount: int, limit: int, seconds: float, patience: float | None = None
    ) -> str | None:
        """Reserve `amount` for at most `seconds`; None if that would pass `limit`.

        The store has `patience` seconds to answer, at most `STORE_TIMEOUT`."""

    def settle(self, period: str, token: str, amount: int, model: str) -> None:
        """Give the reservation back and add `amount` to what was spent."""

    def balance(self, period: str) -> Balance:
        """The state of one period."""


class MemoryLedger:
    """Counts in this process. Thread-safe.

    Args:
        clock: seconds since 1970.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.now = clock
        # Reentrant: an abandoned stream is settled wherever the garbage collector finds it.
        self._lock = threading.RLock()
        self._spent: dict[str, dict[str, int]] = {}
        self._open: dict[str, tuple[str, int, float]] = {}

    def reserve(
        self, period: str, amount: int, limit: int, seconds: float, patience: float | None = None
    ) -> str | None:
        with self._lock:
            state = self.balance(period)
            if amount and state.spent + state.reserved + amount > limit:
                return None
            token = uuid.uuid4().hex
            self._open[token] = (period, amount, self.now() + seconds)
            return token

    def settle(self, period: str, token: str, amount: int, model: str) -> None:
        with self._lock:
            self._open.pop(token, None)
            if amount:
                models = self._spent.setdefault(period, {})
                models[model] = models.get(model, 0) + amount

    def balance(self, period: str) -> Balance:
        with self._lock:
            now = self.now()
            for token in [token for token, (_, _, expires) in self._open.items() if expires <= now]:
                del self._open[token]
            models = self._spent.get(period, {})
            reserved = sum(amount for held, amount, _ in self._open.values() if held == period)
            return Balance(sum(models.values()), reserved, dict(models))


_TABLES = (
    "spent (ledger TEXT, period TEXT, model TEXT, amount INTEGER, PRIMARY KEY (ledger, period, model))",
    "reservations (token TEXT PRIMARY KEY, ledger TEXT, period TEXT, amount INTEGER, expires REAL)",
)


class SQLiteLedger:
    """Counts in a SQLite file, for the processes of one machine.

    A connection lives for one operation.

    Args:
        path: the file; made with its folder on first use.
        key: names the ledger in the file.
        clock: seconds since 1970.
    """

    def __init__(self, path: str, key: str, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._key = key
        self.now = clock
        # Reentrant: an abandoned stream is settled wherever the garbage collector finds it.
        self._turn = threading.RLock()

    def reserve(
        self, period: str, amount: int, limit: int, seconds: float, patience: float | None = None
    ) -> str | None:
        with self._transaction(patience) as database:
            database.execute("DELETE FROM reservations WHERE expires <= ?", (self.now(),))
            state = self._read(database, period)
            if amount and state.spent + state.reserved + amount > limit:
                return None
            token = uuid.uuid4().hex
            row = (token, self._key, period, amount, self.now() + seconds)
            database.execute("INSERT INTO reservations VALUES (?, ?, ?, ?, ?)", row)
            return token

    def settle(self, period: str, token: str, amount: int, model: str) -> None:
        with self._transaction() as database:
            database.execute("DELETE FROM reservations WHERE token = ?", (token,))
            if amount:
                database.execute(
                    "INSERT INTO spent VALUES (?, ?, ?, ?) "
                    "ON CONFLICT (ledger, period, model) DO UPDATE SET amount = amount + excluded.amount",
                    (self._key, period, model, amount),
                )

    def balance(self, period: str) -> Balance:
        with self._transaction() as database:
            return self._read(database, period)

    def _read(self, database: sqlite3.Connection, period: str) -> Balance:
        where = "WHERE ledger = ? AND period = ?"
        rows = database.execute(f"SELECT model, amount FROM spent {where}", (self._key, period)).fetchall()
        reserved = database.execute(
            f"SELECT COALESCE(SUM(amount), 0) FROM reservations {where} AND expires > ?",
            (self._key, period, self.now()),
        ).fetchone()
        models: dict[str, int] = dict(rows)
        return Balance(sum(models.values()), reserved[0], models)

    @contextmanager
    def _transaction(self, patience: float | None = None) -> Iterator[sqlite3.Connection]:
        seconds = STORE_TIMEOUT if patience is None else min(patience, STORE_TIMEOUT)
        # SQLite's own wait for a busy file is not fair, so the threads of this process queue here.
        if not self._turn.acquire(timeout=seconds):
            raise _unreachable("SQLite file", TimeoutError(f"busy for {seconds:g} s"))
        try:
            with open_sqlite(self._path, seconds) as database:
                # With a write-ahead log a commit need not wait for the disk; a crash of the process loses nothing.
                database.execute("PRAGMA journal_mode = WAL")
                database.execute("PRAGMA synchronous = NORMAL")
                database.execute("BEGIN IMMEDIATE")
                for columns in _TABLES:
                    database.execute(f"CREATE TABLE IF NOT EXISTS {columns}")
                yield database
                database.execute("COMMIT")
        except (sqlite3.Error, OSError) as error:
            raise _unreachable("SQLite file", error) from None
        finally:
            self._turn.release()


# One script a step, so that no other client comes between the question and the entry. Redis tells the time. A hash
# holds the spent amount of each model; a second one each open reservation as "amount expires".
_PRUNE = """
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1000000
local reserved = 0
local open = redis.call('HGETALL', KEYS[2])
for i = 1, #open, 2 do
    local amount, expires = string.match(open[i + 1], '(%d+) (%S+)')
    if tonumber(expires) <= now then
        redis.call('HDEL', KEYS[2], open[i])
    else
        reserved = reserved + tonumber(amount)
    end
end
"""
_RESERVE = f"""{_PRUNE}
local spent = 0
for _, amount in ipairs(redis.call('HVALS', KEYS[1])) do spent = spent + tonumber(amount) end
if tonumber(ARGV[2]) > 0 and spent + reserved + tonumber(ARGV[2]) > tonumber(ARGV[3]) then return 0 end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2] .. ' ' .. string.format('%.3f', now + tonumber(ARGV[4])))
return 1
"""
_SETTLE = """
redis.call('HDEL', KEYS[2], ARGV[1])
if ARGV[2] ~= '0' then redis.call('HINCRBY', KEYS[1], ARGV[3], ARGV[2]) end
return 1
"""
_BALANCE = f"""{_PRUNE}
return {{string.format('%.0f', reserved), redis.call('HGETALL', KEYS[1])}}
"""


class RedisLedger:
    """Counts in Redis, for several machines. Needs the `ratelimit` extra.

    Args:
        url: a Redis URL.
        key: names the ledger in Redis.
    """

    def __init__(self, url: str, key: str) -> None:
        self._connect = partial(open_redis, url, "A budget's store", decode_responses=True)
        self._client = self._connect(timeout=STORE_TIMEOUT)
        self._key = key

    def now(self) -> float:
        """The server's clock, in seconds since 1970."""
        seconds, micros = self._call(self._client.time)
        return float(seconds) + float(micros) / 1_000_000

    def reserve(
        self, period: str, amount: int, limit: int, seconds: float, patience: float | None = None
    ) -> str | None:
        token = uuid.uuid4().hex
        if patience is None or patience >= STORE_TIMEOUT:
            return token if self._run(_RESERVE, period, token, amount, limit, seconds) else None
        with self._connect(timeout=patience) as hasty:
            return token if self._run(_RESERVE, period, token, amount, limit, seconds, client=hasty) else None

    def settle(self, period: str, token: str, amount: int, model: str) -> None:
        self._run(_SETTLE, period, token, amount, model)

    def balance(self, period: str) -> Balance:
        reserved, pairs = self._run(_BALANCE, period)
        models = dict(zip(pairs[::2], map(int, pairs[1::2]), strict=True))
        return Balance(sum(models.values()), int(reserved), models)

    def _run(self, script: str, period: str, *args: Any, client: Any = None) -> Any:
        keys = [f"{self._key}:{period}:spent", f"{self._key}:{period}:reserved"]
        return self._call((client or self._client).eval, script, len(keys), *keys, *args)

    def _call(self, verb: Callable[..., Any], *args: Any) -> Any:
        from redis import RedisError

        try:
            return verb(*args)
        except (RedisError, OSError) as error:
            raise _unreachable("Redis server", error) from None


def _unreachable(what: str, error: Exception) -> HubConnectionError:
    words = redact(str(error)).rstrip(".")
    return HubConnectionError(
        f"The budget's {what} cannot be reached: {words}. Nothing was sent, since it cannot be counted. "
        f"Check the {what}, or use a Budget without store=."
    )
