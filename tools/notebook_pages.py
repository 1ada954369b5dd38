"""Make a page of the documentation from each notebook: an MkDocs hook.

A page shows the cells with the outputs that the notebook stores. Nothing is executed.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
FOLDER = "notebooks"  # of the site

_COLOUR = re.compile(r"\x1b\[[\d;]*m")
_LINK = re.compile(r"\]\((?P<page>[\w-]+)\.ipynb(?P<place>#[\w-]*)?\)")
_SOURCE = "<!-- Made by tools/notebook_pages.py from notebooks/{name}.ipynb: change it there. -->\n"


def on_files(files: Any, config: Any) -> Any:
    """Add a page for each notebook, and its pictures, to the files of the site."""
    from mkdocs.structure.files import File

    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        for name, content in page_of(path).items():
            files.append(File.generated(config, f"{FOLDER}/{name}", content=content))
    return files


def page_of(path: Path) -> dict[str, str | bytes]:
    """Return the files of a notebook's page by name: the Markdown, then its pictures."""
    cells = json.loads(path.read_text("utf-8"))["cells"]
    pictures: dict[str, str | bytes] = {}
    parts = [_SOURCE.format(name=path.stem)]
    for cell in cells:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(_LINK.sub(r"](\g<page>.md\g<place>)", source))
        else:
            parts.append(fenced(source, "python"))
            parts += [part for output in cell["outputs"] for part in shown(output, path.stem, pictures)]
    return {f"{path.stem}.md": "\n\n".join(parts) + "\n", **pictures}


def shown(output: Mapping[str, Any], stem: str, pictures: dict[str, str | bytes]) -> Iterator[str]:
    """Yield an output as Markdown; a picture is added to `pictures`."""
    data = output.get("data") or {"text/plain": output.get("text", "")}
    if "text/html" in data:
        yield f'<div class="notebook-output">{"".join(data["text/html"])}</div>'
    elif "image/png" in data:
        name = f"{stem}-{len(pictures) + 1}.png"
        pictures[name] = base64.b64decode("".join(data["image/png"]))
        yield f"![The chart that the cell draws]({name})"
    elif text := _COLOUR.sub("", "".join(data["text/plain"])).rstrip():
        yield fenced(text, "{ .text .notebook-text }")


def fenced(text: str, language: str) -> str:
    """Return text in a fence that is longer than any fence inside of it."""
    longest = max((len(run) for run in re.findall(r"^`{3,}", text, re.MULTILINE)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"
