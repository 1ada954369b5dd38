"""Many async calls at once over several small connection pools.

httpcore's pool goes through all its connections for every request that begins or ends, and through all of them again
for every idle one (read in 1.0.9, `_assign_requests_to_connections`). In the first of several bursts of 256 calls a
call cost 51 ms of CPU; over pools of 16 it costs 3. A call takes the first pool with room, so that few calls share few
connections and keep them warm. What a burst opened is closed when it has been idle for a while.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from hubmix._compat import http
from hubmix.transport.idle import Sweeper, close_idle, in_background

if TYPE_CHECKING:
    from httpx import AsyncBaseTransport, AsyncByteStream, AsyncHTTPTransport, Limits, Request, Response
else:
    _http = http()
    import_module(_http.__name__.replace("httpx", "httpcore"))  # httpx does so in the middle of the first request
    AsyncBaseTransport, AsyncByteStream, AsyncHTTPTransport, Limits = (
        _http.AsyncBaseTransport,
        _http.AsyncByteStream,
        _http.AsyncHTTPTransport,
        _http.Limits,
    )

WIDTH = 16  # connections in a pool
MOST = 64  # pools; with all of them full, calls wait for a connection as in any pool
IDLE = 30.0  # seconds that an unused connection, and an unused pool, is kept
KEPT = 18  # pools that are kept so long, with 288 connections; those of a larger burst close at the next look


class _Pool:
    __slots__ = ("busy", "transport", "used")

    def __init__(self, transport: AsyncBaseTransport) -> None:
        self.transport = transport
        self.busy = 0  # calls whose answers are not closed yet
        self.used = 0.0


class _Body(AsyncByteStream):
    """An answer's body; its pool has room again when it is closed."""

    def __init__(self, body: AsyncByteStream, leave: Callable[[], None]) -> None:
        self._body = body
        self._leave: Callable[[], None] | None = leave

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._body.__aiter__()

    async def aclose(self) -> None:
        try:
            await self._body.aclose()
        finally:
            leave, self._leave = self._leave, None
            if leave is not None:
                leave()


class SmallPools(AsyncBaseTransport):
    """An HTTP transport over as many small pools as the calls under way need.

    Args:
        make: makes a pool's transport.
        clock: seconds on a clock that only goes forward.
        verify: as of the HTTP library; not used with `make`.
    """

    def __init__(
        self,
        make: Callable[[], AsyncBaseTransport] | None = None,
        clock: Callable[[], float] = time.monotonic,
        *,
        verify: Any = True,
    ) -> None:
        limits = Limits(max_connections=WIDTH, max_keepalive_connections=WIDTH, keepalive_expiry=IDLE)
        self._make = make or partial(AsyncHTTPTransport, verify=verify, limits=limits)
        self._clock = clock
        self._pools: list[_Pool] = []
        self._sweeper = Sweeper(self._sweep)

    async def handle_async_request(self, request: Request) -> Response:
        """Send a request over the first pool that has room."""
        self._sweeper.begin()
        pool = self._choose()
        pool.busy += 1

        def leave() -> None:
            pool.busy -= 1
            pool.used = self._clock()

        try:
            response = await pool.transport.handle_async_request(request)
            assert isinstance(response.stream, AsyncByteStream)
            response.stream = _Body(response.stream, leave)
        except BaseException:
            leave()
            raise
        return response

    def _choose(self) -> _Pool:
        for pool in self._pools:
            if pool.busy < WIDTH:
                return pool
        if len(self._pools) < MOST:
            pool = _Pool(self._make())
            self._pools.append(pool)
            return pool
        return min(self._pools, key=lambda pool: pool.busy)

    def _sweep(self) -> bool:
        """Close idle connections and pools; return whether any pool is left."""
        now, kept = self._clock(), list[_Pool]()
        for pool in self._pools:
            if pool.busy or now - pool.used <= (IDLE if len(kept) < KEPT else 0):
                close_idle(pool.transport)
                kept.append(pool)
            else:
                in_background(pool.transport.aclose())
        self._pools = kept
        return bool(kept)

    async def aclose(self) -> None:
        """Close every connection."""
        self._sweeper.end()
        while self._pools:
            await self._pools.pop().transport.aclose()
