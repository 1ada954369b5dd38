"""What must come out of every gateway recording, from `expectations/*.yaml`.

One entry a case, shared by the gateways where it was recorded. What one of them does differently stands under its name
and is laid over the entry, or takes its place where it fails, or answers and the entry does not. The keys:

- an answer: `text`, `reasoning`, `details`, `calls` and `invalid` (calls that must not be executed), `refusal`, `also`
  (further choices), `logprobs` (how many), `finish` ("stop" unless said), `native` (the finish reason as it came),
  `usage` ("input + output = total, n read, n written, n reasoning"), `incomplete`, and `weak`: why another model is
  asked, where there is one
- a failure: `fails` (the kind), `says` (words of the hub that the message keeps), `partial` (the text that had come)
- the rest: `vectors`, `ranked`, `models`, `prices`, `balance`, `spent`
- `steps`: one entry a request; `wire`: why our classes cannot make this request
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tests.cassettes.playback import ROOT

GATEWAYS = ("new-api", "new-api-2025", "one-api", "one-hub", "portkey")
RECORDINGS = ROOT / "gateway"
TABLE = Path(__file__).with_name("expectations")


class Kind(NamedTuple):
    """A row of the failover table: scope, next action, and the exception."""

    scope: str
    action: str
    exception: str


KINDS: Mapping[str, Kind] = {
    "context": Kind("request", "next", "ContextLengthError"),
    "capability": Kind("model", "next", "CapabilityError"),
    "policy": Kind("request", "fail", "ContentFilterError"),
    "bad_request": Kind("request", "fail", "BadRequestError"),
    "auth": Kind("account", "fail", "AuthenticationError"),
    "channel_auth": Kind("model", "next", "ModelUnavailableError"),
    "quota": Kind("account", "fail", "QuotaExceededError"),
    "channel_quota": Kind("model", "next", "ModelUnavailableError"),
    "account": Kind("account", "fail", "PermissionDeniedError"),
    "permission": Kind("model", "next", "PermissionDeniedError"),
    "unreadable": Kind("model", "next", "ModelUnavailableError"),
    "not_found": Kind("model", "next", "ModelNotFoundError"),
    "endpoint": Kind("endpoint", "fail", "EndpointError"),
    "no_channel": Kind("model", "next", "ModelUnavailableError"),
    "transient": Kind("model", "retry", "ServerError"),
    "rate_account": Kind("account", "retry", "RateLimitedError"),
    "rate_model": Kind("model", "next", "RateLimitedError"),
    "server": Kind("model", "retry", "ServerError"),
    "garbled": Kind("model", "retry", "MalformedAnswerError"),
    "interrupted": Kind("model", "fail", "StreamInterruptedError"),
    "empty": Kind("model", "retry", "MalformedAnswerError"),
    "length": Kind("request", "fail", ""),
    "refused": Kind("unknown", "next", "BadRequestError"),
    "wrong_api": Kind("model", "next", "CapabilityError"),
    "hub_overloaded": Kind("endpoint", "retry", "ServerError"),
}


class Usage(NamedTuple):
    """Token counts; None and a cache or reasoning of 0 mean "not said"."""

    input: int
    output: int
    total: int
    read: int = 0
    written: int = 0
    reasoning: int = 0


@dataclass(frozen=True, slots=True)
class Expected:
    """What must come out of one request."""

    text: str | None = None
    reasoning: str = ""
    details: list[Any] | None = None
    calls: list[dict[str, Any]] = field(default_factory=list)
    invalid: list[str] = field(default_factory=list)
    refusal: str = ""
    also: list[str] = field(default_factory=list)
    logprobs: int = 0
    finish: str | None = "stop"
    native: str | None = None
    usage: Usage | None = None
    incomplete: bool = False
    weak: str | None = None
    fails: str | None = None
    says: str = ""
    partial: str = ""
    vectors: list[list[float]] | None = None
    ranked: list[list[float]] | None = None
    models: list[str] | None = None
    prices: dict[str, list[float]] | None = None
    balance: float | str | None = None
    spent: float | None = None

    def __post_init__(self) -> None:
        kind = self.fails or self.weak
        if kind is not None and kind not in KINDS:
            raise ValueError(f"unknown kind {kind!r}")

    @property
    def kind(self) -> Kind | None:
        """Return the row of the failover table; None for a good answer."""
        name = self.fails or self.weak
        return KINDS[name] if name else None

    @property
    def moves_on(self) -> bool:
        """Whether a second model is asked, where there is one.

        An account that sent too much waits, whatever the model, and so does a hub that is overloaded; nothing is asked
        again once part of an answer is out.
        """
        waits = self.fails in ("rate_account", "hub_overloaded")
        return self.kind is not None and self.kind.action != "fail" and not waits


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One recording and its expected outcomes; `wire` says why we cannot ask it."""

    name: str
    gateway: str
    steps: tuple[Expected, ...]
    wire: str | None = None

    @property
    def path(self) -> Path:
        return RECORDINGS / self.gateway / f"{self.name}.yaml"

    @property
    def id(self) -> str:
        return f"{self.gateway}/{self.name}"


