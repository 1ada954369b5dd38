"""The recordings of the running gateways, read as they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2] / "cassettes" / "gateway"
DIALECTS = ("new-api", "one-api")
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its response, headers lower-case."""

    method: str
    path: str
    body: str
    status: int
    headers: Mapping[str, str]
    answer: str


@cache
def recording(dialect: str, case: str) -> tuple[Exchange, ...]:
    """The exchanges of a case, in order; empty where the gateway was not asked."""
    path = ROOT / dialect / f"{case}.yaml"
    if not path.exists():
        return ()
    document = yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER)
    return tuple(_exchange(interaction) for interaction in document["interactions"])


def cases() -> list[str]:
    """The names of all recordings of the dialects that the embedded hub speaks."""
    return sorted({path.stem for dialect in DIALECTS for path in (ROOT / dialect).glob("*.yaml")})


def _exchange(interaction: Mapping[str, Any]) -> Exchange:
    request, response = interaction["request"], interaction["response"]
    answer = response["body"]["string"]
    return Exchange(
        request["method"],
        "/" + request["uri"].split("/", 3)[3],
        request.get("body") or "",
        response["status"]["code"],
        {name.lower(): values[0] for name, values in response["headers"].items()},
        answer.decode() if isinstance(answer, bytes) else answer or "",
    )
