"""CONTRIBUTING.md names a file and a table for each common change, and they exist."""

from __future__ import annotations

import ast
import re

import pytest

from tests.support.snippets import ROOT

CHANGES = {"a hub", "an error", "a field of an answer", "a sampling parameter", "an endpoint", "an amendment"}
ROWS = dict(re.findall(r"^\| (an? [a-z ]+) \| (.*) \|$", (ROOT / "CONTRIBUTING.md").read_text("utf-8"), re.MULTILINE))
PLACE = re.compile(r"of `(\w+)` in `([\w/.]+)`")


def names_in(file: str) -> set[str]:
    """Return the names that a module defines at its top."""
    found = set()
    for node in ast.parse((ROOT / file).read_text("utf-8")).body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            found.add(node.name)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {target.id for target in targets if isinstance(target, ast.Name)}
    return found


def test_every_common_change_has_a_row() -> None:
    assert ROWS.keys() == CHANGES


@pytest.mark.parametrize("change", sorted(CHANGES))
def test_place_of_a_change_exists(change: str) -> None:
    places = PLACE.findall(ROWS[change])
    assert places
    for name, file in places:
        assert name in names_in(file), f"{file} has no {name}"


@pytest.mark.parametrize("change", sorted(CHANGES))
def test_every_path_of_a_row_exists(change: str) -> None:
    for path in re.findall(r"`([\w-]+/[\w/.]+)`", ROWS[change]):
        assert (ROOT / path).exists(), path