_OUTCOME = {each.name for each in fields(Expected)}
_CASE = {"steps", "wire", *GATEWAYS}
_USAGE = re.compile(r"(\d+) \+ (\d+) = (\d+)((?:, \d+ (?:read|written|reasoning))*)")


def read_table(texts: Mapping[str, str], found: Collection[tuple[str, str]] = ()) -> dict[tuple[str, str], Case]:
    """Return every case by (gateway, name); raise ValueError for unknown keys.

    Args:
        texts: the YAML by file name.
        found: (gateway, name) of the recordings; without any, every gateway has every case.
    """
    cases: dict[tuple[str, str], Case] = {}
    for file, text in texts.items():
        for name, entry in (yaml.safe_load(text) or {}).items():
            gateways = [gateway for gateway in GATEWAYS if not found or (gateway, name) in found]
            for case in _cases(name, entry, gateways):
                if (case.gateway, name) in cases:
                    raise ValueError(f"{file}: {case.id} is expected twice")
                cases[case.gateway, name] = case
    return cases


@cache
def table() -> dict[tuple[str, str], Case]:
    """Return the committed table."""
    return read_table({path.name: path.read_text("utf-8") for path in sorted(TABLE.glob("*.yaml"))}, recordings())


def recordings() -> set[tuple[str, str]]:
    """Return (gateway, name) of every committed recording."""
    return {(path.parent.name, path.stem) for path in RECORDINGS.glob("*/*.yaml")}


def _cases(name: str, entry: Mapping[str, Any], gateways: Sequence[str]) -> Iterator[Case]:
    unknown = entry.keys() - _OUTCOME - _CASE
    if unknown:
        raise ValueError(f"{name}: no such key: {', '.join(sorted(unknown))}")
    if not gateways or (entry.keys() & set(GATEWAYS)) - set(gateways):
        raise ValueError(f"{name}: expected, but recorded at {', '.join(gateways) or 'no gateway'} alone")
    shared = {key: value for key, value in entry.items() if key in _OUTCOME or key == "steps"}
    for gateway in gateways:
        merged = _laid_over(shared, entry.get(gateway, {}))
        steps = merged.pop("steps", None)
        if steps is not None and merged:
            raise ValueError(f"{name}: {', '.join(merged)} together with steps")
        outcomes = tuple(_expected(f"{gateway}/{name}", step) for step in (steps or [merged]))
        yield Case(name, gateway, outcomes, entry.get("wire"))


def _laid_over(shared: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    replaces = "fails" in own or "steps" in own or ("text" in own and "fails" in shared)
    return dict(own) if replaces else {**shared, **own}


def _expected(name: str, step: Mapping[str, Any]) -> Expected:
    unknown = step.keys() - _OUTCOME
    if unknown or not step:
        raise ValueError(f"{name}: {'nothing is expected' if not step else f'no such key: {sorted(unknown)}'}")
    try:
        return Expected(**{**step, "usage": _usage(step.get("usage"))})
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def _usage(text: str | None) -> Usage | None:
    if text is None:
        return None
    match = _USAGE.fullmatch(text)
    if match is None:
        raise ValueError(f"no usage: {text!r}")
    counts = [int(number) for number in match.groups()[:3]]
    more = (part.split() for part in match.group(4).split(", ")[1:])
    return Usage(*counts, **{name: int(number) for number, name in more})
