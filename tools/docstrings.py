"""Read the project's docstrings for the reference pages: a griffe extension.

The docstrings are written to be read in the code too: an example is headed "Example:", and a name may be marked as
Sphinx does. Griffe knows "Examples:" alone and takes the other for an admonition, in which `>>>` is a quotation.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

_ROLE = re.compile(r":(?:class|meth|func|mod|attr|exc):`~?(?:[\w.]+\.)?(\w+)`")
_EXAMPLE = re.compile(r"^(\s*)Example:\s*$", re.MULTILINE)


class Docstrings(griffe.Extension):
    """Bring docstrings into the form that griffe reads."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called for every module, class, function and attribute that was read."""
        if obj.docstring is not None:
            obj.docstring.value = readable(obj.docstring.value)


def readable(text: str) -> str:
    """Return a docstring with its examples under the heading that griffe knows."""
    text = _ROLE.sub(r"`\1`", text)
    return _EXAMPLE.sub(r"\1Examples:", text)
