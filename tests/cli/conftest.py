"""An embedded hub for the commands, and two ways of running them: in this process, and in one of their own."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from hubmix.embedded import EmbeddedHub

pytest.importorskip("typer", reason="needs the extra cli")


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended: its exit code and what it wrote."""

    code: int
    out: str
    err: str


Command = Callable[..., Done]


@pytest.fixture(scope="session")
def serving() -> Iterator[EmbeddedHub]:
    with EmbeddedHub() as running:
        yield running


@pytest.fixture
def server(serving: EmbeddedHub, monkeypatch: pytest.MonkeyPatch) -> EmbeddedHub:
    """The embedded hub, named by the environment as a user would."""
    serving.clear()
    monkeypatch.setenv("HUBMIX_BASE_URL", serving.base_url)
    monkeypatch.setenv("HUBMIX_API_KEY", serving.api_key)
    monkeypatch.setenv("COLUMNS", "120")
    return serving


@pytest.fixture
def hubmix(server: EmbeddedHub, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run the command in this process."""
    from hubmix.cli.app import run

    def call(*arguments: str, stdin: str = "") -> Done:
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        capsys.readouterr()
        code = run(arguments)
        return Done(code, *capsys.readouterr())

    return call


@pytest.fixture
def process(server: EmbeddedHub) -> Command:
    """Run the command in a process of its own, as a shell does."""

    def call(*arguments: str, stdin: str | None = None, **variables: str) -> Done:
        done = subprocess.run(
            [sys.executable, "-m", "hubmix", *arguments],
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            # What is typed and read here is UTF-8, whatever the locale of whoever runs the tests.
            env={**os.environ, "PYTHONIOENCODING": "utf-8", **variables},
        )
        return Done(done.returncode, done.stdout, done.stderr)

    return call
