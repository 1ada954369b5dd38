"""Every public name of version 0.1.0 still imports from where it did."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest

NAMES = json.loads((Path(__file__).parents[1] / "data" / "public_names.json").read_text("utf-8"))


@pytest.mark.parametrize("module", NAMES)
def test_public_names_import_from_where_they_did(module: str) -> None:
    missing = [name for name in NAMES[module] if not hasattr(importlib.import_module(module), name)]
    assert not missing
