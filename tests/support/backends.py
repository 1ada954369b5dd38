"""The HTTP backends of async calls that are installed: the SDK's own, and aiohttp."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import openai

OWN, AIOHTTP = "own", "aiohttp"
FAST = find_spec("httpx_aiohttp") is not None
BACKENDS = (OWN, AIOHTTP) if FAST else (OWN,)
"""With the extra `fast` both, without it one."""


def chosen(name: str) -> object | None:
    """Stand in for `find_spec`, to choose a backend although both are installed."""
    return object() if name == AIOHTTP else None


def client_of(backend: str, **options: Any) -> Any:
    """Return an HTTP client for async calls, as a user would make it."""
    make = openai.DefaultAioHttpClient if backend == AIOHTTP else openai.DefaultAsyncHttpxClient
    return make(trust_env=False, **options)
