"""Pydantic objects made without validation, for what a stream makes hundreds of."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from pydantic import BaseModel

Model = TypeVar("Model", bound=BaseModel)

_set = object.__setattr__  # pydantic's own takes a field or a private attribute alone


class Prototype(Generic[Model]):
    """Makes objects like one that pydantic has validated.

    Validation is most of what a streamed chunk costs, and `model_construct` and copies are half of that.

    Args:
        example: what is not named later is shared with it: its lists and dicts must be named each time.

    Example:
        ```python
        from pydantic import BaseModel

        from hubmix.plugin.prototype import Prototype

        class Word(BaseModel):
            text: str
            language: str = "en"

        assert Prototype(Word(text="")).new(text="Hello") == Word(text="Hello")
        ```
    """

    __slots__ = ("_extra", "_given", "_kind", "_private", "_values")

    def __init__(self, example: Model) -> None:
        self._kind = type(example)
        self._values = dict(example.__dict__)
        self._given = example.__pydantic_fields_set__
        self._extra = example.__pydantic_extra__
        self._private = example.__pydantic_private__

    def new(self, **values: Any) -> Model:
        """Return an object with these values, which must be valid as they are."""
        made = object.__new__(self._kind)
        _set(made, "__dict__", {**self._values, **values})
        _set(made, "__pydantic_fields_set__", self._given.copy())
        _set(made, "__pydantic_extra__", self._extra if self._extra is None else dict(self._extra))
        _set(made, "__pydantic_private__", self._private if self._private is None else dict(self._private))
        return made
