"""Every snippet of README, docs and docstrings works on the embedded hub."""

from __future__ import annotations

import doctest
import importlib
import importlib.util
import re
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from tests.packaging.test_packaging import PROJECT
from tests.support import snippets
from tests.support.snippets import ROOT, SHELL, SHOWN, Namespace, Snippet

PAGES = [page for page in snippets.pages() if snippets.of_page(page)]
# Blocks that cannot run, over all pages, each with its reason. With more than a few the documentation is not tested.
MOST_SKIPPED = 6
SECONDS = 60


def of_kind(languages: set[str]) -> list[str]:
    return [page for page in PAGES if any(snippet.language in languages for snippet in snippets.of_page(page))]


@pytest.mark.parametrize("page", of_kind(snippets.PYTHON))
def test_the_python_of_a_page_runs(page: str, hub_for_page: None) -> None:
    found = [snippet for snippet in snippets.of_page(page) if snippet.language in snippets.PYTHON]
    for scope, group in groupby(found, key=lambda snippet: snippet.scope):
        with Namespace("snippets_of_" + re.sub(r"\W", "_", page + scope), understood(page)) as namespace:
            for snippet in group:
                if not snippet.skip:
                    run_python(namespace, snippet)


@pytest.mark.parametrize("page", of_kind(SHELL))
def test_the_commands_of_a_page_are_right(page: str, hub_for_page: None, monkeypatch: pytest.MonkeyPatch) -> None:
    for snippet in snippets.of_page(page):
        if snippet.language in SHELL and not snippet.skip:
            for command in commands(snippet):
                check_command(command, f"{snippet.where}: {shlex.join(command)}", monkeypatch)


def test_every_block_is_of_a_kind_that_is_run_or_only_shown() -> None:
    known = snippets.PYTHON | SHELL | SHOWN
    found = [snippet for page in PAGES for snippet in snippets.of_page(page)]
    assert [f"{one.where}: {one.language}" for one in found if one.language not in known] == []
    skipped = [snippet for snippet in found if snippet.skip]
    assert [one.where for one in skipped if one.skip == "no reason given"] == []
    assert len(skipped) <= MOST_SKIPPED, [one.where for one in skipped]


@pytest.mark.parametrize("page", [page for page in snippets.pages() if snippets.has_prompts(page)])
def test_the_doctests_of_a_module_hold(page: str, hub_for_page: None) -> None:
    module = importlib.import_module(page.removesuffix(".py").replace("/", ".").removesuffix(".__init__"))
    options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    done = doctest.testmod(module, extraglobs=understood(page), optionflags=options)
    assert done.attempted > 0
    assert done.failed == 0


def understood(page: str) -> dict[str, Any]:
    """Return what a docstring's example may take as given: `hub`, and its `llm`."""
    if not page.endswith(".py"):
        return {}
    from hubmix import Hub

    names: dict[str, Any] = {"hub": Hub()}
    if page.startswith("langchain_hubmix/"):
        from langchain_hubmix import ChatHubmix

        names["llm"] = ChatHubmix(model="embedded/extract")
    elif page.startswith("llamaindex_hubmix/"):
        from llamaindex_hubmix import Hubmix

        names["llm"] = Hubmix(model="embedded/extract")
    return names


# ---- the surroundings of a page


