"""Where the catalog asks: the request and the answer as values, what a hub must offer to be asked, and the table of
sources.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from hubmix.catalog.readers import Entries, read_aihubmix, read_new_api, read_openai
from hubmix.errors import CatalogError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Fetched:
    """One HTTP answer, read to its end.

    Args:
        status: the HTTP status.
        headers: by name, in lower case.
        body: the bytes, decompressed.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Ask:
    """One GET that somebody is to make. `path` is relative to the base URL ("/models"), or to the host with two slashes
    ("//api/pricing").
    """

    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    authorized: bool = True


class Fetcher(Protocol):
    """What makes the requests: a hub, or a test's own list of answers."""

    def get(
        self,
        url_or_path: str,
        *,
        headers: Mapping[str, str] | None = None,
        authorized: bool = True,
        timeout: float = 10.0,
    ) -> Fetched: ...

    async def aget(
        self,
        url_or_path: str,
        *,
        headers: Mapping[str, str] | None = None,
        authorized: bool = True,
        timeout: float = 10.0,
    ) -> Fetched: ...


class NoHub:
    """The fetcher of a catalog that came from another process: there is nobody to ask."""

    def get(self, url_or_path: str, **_: Any) -> Fetched:
        """Raise `CatalogError`."""
        raise CatalogError("this catalog came out of a pickle and has no hub to ask; use hub.models")

    async def aget(self, url_or_path: str, **_: Any) -> Fetched:
        """Raise `CatalogError`."""
        return self.get(url_or_path)


# A conversation with a hub: yields what to ask, is sent the answer or the exception that came instead, returns the
# result. It decides; `converse` and `aconverse` wait.
Conversation = Generator[Ask, "Fetched | Exception", T]


def converse(talk: Conversation[T], fetch: Fetcher, *, timeout: float) -> T:
    """Hold a conversation, blocking. `timeout` is seconds for each request."""
    try:
        ask = next(talk)
        while True:
            answer: Fetched | Exception
            try:
                answer = fetch.get(ask.path, headers=ask.headers, authorized=ask.authorized, timeout=timeout)
            # Whatever a transport raises is news about this source, and the conversation decides what it means.
            except Exception as error:  # noqa: BLE001
                answer = error
            ask = talk.send(answer)
    except StopIteration as end:
        result: T = end.value
        return result


async def aconverse(talk: Conversation[T], fetch: Fetcher, *, timeout: float) -> T:
    """`converse`, awaiting."""
    try:
        ask = next(talk)
        while True:
            answer: Fetched | Exception
            try:
                answer = await fetch.aget(ask.path, headers=ask.headers, authorized=ask.authorized, timeout=timeout)
            except Exception as error:  # noqa: BLE001 - as above
                answer = error
            ask = talk.send(answer)
    except StopIteration as end:
        result: T = end.value
        return result


@dataclass(frozen=True, slots=True)
class Source:
    """One dialect of model list: where it is, whether it wants the key, and how its JSON is read."""

    name: str
    path: str
    authorized: bool
    read: Callable[[Any], Entries]


# In order of trust: what an earlier source says of a field wins. The two public lists are asked without the key.
SOURCES: Mapping[str, Source] = {
    source.name: source
    for source in (
        Source("aihubmix", "//api/v1/models", False, read_aihubmix),
        Source("new-api", "//api/pricing", False, read_new_api),
        Source("openai", "/models", True, read_openai),
    )
}
