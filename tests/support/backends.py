"""The HTTP backends of async calls that are installed: the SDK's own, and aiohttp."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import openai
import pytest

from hubmix.transport.pool import SmallPools

OWN, AIOHTTP = "own", "aiohttp"
FAST = find_spec("httpx_aiohttp") is not None
BACKENDS = (OWN, AIOHTTP) if FAST else (OWN,)
"""With the extra `fast` both, without it one."""


def choose(backend: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let hubs take a backend although both are installed; returns its name."""
    monkeypatch.setattr("hubmix.transport.clients.find_spec", lambda _: object() if backend == AIOHTTP else None)
    return backend


def client_of(backend: str, **options: Any) -> Any:
    """Return an HTTP client for async calls, as a user would make it."""
    make = openai.DefaultAioHttpClient if backend == AIOHTTP else openai.DefaultAsyncHttpxClient
    return make(trust_env=False, **options)


def transport_of(client: Any) -> Any:
    """Return the transport of an SDK client, without what sweeps it."""
    transport = client._client._transport
    return getattr(transport, "inner", transport)


def connections(client: Any) -> tuple[int, int]:
    """(in use, idle) connections of an SDK client."""
    transport = transport_of(client)
    if hasattr(transport, "client"):  # aiohttp's
        connector = transport.client.connector
        return len(connector._acquired), sum(map(len, connector._conns.values()))
    pools = [pool.transport for pool in transport._pools] if isinstance(transport, SmallPools) else [transport]
    idle = [connection.is_idle() for pool in pools for connection in pool._pool.connections]
    return len(idle) - sum(idle), sum(idle)
