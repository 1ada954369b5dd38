"""Light imports, a complete wheel, one version, and nothing of the machine."""

from __future__ import annotations

import email
import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("hubmix", "langchain_hubmix", "llamaindex_hubmix")
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PROJECT: dict[str, Any] = PYPROJECT["project"]


# ---- imports

LANGCHAIN = {"langchain", "langchain_core", "langchain_openai", "langsmith"}
LLAMAINDEX = {"llama_index", "llama_index_instrumentation"}
# Not rich: httpx imports it by itself where it is installed.
EXTRAS = {"typer", "starlette", "uvicorn", "pandas", "matplotlib", "pyrate_limiter", "redis", "daft", "vcr"}

IMPORT = """
import json, sys
events = []
reaching = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto")
sys.addaudithook(lambda event, args: events.append(f"{event} {args}") if event in reaching else None)
import NAME
modules = {module.partition(".")[0] for module in sys.modules}
print(json.dumps({"modules": sorted(modules), "events": events}))
"""


@pytest.mark.parametrize(
    ("package", "foreign"),
    [
        ("hubmix", LANGCHAIN | LLAMAINDEX | EXTRAS | {"tiktoken"}),
        ("langchain_hubmix", LLAMAINDEX | EXTRAS | {"langchain", "langchain_openai", "tiktoken"}),
        ("llamaindex_hubmix", LANGCHAIN | EXTRAS | {"tiktoken"}),
    ],
)
def test_an_import_opens_no_socket_and_leaves_the_rest_alone(package: str, foreign: set[str], tmp_path: Path) -> None:
    command = [sys.executable, "-c", IMPORT.replace("NAME", package)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert package in seen["modules"]
    assert seen["events"] == []
    assert foreign.intersection(seen["modules"]) == set()


# ---- the wheel

# LlamaIndex's own import paths (`llama_index.llms.hubmix`), a folder without an `__init__.py` of its own.
NAMESPACE = "llama_index"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel of the working tree, built without a network."""
    into = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(into)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    (path,) = into.glob("*.whl")
    return zipfile.ZipFile(path)


def test_the_wheel_holds_the_three_packages_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    names = wheel.namelist()
    folders = {name.partition("/")[0] for name in names}
    assert {folder for folder in folders if not folder.endswith(".dist-info")} == {*PACKAGES, NAMESPACE}
    typed = {name for name in names if name.endswith("py.typed") and not name.startswith(NAMESPACE)}
    assert typed == {f"{package}/py.typed" for package in PACKAGES}
    sources = {
        str(path.relative_to(ROOT)) for package in (*PACKAGES, NAMESPACE) for path in (ROOT / package).rglob("*.py")
    }
    assert sources <= set(names)
    assert not [name for name in names if "__pycache__" in name]


def test_the_wheel_says_what_it_is(wheel: zipfile.ZipFile) -> None:
    (metadata_file,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    metadata = email.message_from_bytes(wheel.read(metadata_file))
    assert metadata["Name"] == "hubmix"
    assert metadata["License-Expression"] == "MIT"
    assert metadata["Requires-Python"] == ">=3.10"
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert [name for name in wheel.namelist() if name.endswith("licenses/LICENSE")]
    (scripts,) = [name for name in wheel.namelist() if name.endswith("entry_points.txt")]
    assert "hubmix = hubmix.cli:main" in wheel.read(scripts).decode()


def test_there_is_one_version(wheel: zipfile.ZipFile) -> None:
    import hubmix

    newest = re.search(r"^## \[?(\d[^\] ]*)", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert newest is not None
    assert newest[1] == hubmix.__version__
    assert f"-{hubmix.__version__}-" in str(wheel.filename)


# ---- requirements


SHIPPED: dict[str, list[str]] = {"dependencies": PROJECT["dependencies"], **PROJECT["optional-dependencies"]}


def requirements() -> list[tuple[str, str]]:
    groups = {**SHIPPED, **PYPROJECT["dependency-groups"]}
    return [(group, text) for group, listed in groups.items() for text in listed if isinstance(text, str)]


@pytest.mark.parametrize(("group", "requirement"), requirements())
def test_requirement_has_a_lower_bound_and_extras_exist(group: str, requirement: str) -> None:
    """A requirement without a lower bound cannot be tested at its lowest."""
    own = re.fullmatch(r"hubmix\[([^\]]+)\]", requirement)
    if own:
        assert set(own[1].split(",")) <= set(PROJECT["optional-dependencies"])
    else:
        assert ">=" in requirement, f"{group}: {requirement}"


def test_no_peer_and_no_tokenizer_is_required() -> None:
    """The thin classes stand on the SDK alone; the peers are only measured against."""
    shipped = [text for listed in SHIPPED.values() for text in listed]
    assert not [text for text in shipped if re.match(r"tiktoken|langchain-openai|llama-index-llms|litellm", text)]


# ---- what is in the repository


def tracked_text() -> list[tuple[str, str]]:
    # As a command-line setting, so that a checkout that another user owns (a container) is read too.
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z"]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=30)
    except FileNotFoundError:
        return []
    found = []
    for name in filter(None, done.stdout.decode().split("\0")):
        path = ROOT / name
        if path.is_file() and b"\0" not in (content := path.read_bytes()):
            found.append((name, content.decode("utf-8", "replace")))
    return found


@pytest.mark.parametrize(
    ("what", "pattern"),
    [
        # "jane" is the example of a home directory.
        (
            "a path of one machine",
            r"(?<![\w.])/(?:tmp|work|root|farm|var/folders|home/(?!jane\b)\w+|Users/(?!jane\b)\w+)/",
        ),
        ("a host of a package registry", r"\bpypi\.(?:org|io)\b|\bpythonhosted\.|\bnpmjs\.|\bcrates\.io\b"),
        ("something like a key", r"\bsk-[A-Za-z0-9]{20,}"),
        ("who or what wrote it", r"(?i)co-authored[-]by:|\bgenerated (?:with|by) (?:an? )?(?:ai|llm)\b"),
        ("a conflict", r"(?m)^(?:<{7} |>{7} )"),
    ],
)
def test_nothing_tracked_holds(what: str, pattern: str) -> None:
    files = tracked_text()
    if not files:
        pytest.skip("not a git checkout")
    expression = re.compile(pattern)
    found = [f"{name}: {match[0]!r} is {what}" for name, text in files if (match := expression.search(text))]
    assert found == []


def test_every_make_target_that_is_named_exists() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, re.MULTILINE))
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert phony is not None
    assert set(phony[1].split()) == targets
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("cassettes/**/*.md"), ROOT / ".ci" / "run"]
    pages += ROOT.glob(".github/workflows/*.yml")
    named = {(page.name, name) for page in pages for name in re.findall(TARGET, page.read_text("utf-8"))}
    assert {name for _, name in named} >= {"test", "check"}
    assert not {(page, name) for page, name in named if name not in targets}


# `make x` where it is a command: in backquotes, at the start of a line, after a prompt, or as a step.
TARGET = re.compile(r"(?m)(?:`|^\s*(?:\$ |- run: |step )?)make ([a-z][a-z-]*)")
