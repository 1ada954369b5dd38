"""Type checkers flag typos and wrong types in constructors, and no plain key."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PREAMBLE = """\
from langchain_hubmix import ChatHubmix, HubmixEmbeddings
from langchain_hubmix import HubmixRerank as LangChainRerank
from llamaindex_hubmix import Hubmix, HubmixEmbedding, HubmixRerank
"""
CLASSES = ("ChatHubmix", "HubmixEmbeddings", "LangChainRerank", "Hubmix", "HubmixEmbedding", "HubmixRerank")
RIGHT = [
    *(f'{name}(model="m", api_key="sk-test", hub="aihubmix", timeout=3, extra_body={{"a": 1}})' for name in CLASSES),
    *(f'{name}("m")' for name in CLASSES),
    'ChatHubmix(model="m", temperature=0, stop="x", tags=["a"], logit_bias={5: 1}, fallbacks=["a"])',
    'Hubmix(model="m", temperature=0.5, stop=["x"], system_prompt="a", context_window=5, fallbacks="auto")',
]
WRONG = [
    *(f'{name}(model="m", temprature=0)' for name in CLASSES),
    *(f"{name}()" for name in CLASSES),
    *(f'{name}(model="m", timeout="soon")' for name in CLASSES),
    *(f'{name}(model="m", api_key=5)' for name in CLASSES),
    'ChatHubmix(model="m", temperature="hot")',
    'Hubmix(model="m", temperature="hot")',
    'HubmixEmbedding(model="m", dimensions="many")',
    'HubmixEmbeddings(model="m", dimensions="many")',
    'HubmixRerank(model="m", top_n="all")',
    'LangChainRerank(model="m", top_n="all")',
]
CHECKERS = {
    # The project's own settings, so that the cache of `make types` serves here too.
    "mypy": ["mypy", "--config-file", str(ROOT / "pyproject.toml"), "--no-error-summary", "--hide-error-context"],
    "pyright": ["pyright", "--pythonpath", sys.executable],
}


@pytest.mark.slow
@pytest.mark.parametrize("checker", CHECKERS)
def test_constructors_are_typed_parameter_by_parameter(checker: str, tmp_path: Path) -> None:
    if find_spec(checker) is None:
        pytest.skip(f"{checker} is not installed")
    used = tmp_path / "used.py"
    used.write_text(PREAMBLE + "\n".join([*RIGHT, *WRONG]) + "\n")
    command = [sys.executable, "-m", *CHECKERS[checker], str(used)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MYPYPATH": str(ROOT), "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"}
    ran = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False)
    if ran.returncode not in (0, 1):  # pyright's wrapper fetches the checker itself when it first runs
        pytest.skip(f"{checker} cannot run here: {(ran.stderr or ran.stdout)[-200:]}")
    flagged = {int(line) for line in re.findall(r"used\.py:(\d+)", ran.stdout)}
    first_wrong = PREAMBLE.count("\n") + len(RIGHT) + 1
    assert flagged == set(range(first_wrong, first_wrong + len(WRONG))), ran.stdout + ran.stderr
