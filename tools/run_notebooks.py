"""Execute the notebooks, each from top to bottom in a fresh kernel, and fail with the cell that failed.

    python tools/run_notebooks.py                        # all, against the embedded hub
    python tools/run_notebooks.py --write quickstart     # those whose name contains the word; keep the outputs
    python tools/run_notebooks.py --hub                  # against the hub that the environment names, with its key

Outputs are not compared: times and ports differ. `--write` leaves out what differs from run to run and shows nothing.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"
SECONDS_A_CELL = 120
SETTINGS = ("HUBMIX_", "AIHUBMIX_", "AIHUBAPI_", "OPENAI_", "LANGSMITH_", "LANGCHAIN_")


def main() -> int:
    parser = argparse.ArgumentParser(description="Execute the notebooks against the embedded hub.")
    parser.add_argument("names", nargs="*", help="only notebooks whose file name contains one of these words")
    parser.add_argument("--write", action="store_true", help="store the outputs in the notebooks")
    parser.add_argument("--hub", action="store_true", help="use the hub and the key of the environment")
    arguments = parser.parse_args()
    chosen = [path for path in sorted(NOTEBOOKS.glob("*.ipynb")) if matches(path, arguments.names)]
    if not chosen:
        print(f"no notebook in {NOTEBOOKS.relative_to(ROOT)}/ matches {' '.join(arguments.names) or '*.ipynb'}")
        return 1
    failed = 0
    for path in chosen:
        begun = time.monotonic()
        # Without a key, each starts an embedded hub of its own, as it does for a newcomer.
        with nullcontext() if arguments.hub else no_hub():
            error = execute(path, arguments.write)
        failed += error is not None
        seconds = time.monotonic() - begun
        print(f"{'failed' if error else 'passed'}  {path.relative_to(ROOT)}  {seconds:.1f} s", flush=True)
        if error:
            print(error, flush=True)
    print(f"notebooks: {len(chosen) - failed} passed, {failed} failed", flush=True)
    return 1 if failed else 0


def matches(path: Path, names: list[str]) -> bool:
    return not names or any(name in path.name for name in names)


def execute(path: Path, write: bool) -> str | None:
    """Run one notebook; the text of its failure, or None."""
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        # Not where the notebook lies: what it writes must not end up in the checkout.
        resources = {"metadata": {"path": folder}}
        client = NotebookClient(
            notebook,
            timeout=SECONDS_A_CELL,
            kernel_name="python3",
            resources=resources,
            # Without the warning that loopback is not encrypted.
            extra_arguments=["--log-level=ERROR"],
        )
        try:
            client.execute()
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            return str(error)
    if write:
        tidy(notebook)
        nbformat.write(notebook, path)
    return None


def tidy(notebook: Any) -> None:
    """Keep a diff of outputs readable: no times, no ids of this run, no version of the interpreter."""
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"
        if cell.cell_type == "code":
            cell.metadata.pop("execution", None)


@contextmanager
def no_hub() -> Iterator[None]:
    """An environment without a hub, a key or a model list on disk, for as long as this lasts; kernels inherit it."""
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
