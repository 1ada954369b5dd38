"""Opening the stores that processes share: a SQLite file, or Redis."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from hubmix._text import redact
from hubmix.errors import ConfigurationError

STORE_TIMEOUT = 2.0  # seconds: a store that is slower than that is down


def read_store(where: str, name: str) -> tuple[Literal["sqlite", "redis"], str]:
    """Return the kind of store that a text names, with the path or the URL.

    Args:
        where: `sqlite:///path` or `redis://…`.
        name: what the user calls the store, for the message of an error.

    Raises:
        ConfigurationError: the text names no store.
    """
    scheme, _, rest = where.partition("://")
    if scheme == "sqlite" and rest.removeprefix("/"):
        return "sqlite", rest.removeprefix("/")
    if scheme in ("redis", "rediss", "unix"):
        return "redis", where
    # The text itself may hold a password.
    raise ConfigurationError(f"{name} is 'sqlite:///path' or 'redis://host:port/db'.")


@contextmanager
def open_sqlite(path: str, timeout: float = STORE_TIMEOUT) -> Iterator[sqlite3.Connection]:
    """Connect to a SQLite file for one operation; the file is made with its folder."""
    file = Path(os.path.expanduser(path))
    file.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(file, timeout=timeout, isolation_level=None)) as database:
        yield database


def open_redis(url: str, name: str, timeout: float = STORE_TIMEOUT, **options: Any) -> Any:
    """Return a client of Redis that asks once, and waits `timeout` seconds at most.

    Args:
        url: a Redis URL.
        name: what the user calls the store, for the message of an error.
        timeout: seconds to connect, and to answer.
        options: further ones of redis-py's client.

    Raises:
        ConfigurationError: redis is missing, or the text is no Redis URL.
    """
    redis = import_extra("redis", name)
    limits = {"socket_timeout": timeout, "socket_connect_timeout": timeout}
    try:
        # Each try may take that long, and redis-py makes several unless told otherwise.
        return redis.Redis.from_url(url, retry=None, retry_on_timeout=False, **limits, **options)
    except ValueError as error:
        raise ConfigurationError(f"{name} is no Redis URL: {redact(str(error))}") from None


def import_extra(module: str, name: str) -> Any:
    """Import a package of the `ratelimit` extra, or say which feature needs it."""
    try:
        return import_module(module)
    except ImportError as error:
        raise ConfigurationError(f'{name} needs {module}: pip install "hubmix[ratelimit]"') from error
