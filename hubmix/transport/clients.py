"""The OpenAI SDK's clients: one sync, and one async for each running event loop.

An async client belongs to the loop it was made in: shared between loops it fails or hangs on the next
``asyncio.run`` (langchain issue 35783, llama_index issue 20433). Here the loop holds its client, the pool holds nothing
of the loop, and the loop's own shutdown closes it.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import weakref
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping
from functools import lru_cache
from importlib.util import find_spec
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import anyio

from hubmix._compat import http
from hubmix.errors import ConfigurationError
from hubmix.transport.bounded import bounded
from hubmix.transport.endpoint import is_loopback
from hubmix.transport.sizes import ACCEPTED

if TYPE_CHECKING:
    import openai

    from hubmix.transport.endpoint import KeyProvider

_LOOP_ATTRIBUTE = "_hubmix_clients"

# What the SDK tells OpenAI of the caller's machine in every request. It is no hub's business, and with these gone a
# call costs a tenth less CPU.
_TELEMETRY = (
    "X-Stainless-Lang",
    "X-Stainless-Package-Version",
    "X-Stainless-OS",
    "X-Stainless-Arch",
    "X-Stainless-Runtime",
    "X-Stainless-Runtime-Version",
    "X-Stainless-Async",
)


def async_http_client(
    *, fast: bool, local: bool = False, plain: bool = False, hooks: Mapping[str, Any] | None = None
) -> Any:
    """Return the pool's HTTP client for async calls.

    Args:
        fast: on the SDK's aiohttp backend, which needs httpx-aiohttp.
        local: for a hub on this machine; see `ClientPool.local`.
        plain: for a hub that is asked without TLS.
        hooks: event hooks of the client.
    """
    from urllib.request import getproxies

    import openai

    shared: dict[str, Any] = {"follow_redirects": False, "trust_env": not local, "event_hooks": hooks}
    if fast:
        from hubmix.transport.spelling import keep_spelling

        shared["event_hooks"] = {**(hooks or {}), "request": [*(hooks or {}).get("request", ()), keep_spelling]}
        # aiohttp takes no context for one that verifies nothing.
        client = _swept(openai.DefaultAioHttpClient(limits=_limits(), verify=tls_context(), **shared))
        return _reading_cookies_that_come(client)
    verify = tls_context(plain=plain)
    if getproxies() and not local:  # a client that was given a transport asks no proxy of the environment
        client = _swept(openai.DefaultAsyncHttpxClient(limits=_limits(), verify=verify, **shared))
        return _reading_cookies_that_come(client)
    from hubmix.transport.pool import SmallPools

    transport: Any = SmallPools(verify=verify)  # of the HTTP library that is installed, whose types may be the other's
    return _reading_cookies_that_come(openai.DefaultAsyncHttpxClient(transport=transport, **shared))


def _reading_cookies_that_come(client: Any) -> Any:
    """Let a client look for cookies only in answers that set some.

    It costs a thirtieth of a call.
    """
    extract = client.cookies.extract_cookies

    def extract_what_is_set(response: Any) -> None:
        if "set-cookie" in response.headers:
            extract(response)

    client.cookies.extract_cookies = extract_what_is_set
    return client


def _swept(client: Any) -> Any:
    """Let a client close its idle connections in time."""
    from hubmix.transport.idle import Swept

    client._transport = Swept(client._transport)
    client._mounts = {pattern: transport and Swept(transport) for pattern, transport in client._mounts.items()}
    return client


def tls_context(*, plain: bool = False) -> Any:
    """Return this process's TLS context: reading the certificates costs 25 to 50 ms.

    Args:
        plain: for a hub that is asked without TLS. Then it is None, and the HTTP library makes one if it needs it.
    """
    if plain and _makes_its_own():
        return None
    return _tls_context(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


@lru_cache(maxsize=8)
def _tls_context(*_: str | None) -> Any:
    return http().create_ssl_context()


@lru_cache(maxsize=1)
def _makes_its_own() -> bool:
    """Whether None leaves the context to httpcore.

    Before httpx 0.28 it turned verification off (read in 0.27, `SSLConfig`).
    """
    return http().create_ssl_context(verify=None) is None


def _limits() -> Any:
    """How many connections there may be, and how long an idle one is kept.

    The SDK keeps 100 for 5 seconds: calls that are further apart, as in a conversation, open a new connection each,
    and while more than 100 are open httpcore closes every one that falls idle (read in its pool). A TLS handshake costs
    more CPU than the call, and a round trip or two.
    """
    from hubmix.transport.pool import IDLE

    return http().Limits(max_connections=1000, max_keepalive_connections=300, keepalive_expiry=IDLE)


class _Token:
    """The key of a pool in a loop's table of clients; the entry ends with it."""

    __slots__ = ("__weakref__",)