@pytest.fixture
def hub_for_page(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An embedded hub with the models the page names, and an empty folder."""
    from hubmix.embedded import EmbeddedHub

    served = {name: rule_of(name) for name in snippets.models_named(snippets.of_page(page))}
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / ".cache"))
    # Libraries of others that report their use when they are imported.
    for name in ("DO_NOT_TRACK", "SCARF_NO_ANALYTICS"):
        monkeypatch.setenv(name, "true")
    monkeypatch.setenv("DAFT_ANALYTICS_ENABLED", "0")
    monkeypatch.setattr("hubmix.hub.hub.observe", None)  # a page may switch telemetry on, for the whole process
    with EmbeddedHub(models=served) as hub, llamaindex_settings_kept(), time_limit(SECONDS, page):
        monkeypatch.setenv("HUBMIX_BASE_URL", hub.base_url)
        monkeypatch.setenv("HUBMIX_API_KEY", hub.api_key)
        yield


def rule_of(model: str) -> str:
    """The built-in model that answers under this name."""
    for pattern, rule in (("rerank", "embedded/rerank"), ("embed|bge", "embedded/embed"), ("reason", "embedded/think")):
        if re.search(pattern, model):
            return rule
    return "embedded/extract"


@contextmanager
def llamaindex_settings_kept() -> Iterator[None]:
    """Restore LlamaIndex's `Settings`, which belong to the process."""
    from llama_index.core import Settings

    before = dict(vars(Settings))
    try:
        yield
    finally:
        vars(Settings).clear()
        vars(Settings).update(before)


@contextmanager
def time_limit(seconds: int, what: str) -> Iterator[None]:
    def stop(*_: object) -> None:
        raise TimeoutError(f"the snippets of {what} took more than {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def run_python(namespace: Namespace, snippet: Snippet) -> None:
    if not snippet.raises:
        namespace.run(snippet)
        return
    with pytest.raises(BaseException) as caught:  # noqa: PT011 - which one is checked by name, below
        namespace.run(snippet)
    assert snippet.raises in {kind.__name__ for kind in type(caught.value).__mro__}, repr(caught.value)


# ---- shell

# Looked at, not run: what they do is not ours.
NOT_OURS = {"git", "cd", "curl", "docker", "source", "pytest", "uvx", "export"}


def commands(snippet: Snippet) -> Iterator[list[str]]:
    """Return the commands of a block, without prompts, joined, split at pipes."""
    lines = snippet.code.replace("\\\n", " ").splitlines()
    if snippet.language == "console":
        lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    for line in lines:
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        command: list[str] = []
        for word in lexer:
            if set(word) <= set("|&;"):
                yield from filter(None, [command])
                command = []
            else:
                command.append(word)
        yield from filter(None, [command])


def check_command(command: list[str], where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    while command and re.fullmatch(r"\w+=.*", command[0]):
        check_variable(command.pop(0).partition("=")[0], where)
    words = without_redirections(command)
    if not words:
        return
    text = " ".join(words)
    if words[0] == "make":
        targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
        assert {word for word in words[1:] if "=" not in word and not word.startswith("-")} <= targets, where
    elif re.match(r"(uv )?pip3? install |uv add |python3? -m pip install ", text):
        check_requirements(words, where)
    elif words[0] == "hubmix":
        run_hubmix(words[1:], where, monkeypatch)
    elif re.match(r"(\S*/)?python3? -m ", text):
        assert importlib.util.find_spec(words[2]) is not None, where
    elif words[0] == "export":
        for word in words[1:]:
            check_variable(word.partition("=")[0], where)
    else:
        assert words[0] in NOT_OURS, f"{where}: a command that this test does not know"


def without_redirections(words: list[str]) -> list[str]:
    kept: list[str] = []
    skip_next = False
    for word in words:
        if set(word) <= set("<>"):
            skip_next = True
        elif skip_next:
            skip_next = False
        else:
            kept.append(word)
    return kept


def check_requirements(words: list[str], where: str) -> None:
    for word in words:
        if own := re.fullmatch(r"(?:hubmix|\.)\[([\w,-]+)\](?:[=<>~!].*)?", word):
            assert set(own[1].split(",")) <= set(PROJECT["optional-dependencies"]), where


def check_variable(name: str, where: str) -> None:
    """An environment variable of ours is one that the code reads."""
    if name.startswith(("HUBMIX_", "AIHUB")):
        sources = [path for package in snippets.PACKAGES for path in (ROOT / package).rglob("*.py")]
        assert any(name in path.read_text("utf-8") for path in sources), f"{where}: nothing reads {name}"


# These wait for someone: only their names and options are looked up.
WAITING = {"serve-embedded", "chat"}
SAMPLES = {".txt": b"The kettle holds 1.7 litres.\nThe toaster is red.\n", ".md": b"# Kettle\n\nIt holds 1.7 litres.\n"}


def run_hubmix(arguments: list[str], where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from hubmix.cli import main

    positional = [word for word in arguments if not word.startswith("-")]
    if positional[:1] == ["serve-embedded"] or (positional[:1] == ["chat"] and len(positional) == 1):
        arguments = [*arguments, "--help"]
    for word in positional:
        if Path(word).suffix in SAMPLES and not Path(word).exists():
            Path(word).write_bytes(SAMPLES[Path(word).suffix])
    monkeypatch.setattr(sys, "argv", ["hubmix", *arguments])
    try:
        code = main()
    except SystemExit as stopped:
        code = stopped.code
    assert not code, f"{where}: exit code {code}"


# ---- the harness itself

PAGE = """\
Text.

```python
x = 1
```

- in a list

    ```python
    import asyncio
    await asyncio.sleep(0)
    y = x + 1
    ```

<!-- snippet: skip: needs a key -->

```python
raise SystemExit
```

<!-- snippet: raises: ZeroDivisionError -->
```python
1 / 0
```

```console
$ make test ARGS="-x" && cd docs
collected 3 items
$ pip install "hubmix[langchain,cli]>=0.1" | cat
```
"""


def test_blocks_are_found_where_they_stand() -> None:
    found = list(snippets.of_markdown(PAGE, "page.md"))
    assert [(one.line, one.language, one.skip, one.raises) for one in found] == [
        (4, "python", "", ""),
        (10, "python", "", ""),
        (18, "python", "needs a key", ""),
        (23, "python", "", "ZeroDivisionError"),
        (27, "console", "", ""),
    ]
    assert [PAGE.splitlines()[one.line - 1].strip() for one in found] == [one.code.split("\n")[0] for one in found]


def test_blocks_share_a_namespace_and_may_await() -> None:
    first, second, _, failing, _ = snippets.of_markdown(PAGE, "page.md")
    with Namespace("a_page") as namespace:
        run_python(namespace, first)
        run_python(namespace, second)
        assert vars(namespace.module)["y"] == 2
        run_python(namespace, failing)
        with pytest.raises(ZeroDivisionError) as caught:
            namespace.run(failing)
        assert caught.traceback[-1].lineno + 1 == failing.line
    assert "a_page" not in sys.modules


def test_commands_are_taken_apart() -> None:
    *_, console = snippets.of_markdown(PAGE, "page.md")
    assert list(commands(console)) == [
        ["make", "test", "ARGS=-x"],
        ["cd", "docs"],
        ["pip", "install", "hubmix[langchain,cli]>=0.1"],
        ["cat"],
    ]


@pytest.mark.parametrize(
    "command",
    [
        "make nonsense",
        "pip install 'hubmix[nonsense]'",
        "export HUBMIX_NONSENSE=1",
        "rm -rf docs",
        "python -m nonsense",
    ],
)
def test_a_wrong_command_fails(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AssertionError):
        check_command(shlex.split(command), command, monkeypatch)


def test_the_models_of_a_page_are_known() -> None:
    code = 'ChatHubmix("gpt-4o", fallbacks=["deepseek-chat", "no-such-model"])\nhub.models.get("qwen3")\nd.get("k")\n'
    blocks = [Snippet("a.md", 1, "python", code), Snippet("a.md", 9, "bash", "hubmix chat -m o3 --fallback a/b hi\n")]
    assert snippets.models_named(blocks) == {"gpt-4o", "deepseek-chat", "qwen3", "o3", "a/b"}
