"""From a constructor's keyword arguments to the fields of an object."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, cast

from pydantic import BaseModel, SecretStr, ValidationError

from hubmix.errors import ConfigurationError
from hubmix.failover.policy import read_policy
from hubmix.plugin.fallbacks import loaded
from hubmix.plugin.hints import HINTS, convert, without_inert
from hubmix.wire.parameters import normalize_names, reject_unknown, require_model

if TYPE_CHECKING:
    from hubmix.hub.hub import Hub


class Constructed(Protocol):
    """An object with the fields of a hub."""

    needs_key: ClassVar[bool]

    @property
    def hub(self) -> Hub:
        """The hub that serves it."""


def construct(
    one: Constructed, validate: Callable[..., None], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> None:
    """Fill a new object.

    Args:
        one: the object.
        validate: pydantic's constructor, which sets the fields.
        args: positional arguments: the model, if anything.
        kwargs: keyword arguments as a user wrote them.

    Raises:
        ConfigurationError: a parameter is unknown, missing, contradictory or of the wrong type.
    """
    where = type(one).__name__
    values = read_settings(cast("type[BaseModel]", type(one)), args, kwargs)
    try:
        validate(**values)
    except ValidationError as error:
        raise ConfigurationError(f"{where}: {_sentence(error, values)}") from None
    # Outside pydantic's validation, so that a wrong URL, hub or key is the project's own error.
    hub = one.hub
    if one.needs_key:
        hub.require_key()


def read_settings(cls: type[BaseModel], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return a constructor's arguments under the names of the fields, checked."""
    where = cls.__name__
    if len(args) > 1:
        raise ConfigurationError(f"{where} takes the model as its only positional argument: {where}(model=…, …).")
    if args:
        if "model" in kwargs:
            raise ConfigurationError(f"{where} has two models: one by position and one as model=.")
        kwargs = {"model": args[0], **kwargs}
    known = _known_names(cls)
    values = convert(without_inert(normalize_names(kwargs, _own_names(cls)), known), known)
    if not values.keys() <= known:
        reject_unknown(values, known, where=where, hints=HINTS)
    require_model(values, where)
    if not isinstance(values["model"], str):
        raise ConfigurationError(f"{where}: model is the ID of a model, not {type(values['model']).__name__}.")
    if "failover" in values:  # before pydantic, which takes a dict with a typo in it
        values["failover"] = read_policy(values["failover"])
    if "fallbacks" in values:
        values["fallbacks"] = loaded(values["fallbacks"])  # its errors say what to write instead
    if isinstance(key := values.get("api_key"), str):
        values["api_key"] = SecretStr(key)  # before pydantic keeps its input for an error to show
    return values


@lru_cache(maxsize=64)
def _known_names(cls: type[BaseModel]) -> frozenset[str]:
    fields = cls.model_fields
    return frozenset(fields) | {field.alias or name for name, field in fields.items()}


@lru_cache(maxsize=64)
def _own_names(cls: type[BaseModel]) -> frozenset[str]:
    """Return the names that may stand in `model_kwargs`: not the framework's own."""
    ours = [base for base in cls.__mro__ if base.__module__ in _DECLARING and issubclass(base, BaseModel)]
    return frozenset(field.alias or name for base in ours for name, field in base.model_fields.items())


_DECLARING = frozenset({"hubmix.plugin.fields", "hubmix.wire.parameters"})


def _sentence(error: ValidationError, values: Mapping[str, Any]) -> str:
    """Say what is wrong with the first wrong value, which may be a secret."""
    problems = error.errors(include_url=False, include_input=False, include_context=False)
    place = problems[0]["loc"][:1]
    name = str(place[0]) if place else "a parameter"
    problems = [problem for problem in problems if problem["loc"][:1] == place]
    messages = [problem["msg"].removeprefix("Input should be ").split(", unable")[0] for problem in problems]
    wanted = " or ".join(dict.fromkeys(messages))
    given = f", not {type(values[name]).__name__}" if name in values else ""
    return f"{name} should be {wanted}{given}."
