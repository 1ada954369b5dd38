"""Tests marked `vcr` play a cassette, through pytest-recording.

The folder a test's module sits in says what kind of hub its cassettes are of, and a cassette is named after the test.
The sync and the async run of one test (its parameter `waits`) play the same file, so the requests of both are held to
be equal. Nothing is recorded unless asked for with `--record-mode=all`, and never in CI.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import date
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

import pytest

from tests.cassettes import matchers
from tests.cassettes.format import Serializer
from tests.cassettes.playback import ROOT, configure, hold_refusals, note_misses, verify

if TYPE_CHECKING:
    from collections.abc import Iterator

    import vcr
    from vcr.cassette import Cassette
    from vcr.request import Request

# Folder of the tests -> folder of their cassettes.
KINDS = {"embedded_cassettes": "embedded", "live": "live"}
BEHIND = {"embedded": "the embedded hub of this project, no model", "live": "a real hub"}
# The embedded hub listens on another port every time; its cassettes always name this one.
EMBEDDED_ORIGIN = "http://127.0.0.1:8000"
EMBEDDED_KEY = "sk-test"


@dataclass(slots=True)
class _Session:
    """What the plugin remembers over a test run."""

    recorded: set[str] = field(default_factory=set)
    serializer: Serializer | None = None
    origins: dict[str, str] = field(default_factory=dict)
    refused: list[Exception] = field(default_factory=list)


_SESSION = pytest.StashKey[_Session]()


@dataclass(frozen=True, slots=True)
class HubAddress:
    """Where a client is pointed: the recorded address, or the hub being recorded."""

    base_url: str
    api_key: str


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--live", action="store_true", help="Ask a real hub (costs a little) and keep nothing.")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_SESSION] = _Session()
    if os.environ.get("CI") and (config.getoption("--record-mode", default=None) or "none") != "none":
        raise pytest.UsageError("CI plays cassettes and records none: leave out --record-mode")


def pytest_recording_configure(config: pytest.Config, vcr: vcr.VCR) -> None:
    serializer = config.stash[_SESSION].serializer
    if serializer is not None:
        configure(vcr, serializer)


# The parameter that says whether a test runs sync or async: both play one cassette.
SHARED_PARAMETER = "waits"


@pytest.fixture
def default_cassette_name(request: pytest.FixtureRequest) -> str:
    """Return the test's name and parameters, except the one for sync or async."""
    name = getattr(request.node, "originalname", request.node.name).removeprefix("test_")
    callspec = getattr(request.node, "callspec", None)
    parameters = callspec.params if callspec is not None else {}
    return "-".join([name, *(str(value) for key, value in parameters.items() if key != SHARED_PARAMETER)])


@pytest.fixture
def vcr_cassette_dir(request: pytest.FixtureRequest) -> str:
    """Asked for by every test, also by those that play nothing."""
    return str(ROOT / KINDS.get(request.node.path.parent.name, "none") / request.node.path.stem.removeprefix("test_"))


@pytest.fixture
def recording(
    request: pytest.FixtureRequest, record_mode: str, vcr_cassette_dir: str, default_cassette_name: str
) -> bool:
    """Return whether this test records its cassette; only the first of a pair does."""
    path = f"{vcr_cassette_dir}/{default_cassette_name}"
    recorded = request.config.stash[_SESSION].recorded
    if record_mode == "none" or path in recorded:
        return False
    recorded.add(path)
    return True


@pytest.fixture
def httpx_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use the SDK's own HTTP library for async requests: vcrpy knows no aiohttp here."""
    monkeypatch.setattr("hubmix.transport.clients.find_spec", lambda name: None)


@pytest.fixture
def vcr_config(request: pytest.FixtureRequest, recording: bool, httpx_alone: None) -> Iterator[dict[str, Any]]:
    session = request.config.stash[_SESSION]
    session.origins, session.refused = {}, []
    # Without a provenance it is read-only: what is played is never written.
    session.serializer = Serializer(_provenance(request) if recording else None, request.node.name)
    yield {
        "match_on": matchers.OWN,
        "record_mode": "all" if recording else "none",
        "drop_unused_requests": recording,
        "before_record_request": lambda sent: _under_recorded_name(sent, session.origins),
    }
    # Here the cassette is closed.
    if session.refused:
        raise session.refused[0]


# Six fixtures for each of ten thousand tests that play nothing.
_OF_A_CASSETTE = {"block_network", "vcr", "vcr_markers", "vcr_cassette_dir", "whole_cassette"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Take pytest-recording's fixtures from tests without its marks."""
    for item in items:
        if isinstance(item, pytest.Function) and not any(map(item.get_closest_marker, ("vcr", "block_network"))):
            spared = _OF_A_CASSETTE.difference(item._fixtureinfo.argnames)
            item.fixturenames[:] = [name for name in item.fixturenames if name not in spared]


@pytest.fixture(autouse=True)
def whole_cassette(request: pytest.FixtureRequest, vcr: Cassette | None) -> Iterator[None]:
    """Fail if a request was not in the cassette, or an interaction was not played."""
    if vcr is None:
        yield
    elif request.getfixturevalue("recording"):
        request.config.stash[_SESSION].refused = hold_refusals(vcr)
        yield
    else:
        misses = note_misses(vcr)
        yield
        verify(vcr, misses)


@pytest.fixture
def embedded_hub(request: pytest.FixtureRequest, recording: bool) -> Iterator[HubAddress]:
    """The embedded hub if this test records, else the address it was recorded under."""
    recorded = HubAddress(f"{EMBEDDED_ORIGIN}/v1", EMBEDDED_KEY)
    if not recording:
        yield recorded
        return
    from hubmix.embedded import EmbeddedHub

    with EmbeddedHub() as hub:
        request.config.stash[_SESSION].origins = {_origin(hub.base_url): EMBEDDED_ORIGIN}
        yield HubAddress(hub.base_url, hub.api_key)


def _kind(request: pytest.FixtureRequest) -> str:
    folder = request.node.path.parent.name
    if folder not in KINDS:
        raise pytest.UsageError(
            f"{request.node.nodeid} is marked vcr, but cassettes are recorded only by tests under {', '.join(KINDS)}"
        )
    return KINDS[folder]


def _provenance(request: pytest.FixtureRequest) -> dict[str, Any]:
    kind = _kind(request)
    what = (getattr(request.node.function, "__doc__", None) or "").strip().splitlines()
    return {
        "kind": kind,
        "test": request.node.nodeid.partition("[")[0],
        "what": what[0] if what else request.node.originalname,
        "behind": BEHIND[kind],
        "recorded": date.today().isoformat(),
        "client": ", ".join(f"{name} {version(name)}" for name in ("hubmix", "openai", "vcrpy")),
    }


def _under_recorded_name(sent: Request, origins: dict[str, str]) -> Request:
    fixed = origins.get(_origin(sent.uri))
    if fixed is None:
        return sent
    return type(sent)(sent.method, fixed + urlunsplit(("", "", *urlsplit(sent.uri)[2:])), sent.body, sent.headers)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
