"""Read the classes and docstrings of the reference pages: a griffe extension.

Docstrings are written to be read in the code too: an example is headed "Example:". Griffe knows "Examples:" alone and
takes the other for an admonition, in which `>>>` is a quotation. The constructors of the frameworks' classes take what
their pydantic fields say, so their signatures are made from the fields.
"""

from __future__ import annotations

import importlib
import re
from typing import Any

import griffe

from hubmix.plugin.document import PLACE, parameters_of

_EXAMPLE = re.compile(r"^(\s*)Example:\s*$", re.MULTILINE)


class Docstrings(griffe.Extension):
    """Bring docstrings and signatures into the form that the reference shows."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called for every module, class, function and attribute that was read."""
        if obj.docstring is not None:
            obj.docstring.value = _EXAMPLE.sub(r"\1Examples:", obj.docstring.value)

    def on_class_members(self, *, cls: griffe.Class, **_: Any) -> None:
        """Called for every class after its members were read."""
        if cls.docstring is not None and PLACE in cls.docstring.value:
            cls.set_member("__init__", constructor(cls.path))
            package = cls.path.partition(".")[0]
            page = f"parameters.md#{package}{cls.name}".lower()
            linked = f"[Parameters]({page}) says what each of them is and where it goes."
            cls.docstring.value = cls.docstring.value.replace(PLACE, linked)


def constructor(path: str) -> griffe.Function:
    """Return the constructor of a class with its fields as typed parameters."""
    module, _, name = path.rpartition(".")
    made = [griffe.Parameter("self", kind=griffe.ParameterKind.positional_or_keyword)]
    made += [
        griffe.Parameter(
            one.name, annotation=one.type, kind=griffe.ParameterKind.keyword_only, default=one.default or None
        )
        for one in parameters_of(getattr(importlib.import_module(module), name))
    ]
    return griffe.Function("__init__", parameters=griffe.Parameters(*made))
