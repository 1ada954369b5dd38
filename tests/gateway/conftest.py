"""All tests of this folder play cassettes."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def played(httpx_alone: None) -> None:
    """See the fixture it asks for."""
