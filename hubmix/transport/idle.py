"""Idle connections are closed in time, also if no further call is made.

httpcore looks at its idle connections only when a request begins or ends: after a burst of 400 streams 257 were open a
minute later. aiohttp looks once in a keep-alive time, so that a connection stays for up to two. Here a timer looks
every few seconds, as long as there are connections.

Neither library gives a public way to do so. If a version of theirs names it otherwise, connections stay until the
library itself closes them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from hubmix._compat import http
from hubmix.transport.closing import finish_in_loop

if TYPE_CHECKING:
    from httpx import AsyncBaseTransport, Request, Response
else:
    AsyncBaseTransport = http().AsyncBaseTransport

EVERY = 5.0  # seconds between two looks


class Sweeper:
    """Calls a function every few seconds until it says that nothing is left.

    Args:
        sweep: closes what has been idle for too long; returns whether anything is open.
    """

    def __init__(self, sweep: Callable[[], bool]) -> None:
        self._sweep = sweep
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """Look from now on; nothing happens if it does so already."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(EVERY, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._sweep():
            self.begin()

    def end(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class Swept(AsyncBaseTransport):
    """Another transport, whose idle connections are closed in time."""

    def __init__(self, inner: AsyncBaseTransport) -> None:
        self.inner = inner
        self._sweeper = Sweeper(lambda: close_idle(inner))

    async def handle_async_request(self, request: Request) -> Response:
        """Send a request."""
        self._sweeper.begin()
        return await self.inner.handle_async_request(request)

    async def aclose(self) -> None:
        """Close every connection."""
        self._sweeper.end()
        await self.inner.aclose()


def close_idle(transport: Any) -> bool:
    """Close the connections whose keep-alive time is over; return whether any is left."""
    pool = getattr(transport, "_pool", None)
    if pool is not None:
        return _close_idle_of_httpcore(pool)
    return _close_idle_of_aiohttp(getattr(getattr(transport, "client", None), "connector", None))


def _close_idle_of_httpcore(pool: Any) -> bool:
    assign = getattr(pool, "_assign_requests_to_connections", None)
    close = getattr(pool, "_close_connections", None)
    if assign is None or close is None:
        return False
    if expired := assign():
        in_background(close(expired))
    return bool(pool.connections)


def _close_idle_of_aiohttp(connector: Any) -> bool:
    clean = getattr(connector, "_cleanup", None)
    if clean is None or connector.closed:
        return False
    clean()
    return bool(getattr(connector, "_conns", None) or getattr(connector, "_acquired", None))


def in_background(closing: Coroutine[Any, Any, Any]) -> None:
    """Close something in a task of the running loop."""
    finish_in_loop(asyncio.get_running_loop(), closing)
