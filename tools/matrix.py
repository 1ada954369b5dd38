"""Run the tests on the combinations of packages that pyproject.toml allows, each in an environment of its own.

    python tools/matrix.py                     # every environment, every test
    python tools/matrix.py --fast              # every environment, without the tests that no version can change
    python tools/matrix.py lowest -- -x -k wire

The default environment (`make test`) already has the newest of everything. Needs `uv` (in the `dev` extra): only uv can
resolve to the lowest versions that pyproject.toml declares.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bootstrap import CACHE, ROOT, environment

# What --fast leaves out: tests that no version of a package can change.
SAME_EVERYWHERE = ("tests/packaging", "tests/docs/test_snippets.py")


@dataclass(frozen=True, slots=True)
class Environment:
    """One row of the matrix: its requirements beside the project's own, how uv picks versions, and on which Python."""

    name: str
    requirements: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    python: str = ""


ENVIRONMENTS = (
    # The SDK on httpx, which 3.x replaced by httpx2; everything else as new as it gets, also Python.
    Environment("openai-2", ("openai<3",), python="3.13"),
    # As new as it gets: what a user has who installs today.
    Environment("newest", ("openai>=3,<4",), python="3.13"),
    # Every lower bound of pyproject.toml, on the oldest Python: a bound that nobody runs is a guess.
    Environment("lowest", options=("--resolution", "lowest-direct"), python="3.10"),
)


def main(argv: list[str] | None = None) -> int:
    known = [row.name for row in ENVIRONMENTS]
    parser = argparse.ArgumentParser(description="Run the tests on every combination of packages that is allowed.")
    parser.add_argument("names", nargs="*", default=[], metavar="name", help=f"{', '.join(known)} (default: all)")
    parser.add_argument("--fast", action="store_true", help="only the tests that a version of a package can change")
    own, pytest_options = split(sys.argv[1:] if argv is None else argv)
    arguments = parser.parse_args(own)
    if unknown := set(arguments.names) - set(known):
        parser.error(f"no such environment: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    failed = []
    for row in ENVIRONMENTS:
        if not arguments.names or row.name in arguments.names:
            python = install(row)
            if python is None or not passes(row, python, arguments.fast, pytest_options):
                failed.append(row.name)
    print(f"matrix: {'failed: ' + ', '.join(failed) if failed else 'all passed'}", flush=True)
    return 1 if failed else 0


def split(argv: list[str]) -> tuple[list[str], list[str]]:
    at = argv.index("--") if "--" in argv else len(argv)
    return argv[:at], argv[at + 1 :]


def install(row: Environment) -> Path | None:
    """The environment's interpreter, or None where its packages cannot be installed together."""
    uv, env = find_uv(), environment()
    target = ROOT / ".venvs" / row.name
    python = target / "bin" / "python"
    base = interpreter(row.python)
    print(f"\n== {row.name}: {' '.join((*row.requirements, *row.options)) or 'as declared'}, {base}", flush=True)
    created = [uv, "venv", "--quiet", "--clear", "--python", base, str(target)]
    if subprocess.run(created, env=env, stdin=subprocess.DEVNULL).returncode:
        return None
    command = [uv, "pip", "install", "--quiet", "--python", str(python), *row.options]
    command += ["--editable", f"{ROOT}[test]", *row.requirements]
    if subprocess.run(command, env=env, cwd=ROOT, stdin=subprocess.DEVNULL).returncode:
        return None
    listing = [uv, "pip", "freeze", "--quiet", "--python", str(python)]
    frozen = subprocess.run(listing, env=env, capture_output=True, text=True, check=True).stdout.splitlines()
    shown = ("openai==", "langchain-core==", "llama-index-core==", "pydantic==", "httpx==", "httpx2==")
    print("   " + " ".join(line for line in frozen if line.startswith(shown)), flush=True)
    return python


def passes(row: Environment, python: Path, fast: bool, options: list[str]) -> bool:
    tests = ["tests", *(f"--ignore={path}" for path in SAME_EVERYWHERE if fast)]
    home = CACHE / "home"
    home.mkdir(parents=True, exist_ok=True)
    env = environment() | {"HOME": str(home), "XDG_CACHE_HOME": str(CACHE / "xdg")}
    workers = str(os.cpu_count() or 1)
    command = [str(python), "-m", "pytest", "-q", "-n", workers, "--dist", "loadfile"]
    command += [f"--basetemp={CACHE / 'pytest-matrix'}", "-o", f"cache_dir={CACHE / row.name}", *options, *tests]
    return subprocess.run(command, env=env, cwd=ROOT, stdin=subprocess.DEVNULL).returncode == 0


def find_uv() -> str:
    beside = Path(sys.executable).with_name("uv")
    uv = str(beside) if beside.exists() else shutil.which("uv")
    if uv is None:
        raise SystemExit("matrix: uv is missing; `make matrix` installs it (extra `dev`)")
    return uv


def interpreter(version: str) -> str:
    """The path of Python `version`, or of the running one where the machine has none such."""
    if version:
        command = [find_uv(), "python", "find", "--no-python-downloads", "--no-project", version]
        # From a folder of its own, so that no .python-version of a parent folder decides.
        with tempfile.TemporaryDirectory() as folder:
            found = subprocess.run(command, env=environment(), cwd=folder, capture_output=True, text=True)
        if found.returncode == 0:
            return found.stdout.strip()
        # pyenv hides from PATH every version but the selected one.
        pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
        for python in sorted(pyenv.glob(f"versions/{version}.*/bin/python")):
            return str(python)
        print(f"matrix: Python {version} is not installed; using {sys.version.split()[0]}", flush=True)
    return sys.executable


if __name__ == "__main__":
    sys.exit(main())
