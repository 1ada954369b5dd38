"""Plain GETs of a hub's own pages: model lists, prices, balances."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from urllib.parse import urlsplit, urlunsplit

from hubmix._compat import http
from hubmix.errors import CatalogError, ConfigurationError, HubmixError
from hubmix.failover.classify import classify
from hubmix.failover.evidence import Evidence
from hubmix.failover.report import to_exception
from hubmix.transport.answer import monotonic
from hubmix.transport.bounded import ReadingUntil, waiting_for
from hubmix.transport.evidence import failure_evidence, secrets_of
from hubmix.transport.sizes import aread_all, read_all

if TYPE_CHECKING:
    from hubmix.transport.connection import Connection


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
    """One GET to be made.

    `path` is relative to the base URL ("/models"), or to the host with two slashes ("//api/pricing").
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
    """The fetcher of a catalog that came from another process: it has no hub to ask."""

    def get(self, url_or_path: str, **_: Any) -> Fetched:
        """Raise `CatalogError`."""
        raise CatalogError("this catalog came out of a pickle and has no hub to ask; use hub.models")

    async def aget(self, url_or_path: str, **_: Any) -> Fetched:
        """Raise `CatalogError`."""
        return self.get(url_or_path)


# A conversation with a hub: it yields what to ask, is sent the answer or the exception, and returns the result.
# It decides; `converse` and `aconverse` wait.
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


class Pages:
    """Asks one hub for its pages, with its key only where that is wanted."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(
        self,
        url_or_path: str,
        *,
        headers: Mapping[str, str] | None = None,
        authorized: bool = True,
        timeout: float = 10.0,
    ) -> Fetched:
        """Return the page, whatever its status; `hubmix.Hub.get` says how it is named."""
        url, options = self._request(url_or_path, headers, authorized, timeout)
        import openai

        try:
            with ReadingUntil(monotonic() + timeout):
                response: Any = self._connection.pool.sync().get(url, **options, stream_cls=openai.Stream[Any])
                return self._fetched(response, read_all(response, self._connection.sizes.body))
        except openai.APIStatusError as error:
            return self._fetched(error.response, error.response.content)
        except Exception as error:  # noqa: BLE001 - `_unreachable` raises what no transport raised
            unreachable = self._unreachable(error)
        raise unreachable  # not "from" the SDK's error, which holds the request and with it the key

    async def aget(
        self,
        url_or_path: str,
        *,
        headers: Mapping[str, str] | None = None,
        authorized: bool = True,
        timeout: float = 10.0,
    ) -> Fetched:
        """`get`, for asyncio."""
        url, options = self._request(url_or_path, headers, authorized, timeout)
        import openai

        client = await self._connection.pool.current()
        try:
            with waiting_for(timeout):
                response: Any = await client.get(url, **options, stream_cls=openai.AsyncStream[Any])
                return self._fetched(response, await aread_all(response, self._connection.sizes.body))
            unreachable = self._silent(timeout)
        except openai.APIStatusError as error:
            return self._fetched(error.response, error.response.content)
        except Exception as error:  # noqa: BLE001 - `_unreachable` raises what no transport raised
            unreachable = self._unreachable(error)
        raise unreachable  # not "from" the SDK's error, which holds the request and with it the key

    def _fetched(self, response: Any, body: bytes) -> Fetched:
        """Return the page without the key: a hub may repeat it."""
        headers = {name.lower(): value for name, value in response.headers.items()}
        for secret in {*self._connection.secrets, *secrets_of(response)}:
            body = body.replace(secret.encode(), b"***")
            headers = {name: value.replace(secret, "***") for name, value in headers.items()}
        return Fetched(response.status_code, headers, body)

    def _request(
        self, path: str, headers: Mapping[str, str] | None, authorized: bool, timeout: float
    ) -> tuple[str, dict[str, Any]]:
        from openai import Omit

        if authorized:
            self._connection.require_key()
        sent: dict[str, Any] = dict(headers or {})
        if self._connection.owns_clients:  # asked once in minutes: no connection is worth keeping for it
            sent.setdefault("Connection", "close")
        if not authorized:
            sent["Authorization"] = Omit()
        options = {"cast_to": http().Response, "options": {"headers": sent, "timeout": timeout}, "stream": True}
        return self._absolute(path), options

    def _absolute(self, path: str) -> str:
        base = urlsplit(self._connection.base_url)
        if path.startswith("//"):
            return urlunsplit((base.scheme, base.netloc, path[1:], "", ""))
        if "://" not in path:
            return f"{self._connection.base_url}/{path.lstrip('/')}"
        asked = urlsplit(path)
        if asked.netloc != base.netloc or asked.scheme not in ("https", base.scheme):
            raise ConfigurationError(
                f"{asked.scheme}://{asked.netloc} is not this hub; its key is sent to {base.netloc} only."
            )
        return path

    def _unreachable(self, error: Exception) -> HubmixError:
        evidence = failure_evidence(error, "open")
        if evidence is None:
            raise error
        return self._error(evidence)

    def _silent(self, timeout: float) -> HubmixError:
        return self._error(Evidence("read_timeout", "open", message=f"No answer came within {timeout:.3g} s."))

    def _error(self, evidence: Evidence) -> HubmixError:
        failure = classify(evidence, self._connection.endpoint.preset.own_error_types)
        return to_exception(failure, evidence, model="", base_url=self._connection.base_url)
