"""The embedded hub in a thread of this process."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import ip_address
from types import TracebackType
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from hubmix.embedded.accounts import DEFAULT_KEY, Accounts
from hubmix.embedded.app import HubApp, RecordedRequest
from hubmix.embedded.call import Settings
from hubmix.embedded.dialects import DIALECTS, DialectName
from hubmix.embedded.faults import Fault, FaultQueue
from hubmix.embedded.models import Extra, Registry

_START_TIMEOUT = 10.0
_STOP_TIMEOUT = 2.0


class _Protocol(H11Protocol):
    """uvicorn's protocol that hands the application its transport, for resets."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in the class above it
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}


class _Server(uvicorn.Server):
    """uvicorn's server that waits for an event to stop, and polls nothing."""

    def __init__(self, config: uvicorn.Config, app: HubApp) -> None:
        super().__init__(config)
        self._app = app
        self._stop: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.ready = threading.Event()

    async def main_loop(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._app.closing = asyncio.Event()
        self.ready.set()
        await self._stop.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        if self._app.closing is not None:
            self._app.closing.set()
        await asyncio.sleep(0)
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        tasks = list(self.server_state.tasks)
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=_STOP_TIMEOUT)
            for task in late:
                task.cancel()

    def stop(self) -> None:
        """Ask the server to stop; from any thread."""
        if self._loop is not None and self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)


class EmbeddedHub:
    """A hub on loopback: real HTTP, real event streams, rules instead of models.

    Args:
        dialect: `"new-api"` (New API of August 2026, measured), `"one-api"` (February 2025, measured) or
            `"aihubmix"` (read from AIHubMix's documentation, **not** measured).
        models: IDs to serve in addition to the built-in ones, or a `Registry` in their place; see `Registry.of`.
        keys: Keys to accept in addition to `sk-embedded`, or a mapping of key to state (`"good"`, `"expired"`,
            `"disabled"`, `"spent"`, `"short"`, `"banned"`, `"empty"`, `"ip_denied"`, `"model_denied"`)
            or to the USD it was granted. A known key with `-something` behind it is a key with a channel suffix.
        faults: Faults that last, by model id or pattern (`"*"`), or by path (`"/v1/models"`).
        balance: USD on the account behind all keys.
        rate_limit: Calls a minute for each key; the next are answered 429 with an empty body.
        pings: Whether `: PING` comments stand between the events of every stream.
        pace: Seconds between the events of every stream (0: as fast as they go).
        groups: the groups of prices with their ratios, by default `default` and `vip`, both 1.
        group: the group that keys are billed with.
        host, port: Where to listen; port 0 is any free one.

    Example:
        >>> with EmbeddedHub() as hub:
        ...     hub.base_url.endswith("/v1")
        True
    """

    def __init__(
        self,
        dialect: DialectName = "new-api",
        *,
        models: Extra | Registry | None = None,
        keys: Mapping[str, str | float] | Sequence[str] = (),
        faults: Mapping[str, Fault | str | Iterable[Fault | str]] | None = None,
        balance: float = 10.0,
        rate_limit: int | None = None,
        pings: bool = False,
        pace: float = 0.0,
        groups: Mapping[str, float] | None = None,
        group: str = "default",
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        if not _is_loopback(host):
            raise ValueError(f"the embedded hub listens on loopback only, and {host!r} is not: its key is no secret")
        if dialect not in DIALECTS:
            raise ValueError(f"no dialect {dialect!r}; there are: {', '.join(DIALECTS)}")
        self.dialect = dialect
        self.api_key = DEFAULT_KEY
        self.accounts = Accounts(keys, balance=balance, rate_limit=rate_limit)
        self.faults = FaultQueue()
        self.models = Registry.of(models)
        settings = Settings(pings, pace, dict(groups), group) if groups else Settings(pings, pace, group=group)
        if group not in settings.groups:
            raise ValueError(f"no group {group!r}; there are: {', '.join(settings.groups)}")
        self._app = HubApp(DIALECTS[dialect], self.models, self.accounts, self.faults, settings)
        self._host, self._port = host, port
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None
        for pattern, wanted in (faults or {}).items():
            lasting = isinstance(wanted, Fault | str)
            for fault in [wanted] if isinstance(wanted, Fault | str) else wanted:
                self.fault(pattern, fault, times=None if lasting else 1)

    @property
    def root_url(self) -> str:
        """The URL without `/v1`."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    @property
    def base_url(self) -> str:
        """What a client is configured with; it ends in `/v1`."""
        return f"{self.root_url}/v1"

    @property
    def requests(self) -> list[RecordedRequest]:
        """The requests that arrived, oldest first, without their keys."""
        return self._app.requests

    def fault(self, pattern: str, fault: Fault | str, times: int | None = 1) -> None:
        """Let something go wrong.

        Args:
            pattern: A model id or shell pattern (`"embedded/*"`, `"*"`); with a leading slash, a path
                (`"/v1/models"`).
            fault: What; a `Fault`, or its short text (`"503"`, `"cut:3"`: see `Fault.parse`).
            times: For how many matching requests; None is for all. Faults queue up: the oldest that matches is used
                first.
        """
        self.faults.add(pattern, fault, times)

    def clear(self) -> None:
        """Forget requests, waiting faults, spending and rate limits."""
        self._app.requests.clear()
        self._app.memory.clear()
        self.faults.clear()
        self.accounts.clear()

    def start(self) -> EmbeddedHub:
        """Listen. Returns itself.

        Raises:
            OSError: the port is taken.
            RuntimeError: it runs already, or did not come up.
        """
        if self._thread is not None:
            raise RuntimeError("this embedded hub runs already")
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        # The protocol is named: asyncio switches off Nagle's delay only for sockets that say they are TCP.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((self._host, self._port))
        except OSError:
            listener.close()
            raise
        self._port = listener.getsockname()[1]
        self._server = server = _Server(_config(self._app), self._app)
        self._thread = threading.Thread(
            target=_run, args=(server, listener), name=f"embedded-hub-{self._port}", daemon=True
        )
        self._thread.start()
        if not server.ready.wait(_START_TIMEOUT):
            self.close()
            raise RuntimeError("the embedded hub did not come up; its log is that of uvicorn.error")
        return self

    def close(self) -> None:
        """Stop listening and close open connections; closing twice is fine."""
        if self._server is not None:
            self._server.stop()
        if self._thread is not None:
            self._thread.join(_STOP_TIMEOUT + 1)
        self._server = self._thread = None

    def __enter__(self) -> EmbeddedHub:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        state = self.base_url if self._thread is not None else "closed"
        return f"EmbeddedHub({self.dialect!r}, {state})"


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _config(app: Any) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=_Protocol,
        ws="none",
        loop="asyncio",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=60,
        h11_max_incomplete_event_size=1 << 20,
    )


def _run(server: _Server, listener: socket.socket) -> None:
    server.run(sockets=[listener])
