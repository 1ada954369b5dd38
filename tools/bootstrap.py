"""Build the project's virtual environment inside the checkout, with Python alone.

    python3 tools/bootstrap.py test               # .venv with the project and its dependency group `test`
    python3 tools/bootstrap.py test dev           # adds a group to the same .venv
    python3 tools/bootstrap.py docs --venv .venvs/docs

uv is used if it is on PATH (NO_UV=1 forbids it), else pip. A second run does nothing unless pyproject.toml changed.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Settings of a shell that would send the installation somewhere else than into the environment.
MISLEADING = ("PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV", "CONDA_PREFIX", "PIP_USER", "PIP_TARGET", "PIP_PREFIX")
NO_PIP = "This Python has neither pip nor ensurepip. Install uv, or `sudo apt install python3-venv`; then try again."
NOT_INSTALLED = """The packages could not be installed; the reason is above. Behind a proxy or a mirror set HTTPS_PROXY,
PIP_INDEX_URL and PIP_CERT. If uv is at fault, NO_UV=1 uses pip. Then run the same command again."""


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Build the project's virtual environment inside the checkout.")
    parser.add_argument("groups", nargs="+", help="dependency groups of pyproject.toml to install")
    parser.add_argument("--venv", default=".venv", help="where, relative to the checkout (default: .venv)")
    if sys.version_info < (3, 10):  # noqa: UP036 - this is where an older one is told so
        sys.exit(f"Python {sys.version.split()[0]} is too old: install 3.10 or newer, or name one: make PYTHON=/path")
    given = parser.parse_args(arguments)
    build(ROOT / given.venv, given.groups)


def build(target: Path, groups: list[str]) -> None:
    """Make `target` an environment with the project and these groups."""
    builder = f"{ROOT} {sys.version_info[0]}.{sys.version_info[1]}"  # an environment cannot be moved to another
    python, marker = target / "bin" / "python", target / "built-for"
    # Homebrew removes old interpreters: the one of the environment must still run.
    if not marker.is_file() or marker.read_text() != builder or not runs(python, "-c", "pass"):
        say(f"Building {target.relative_to(ROOT)} with Python {sys.version.split()[0]}")
        shutil.rmtree(target, ignore_errors=True)
        venv.EnvBuilder(symlinks=True).create(target)
        marker.write_text(builder)
    for group in groups:
        stamp = target / f"installed-{group}"
        wanted = hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest()
        if not stamp.is_file() or stamp.read_text() != wanted:
            install(python, group)
            stamp.write_text(wanted)


def install(python: Path, group: str) -> None:
    uv = None if os.environ.get("NO_UV") else shutil.which("uv")
    say(f"Installing hubmix and its group {group} with {'uv' if uv else 'pip'}; the first time takes a minute or two")
    if not uv:
        ensure_pip(python)
    command = [uv, "pip", "install", "--python", python] if uv else [python, "-m", "pip", "install", "--no-input"]
    options = ["--quiet", "--editable", ".", "--group", group]
    if subprocess.run([*command, *options], cwd=ROOT, env=environment(), stdin=subprocess.DEVNULL).returncode:
        sys.exit(f"\n{NOT_INSTALLED}")


def ensure_pip(python: Path) -> None:
    """Give the environment a pip that knows dependency groups (25.1 or newer)."""
    upgrade = ("-m", "pip", "install", "--quiet", "--no-input", "--upgrade", "pip>=25.1")
    found = runs(python, "-m", "pip", "--version") or runs(python, "-m", "ensurepip")
    if not found and not runs(Path(sys.executable), "-m", "pip", "--python", python, *upgrade[2:]):
        folder = ROOT / ".cache" / "pip-wheel"
        folder.mkdir(parents=True, exist_ok=True)
        unpack = "apt-get -q download python3-pip-whl && dpkg-deb --extract python3-pip-whl_*.deb ."
        runs("sh", "-c", f"cd '{folder}' && {unpack}")
        wheel = next(iter((folder / "usr" / "share" / "python-wheels").glob("pip-*.whl")), None)
        if wheel is None or not runs(python, wheel / "pip", "install", "--no-index", wheel):
            sys.exit(f"\n{NO_PIP}")
    if not runs(python, *upgrade):
        sys.exit(f"\n{NOT_INSTALLED}")


def environment() -> dict[str, str]:
    """Return the installers' environment: caches in the checkout, one index."""
    env = {name: value for name, value in os.environ.items() if name not in MISLEADING}
    env |= {"PIP_CACHE_DIR": f"{ROOT}/.cache/pip", "UV_CACHE_DIR": f"{ROOT}/.cache/uv"}
    for pip, uv in (("PIP_INDEX_URL", "UV_DEFAULT_INDEX"), ("PIP_CERT", "SSL_CERT_FILE")):
        if pip in env:
            env.setdefault(uv, env[pip])
    # pip asks rustc for its version; a rustup that was never used then writes settings into the home directory.
    if not (Path.home() / ".rustup").exists():
        env.setdefault("RUSTUP_HOME", str(ROOT / ".cache" / "rustup"))
    return env


def runs(*command: object) -> bool:
    try:
        given = [str(part) for part in command]
        return subprocess.run(given, env=environment(), stdin=subprocess.DEVNULL, capture_output=True).returncode == 0
    except OSError:
        return False


def say(text: str) -> None:
    print(f"{text} …", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
