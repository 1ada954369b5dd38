"""Model objects with the same settings share one hub."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hubmix.errors import ConfigurationError
from hubmix.hub.hub import Hub
from hubmix.transport.endpoint import fingerprint, resolve_endpoint, resolve_key

if TYPE_CHECKING:
    from pydantic import SecretStr

    from hubmix.transport.endpoint import KeyProvider
    from hubmix.transport.rate_limit import SharedRateLimit

_SHARED: weakref.WeakValueDictionary[tuple[Any, ...], Hub] = weakref.WeakValueDictionary()
_SHARED_LOCK = threading.Lock()


def resolve_hub(
    *,
    hub: Hub | str | None = None,
    base_url: str | None = None,
    api_key: str | SecretStr | KeyProvider | None = None,
    app_code: str | None = None,
    default_headers: Mapping[str, str | None] | None = None,
    default_query: Mapping[str, Any] | None = None,
    timeout: float | None = None,
    http_client: Any = None,
    http_async_client: Any = None,
    rate_limit: str | SharedRateLimit | None = None,
    allow_http: bool | None = None,
) -> Hub:
    """Return the hub that a model object means.

    Objects with the same settings share one hub, and with it connections, catalog and breakers.

    Args:
        hub: a hub, or the name of a preset.
        base_url: see `Hub`, as for the others.

    Raises:
        ConfigurationError: a hub is given together with settings that it already has.
    """
    given: dict[str, Any] = {
        "base_url": base_url,
        "api_key": api_key,
        "app_code": app_code,
        "default_headers": default_headers,
        "default_query": default_query,
        "timeout": timeout,
        "http_client": http_client,
        "http_async_client": http_async_client,
        "rate_limit": rate_limit,
        "allow_http": allow_http,
    }
    if isinstance(hub, Hub):
        extra = [name for name, value in given.items() if value is not None]
        if extra:
            raise _conflict(extra)
        return hub
    if http_client is not None or http_async_client is not None or not isinstance(rate_limit, (str, type(None))):
        return Hub(hub, **given)
    endpoint = resolve_endpoint(hub, base_url, os.environ, allow_http=allow_http)
    credential = resolve_key(api_key, endpoint, os.environ)
    headers = tuple(sorted((default_headers or {}).items()))
    query = repr(sorted((default_query or {}).items()))
    key = (credential.variable, credential.identity, fingerprint(credential.resolve(os.environ)))
    identity = (endpoint, key, app_code, headers, query, timeout, rate_limit)
    with _SHARED_LOCK:
        found = _SHARED.get(identity)
        if found is None:
            found = _SHARED[identity] = Hub(hub, **given)
        return found


def _conflict(names: list[str]) -> Exception:
    listed = ", ".join(names)
    return ConfigurationError(f"hub= already has {listed}: set them on the Hub, or leave hub= out.")
