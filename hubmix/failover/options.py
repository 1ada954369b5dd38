"""What one call may ask for beyond its payload."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import NoneType
from typing import Any, Literal, Protocol, runtime_checkable

from hubmix.errors import ConfigurationError
from hubmix.failover.measurements import Prefer
from hubmix.failover.policy import FailoverPolicy
from hubmix.failover.preference import check_preference
from hubmix.failover.route import RouteHub
from hubmix.wire.api_choice import ApiName, check_api_name
from hubmix.wire.trace import Attempt


@runtime_checkable
class Fallback(Protocol):
    """A hub, or a model of a hub, as `fallbacks` takes it."""

    def fallback_for(self, model: str) -> tuple[RouteHub, str]:
        """Return the hub and the model to ask if a call for `model` has to go on."""


Fallbacks = tuple[str | Fallback, ...] | Literal["auto"]


@dataclass(frozen=True, slots=True)
class CallOptions:
    """How a call is made.

    Args:
        fallbacks: what to go on to, in order: a model ID of the same hub, `hub.model(id)` of another one, or a `Hub`
            for the call's own model there; "auto" lets the catalog choose the nearest models of the same hub.
        policy: When to retry, when to go on, when to give up.
        timeout: Seconds for one attempt; for a stream, until its first word.
        total_timeout: Seconds for everything, waits included.
        headers: Sent with each attempt at the hub of the call, and to no other.
        extra_body: Fields merged last into the body, for a vendor's own parameters.
        api: the API to ask over; "auto" lets the catalog and earlier refusals choose for each model.
        session: your ID of a conversation, sent as `X-Aihubmix-Session-Id`, for which its router keeps to one model.
        on_attempt: Told of every failed or skipped attempt as it happens.
        budget: a `hubmix.Budget` that the call is held to, in addition to the hub's own.
        prefer: which route is asked first: "order" (as given), "price", "latency" or "throughput".

    Raises:
        ConfigurationError: If a time is not above 0, ``fallbacks`` is a single name, or a value is of another type.
    """

    fallbacks: Fallbacks = ()
    policy: FailoverPolicy = field(default_factory=FailoverPolicy)
    timeout: float | None = None
    total_timeout: float | None = None
    headers: Mapping[str, str] | None = None
    extra_body: Mapping[str, Any] | None = None
    api: ApiName = "auto"
    session: str | None = None
    on_attempt: Callable[[Attempt], None] | None = None
    budget: object = None
    prefer: Prefer = "order"

    def __post_init__(self) -> None:
        if isinstance(self.fallbacks, str):
            read_fallbacks(self.fallbacks)  # refuses a single name
        if self.api != "auto":
            check_api_name(self.api)
        check_preference(self.prefer)
        for name in ("timeout", "total_timeout"):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, (int, float)) and value > 0):
                raise ConfigurationError(f"{name} must be more than 0 seconds, or None to leave it; not {value!r}.")
        if not isinstance(self.policy, FailoverPolicy):
            raise ConfigurationError(f"policy must be a FailoverPolicy, not {type(self.policy).__name__}.")
        if not isinstance(self.headers, (NoneType, Mapping)):
            raise ConfigurationError(f"headers must be a dict of names and values, not {type(self.headers).__name__}.")
        if not isinstance(self.session, (NoneType, str)):
            raise ConfigurationError(f"session must be a text, not {type(self.session).__name__}.")
        if not isinstance(self.extra_body, (NoneType, Mapping)):
            raise ConfigurationError(f"extra_body is a dict of fields, not a {type(self.extra_body).__name__}.")


_WANTED = "fallbacks must be a list of model IDs or 'auto'"
_OTHERS = "hub.model(...) and hubs may stand in the list too"


def read_fallbacks(given: Iterable[str | Fallback] | None) -> Fallbacks:
    """Return the fallbacks of a call, as a user gives them.

    Raises:
        ConfigurationError: they are no list, or a single name, whose letters would be asked one after the other.
    """
    if isinstance(given, str):
        if given == "auto":
            return "auto"
        raise ConfigurationError(f"{_WANTED}: fallbacks=[{given!r}].")
    if isinstance(given, Fallback):
        raise ConfigurationError(f"{_WANTED}: fallbacks=[{given!r}].")
    if given is not None and (isinstance(given, Mapping) or not isinstance(given, Iterable)):
        raise ConfigurationError(f"{_WANTED}, not {given!r}.")
    found = tuple(given or ())
    for one in found:
        if not isinstance(one, (str, Fallback)):
            other = repr(one) if isinstance(one, (int, float, bytes, NoneType)) else type(one).__name__
            raise ConfigurationError(
                f"{_WANTED}, and {other} is no model ID; {_OTHERS}. Other chat models are for with_fallbacks()."
            )
    return found


def joined_body(own: Mapping[str, Any] | None, given: Any) -> Any:
    """Return a model's `extra_body` with that of a call merged over it."""
    if not given:
        return own
    return {**(own or {}), **given} if isinstance(given, Mapping) else given


DEFAULT_OPTIONS = CallOptions()
