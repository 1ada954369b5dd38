"""The suite on the package versions that pyproject.toml allows: `make matrix`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import nox

ROOT = Path(__file__).parent
CACHE = ROOT / ".cache"
# What no version of a package can change.
SAME_EVERYWHERE = ("--ignore=tests/packaging", "--ignore=tests/docs")

nox.options.envdir = str(ROOT / ".venvs" / "nox")
nox.options.default_venv_backend = "uv"
nox.options.reuse_venv = "yes"
os.environ.setdefault("UV_CACHE_DIR", str(CACHE / "uv"))
os.environ.setdefault("UV_PYTHON_DOWNLOADS", "never")


def python(version: str) -> str:
    """Return an interpreter of this version, or the running one if none is found."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    # pyenv hides from PATH every version but the selected one.
    for candidate in (f"python{version}", *map(str, sorted(pyenv.glob(f"versions/{version}.*/bin/python")))):
        try:
            if not subprocess.run([candidate, "-c", "pass"], capture_output=True).returncode:
                return candidate
        except OSError:
            continue
    return sys.executable


def run(session: nox.Session, *requirements: str, tests: tuple[str, ...] = ("tests", *SAME_EVERYWHERE)) -> None:
    session.install("--editable", ".", "--group", "test", *requirements)
    (CACHE / "home").mkdir(parents=True, exist_ok=True)
    session.env.update(HOME=str(CACHE / "home"), XDG_CACHE_HOME=str(CACHE / "xdg"))
    options = [
        "-m",
        "not slow",
        f"--basetemp={CACHE / f'pytest-{session.name}'}",
        "-o",
        f"cache_dir={CACHE / session.name}",
    ]
    session.run("pytest", "-q", "-n", "2", "--dist", "worksteal", *options, *(session.posargs or tests))


@nox.session(name="openai-2", python=python("3.13"))
def openai_2(session: nox.Session) -> None:
    """The SDK on httpx, which 3.x replaced by httpx2."""
    run(session, "openai<3")


@nox.session(python=python("3.13"))
def newest(session: nox.Session) -> None:
    """What a user has who installs today."""
    run(session, "openai>=3,<4", "--upgrade")


@nox.session(python=python("3.10"))
def lowest(session: nox.Session) -> None:
    """Every lower bound of pyproject.toml, on the oldest Python."""
    run(session, "--resolution", "lowest-direct")


@nox.session(python=python("3.13"))
def fast(session: nox.Session) -> None:
    """The SDK on aiohttp: what asks a hub over a socket."""
    run(session, ".[fast]", tests=("tests/failover", "tests/hub", "tests/transport"))
