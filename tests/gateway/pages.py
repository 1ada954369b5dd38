"""What the tests need of a gateway recording: its hub, requests and pages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from urllib.parse import urlsplit

from hubmix import Hub
from hubmix.transport.get import Fetched
from tests.cassettes.format import Interaction, load
from tests.gateway.table import Case

PORTS = {"new-api": 3002, "new-api-2025": 3000, "one-api": 3001, "one-hub": 3004}


@cache
def recorded(case: Case) -> tuple[Interaction, ...]:
    """What was asked and answered, in order."""
    return tuple(load(case.path.read_text("utf-8"), case.id).interactions)


def request_id(came: Interaction) -> str | None:
    return (came.response_headers.get("x-oneapi-request-id") or [None])[0]


def hub_for(case: Case) -> Hub:
    """A hub at the address of the gateway."""
    return Hub(base_url=f"http://127.0.0.1:{PORTS[case.gateway]}/v1", api_key="sk-test")


class Pages:
    """Recorded pages in place of a hub's; any other page does not exist.

    `balance` asks for pages that not every gateway was asked for, so a cassette alone could not answer it.
    """

    def __init__(self, interactions: Iterable[Interaction]) -> None:
        self._pages = {
            urlsplit(each.uri).path.rstrip("/"): Fetched(
                each.status,
                {name: values[0] for name, values in each.response_headers.items()},
                each.response_body,
            )
            for each in interactions
        }
        self.asked: list[str] = []

    def get(
        self,
        url_or_path: str,
        *,
        headers: Mapping[str, str] | None = None,
        authorized: bool = True,
        timeout: float = 10.0,
    ) -> Fetched:
        path = url_or_path[1:] if url_or_path.startswith("//") else f"/v1{url_or_path}"
        self.asked.append(path.rstrip("/"))
        return self._pages.get(path.rstrip("/"), Fetched(404, {}, b""))

    async def aget(
        self,
        url_or_path: str,
        *,
        headers: Mapping[str, str] | None = None,
        authorized: bool = True,
        timeout: float = 10.0,
    ) -> Fetched:
        return self.get(url_or_path, headers=headers, authorized=authorized, timeout=timeout)
