"""Daft reports its use over the network unless it is told not to."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def no_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DO_NOT_TRACK", "SCARF_NO_ANALYTICS"):
        monkeypatch.setenv(name, "true")
    monkeypatch.setenv("DAFT_ANALYTICS_ENABLED", "0")
