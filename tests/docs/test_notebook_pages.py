"""Each notebook has a page in the documentation, with its outputs."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path
from typing import Any

import pytest

from tests.support.snippets import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
HOOK = runpy.run_path(str(ROOT / "tools" / "notebook_pages.py"))


def page_of(path: Path) -> dict[str, Any]:
    return HOOK["page_of"](path)  # type: ignore[no-any-return]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_page_shows_every_cell_and_output(path: Path) -> None:
    files = page_of(path)
    page = files.pop(f"{path.stem}.md")
    cells = json.loads(path.read_text("utf-8"))["cells"]
    outputs = [output.get("data", {}) for cell in cells for output in cell.get("outputs", ())]
    tables = [data for data in outputs if "text/html" in data]
    pictures = [data for data in outputs if "image/png" in data and "text/html" not in data]
    assert page.count('<div class="notebook-output">') == len(tables)
    assert sorted(re.findall(r"!\[[^]]+\]\(([^)]+)\)", page)) == sorted(files)
    assert len(files) == len(pictures)
    assert all(picture.startswith(b"\x89PNG") for picture in files.values())
    assert all("".join(cell["source"]) in page for cell in cells if cell["cell_type"] == "code")
    assert ".ipynb)" not in page


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_gallery_names_the_notebook(path: Path) -> None:
    assert f"({path.stem}.md)" in (ROOT / "docs" / "notebooks" / "index.md").read_text("utf-8")


def test_text_with_a_fence_is_put_into_a_longer_one() -> None:
    assert HOOK["fenced"]("```\nx\n```", "text") == "````text\n```\nx\n```\n````"
