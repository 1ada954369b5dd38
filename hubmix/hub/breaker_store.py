"""Where open circuit breakers are kept for other processes: SQLite or Redis.

A row is the text of one breaker and the moment from which one request may find out whether the fault is over. The
stores measure time by one clock: the machine's, or the Redis server's.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

from hubmix.transport.stores import open_redis, open_sqlite, read_store

KEPT = 3600.0  # seconds that a row is kept after its moment


class Row(NamedTuple):
    """One breaker: its text, and the seconds until one request may find out."""

    text: str
    seconds: float


class BreakerStore(Protocol):
    """Rows by name, of one hub and key.

    Every method may raise; the caller goes on without the store.
    """

    def read(self) -> Mapping[str, Row]:
        """Return every row."""

    def write(self, name: str, row: Row) -> None:
        """Keep a row instead of the one of that name."""

    def remove(self, name: str) -> None:
        """Remove a row: the fault is over."""

    def claim(self, name: str, seconds: float) -> bool:
        """Return whether this caller may find out; for so long nobody else may."""


class SQLiteStore:
    """Rows in a SQLite file, for the processes of one machine.

    Args:
        path: the file; made with its folder on first use.
        group: names the hub and key.
        clock: seconds since 1970.
    """

    def __init__(self, path: str, group: str, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._group = group
        self._clock = clock

    def read(self) -> Mapping[str, Row]:
        now = self._clock()
        with self._database() as database:
            query = "SELECT name, text, until FROM breakers WHERE hub = ? AND until > ?"
            rows = database.execute(query, (self._group, now - KEPT)).fetchall()
        return {name: Row(text, until - now) for name, text, until in rows}

    def write(self, name: str, row: Row) -> None:
        now = self._clock()
        with self._database() as database:
            database.execute("DELETE FROM breakers WHERE until <= ?", (now - KEPT,))
            values = (self._group, name, row.text, now + row.seconds)
            database.execute("INSERT OR REPLACE INTO breakers VALUES (?, ?, ?, ?)", values)

    def remove(self, name: str) -> None:
        with self._database() as database:
            database.execute("DELETE FROM breakers WHERE hub = ? AND name = ?", (self._group, name))

    def claim(self, name: str, seconds: float) -> bool:
        now = self._clock()
        with self._database() as database:
            change = "UPDATE breakers SET until = ? WHERE hub = ? AND name = ? AND until <= ?"
            return database.execute(change, (now + seconds, self._group, name, now)).rowcount == 1

    @contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        with open_sqlite(self._path) as database:
            # What is lost with the machine's power is found out again by one request.
            database.execute("PRAGMA synchronous = OFF")
            columns = "hub TEXT, name TEXT, text TEXT, until REAL, PRIMARY KEY (hub, name)"
            database.execute(f"CREATE TABLE IF NOT EXISTS breakers ({columns})")
            yield database


class RedisStore:
    """Rows in a Redis hash, for several machines. Needs the `ratelimit` extra.

    Args:
        url: a Redis URL.
        group: names the hub and key.
    """

    def __init__(self, url: str, group: str) -> None:
        self._client = open_redis(url, "breaker_store", decode_responses=True)
        self._key = f"hubmix_breakers:{group}"

    def read(self) -> Mapping[str, Row]:
        with self._client.pipeline(transaction=False) as pipeline:
            (seconds, micros), found = pipeline.time().hgetall(self._key).execute()
        now = seconds + micros / 1_000_000
        rows = {
            name: (text, float(until)) for name, value in found.items() for until, _, text in [value.partition(" ")]
        }
        return {name: Row(text, until - now) for name, (text, until) in rows.items() if until > now - KEPT}

    def write(self, name: str, row: Row) -> None:
        seconds, micros = self._client.time()
        with self._client.pipeline() as pipeline:
            pipeline.hset(self._key, name, f"{seconds + micros / 1_000_000 + row.seconds:.3f} {row.text}")
            pipeline.expire(self._key, int(2 * KEPT))
            pipeline.execute()

    def remove(self, name: str) -> None:
        self._client.hdel(self._key, name)

    def claim(self, name: str, seconds: float) -> bool:
        taken: Any = self._client.set(f"{self._key}:{name}", "1", nx=True, px=int(seconds * 1000))
        return bool(taken)


def open_store(where: str, group: str) -> BreakerStore:
    """Return the rows of one hub and key in a store.

    Args:
        where: `sqlite:///path` or `redis://…`.
        group: names the hub and key, without the key itself.

    Raises:
        ConfigurationError: the text names no store, or redis is missing.
    """
    kind, place = read_store(where, "breaker_store")
    return SQLiteStore(place, group) if kind == "sqlite" else RedisStore(place, group)
