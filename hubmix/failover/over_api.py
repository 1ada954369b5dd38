"""What a failure means over an API that not every hub and vendor has. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hubmix.failover.evidence import Evidence, Failure, Recovery
from hubmix.failover.failures import ENDPOINT, RATE_ACCOUNT, RATE_FREE, REFUSED, WRONG_API
from hubmix.failover.route import Route

# What a server without the path says. Recorded: responses_deepseek, responses_vendor_404_path, responses_vendor_405.
# Not "Item with id 'rs_…' not found", which is a 404 too.
_NO_PATH = re.compile(
    r"invalid url|unknown (request )?url|openai_error|bad response status code|cannot (POST|find)"
    r"|^\W*(404\W*)?(the requested )?((page|path|url|resource|endpoint|route)\W*(was )?)?not found\W*$",
    re.IGNORECASE,
)
_KINDS_OF_A_PATH = frozenset({"endpoint", "unreadable", "refused", "bad_request"})
# New API of 2025 and one-api: the hub itself has no such path.
_OF_THE_HUB = re.compile(r"Invalid URL \(POST /v1/", re.IGNORECASE)


def over_route(failure: Failure, evidence: Evidence, route: Route, payload: Mapping[str, Any]) -> Failure:
    """Return what a failure means on this route.

    A missing path says nothing of the hub if it is not the path of chat completions, or if that path has answered
    before. A limit on free models leaves the others alone, where the hub counts them apart. A request in the background
    goes on at the vendor after a timeout, so it is not sent again.
    """
    if route.api.name in ("responses", "messages") and _is_missing_path(failure, evidence):
        return WRONG_API
    if failure is ENDPOINT and evidence.status in (404, 405) and route.hub.has_answered(route.api.name):
        return REFUSED
    if failure.kind == RATE_ACCOUNT.kind and route.hub.free_limit and route.hub.is_free(route.model):
        return replace(RATE_FREE, retry_after=failure.retry_after)
    if payload.get("background") and failure.kind == "timeout":
        return replace(failure, action=Recovery.FAIL, retries=0)
    return failure


def refused_model(route: Route, evidence: Evidence) -> str | None:
    """Return the refused model, or None if the hub does not have the API."""
    return None if _OF_THE_HUB.search(evidence.message) else route.model


def _is_missing_path(failure: Failure, evidence: Evidence) -> bool:
    if failure.kind not in _KINDS_OF_A_PATH:
        return False
    said = evidence.message
    return evidence.status == 405 or (evidence.status == 404 and (not said or _NO_PATH.search(said) is not None))
