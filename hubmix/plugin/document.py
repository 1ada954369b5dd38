"""The parameters of a class, for `help()` and for the reference page."""

from __future__ import annotations

import inspect
import textwrap
import types
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr

from hubmix.plugin.fields import ChatCallFields, HubFields, ModelField
from hubmix.wire.parameters import ChatParameters, EmbeddingParameters, RerankParameters

C = TypeVar("C", bound=type[BaseModel])
_DESTINATIONS: tuple[tuple[str, type[BaseModel]], ...] = (
    ("body", ModelField),
    ("body", ChatParameters),
    ("body", EmbeddingParameters),
    ("body", RerankParameters),
    ("options", ChatCallFields),
    ("hub", HubFields),
)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a constructor.

    Args:
        name: its name in the call.
        type: its type as it is written in code.
        default: its default as it is written in code; empty if it must be given.
        description: what it is.
        destination: where it goes: `hub`, `options` (of a call), `body` (of a request) or `object`.
    """

    name: str
    type: str
    default: str
    description: str
    destination: str


def parameters_of(cls: type[BaseModel]) -> list[Parameter]:
    """Return the parameters of one of this project's classes, the model first."""
    found = []
    for name, field in cls.model_fields.items():
        if field.description is None or not _is_ours(cls, name):
            continue
        default = "" if field.is_required() else repr(field.get_default(call_default_factory=True))
        shown = field.alias or name
        found.append(Parameter(shown, type_text(field.annotation), default, field.description, _destination(shown)))
    return sorted(found, key=lambda parameter: bool(parameter.default))


def _is_ours(cls: type, name: str) -> bool:
    """Whether a class of this project declares the field, and not the framework."""
    for base in cls.__mro__:
        if name in inspect.get_annotations(base):
            return base.__module__.partition(".")[0] in ("hubmix", "langchain_hubmix", "llamaindex_hubmix")
    return False


def _destination(name: str) -> str:
    return next((goal for goal, declaring in _DESTINATIONS if name in declaring.model_fields), "object")


def type_text(annotation: Any) -> str:
    """Return a type as a user writes it."""
    if annotation is SecretStr:
        return "str"
    if annotation is type(None):
        return "None"
    origin, args = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        return " | ".join(dict.fromkeys(map(type_text, args)))
    if origin is Literal:
        return " | ".join(map(repr, args))
    name = str(getattr(annotation, "__name__", annotation))
    return f"{name}[{', '.join(map(type_text, args))}]" if args else name


PLACE = "The parameters are listed by `help()` and on the reference page."


def documented(cls: C) -> C:
    """Write the parameters into a class's docstring, in place of `PLACE`."""
    lines = ["Args:"]
    for parameter in parameters_of(cls):
        default = f" Default: {parameter.default}." if parameter.default not in ("", "None") else ""
        line = f"{parameter.name} ({parameter.type}): {parameter.description}{default}"
        lines += textwrap.wrap(line, 110, initial_indent="    ", subsequent_indent="        ")
    cls.__doc__ = inspect.cleandoc(cls.__doc__ or "").replace(PLACE, "\n".join(lines))
    return cls
