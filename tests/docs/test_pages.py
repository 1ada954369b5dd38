"""The documentation as a whole: what is made from the code is current, and every page can be found."""

from __future__ import annotations

import re
import runpy
from typing import Any

import pytest
import yaml

from hubmix import HubmixError, errors
from tests.snippets import ROOT

DOCS = ROOT / "docs"


def made_pages() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "tools" / "generate_docs.py"))["PAGES"]  # type: ignore[no-any-return]


@pytest.mark.parametrize("page", made_pages())
def test_a_page_made_from_the_code_is_current(page: str) -> None:
    assert (ROOT / page).read_text("utf-8") == made_pages()[page](), "run python tools/generate_docs.py"


def in_navigation(node: Any) -> list[str]:
    if isinstance(node, str):
        return [node]
    children = node.values() if isinstance(node, dict) else node
    return [page for child in children for page in in_navigation(child)]


def test_every_page_is_in_the_navigation() -> None:
    navigation = yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))["nav"]
    pages = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    assert sorted(in_navigation(navigation)) == sorted(pages)


def test_every_page_begins_with_one_title() -> None:
    for page in DOCS.rglob("*.md"):
        outside = re.sub(r"^(`{3,})\w*\n.*?^\1$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
        assert len(re.findall(r"^# ", outside, re.MULTILINE)) == 1, page


def test_nothing_is_fetched_from_outside() -> None:
    """A page of the documentation opens without a network: fonts, scripts and pictures are its own."""
    config = yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))
    assert config["theme"]["font"] is False
    assert not [name for name in config["plugins"] if name in ("social", "privacy")]
    pages = "".join(page.read_text("utf-8") for page in DOCS.rglob("*.md"))
    assert re.findall(r"!\[[^\]]*\]\(https?:|<(?:img|script|link|iframe)\b[^>]*https?:", pages) == []


def test_the_table_of_exceptions_is_right() -> None:
    page = (DOCS / "reference" / "errors.md").read_text("utf-8")
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| `(\w+)` \| (yes|no|if .+) \|$", page, re.MULTILINE)
    listed = {
        name: (langchain, retryable) for names, langchain, retryable in rows for name in re.findall(r"\w+", names)
    }
    known = {
        name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, HubmixError)
    }
    assert listed.keys() == known.keys() - {"HubmixError"}
    for name, (langchain, retryable) in listed.items():
        assert known[name]._langchain == langchain, name
        assert retryable.startswith("if ") or (retryable == "yes") is known[name].is_retryable, name
    assert set(re.findall(r"^::: hubmix\.errors\.(\w+)$", page, re.MULTILINE)) == known.keys()
