"""Execute each notebook in a fresh kernel, and name the cell that failed.

    python tools/run_notebooks.py                        # all, as someone without a key: on an embedded hub
    python tools/run_notebooks.py --write quickstart     # those whose name contains the word; keep the outputs
    python tools/run_notebooks.py --hub                  # on the hub that the environment names, with its key

What differs from run to run (times, ports, request ids) is no difference: `--write` leaves such an output as it was
stored, and a run without it tells which notebooks' outputs are out of date.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"
SECONDS_A_CELL = 120
SETTINGS = ("HUBMIX_", "AIHUBMIX_", "AIHUBAPI_", "OPENAI_", "LANGSMITH_", "LANGCHAIN_")

COLOUR = re.compile(r"\x1b\[[\d;]*m")

# What stands in an output and is of that run alone. Bars of a timeline are times too.
NOISE = (
    (re.compile(r"(127\.0\.0\.1|localhost):\d+"), r"\1:PORT"),
    (re.compile(r"\b20\d{12,}[0-9a-f]*\b"), "REQUEST-ID"),
    (re.compile(r"[\d.,]+(\s*)(ms|s|rows/s)\b"), r"TIME\1\2"),
    (re.compile("[\N{NO-BREAK SPACE}░█]+"), "BAR"),
    (re.compile(r"0x[0-9a-f]{6,}"), "ADDRESS"),
)


def main() -> int:
    parser = argparse.ArgumentParser(description="Execute the notebooks.")
    parser.add_argument("names", nargs="*", help="only notebooks whose file name contains one of these words")
    parser.add_argument("--write", action="store_true", help="store the outputs in the notebooks")
    parser.add_argument("--hub", action="store_true", help="use the hub and the key of the environment")
    arguments = parser.parse_args()
    if arguments.write and arguments.hub:
        parser.error("--write stores what everybody can make again: outputs of the embedded hub")
    chosen = [path for path in sorted(NOTEBOOKS.glob("*.ipynb")) if matches(path, arguments.names)]
    if not chosen:
        print(f"no notebook in {NOTEBOOKS.relative_to(ROOT)}/ matches {' '.join(arguments.names) or '*.ipynb'}")
        return 1
    failed = 0
    for path in chosen:
        begun = time.monotonic()
        # Without a key, each starts an embedded hub of its own, as it does for a newcomer.
        with nullcontext() if arguments.hub else no_hub():
            error, stale = execute(path, write=arguments.write)
        failed += error is not None
        remark = ", outputs out of date (--write renews them)" if stale and not arguments.write | arguments.hub else ""
        seconds = time.monotonic() - begun
        print(f"{'failed' if error else 'passed'}  {path.relative_to(ROOT)}  {seconds:.1f} s{remark}", flush=True)
        if error:
            print(error, flush=True)
    print(f"notebooks: {len(chosen) - failed} passed, {failed} failed", flush=True)
    return 1 if failed else 0


def matches(path: Path, names: list[str]) -> bool:
    return not names or any(name in path.name for name in names)


def execute(path: Path, *, write: bool) -> tuple[str | None, bool]:
    """Run one notebook; return its failure or None, and whether outputs differ."""
    stored = nbformat.read(path, as_version=4)
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        # Not where the notebook lies: what it writes must not end up in the checkout.
        resources = {"metadata": {"path": folder}}
        manager = AsyncKernelManager(kernel_name="python3")
        if sys.platform != "win32":
            # Sockets in the temporary folder, not ports that anything on this machine could connect to.
            manager.transport, manager.ip = "ipc", os.path.join(folder, "kernel")
        client = NotebookClient(
            notebook, km=manager, timeout=SECONDS_A_CELL, resources=resources, coalesce_streams=True
        )
        try:
            client.execute(cleanup_kc=True)
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            return str(error) if sys.stdout.isatty() else COLOUR.sub("", str(error)), True
    tidy(notebook)
    kept = [keep(cell, before) for cell, before in zip(notebook.cells, stored.cells, strict=True)]
    if write:
        nbformat.write(notebook, path)
    return None, not all(kept)


def tidy(notebook: Any) -> None:
    """Leave out what differs from run to run: times, versions, IDs of displays."""
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"
        cell.metadata = {}


def keep(cell: Any, before: Any) -> bool:
    """Replace new outputs by equal stored ones; return whether anything was kept."""
    if cell.cell_type != "code":
        return True
    if cell.source != before.source or quiet(cell.outputs) != quiet(before.outputs):
        return False
    cell.outputs = before.outputs
    for output in cell.outputs:
        if "execution_count" in output:
            output.execution_count = cell.execution_count
    return True


def quiet(value: Any) -> Any:
    """Return an output without what varies; pictures count as the same."""
    if isinstance(value, dict):
        unseen = {"image/png", "text/plain"} if "text/html" in value else {"image/png"}
        return {name: quiet(part) for name, part in value.items() if name not in unseen | {"execution_count"}}
    if isinstance(value, list):
        return [quiet(part) for part in value]
    if isinstance(value, str):
        for pattern, word in NOISE:
            value = pattern.sub(word, value)
    return value


@contextmanager
def no_hub() -> Iterator[None]:
    """Provide an environment without a hub, a key or a model list on disk."""
    before = dict(os.environ)
    for name in before:
        if name.startswith(SETTINGS):
            del os.environ[name]
    os.environ["HUBMIX_CACHE_DIR"] = ""
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


if __name__ == "__main__":
    sys.exit(main())
