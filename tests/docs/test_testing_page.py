"""The tests that the documentation shows pass as tests."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import snippets


@pytest.mark.slow
def test_the_tests_of_the_page_pass(tmp_path: Path) -> None:
    shown = [block.code for block in snippets.of_page("docs/how-to/testing.md") if block.language == "python"]
    (tmp_path / "test_shown.py").write_text("\n\n".join(shown), "utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", "."]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("HUBMIX_", "PYTEST_"))}
    environment["HUBMIX_CACHE_DIR"] = ""
    done = subprocess.run(
        [*command, "test_shown.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{sum(code.count('def test_') for code in shown)} passed" in done.stdout
