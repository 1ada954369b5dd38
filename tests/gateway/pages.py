"""What the tests need of a gateway recording: its hub, requests and pages."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from hubmix import Hub
from hubmix.failover.evidence import Evidence
from hubmix.transport.evidence import error_evidence, page_evidence
from hubmix.transport.get import Fetched
from tests.cassettes.format import Interaction, load
from tests.gateway.table import Case

PORTS = {"new-api": 3002, "new-api-2025": 3000, "one-api": 3001, "one-hub": 3004, "portkey": 3005}


@cache
def recorded(case: Case) -> tuple[Interaction, ...]:
    """What was asked and answered, in order."""
    return tuple(load(case.path.read_text("utf-8"), case.id).interactions)


def request_id(came: Interaction) -> str | None:
    """Return the gateway's ID of the request, or the vendor's."""
    values = (came.response_headers.get(name) for name in ("x-oneapi-request-id", "x-request-id"))
    return next((value[0] for value in values if value), None)


def scope_of(failed: Any) -> str:
    """Return whom a failure or an error concerns."""
    return failed.scope.value if failed.scope is not None else "unknown"


def errors_in(came: Interaction) -> list[Evidence]:
    """Return the errors of one answer: by its status, in its body, in its stream."""
    headers = {name.lower(): values[0] for name, values in came.response_headers.items()}
    if came.status >= 400:
        return [page_evidence(came.status, headers, came.response_body)]
    said = [_json(line.removeprefix("data: ")) for line in came.response_body.decode().splitlines()]
    bodies = [each for each in said if isinstance(each, dict) and each.get("error")]
    return [error_evidence("error_body", "body", came.status, headers, body, ()) for body in bodies]


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


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
                each.status, {name: values[0] for name, values in each.response_headers.items()}, each.response_body
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
