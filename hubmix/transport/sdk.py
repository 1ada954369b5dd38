"""The SDK's clients, which read the body of an error no further than its limit.

The SDK reads it whole before it raises, in whatever size it comes. What the SDK makes anew for each request, these make
once: parsed URLs, and the part of a request's options that is always the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import openai
from openai._models import FinalRequestOptions

from hubmix._compat import http
from hubmix.transport.sizes import ERROR_BODY, BodyError, aread_all, read_all

_ABOUT_THE_BYTES = ("content-encoding", "content-length", "transfer-encoding")
_WHAT = "The body of the error"


class SyncClient(openai.OpenAI):
    """`openai.OpenAI` that bounds the bodies of errors."""

    def open(self, url: str, body: Any, options: dict[str, Any]) -> Any:
        """Do what `post` does, and return the HTTP response with its body unread."""
        return self.request(http().Response, _post(url, body, options), stream=True, stream_cls=openai.Stream[Any])

    def _prepare_url(self, url: str) -> Any:
        return _parsed(url) if "://" in url else super()._prepare_url(url)

    def _send_request(self, *arguments: Any, **options: Any) -> Any:
        response: Any = super()._send_request(*arguments, **options)
        if response.is_success or response.is_stream_consumed:
            return response
        with _of(response):
            return _read(response, read_all(response, ERROR_BODY, _WHAT))


class AsyncClient(openai.AsyncOpenAI):
    """`SyncClient`, for asyncio."""

    async def open(self, url: str, body: Any, options: dict[str, Any]) -> Any:
        """Do what `post` does, and return the HTTP response with its body unread."""
        final = _post(url, body, options)
        return await self.request(http().Response, final, stream=True, stream_cls=openai.AsyncStream[Any])

    def _prepare_url(self, url: str) -> Any:
        return _parsed(url) if "://" in url else super()._prepare_url(url)

    async def _send_request(self, *arguments: Any, **options: Any) -> Any:
        response: Any = await super()._send_request(*arguments, **options)
        if response.is_success or response.is_stream_consumed:
            return response
        with _of(response):
            return _read(response, await aread_all(response, ERROR_BODY, _WHAT))


# Without a key of its own a request would be given one, which is sent nowhere.
_POST = FinalRequestOptions.construct(method="post", url="", idempotency_key="")


def _post(url: str, body: Any, options: dict[str, Any]) -> FinalRequestOptions:
    return _POST.model_copy(update={"url": url, "json_data": body, **options})


@lru_cache(maxsize=256)
def _parsed(url: str) -> Any:
    return http().URL(url)


@contextmanager
def _of(response: Any) -> Iterator[None]:
    try:
        yield
    except BodyError as error:
        error.status = response.status_code
        raise


def _read(response: Any, body: bytes) -> Any:
    headers = [(name, value) for name, value in response.headers.multi_items() if name not in _ABOUT_THE_BYTES]
    return type(response)(response.status_code, headers=headers, content=body, request=response.request)
