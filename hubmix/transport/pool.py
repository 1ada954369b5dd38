"""Many async calls at once over several small connection pools.

httpcore's pool goes through all its connections for every request that begins or ends, and through all of them again
for every idle one (read in 1.0.9, `_assign_requests_to_connections`). In the first of several bursts of 256 calls a
call cost 51 ms of CPU; over pools of 16 it costs 3. A call takes the first pool with room, so that few calls share few
connections and keep them warm. Pools that a burst opened are closed when they have been idle for a while.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

from hubmix._compat import http

if TYPE_CHECKING:
    from httpx import AsyncBaseTransport, AsyncByteStream, AsyncHTTPTransport, Limits, Request, Response
else:
    _http = http()
    AsyncBaseTransport, AsyncByteStream, AsyncHTTPTransport, Limits = (
        _http.AsyncBaseTransport,
        _http.AsyncByteStream,
        _http.AsyncHTTPTransport,
        _http.Limits,
    )

WIDTH = 16  # connections in a pool
MOST = 64  # pools; with all of them full, calls wait for a connection as in any pool
IDLE = 30.0  # seconds that an unused connection, and an unused pool, is kept


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
        make: Makes a pool's transport.
        clock: Seconds on a clock that only goes forward.
    """

    def __init__(
        self, make: Callable[[], AsyncBaseTransport] | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._make = make or _maker()
        self._clock = clock
        self._pools: list[_Pool] = []

    async def handle_async_request(self, request: Request) -> Response:
        """Send a request over the first pool that has room."""
        await self._retire()
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

    async def _retire(self) -> None:
        """Close the last pool when it has been idle; the first is swept by its own pool."""
        if len(self._pools) > 1:
            last = self._pools[-1]
            if not last.busy and self._clock() - last.used > IDLE:
                self._pools.pop()
                await last.transport.aclose()

    async def aclose(self) -> None:
        """Close every connection."""
        while self._pools:
            await self._pools.pop().transport.aclose()


def _maker() -> Callable[[], AsyncBaseTransport]:
    limits = Limits(max_connections=WIDTH, max_keepalive_connections=WIDTH, keepalive_expiry=IDLE)
    verify = http().create_ssl_context()  # read once: it costs more than a pool
    return lambda: AsyncHTTPTransport(verify=verify, limits=limits)
