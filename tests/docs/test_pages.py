"""Generated pages are current, and every page can be found."""

from __future__ import annotations

import ast
import importlib
import re
import runpy
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from hubmix import HubmixError, errors
from tests.support.snippets import ROOT

DOCS = ROOT / "docs"


@cache
def made_pages() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "tools" / "generate_docs.py"))["PAGES"]  # type: ignore[no-any-return]


def test_tables_hold_no_escape_that_the_site_would_show() -> None:
    """MkDocs shows the backslash of an escaped `|` inside code; GitHub needs it."""
    for page in DOCS.rglob("*.md"):
        assert not re.search(r"^\|.*`[^`]*\\\|", page.read_text("utf-8"), re.MULTILINE), page


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
    pages |= {f"notebooks/{path.stem}.md" for path in (ROOT / "notebooks").glob("*.ipynb")}  # made while building
    assert sorted(in_navigation(navigation)) == sorted(pages)


def test_every_page_begins_with_one_title() -> None:
    for page in DOCS.rglob("*.md"):
        outside = re.sub(r"^(`{3,})\w*\n.*?^\1$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
        assert len(re.findall(r"^# ", outside, re.MULTILINE)) == 1, page


def test_nothing_is_fetched_from_outside() -> None:
    """A page opens without a network: fonts, scripts and pictures are local."""
    config = yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))
    assert config["theme"]["font"] is False
    assert not [name for name in config["plugins"] if name in ("social", "privacy")]
    pages = "".join(page.read_text("utf-8") for page in DOCS.rglob("*.md"))
    assert re.findall(r"!\[[^\]]*\]\(https?:|<(?:img|script|link|iframe)\b[^>]*https?:", pages) == []


def test_the_table_of_exceptions_is_right() -> None:
    core = pytest.importorskip("langchain_core.exceptions")
    from langchain_hubmix import _errors

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
        assert issubclass(getattr(_errors, name), getattr(core, langchain)), name
        assert retryable.startswith("if ") or (retryable == "yes") is known[name].is_retryable, name
    assert set(re.findall(r"^::: hubmix\.errors\.(\w+)$", page, re.MULTILINE)) == known.keys()


REFERENCE = "".join(page.read_text("utf-8") for page in (DOCS / "reference").glob("*.md"))
ROWS = re.findall(
    r"^\| \[.*?\| `([\w.]+)` \| (.+) \|$", (DOCS / "reference" / "index.md").read_text("utf-8"), re.MULTILINE
)
PUBLIC_MODULES = [module for module, _ in ROWS]
# Modules that say what they export to the rest of the project, and promise it to nobody else.
INTERNAL_MODULES = {
    "hubmix.batch",
    "hubmix.failover",
    "hubmix.failover.classify",
    "hubmix.hub",
    "hubmix.embedded.faults",
    "hubmix.embedded.rules",
    "hubmix.embedded.rules.templates",
    "hubmix.wire.values",
}


def exported(path: Path) -> list[str]:
    """Return a module's `__all__` without importing it: some need absent extras."""
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["__all__"]:
            return list(ast.literal_eval(node.value))
    return []


@cache
def modules() -> dict[str, list[str]]:
    found = {}
    for package in ("hubmix", "langchain_hubmix", "llamaindex_hubmix"):
        for path in (ROOT / package).rglob("*.py"):
            if names := exported(path):
                found[".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")] = names
    return found


def test_module_with_exports_is_public_or_listed_internal() -> None:
    assert modules().keys() - INTERNAL_MODULES == set(PUBLIC_MODULES)


@pytest.mark.parametrize(("module", "said"), ROWS)
def test_names_in_the_table_of_pages_can_be_imported(module: str, said: str) -> None:
    assert set(re.findall(r"`(\w+)`", said)) <= set(modules()[module])


@pytest.mark.parametrize("module", sorted(set(PUBLIC_MODULES)))
def test_every_public_name_is_in_the_reference(module: str) -> None:
    """By its name, or by the value that an earlier name still gives."""
    shown = re.findall(r"^::: ([\w.]+)\.(\w+)$", REFERENCE, re.MULTILINE)
    if module == "hubmix.daft":  # an extra
        assert set(modules()[module]) <= {name for _, name in shown}
        return
    pages = [getattr(importlib.import_module(home), name) for home, name in shown if home != "hubmix.daft"]
    public = importlib.import_module(module)
    missing = [name for name in modules()[module] if not any(getattr(public, name) is value for value in pages)]
    assert not set(missing) - {"__version__"}
