"""Find the code that pages and docstrings show, and run it.

A page is a Markdown file or a module of ours. Its Python blocks run from top to bottom in one namespace (a docstring's
in one of their own), with `await` allowed at the top level as in a notebook. A block that cannot run says so on the
line before: `<!-- snippet: skip: reason -->`, or `<!-- snippet: raises: QuotaExceededError -->` for an error on show.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
import sys
import textwrap
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("hubmix", "langchain_hubmix", "llamaindex_hubmix")

# What a fence may call its content: what runs, and what is only shown. Any other word would be code that no test sees.
PYTHON = {"python"}
SHELL = {"bash", "console"}
SHOWN = {"", "text", "json", "yaml", "toml", "ini", "http", "mermaid", "diff", "make", "markdown"}


@dataclass(frozen=True, slots=True)
class Snippet:
    """One fenced block; blocks of one `scope` share a namespace."""

    page: str
    line: int
    language: str
    code: str
    scope: str = ""
    skip: str = ""
    raises: str = ""

    @property
    def where(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> list[str]:
    """Return every Markdown page for users and every module of the packages."""
    found = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/**/*.md"))]
    for package in PACKAGES:
        found += sorted((ROOT / package).rglob("*.py"))
    return [path.relative_to(ROOT).as_posix() for path in found if path.is_file()]


@cache
def of_page(page: str) -> Sequence[Snippet]:
    text = (ROOT / page).read_text("utf-8")
    if not page.endswith(".py"):
        return tuple(of_markdown(text, page))
    if "```" not in text and "~~~" not in text:
        return ()
    return tuple(each for first, scope, docs in docstrings(text) for each in of_markdown(docs, page, first, scope))


_MARKER = re.compile(r"<!--\s*snippet:\s*(skip|raises):\s*(.*?)\s*-->")
_FENCE = re.compile(r"^(?P<indent>\s*)(?P<fence>`{3,}|~{3,})\s*(?P<language>[\w+-]*)(?P<rest>.*)$")


def of_markdown(text: str, page: str, first_line: int = 1, scope: str = "") -> Iterator[Snippet]:
    """Yield the fenced blocks of a text that begins on `first_line` of its file."""
    lines = text.split("\n")
    at, said = 0, {"skip": "", "raises": ""}
    while at < len(lines):
        fence = _FENCE.match(lines[at])
        if fence is None:
            if marker := _MARKER.search(lines[at]):
                said[marker[1]] = marker[2] or "no reason given"
            elif lines[at].strip():
                said = {"skip": "", "raises": ""}
            at += 1
            continue
        end = at + 1
        while end < len(lines) and lines[end].strip() != fence["fence"]:
            end += 1
        code = textwrap.dedent("\n".join(lines[at + 1 : end])) + "\n"
        yield Snippet(page, first_line + at + 1, fence["language"].lower(), code, scope, **said)
        at, said = end + 1, {"skip": "", "raises": ""}


def docstrings(source: str) -> Iterator[tuple[int, str, str]]:
    """First line, owner's name and text of every docstring in a module."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, documented) and (docs := ast.get_docstring(node, clean=False)):
            name = getattr(node, "name", "module")
            yield node.body[0].lineno, f"{name}:{node.body[0].lineno}", inspect.cleandoc(docs)


def has_prompts(page: str) -> bool:
    """Whether a module has examples in the form of doctest."""
    if not page.endswith(".py"):
        return False
    source, prompt = (ROOT / page).read_text("utf-8"), re.compile(r"(?m)^\s*>>> ")
    return bool(prompt.search(source)) and any(prompt.search(docs) for _, _, docs in docstrings(source))


# ---- running Python


class Namespace:
    """Where the Python blocks of one scope run, in order, on one event loop."""

    def __init__(self, name: str, given: Mapping[str, object] | None = None) -> None:
        # A real module: pydantic and dataclasses look up annotations in sys.modules.
        self.module = types.ModuleType(name)
        vars(self.module).update(given or {})
        self.loop = asyncio.new_event_loop()

    def __enter__(self) -> Namespace:
        sys.modules[self.module.__name__] = self.module
        return self

    def __exit__(self, *_: object) -> None:
        del sys.modules[self.module.__name__]
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()

    def run(self, snippet: Snippet) -> None:
        """Execute one block; a traceback names the page and its line."""
        padded = "\n" * (snippet.line - 1) + snippet.code
        code = compile(padded, str(ROOT / snippet.page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        if code.co_flags & inspect.CO_COROUTINE:
            self.loop.run_until_complete(types.FunctionType(code, vars(self.module))())
        else:
            exec(code, vars(self.module))


# ---- the models that are named

_TAKES_MODELS = {"model", "model_name", "fallbacks", "models", "candidates"}
_CLASSES = {"ChatHubmix", "Hubmix", "HubmixEmbedding", "HubmixEmbeddings", "HubmixRerank"}


def models_named(snippets: Iterable[Snippet]) -> set[str]:
    """Return the model IDs that the blocks call, except those named "no-such-…"."""
    found: set[str] = set()
    for snippet in snippets:
        if snippet.language in PYTHON:
            found |= set(_models_in_python(snippet.code))
        elif snippet.language in SHELL:
            found |= set(_models_in_shell(snippet.code))
    return {name for name in found if name and not name.startswith(("no-such-", "embedded/"))}


def _models_in_python(code: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Dict):
            pairs = zip(node.keys, node.values, strict=True)
            yield from (_text(value) for key, value in pairs if key is not None and _text(key) == "model")
        if not isinstance(node, ast.Call):
            continue
        values = [keyword.value for keyword in node.keywords if keyword.arg in _TAKES_MODELS]
        called = getattr(node.func, "id", getattr(node.func, "attr", ""))
        # llm.bind(model=…), ChatHubmix("…"), hub.models.get("…")
        if called in _CLASSES or (called == "get" and "models" in ast.unparse(node.func)):
            values += node.args[:1]
        for value in values:
            yield from filter(None, map(_text, ast.walk(value)))


def _text(node: ast.AST) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _models_in_shell(code: str) -> Iterator[str]:
    for named in re.findall(r"(?:-m|--models?|-f|--fallbacks?)[ =]([\w./:,-]+)", code):
        yield from named.split(",")
