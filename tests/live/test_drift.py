"""The committed recordings of real hubs against those of gateways and of the embedded hub."""

from __future__ import annotations

import pytest

from tests.cassettes.drift import drift, known_shapes
from tests.cassettes.format import load
from tests.cassettes.playback import ROOT
from tests.live.conftest import NOTHING

LIVE = sorted((ROOT / "live").rglob("*.yaml"))
OTHERS = [path for kind in ("gateway", "embedded") for path in sorted((ROOT / kind).rglob("*.yaml"))]


def interactions(paths):
    return [each for path in paths for each in load(path.read_text("utf-8"), path.name).interactions]


def test_real_hubs_answer_in_the_shapes_we_test_with():
    if not LIVE:
        pytest.skip(NOTHING)
    known = known_shapes(interactions(OTHERS))
    found = [line for path in LIVE for each in interactions([path]) for line in drift(each, known).broken]
    assert found == []
