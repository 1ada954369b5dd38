"""The embedded hub answers `/v1/responses` in the recorded gateway's shape."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.embedded.comparison import ask, differences, hub_in
from tests.embedded.recordings import Exchange
from tests.embedded.situations_responses import ELSEWHERE, SITUATIONS
from tests.traffic.corpus import FILES, PRESENT, REASON

pytestmark = pytest.mark.skipif(not PRESENT, reason=REASON)


def exchanges() -> Iterator[tuple[str, Exchange]]:
    """Yield name and exchange of New API's recordings with one request."""
    with gzip.open(FILES["gateway_responses"], "rt", encoding="utf-8") as lines:
        for line in lines:
            row: dict[str, Any] = json.loads(line)
            gateway, _, file = row["path"].partition("/")
            name, _, further = file.partition(".yaml")
            if gateway == "new-api" and name.startswith("responses_") and not further and row["method"] == "POST":
                kind = {"content-type": row["content_type"]} if row["content_type"] else {}
                headers = {**row["resp_headers"], **kind}
                body = json.dumps(row["request"]) if isinstance(row["request"], dict) else row["request"] or ""
                path = "/" + row["url"].split("/", 3)[3]
                yield name, Exchange("POST", path, body, row["status"], headers, row["response_text"])


def test_embedded_hub_has_the_shapes_of_the_gateway() -> None:
    compared, wrong = 0, []
    for name, exchange in exchanges():
        if name in ELSEWHERE:
            continue
        situation = SITUATIONS[name]
        with hub_in("new-api", situation) as hub:
            found = differences(exchange, *ask(hub, exchange, situation.key))
        compared += 1
        unexpected = [line for line in found if not any(word in line for word in situation.differs)]
        wrong += [f"{name}: {line}" for line in unexpected]
    assert not wrong, "\n".join(wrong)
    assert compared >= 75
