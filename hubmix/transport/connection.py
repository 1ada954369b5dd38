"""The way to one hub: its address, the key, the clients and the rate limit."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from hubmix._text import SHORTEST_SECRET, spellings
from hubmix.transport.endpoint import Credential, Endpoint, fingerprint, missing_key
from hubmix.transport.sizes import SIZES, Sizes

if TYPE_CHECKING:
    import openai

    from hubmix.transport.clients import ClientPool
    from hubmix.transport.rate_limit import Limiter, RateLimiter, SharedRateLimit
    from hubmix.wire.api import Api


class Connection:
    """What a request needs of its hub. It pickles and copies without its clients.

    Args:
        endpoint: The preset and the base URL.
        credential: The key, or the variable that holds it.
        headers: Sent with every request; one set to None is left out.
        timeout: Seconds for one attempt, or None for the default.
        rate_limit: The limit on requests, as it was given.
        query: Parameters of the URL of every request.
        sizes: How many bytes of an answer are read.
        http_client: A client of the user's for sync calls.
        http_async_client: The same for async calls.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        credential: Credential,
        headers: Mapping[str, str | None],
        *,
        timeout: float | None = None,
        rate_limit: str | SharedRateLimit | None = None,
        query: Mapping[str, Any] | None = None,
        sizes: Sizes = SIZES,
        http_client: Any = None,
        http_async_client: Any = None,
    ) -> None:
        self.endpoint = endpoint
        self.timeout = timeout
        self.rate_limit = rate_limit
        self.sizes = sizes
        self._credential = credential
        self._headers = dict(headers)
        self._query = dict(query or {})
        self._clients = (http_client, http_async_client)
        self._begin()

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._pool: ClientPool | None = None
        self._limiter: tuple[Limiter | None] | None = None

    @property
    def base_url(self) -> str:
        """The base URL, ending in its path."""
        return self.endpoint.base_url

    @property
    def owns_clients(self) -> bool:
        """False where the user brought HTTP clients of their own."""
        return self._clients == (None, None)

    @property
    def key_id(self) -> str:
        """A salted hash that tells this key from others."""
        if self._credential.provider is not None:
            return fingerprint(SecretStr(self._credential.identity))
        return fingerprint(self._key())

    @property
    def headers_id(self) -> str:
        """A salted hash that tells these headers from others, whose values may be secrets."""
        told = sorted(self._headers.items()), sorted(self._query.items())
        return fingerprint(SecretStr(repr(told if self._query else told[0])))

    @property
    def key_source(self) -> str:
        """A variable's name, ``"argument"`` or ``"none"``."""
        if self._credential.variable:
            return self._credential.variable
        if self._credential.provider is not None:
            return "function"
        return "argument" if self._credential.value is not None else "none"

    @property
    def spending_key(self) -> str:
        """What running totals are kept under: this hub and this key."""
        return f"{self.base_url} {self.key_id}"

    def _key(self) -> SecretStr | None:
        return self._credential.resolve(os.environ)

    def headers_for(self, api: Api[Any]) -> dict[str, str]:
        """Return an API's own headers.

        A key that a function provides goes into `Authorization` alone.
        """
        headers = dict(api.headers)
        if api.key_header and (key := self._key()) is not None:
            headers[api.key_header] = key.get_secret_value()
        return headers

    @property
    def secrets(self) -> tuple[str, ...]:
        """The key, to be taken out of what the hub says; empty for a function's key."""
        key = self._key()
        return spellings(key.get_secret_value()) if key is not None and len(key) >= SHORTEST_SECRET else ()

    def require_key(self) -> None:
        """Raise `ConfigurationError` if there is no key to send."""
        if self._key() is None and self._credential.provider is None:
            raise missing_key(self.endpoint)

    @property
    def pool(self) -> ClientPool:
        """The SDK clients, made on first use."""
        if self._pool is None:
            from hubmix.transport.clients import ClientPool

            with self._lock:
                if self._pool is None:
                    key, limiter = self._key(), self.limiter()
                    text = key.get_secret_value() if key is not None else ""
                    self._pool = ClientPool(
                        self.base_url,
                        self._credential.provider or text,
                        self._headers,
                        *self._clients,
                        query=self._query,
                        heard=None if limiter is None else limiter.heard,
                    )
        return self._pool

    def client(self) -> openai.OpenAI:
        """Return the SDK's client for sync calls."""
        return self.pool.sync()

    def limiter(self) -> Limiter | None:
        """Return what every attempt asks for a permit, or None if there is no limit."""
        if self._limiter is None:
            self._limiter = (limiter_for(self.rate_limit, fingerprint=self.key_id, base_url=self.base_url),)
        return self._limiter[0]

    def close(self) -> None:
        """Close the sync clients that were made here."""
        if self._pool is not None:
            self._pool.close()

    async def aclose(self) -> None:
        """Close the running loop's clients, and the sync ones."""
        if self._pool is not None:
            await self._pool.aclose()
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        made = ("_lock", "_pool", "_limiter", "_clients")
        return {name: value for name, value in vars(self).items() if name not in made}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._clients = (None, None)
        self._begin()

    def copy(self) -> Connection:
        """The same way with clients of its own; those of the user's are shared."""
        made = Connection.__new__(Connection)
        made.__setstate__(self.__getstate__())
        made._clients = self._clients
        return made


_limiters: dict[tuple[str, str], RateLimiter] = {}
_stored: dict[tuple[str, str, SharedRateLimit], Limiter] = {}


def limiter_for(rate_limit: str | SharedRateLimit | None, *, fingerprint: str, base_url: str) -> Limiter | None:
    """Return this process's limiter for a key and base URL; None for no limit.

    Args:
        rate_limit: "180/min", several rates with commas between, or a `SharedRateLimit`.
        fingerprint: a hash of the key, never the key.
        base_url: the hub's base URL.

    Raises:
        ConfigurationError: the text is no rate, or the `ratelimit` extra is missing.
    """
    if rate_limit is None:
        return None
    from hubmix.transport.rate_limit import RateLimiter, SharedRateLimit, parse_rates

    host = base_url.rstrip("/")
    if isinstance(rate_limit, SharedRateLimit):
        from hubmix.transport.rate_limit_store import StoredRateLimiter

        chosen = (fingerprint, host, rate_limit)
        return _stored.get(chosen) or _stored.setdefault(chosen, StoredRateLimiter(rate_limit, fingerprint, host))
    rates = parse_rates(rate_limit)
    # setdefault is one step: two threads that come at once get the same.
    key = (fingerprint, host)
    limiter = _limiters.get(key) or _limiters.setdefault(key, RateLimiter(name=host))
    limiter.also(*rates)
    return limiter


def forget_limiters() -> None:
    """Start anew, for tests: no request was ever sent."""
    _limiters.clear()
    _stored.clear()


def _after_fork() -> None:
    # The turns taken stay known.
    for limiter in _limiters.values():
        limiter.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
