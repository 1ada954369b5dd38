"""Check what a machine can check of the rules for English; print one line per finding.

python tools/check_english.py                 # everything
python tools/check_english.py hubmix/wire     # some folders or files
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("hubmix", "langchain_hubmix", "llamaindex_hubmix", "tests", "tools", "benchmarks", "docs")
PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "noxfile.py")
FIRST_LINE = 80  # characters
TEST_NAME = 60

ROLE = re.compile(r":(?:class|meth|func|mod|attr|exc|data|obj):`")
PHRASES = re.compile(
    r"\b(where there (?:is|are) (?:none|no)|in vain|but for|for ever|beside|of the user's own|(?:is|are) told of"
    r"|whoever|whosoever|in want of|for want of|be it)\b",
    re.IGNORECASE,
)
EXCLUDED = {"tools/check_english.py"}  # it has to name the phrases


def main(arguments: list[str]) -> int:
    wrong = 0
    for name in sorted(set(files([ROOT / name for name in arguments]))):
        for line, text in findings(name):
            print(f"{name}:{line}: {text}")
            wrong += 1
    return 1 if wrong else 0


def files(named: list[Path]) -> Iterator[str]:
    """Return the files to check, relative to the checkout."""
    for path in named or [ROOT / name for name in (*FOLDERS, *PAGES)]:
        found = [path] if path.is_file() else [*path.rglob("*.py"), *path.rglob("*.md")]
        for file in found:
            name = file.relative_to(ROOT).as_posix()
            if name not in EXCLUDED:
                yield name


def findings(name: str) -> list[tuple[int, str]]:
    """Return (line, what is wrong) for each finding in one file."""
    text = (ROOT / name).read_text("utf-8")
    found = [(number, f"phrase {match[0]!r}") for number, line in numbered(text) for match in PHRASES.finditer(line)]
    if name.endswith(".py"):
        found += [(number, "Sphinx role") for number, line in numbered(text) if ROLE.search(line)]
        found += list(of_code(ast.parse(text), is_test=name.startswith("tests/")))
    return sorted(found)


def numbered(text: str) -> Iterator[tuple[int, str]]:
    return enumerate(text.splitlines(), 1)


def of_code(tree: ast.Module, *, is_test: bool) -> Iterator[tuple[int, str]]:
    """Return the findings in docstrings and names."""
    for node in ast.walk(tree):
        if not isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        line = getattr(node, "lineno", 1)
        first = (ast.get_docstring(node) or "").partition("\n")[0]
        if len(first) > FIRST_LINE:
            yield line, f"first line of the docstring has {len(first)} characters, at most {FIRST_LINE}"
        name = getattr(node, "name", "")
        if is_test and name.startswith("test") and len(name) > TEST_NAME:
            yield line, f"test name has {len(name)} characters, at most {TEST_NAME}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