class ClientPool:
    """Makes and keeps SDK clients for one base URL and key.

    Args:
        base_url: The hub's base URL.
        api_key: The key itself, or a function that returns it for each request. It goes into the clients' headers and
            is kept nowhere else in readable form.
        headers: Sent with every request; a header set to None is left out.
        http_client: A client of the user's for sync calls; never closed here.
        http_async_client: The same for async calls; it belongs to the loop the user made it for.
        query: Parameters of the URL of every request.
        heard: is given the headers of every answer, in lower case; not those of a client of the user's.
    """

    __slots__ = (
        "_async",
        "_headers",
        "_heard",
        "_key",
        "_lock",
        "_pid",
        "_query",
        "_sync",
        "_token",
        "_user_async",
        "_user_sync",
        "base_url",
    )

    def __init__(
        self,
        base_url: str,
        api_key: str | KeyProvider,
        headers: Mapping[str, str | None],
        http_client: Any = None,
        http_async_client: Any = None,
        *,
        query: Mapping[str, Any] | None = None,
        heard: Callable[[Mapping[str, str]], None] | None = None,
    ) -> None:
        self.base_url = base_url
        self._heard = heard
        self._key = api_key
        self._headers = dict(headers)
        self._query = dict(query or {})
        self._user_sync = http_client
        self._user_async = http_async_client
        self._lock = threading.Lock()
        self._forget()

    def __repr__(self) -> str:
        return f"ClientPool({self.base_url!r})"

    def _forget(self) -> None:
        self._sync: openai.OpenAI | None = None
        self._async: openai.AsyncOpenAI | None = None  # only around a client of the user's
        self._token = _Token()
        self._pid = os.getpid()

    def _after_fork(self) -> None:
        """A forked child must not speak on its parent's connections: it starts with none."""
        self._lock = threading.Lock()
        self._forget()

    @property
    def plain(self) -> bool:
        """Whether the hub is asked without TLS."""
        return self.base_url.startswith("http://")

    @property
    def local(self) -> bool:
        """Whether the hub is on this machine: a proxy would carry the key off it."""
        return self.plain and is_loopback(urlsplit(self.base_url).hostname or "")

    def _arguments(self, *, waits: bool) -> dict[str, Any]:
        from openai import Omit

        # The SDK would send OpenAI's organisation and project from the environment to whatever server it is pointed at.
        headers: dict[str, Any] = {"OpenAI-Organization": None, "OpenAI-Project": None, "Accept-Encoding": ACCEPTED}
        headers.update(dict.fromkeys(_TELEMETRY), **self._headers)
        headers = {name: Omit() if value is None else value for name, value in headers.items()}
        # The SDK makes no client without a key. Without one only public pages are asked, and this is not sent there.
        key: Any = self._key or "no-key"
        if not isinstance(key, str):
            key = _sync_key(key) if waits else _async_key(key)
        arguments = {"base_url": self.base_url, "api_key": key, "max_retries": 0, "default_headers": headers}
        return {**arguments, "default_query": self._query} if self._query else arguments

    def _hooks(self, *, waits: bool = True) -> dict[str, Any]:
        hooks: dict[str, Any] = {}
        if http().__name__ == "httpx2":
            hooks["request"] = [_spell_key if waits else _spell_key_async]
        heard = self._heard
        if heard is None:
            return hooks

        def hook(response: Any) -> None:
            heard({name.lower(): value for name, value in response.headers.items()})

        async def async_hook(response: Any) -> None:
            hook(response)

        return {**hooks, "response": [hook if waits else async_hook]}

    def sync(self) -> openai.OpenAI:
        """The client for sync calls; thread-safe."""
        client = self._sync
        if client is not None and self._pid == os.getpid():
            return client
        if self._pid != os.getpid():
            self._after_fork()
        with self._lock:
            if self._sync is None:
                from hubmix.transport.sdk import SyncClient

                inner = self._user_sync or self._sync_http_client()
                self._sync = SyncClient(http_client=inner, **self._arguments(waits=True))
            return self._sync

    def _sync_http_client(self) -> Any:
        import openai

        client = openai.DefaultHttpxClient(
            follow_redirects=False,
            limits=_limits(),
            verify=tls_context(plain=self.plain),
            trust_env=not self.local,
            event_hooks=self._hooks(),
        )
        return _reading_cookies_that_come(bounded(client))

    async def current(self) -> openai.AsyncOpenAI:
        """The client for async calls in the running loop."""
        if self._pid != os.getpid():
            self._after_fork()
        if self._async is not None:
            return self._async
        loop = asyncio.get_running_loop()
        clients = loop.__dict__.get(_LOOP_ATTRIBUTE)
        if clients is not None:
            known = clients.get(self._token)
            if known is not None:
                return known[0]  # type: ignore[no-any-return]  # a loop's __dict__ is untyped
        return await self._make_async(loop)

    async def _make_async(self, loop: asyncio.AbstractEventLoop) -> openai.AsyncOpenAI:
        from hubmix.transport.sdk import AsyncClient

        if self._user_async is not None:
            self._async = AsyncClient(http_client=self._user_async, **self._arguments(waits=False))
            return self._async
        # The extra `fast` installs httpx-aiohttp; its presence is the user's word for the SDK's aiohttp backend.
        fast = find_spec("httpx_aiohttp") is not None
        inner = async_http_client(fast=fast, local=self.local, plain=self.plain, hooks=self._hooks(waits=False))
        client = AsyncClient(http_client=inner, **self._arguments(waits=False))
        anyio.current_time()  # imports what anyio has for asyncio, before a call's time begins
        closer = _closing(client)
        clients = loop.__dict__.setdefault(_LOOP_ATTRIBUTE, weakref.WeakKeyDictionary())
        clients[self._token] = (client, closer)
        if sys.get_asyncgen_hooks().firstiter is not None:  # nest_asyncio's loops have none and close no generator
            await closer.__anext__()  # from here on the loop's shutdown_asyncgens() closes the client
        return client

    def close(self) -> None:
        """Close the sync client, if one was made; a client of the user's stays open."""
        client, self._sync = self._sync, None
        if client is not None and self._user_sync is None and self._pid == os.getpid():
            client.close()

    async def aclose(self) -> None:
        """Close the running loop's async client, if one was made."""
        self._async = None
        clients = asyncio.get_running_loop().__dict__.get(_LOOP_ATTRIBUTE)
        known = clients.pop(self._token, None) if clients is not None else None
        if known is not None:
            client, closer = known
            await client.close()
            await closer.aclose()


def _spell_key(request: Any) -> None:
    """Write the name of the key's header as `Authorization`.

    openai 3.57 sends it in lower case, and a gateway that reads headers from a plain dict does not find it there.
    """
    key = request.headers.get("authorization")
    if key is not None:
        request.headers["Authorization"] = key


async def _spell_key_async(request: Any) -> None:
    _spell_key(request)


def _sync_key(provider: KeyProvider) -> Callable[[], str]:
    def key() -> str:
        found = provider()
        if isinstance(found, str):
            return found
        if isinstance(found, Coroutine):
            found.close()
        raise ConfigurationError("api_key is an async function: a sync call needs a plain one that returns the key.")

    return key


def _async_key(provider: KeyProvider) -> Callable[[], Awaitable[str]]:
    async def key() -> str:
        # A plain function may ask a server for the key, which must not block the event loop.
        found = provider() if iscoroutinefunction(provider) else await anyio.to_thread.run_sync(provider)
        return found if isinstance(found, str) else await found

    return key


async def _closing(client: openai.AsyncOpenAI) -> AsyncGenerator[None, None]:
    try:
        yield
    finally:
        await client.close()
