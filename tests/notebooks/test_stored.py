"""Stored notebooks are executed, name no machine, and stay as they are."""

from __future__ import annotations

import copy
import importlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import pytest

if TYPE_CHECKING:
    from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
KERNEL = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
SECRET = re.compile(r"\bsk-\w|\bBearer\b|api_key=['\"]")
MACHINE = re.compile(r"/(?:home|root|Users|tmp|work|var|opt|usr)/|[A-Z]:\\\\|site-packages|\.venv")


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def path(request: pytest.FixtureRequest) -> Path:
    found: Path = request.param
    return found


@pytest.fixture
def notebook(path: Path) -> Any:
    return nbformat.read(path, as_version=4)


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    return importlib.import_module("run_notebooks")


def code(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_there_are_notebooks() -> None:
    assert len(NOTEBOOKS) == 6


def test_it_was_executed_from_top_to_bottom_without_an_error(notebook: Any) -> None:
    nbformat.validate(notebook)
    assert [cell.execution_count for cell in code(notebook)] == list(range(1, len(code(notebook)) + 1))
    outputs = [output for cell in code(notebook) for output in cell.outputs]
    assert len(outputs) >= 5
    assert {output.output_type for output in outputs} <= {"stream", "execute_result", "display_data"}
    assert not [output.text for output in outputs if output.get("name") == "stderr"]


def test_it_says_nothing_of_the_machine_and_no_key(path: Path) -> None:
    text = re.sub(r'"image/png": "[^"]*"', "", path.read_text("utf-8"))
    assert not SECRET.search(text)
    assert not MACHINE.search(text)


def test_its_metadata_are_those_of_any_python(notebook: Any) -> None:
    assert notebook.metadata == KERNEL
    assert [cell.id for cell in notebook.cells] == [f"cell-{number}" for number in range(len(notebook.cells))]
    assert all(not cell.metadata for cell in notebook.cells)


def test_it_begins_with_what_it_is_about_and_needs_no_key(notebook: Any) -> None:
    assert notebook.cells[0].source.startswith("# ")
    assert "hubmix.notebook import start" in "".join(cell.source for cell in code(notebook))


def test_its_links_lead_somewhere(path: Path, notebook: Any) -> None:
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert (path.parent / target).exists() or target.startswith("https://")


def test_its_pieces_fit_a_page(notebook: Any) -> None:
    assert max(len(line) for cell in code(notebook) for line in cell.source.splitlines()) <= 100
    assert len(notebook.cells) <= 40


# ---- what a run keeps


def cell(text: str, count: int = 1, source: str = "f()") -> Any:
    output = nbformat.v4.new_output("stream", text=text)
    return nbformat.v4.new_code_cell(source, outputs=[output], execution_count=count)


STORED = "http://127.0.0.1:4711/v1, request id 2026112109030615200000000a1b2, 1,234 ms, 60 s, 3.5 rows/s, ██░"


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (STORED, True),
        ("http://127.0.0.1:8000/v1, request id 2027010100000000000000000ffff, 9 ms, 59.5 s, 812.0 rows/s, █", True),
        (STORED.replace("1,234 ms", "1,234 models"), False),
        (STORED.replace("v1", "v2"), False),
        ("", False),
    ],
)
def test_an_output_that_says_the_same_stays_as_it_was(runner: ModuleType, text: str, kept: bool) -> None:
    new, stored = cell(text, count=2), cell(STORED)
    expected = copy.deepcopy(stored.outputs if kept else new.outputs)
    assert runner.keep(new, stored) is kept
    assert new.outputs == expected
    assert new.execution_count == 2


def test_an_output_of_other_code_is_new(runner: ModuleType) -> None:
    assert not runner.keep(cell("1", source="f(1)"), cell("1", source="f(2)"))


def test_what_has_a_page_is_compared_by_it(runner: ModuleType) -> None:
    def shown(**data: str) -> Any:
        output = nbformat.v4.new_output(
            "display_data", data={name.replace("_", "/"): text for name, text in data.items()}
        )
        return nbformat.v4.new_code_cell("show()", outputs=[output])

    assert runner.keep(
        shown(text_html="<p>1</p>", text_plain="X(ms=1.5)"), shown(text_html="<p>1</p>", text_plain="X()")
    )
    assert not runner.keep(shown(text_html="<p>1</p>"), shown(text_html="<p>2</p>"))
    assert not runner.keep(shown(text_plain="1"), shown(text_plain="2"))
    assert runner.keep(shown(image_png="AAAA"), shown(image_png="BBBB"))


def test_without_a_hub_there_is_no_key_left(runner: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUBMIX_API_KEY", "sk-test")
    with runner.no_hub():
        import os

        assert not [name for name in os.environ if name.endswith("_API_KEY") and name.startswith(runner.SETTINGS)]
    assert os.environ["HUBMIX_API_KEY"] == "sk-test"
