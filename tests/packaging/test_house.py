"""The checks of `make lint` on the house fail when it is built wrongly."""

from __future__ import annotations

import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("hubmix", "langchain_hubmix", "llamaindex_hubmix")


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the three packages and of the contracts."""
    folder = tmp_path_factory.mktemp("copy")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def report(folder: Path) -> str:
    program = "import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())"
    command = [sys.executable, "-c", program, "--no-cache", "--no-logo"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
    assert "Contracts:" in done.stdout, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("module", "code", "contract"),
    [
        ("hubmix/wire/added.py", "from hubmix.hub import hub", "Arrows between the rooms point down"),
        ("hubmix/wire/added.py", "def f():\n    import hubmix.catalog", "Arrows between the rooms point down"),
        (
            "hubmix/wire/added.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from hubmix.catalog import models",
            "Arrows between the rooms point down",
        ),
        ("langchain_hubmix/added.py", "import llamaindex_hubmix", "Arrows between the rooms point down"),
        ("hubmix/embedded/added.py", "import hubmix.errors", "The embedded hub imports nothing of the client"),
        ("hubmix/hub/added.py", "import langchain_core.messages", "The core imports neither framework"),
        ("hubmix/hub/added.py", "import llama_index.core", "The core imports neither framework"),
    ],
)
def test_import_against_an_arrow_breaks_its_contract(copy: Path, module: str, code: str, contract: str) -> None:
    added = copy / module
    added.write_text(code + "\n")
    try:
        said = report(copy)
    finally:
        added.unlink()
    assert f"{contract} BROKEN" in said
    assert module.removesuffix(".py").replace("/", ".") in said


def test_circle_in_a_room_breaks_its_contract(copy: Path) -> None:
    first, second = copy / "hubmix" / "wire" / "one.py", copy / "hubmix" / "wire" / "two.py"
    first.write_text("import hubmix.wire.two\n")
    second.write_text("import hubmix.wire.one\n")
    try:
        said = report(copy)
    finally:
        first.unlink()
        second.unlink()
    assert "No cycles are allowed in hubmix.wire." in said


def test_too_many_files_at_the_top_are_reported(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check = runpy.run_path(str(ROOT / "tools" / "check_house.py"))["main"]
    monkeypatch.setitem(check.__globals__, "PACKAGE", copy / "hubmix")
    for number in range(12):
        (copy / "hubmix" / f"added_{number}.py").touch()
    try:
        assert check() == 1
    finally:
        for added in (copy / "hubmix").glob("added_*.py"):
            added.unlink()


@pytest.mark.parametrize(
    ("code", "finding"),
    [
        ('"""' + "x" * 81 + '."""', "first line of the docstring"),
        ('"""Return a :' + 'class:`Hub`."""', "Sphinx role"),
        ("# Asked in " + "vain.", "phrase"),
        ("def test_" + "x" * 60 + "(): ...", "test name"),
    ],
)
def test_english_against_the_rules_is_reported(
    code: str, finding: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    findings = runpy.run_path(str(ROOT / "tools" / "check_english.py"))["findings"]
    monkeypatch.setitem(findings.__globals__, "ROOT", tmp_path)
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_x.py").write_text(code + "\n")
    assert [text for _, text in findings("tests/test_x.py") if text.startswith(finding)]
    (tmp_path / "tests" / "test_x.py").write_text('"""Return the hub."""\n\n\ndef test_hub_is_returned(): ...\n')
    assert findings("tests/test_x.py") == []
