"""Resume files of `hub.map`: two writers at once, and odd lines (case 506)."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hubmix import ConfigurationError, Hub
from hubmix.batch.resume import Journal
from tests.support.answers import completion
from tests.support.forked import exit_code_of_child
from tests.support.scripted_hub import ScriptedHub


@pytest.fixture
def server(serve: Callable[..., ScriptedHub]) -> ScriptedHub:
    return serve(completion("hello"))


def run(server: ScriptedHub, file: Path, rows: int = 1) -> list[bool]:
    """Return which rows came out of the file."""
    hub = Hub(base_url=server.base_url, api_key="sk-test", catalog_refresh=False)
    return [row.resumed for row in hub.map([f"q{at}" for at in range(rows)], model="m", resume=file)]


def test_second_writer_is_refused_before_anything_is_sent(server: ScriptedHub, tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    with Journal(file), pytest.raises(ConfigurationError, match="in use by another map"):
        run(server, file)
    assert server.requests == []
    assert run(server, file) == [False]
    assert run(server, file) == [True]


def test_second_process_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"

    def second() -> None:
        with pytest.raises(ConfigurationError, match="in use by another map"):
            Journal(file)

    with Journal(file):
        assert exit_code_of_child(second) == 0
    assert exit_code_of_child(lambda: Journal(file).close()) == 0


def test_forked_child_does_not_keep_the_lock(tmp_path: Path) -> None:
    """A child that lives on shares the open file; the lock ends with the map."""
    file = tmp_path / "rows.jsonl"
    journal = Journal(file)
    kept = os.dup(journal._file.fileno())
    journal.close()
    Journal(file).close()
    os.close(kept)


CHANGES: dict[str, Callable[[dict[str, Any]], None]] = {
    "no answer": lambda line: line.pop("answer"),
    "answer null": lambda line: line.update(answer=None),
    "answer a list": lambda line: line.update(answer=[1]),
    "trace strange": lambda line: line.update(trace={"attempts": [{"zzz": 1}]}),
    "trace a text": lambda line: line.update(trace="x"),
    "seconds a word": lambda line: line.update(seconds="abc"),
    "cost strange": lambda line: line.update(cost={"exact": "much"}),
    "an error without class": lambda line: line.update(ok=False, error=[]),
}


@pytest.mark.parametrize("name", CHANGES)
def test_odd_line_is_named_and_asked_again(
    name: str, server: ScriptedHub, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "rows.jsonl"
    run(server, file, rows=2)
    first, second = file.read_text("utf-8").splitlines()
    line = json.loads(second)
    CHANGES[name](line)
    file.write_text(f"{first}\n{json.dumps(line)}\n", "utf-8")
    with caplog.at_level(logging.WARNING, logger="hubmix"):
        resumed = run(server, file, rows=2)
    assert resumed in ([True, False], [False, True])
    assert len(server.requests) == 3
    if name != "an error without class":  # a failed row is asked again anyway
        assert "Line 2 of" in caplog.text
    assert run(server, file, rows=2) == [True, True]


@pytest.mark.parametrize("change", [{"index": [1]}, {"index": True}, {"request": 5}, {"ok": "yes"}, {"index": None}])
def test_line_of_another_kind_is_refused(change: dict[str, Any], server: ScriptedHub, tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    run(server, file)
    file.write_text(json.dumps({**json.loads(file.read_text("utf-8")), **change}) + "\n", "utf-8")
    kept = file.read_bytes()
    with pytest.raises(ConfigurationError, match="line 1 is none of its lines"):
        run(server, file)
    assert file.read_bytes() == kept
