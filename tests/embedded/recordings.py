"""The recordings of the running gateways, read as they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.cassettes.format import Interaction, load

ROOT = Path(__file__).resolve().parents[2] / "cassettes" / "gateway"
DIALECTS = ("new-api", "one-api")


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
    return tuple(map(_exchange, load(path.read_text("utf-8"), case).interactions))


def cases() -> list[str]:
    """The names of all recordings of the dialects that the embedded hub speaks."""
    return sorted({path.stem for dialect in DIALECTS for path in (ROOT / dialect).glob("*.yaml")})


def _exchange(came: Interaction) -> Exchange:
    return Exchange(
        came.method,
        "/" + came.uri.split("/", 3)[3],
        came.request_body.decode(),
        came.status,
        {name.lower(): values[0] for name, values in came.response_headers.items()},
        came.response_body.decode(),
    )
