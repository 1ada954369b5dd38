"""The demo: every part on the embedded hub, as a newcomer without a key sees it."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Command


@pytest.fixture
def shown(hubmix: Command, monkeypatch: pytest.MonkeyPatch) -> str:
    for name in ("HUBMIX_API_KEY", "AIHUBMIX_API_KEY", "AIHUBAPI_API_KEY", "OPENAI_API_KEY", "HUBMIX_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    done = hubmix("demo")
    assert done.code == 0
    return done.out


def test_demo_without_a_key_shows_every_part(shown: str) -> None:
    assert "skipped" not in shown
    parts = shown.split("\n== ")
    assert parts[0].startswith("No key found")
    chain, agent, query, failover, spent = parts[2:]
    assert "A: A stream changes its model only before its first" in chain
    assert "Sources: failover" in chain
    assert "calls multiply(a=17, b=23)\ngets 391\nA: 391" in agent
    assert "Sources: failover (" in query
    assert "asked embedded/absent, answered by embedded/think" in failover
    assert "$0.000" in spent
