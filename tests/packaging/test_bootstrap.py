"""The tool behind `make demo` and `make test`, on machines that lack something."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

TOOLS = Path(__file__).resolve().parents[2] / "tools"


@pytest.fixture
def bootstrap(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """The tool in a checkout that holds nothing but requirements."""
    monkeypatch.syspath_prepend(str(TOOLS))
    module = importlib.import_module("bootstrap")
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    monkeypatch.setattr(module, "ROOT", tmp_path)
    return module


@pytest.fixture
def installed(bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The groups that were installed, in order; nothing really is."""
    groups: list[str] = []
    monkeypatch.setattr(bootstrap, "install", lambda python, group: groups.append(group))
    return groups


def test_second_run_does_nothing(bootstrap: ModuleType, installed: list[str], tmp_path: Path) -> None:
    for groups in (["demo"], ["demo"], ["demo", "test"]):
        bootstrap.build(tmp_path / ".venv", groups)
    assert installed == ["demo", "test"]


def test_changed_requirements_install_again(bootstrap: ModuleType, installed: list[str], tmp_path: Path) -> None:
    bootstrap.build(tmp_path / ".venv", ["demo"])
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    bootstrap.build(tmp_path / ".venv", ["demo"])
    assert installed == ["demo", "demo"]


@pytest.mark.parametrize("broken", ["a moved checkout", "another Python", "a removed Python"])
def test_broken_environment_is_built_again(
    bootstrap: ModuleType, installed: list[str], tmp_path: Path, broken: str
) -> None:
    target = tmp_path / ".venv"
    bootstrap.build(target, ["demo"])
    built_for = (target / "built-for").read_text()
    if broken == "a moved checkout":
        (target / "built-for").write_text("elsewhere 3.11")
    elif broken == "another Python":
        (target / "built-for").write_text(f"{tmp_path} 3.9")
    else:
        (target / "bin" / "python").unlink()
        (target / "bin" / "python").symlink_to(tmp_path / "gone")
    bootstrap.build(target, ["demo"])
    assert installed == ["demo", "demo"]
    assert (target / "built-for").read_text() == built_for
    assert bootstrap.runs(target / "bin" / "python", "-c", "pass")


def test_failed_installation_is_explained_and_retried(
    bootstrap: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_UV", "1")
    monkeypatch.setattr(bootstrap, "ensure_pip", lambda python: None)
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        with pytest.raises(SystemExit, match="PIP_INDEX_URL"):
            bootstrap.main(["demo"])
    assert list((tmp_path / ".venv").glob("installed-*")) == []


def test_machine_without_pip_is_told_what_to_install(
    bootstrap: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bootstrap, "runs", lambda *command: False)
    monkeypatch.setenv("PATH", str(tmp_path))  # no apt-get
    with pytest.raises(SystemExit, match="sudo apt install python3-venv"):
        bootstrap.ensure_pip(tmp_path / "python")


def test_installers_write_nothing_outside_the_checkout(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PIP_TARGET", "elsewhere")
    monkeypatch.setenv("PIP_INDEX_URL", "https://packages.example/simple")
    monkeypatch.delenv("UV_DEFAULT_INDEX", raising=False)
    env = bootstrap.environment()
    assert "PIP_TARGET" not in env
    assert {Path(env[name]).parent for name in ("PIP_CACHE_DIR", "UV_CACHE_DIR")} == {tmp_path / ".cache"}
    assert env["UV_DEFAULT_INDEX"] == "https://packages.example/simple"


def test_old_python_is_refused(bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 18))
    with pytest.raises(SystemExit, match=r"3\.10 or newer"):
        bootstrap.main(["demo"])


def test_tool_stays_small() -> None:
    assert len((TOOLS / "bootstrap.py").read_text("utf-8").splitlines()) <= 110
