"""Build the project's virtual environment inside the checkout. Standard library only, Python 3.10 or newer.

    python3 tools/bootstrap.py demo               # .venv with the project and its `demo` extra
    python3 tools/bootstrap.py test dev           # adds those extras to the same .venv
    python3 tools/bootstrap.py docs --venv .venvs/docs

Everything written lands in the checkout: the environment and, under .cache/, what pip or uv downloaded. `uv` is used
where it is on PATH (NO_UV=1 forbids it); otherwise pip, which Debian and Ubuntu leave out of their Python: then
`pip_wheel.py` finds one. A second run does nothing unless pyproject.toml changed.
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

import pip_wheel

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache"
OLDEST = (3, 10)
# Settings of a user's shell that would send the installation somewhere else than into the environment.
MISLEADING = {"PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV", "CONDA_PREFIX"}
MISLEADING |= {"PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_REQUIRE_VIRTUALENV"}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Build the project's virtual environment inside the checkout.")
    parser.add_argument("extras", nargs="+", help="extras of pyproject.toml to install")
    parser.add_argument("--venv", default=".venv", help="where, relative to the checkout (default: .venv)")
    arguments = parser.parse_args(argv)
    try:
        build(ROOT / arguments.venv, arguments.extras)
    except BootstrapError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    return 0


class BootstrapError(Exception):
    """What went wrong and what to do next, for a person to read."""


def build(target: Path, extras: list[str]) -> None:
    """Make `target` a working environment that holds the project and `extras`; no work where it already is one."""
    if sys.version_info < OLDEST:
        have = sys.version.split()[0]
        raise BootstrapError(
            f"Python {have} is too old: install 3.10 or newer, or name one: make PYTHON=/path/to/python3"
        )
    if not is_ours(target):
        create(target)
    missing = [extra for extra in extras if not is_installed(target, extra)]
    if missing:
        install(target, missing)
        for extra in missing:
            stamp(target, extra).write_text(fingerprint(extra))


def is_installed(target: Path, extra: str) -> bool:
    return stamp(target, extra).is_file() and stamp(target, extra).read_text() == fingerprint(extra)


def is_ours(target: Path) -> bool:
    """Whether it was built here with this Python, and its interpreter still runs (Homebrew removes old ones)."""
    marker = target / "built-for"
    if not marker.is_file() or marker.read_text() != builder():
        return False
    return succeeds([str(python_of(target)), "-c", "pass"])


def create(target: Path) -> None:
    say(f"Building {target.relative_to(ROOT)} with Python {sys.version.split()[0]}")
    if target.exists():
        shutil.rmtree(target)
    # Without pip: Debian's Python cannot install it this way, and uv does not need it.
    venv.EnvBuilder(symlinks=True, with_pip=False).create(target)
    (target / "built-for").write_text(builder())


def builder() -> str:
    """Where and with which Python: an environment cannot be moved, and `make PYTHON=…` asks for another one."""
    return f"{ROOT} {sys.version_info[0]}.{sys.version_info[1]}"


def install(target: Path, extras: list[str]) -> None:
    requirement = f".[{','.join(extras)}]"
    uv = None if os.environ.get("NO_UV") else shutil.which("uv")
    say(f"Installing hubmix[{','.join(extras)}] with {'uv' if uv else 'pip'}; the first time takes a minute or two")
    if uv:
        command = [uv, "pip", "install", "--quiet", "--python", str(python_of(target)), "--editable", requirement]
        advice = "If uv is the trouble, `make NO_UV=1 …` uses pip instead."
    else:
        ensure_pip(target)
        options = ["--quiet", "--no-input", "--disable-pip-version-check", "--editable"]
        command = [str(python_of(target)), "-m", "pip", "install", *options, requirement]
        advice = "Behind a proxy or a mirror set HTTPS_PROXY, PIP_INDEX_URL, PIP_CERT; then run the same command again."
    if subprocess.run(command, cwd=ROOT, env=environment(), stdin=subprocess.DEVNULL).returncode:
        raise BootstrapError(f"The packages could not be installed (the reason stands above). {advice}")


def ensure_pip(target: Path) -> None:
    """Give the environment a pip: the one it has, the one Python bundles, or a wheel that this machine can get."""
    python = str(python_of(target))
    if succeeds([python, "-m", "pip", "--version"]) or succeeds([python, "-m", "ensurepip", "--default-pip"]):
        return
    say("This Python comes without pip; looking for one")
    try:
        wheel = pip_wheel.find(CACHE / "pip-wheel", environment())
    except pip_wheel.NoPipError as error:
        raise BootstrapError(str(error)) from error
    # A wheel of pip can be run in place, and so installs itself.
    options = ["--quiet", "--no-index", "--disable-pip-version-check"]
    command = [python, str(wheel / "pip"), "install", *options, str(wheel)]
    if subprocess.run(command, env=environment(), stdin=subprocess.DEVNULL).returncode:
        raise BootstrapError(f"{wheel.name} could not be installed into {target} (the reason stands above).")


def environment() -> dict[str, str]:
    """The installers' environment: caches in the checkout, one index and one certificate file for pip and uv alike."""
    env = {name: value for name, value in os.environ.items() if name not in MISLEADING}
    env["PIP_CACHE_DIR"] = str(CACHE / "pip")
    env["UV_CACHE_DIR"] = str(CACHE / "uv")
    # uv reads none of pip's settings: a machine set up for pip should do for uv too.
    if "PIP_INDEX_URL" in env and "UV_INDEX_URL" not in env:
        env.setdefault("UV_DEFAULT_INDEX", env["PIP_INDEX_URL"])
    if "PIP_CERT" in env:
        env.setdefault("SSL_CERT_FILE", env["PIP_CERT"])
    # pip asks rustc for its version, and a rustup that was never used then writes settings into the home directory.
    if not Path("~/.rustup").expanduser().exists():
        env.setdefault("RUSTUP_HOME", str(CACHE / "rustup"))
    return env


def fingerprint(extra: str) -> str:
    """What an installed extra depends on: the requirements as written, and where the checkout is."""
    digest = hashlib.sha256((ROOT / "pyproject.toml").read_bytes())
    digest.update(f"{extra} {ROOT}".encode())
    return digest.hexdigest()


def stamp(target: Path, extra: str) -> Path:
    return target / f"installed-{extra}"


def python_of(target: Path) -> Path:
    return target / "bin" / "python"


def succeeds(command: list[str]) -> bool:
    try:
        return subprocess.run(command, env=environment(), stdin=subprocess.DEVNULL, capture_output=True).returncode == 0
    except OSError:
        return False


def say(text: str) -> None:
    # On stderr: what a target prints on stdout is its own.
    print(f"{text} …", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
