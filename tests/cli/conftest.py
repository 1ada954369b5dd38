"""An embedded hub for the commands, and ways of running them."""

from __future__ import annotations

import io
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from hubmix.embedded import EmbeddedHub
from tests.support.processes import Child, run_command

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

    monkeypatch.setattr("hubmix.hub.charging._CATALOG_PATIENCE", 60.0)  # three seconds are too few on a busy machine

    def call(*arguments: str, stdin: str = "") -> Done:
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        capsys.readouterr()
        code = run(arguments)
        return Done(code, *capsys.readouterr())

    return call


@pytest.fixture
def process(server: EmbeddedHub) -> Command:
    """Run the command in a process of its own, as a shell does."""

    def call(*arguments: str, stdin: str | bytes | None = None, **variables: str) -> Done:
        with tempfile.TemporaryFile() as given:
            given.write(stdin.encode() if isinstance(stdin, str) else stdin or b"")
            given.seek(0)
            child = Child(run_command, *arguments, stdin=given.fileno(), env={**os.environ, **variables})
            out, err = child.communicate()
        return Done(child.wait(), out.decode(), err.decode())

    return call
