"""LangChain's error classes beside ours, where langchain-core is loaded, and never imported from here."""

from __future__ import annotations

import sys
from typing import TypeVar, cast

E = TypeVar("E", bound=Exception)

_MIXED: dict[type, type] = {}


def with_langchain(cls: type[E], meaning: str) -> type[E]:
    """`cls` as it is, or where langchain-core is loaded, a subclass of it that is also core's error of that meaning.

    Args:
        cls: one of our exception classes.
        meaning: the name of core's class. Where this core does not have it (its list grows), `ModelError` stands in.
    """
    core = sys.modules.get("langchain_core.exceptions")
    base = getattr(core, "ModelError", None)
    if base is None or issubclass(cls, base):
        return cls
    mixed = _MIXED.get(cls)
    if mixed is None:
        # The name stays, for tracebacks and logs; `_plain` is what is pickled.
        namespace = {"__module__": cls.__module__, "__qualname__": cls.__qualname__, "__doc__": cls.__doc__}
        mixed = _MIXED[cls] = type(cls.__name__, (cls, getattr(core, meaning, base)), {**namespace, "_plain": cls})
    return cast("type[E]", mixed)


def without_langchain(cls: type[E]) -> type[E]:
    """The class that `with_langchain` was given."""
    return cast("type[E]", cls.__dict__.get("_plain", cls))
