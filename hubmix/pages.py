"""Plain GETs of a hub's own pages: its model lists, its prices, what is left on a key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from hubmix._compat import http
from hubmix.catalog.sources import Fetched
from hubmix.classification import classify
from hubmix.errors import ConfigurationError, HubmixError, to_exception
from hubmix.settings import is_loopback
from hubmix.transport import failure_evidence

if TYPE_CHECKING:
    from hubmix.connection import Connection


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
        """The page, whatever its status; `hubmix.Hub.get` says how it is named."""
        url, options = self._request(url_or_path, headers, authorized, timeout)
        import openai

        try:
            return _fetched(self._connection.pool.sync().get(url, **options))
        except openai.APIStatusError as error:
            return _fetched(error.response)
        except openai.APIConnectionError as error:
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
            return _fetched(await client.get(url, **options))
        except openai.APIStatusError as error:
            return _fetched(error.response)
        except openai.APIConnectionError as error:
            unreachable = self._unreachable(error)
        raise unreachable  # not "from" the SDK's error, which holds the request and with it the key

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
        options = {"cast_to": http().Response, "options": {"headers": sent, "timeout": timeout}}
        return self._absolute(path), options

    def _absolute(self, path: str) -> str:
        base = urlsplit(self._connection.base_url)
        if path.startswith("//"):
            return urlunsplit((base.scheme, base.netloc, path[1:], "", ""))
        if "://" not in path:
            return f"{self._connection.base_url}/{path.lstrip('/')}"
        asked = urlsplit(path)
        if asked.netloc != base.netloc or (asked.scheme != "https" and not is_loopback(asked.hostname or "")):
            raise ConfigurationError(
                f"{asked.scheme}://{asked.netloc} is not this hub; its key is sent to {base.netloc} only."
            )
        return path

    def _unreachable(self, error: Exception) -> HubmixError:
        evidence = failure_evidence(error, "open")
        if evidence is None:
            raise error
        failure = classify(evidence, self._connection.endpoint.preset.own_error_types)
        return to_exception(failure, evidence, model="", base_url=self._connection.base_url)


def _fetched(response: Any) -> Fetched:
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Fetched(response.status_code, headers, response.content)
