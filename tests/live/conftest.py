"""Give the live tests their hub: recordings, or with a key a real one.

`--record-mode=all` records anew (`make record-live`), `--live` asks the hub and keeps nothing (`make live`). Without
either the recordings are played; without any, each test says so and is skipped.
"""

from __future__ import annotations

import os
import warnings
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import vcr as vcrpy

from hubmix import Hub
from tests.cassettes.drift import NO_RECORDINGS, drift, known_shapes
from tests.cassettes.format import Serializer, load
from tests.cassettes.playback import ROOT
from tests.support import network

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from vcr.cassette import Cassette

FOLDER = ROOT / "live"
# Taken before the tests' clean environment hides it.
GIVEN = {
    name: os.environ[name]
    for name in ("HUBMIX_API_KEY", "AIHUBMIX_API_KEY", "AIHUBAPI_API_KEY", "HUBMIX_BASE_URL", "AIHUBMIX_BASE_URL")
    if os.environ.get(name)
}


def hosts() -> list[str]:
    """The hubs that were recorded, by the folders of their recordings."""
    return sorted(path.name for path in FOLDER.iterdir() if path.is_dir())


def recorded_base_url(host: str) -> str:
    """The base URL that a hub was recorded at, by the URL of a chat."""
    uris = (
        each.uri
        for path in sorted((FOLDER / host).glob("*.yaml"))
        for each in load(path.read_text("utf-8")).interactions
    )
    return next(uri.removesuffix("/chat/completions") for uri in uris if uri.endswith("/chat/completions"))


def asks_a_hub(config: pytest.Config) -> bool:
    return bool(config.getoption("--live")) or (config.getoption("--record-mode") or "none") != "none"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if asks_a_hub(metafunc.config):
        if not any(name.endswith("_KEY") for name in GIVEN):
            raise pytest.UsageError(
                "A live test needs a key: set AIHUBMIX_API_KEY, or HUBMIX_API_KEY and HUBMIX_BASE_URL"
            )
        with pytest.MonkeyPatch.context() as patch:
            set_up(patch)
            metafunc.parametrize("host", [str(urlsplit(Hub().base_url).hostname)])
    elif found := hosts():
        metafunc.parametrize("host", found)
    else:
        metafunc.parametrize("host", [pytest.param("none", marks=pytest.mark.skip(reason=NO_RECORDINGS))])


def set_up(patch: pytest.MonkeyPatch) -> None:
    """Restore the environment and the trust in certificates."""
    patch.delenv("SSL_CERT_DIR", raising=False)
    for name, value in GIVEN.items():
        patch.setenv(name, value)


@pytest.fixture
def recording(request: pytest.FixtureRequest) -> bool:
    return asks_a_hub(request.config)


@pytest.fixture
def vcr_cassette_dir(request: pytest.FixtureRequest, host: str, tmp_path: Path) -> str:
    return str(tmp_path if request.config.getoption("--live") else FOLDER / host)


@pytest.fixture
def default_cassette_name(request: pytest.FixtureRequest) -> str:
    return str(request.node.originalname).removeprefix("test_")


@pytest.fixture
def hub(host: str, recording: bool, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """The hub that is recorded, or one under the address it was recorded at."""
    if not recording:
        yield Hub(base_url=recorded_base_url(host), api_key="sk-test")
        return
    set_up(monkeypatch)
    with network.allowed(), Hub() as hub:
        yield hub


@pytest.fixture(autouse=True)
def shapes_watched(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail if a real hub's answers have drifted from those recorded."""
    if not request.getfixturevalue("recording"):
        yield
        return
    cassette: Cassette = request.getfixturevalue("vcr")
    yield
    text = vcrpy.serialize.serialize(cassette._as_dict(), Serializer({"kind": "live"}))
    found = [drift(each, known()) for each in load(text).interactions]
    for each in found:
        if each.new:
            warnings.warn(f"{'/'.join(each.topic)}: new fields: {', '.join(each.new)}", stacklevel=1)
    broken = [f"{'/'.join(each.topic)}: {line}" for each in found for line in each.broken]
    assert not broken, "the hub's answers have drifted from the recordings:\n" + "\n".join(broken)


@cache
def known() -> Mapping[Any, Any]:
    """The shapes of everything recorded, by gateway, embedded and real hubs."""
    paths = [path for kind in ("gateway", "embedded", "live") for path in (ROOT / kind).rglob("*.yaml")]
    return known_shapes(each for path in paths for each in load(path.read_text("utf-8"), path.name).interactions)
