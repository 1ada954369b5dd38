"""The exceptions of `hubmix` that are also LangChain's `ModelError`.

LangChain's retry, fallback and compaction middleware decides by LangChain's classes. Each class here has the name of
its base in `hubmix.errors`, so `except hubmix.RateLimitedError` catches both.
"""

from __future__ import annotations

from contextlib import aclosing
from functools import wraps
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from typing import TYPE_CHECKING, Any, TypeVar, cast

from langchain_core import exceptions as core

from hubmix import errors
from hubmix.errors import rebuild
from hubmix.transport.closing import Owned

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

F = TypeVar("F", bound="Callable[..., Any]")

# Came with langchain-core 1.7.5.
_ModelRefusalError: type[core.ModelError] = getattr(core, "ModelRefusalError", core.ModelError)


class _LangChain(errors.HubmixError):
    """Unpickles as itself, or as the plain class if LangChain is missing."""

    def __reduce__(self) -> tuple[Any, ...]:
        plain = _PLAIN.get(type(self))
        if plain is None:  # a user's subclass
            return super().__reduce__()
        return rebuild, (plain, self.args, dict(self.__dict__), __name__)


# fmt: off
class HubmixError(_LangChain, errors.HubmixError, core.ModelError): ...
class ConfigurationError(_LangChain, errors.ConfigurationError, core.ModelError): ...
class AuthenticationError(_LangChain, errors.AuthenticationError, core.ModelAuthenticationError): ...
class PermissionDeniedError(_LangChain, errors.PermissionDeniedError, core.ModelPermissionDeniedError): ...
# Not ModelRateLimitError: that one is retried, and an empty account does not fill by waiting.
class QuotaExceededError(_LangChain, errors.QuotaExceededError, core.ModelPermissionDeniedError): ...
class RateLimitedError(_LangChain, errors.RateLimitedError, core.ModelRateLimitError): ...
class BadRequestError(_LangChain, errors.BadRequestError, core.ModelInvalidRequestError): ...
class ContextLengthError(_LangChain, errors.ContextLengthError, core.ContextOverflowError): ...
class CapabilityError(_LangChain, errors.CapabilityError, core.ModelInvalidRequestError): ...
class ContentFilterError(_LangChain, errors.ContentFilterError, core.ModelInvalidRequestError): ...
class ModelNotFoundError(_LangChain, errors.ModelNotFoundError, core.ModelNotFoundError): ...
class ModelUnavailableError(_LangChain, errors.ModelUnavailableError, core.ModelAPIError): ...
class ServerError(_LangChain, errors.ServerError, core.ModelAPIError): ...
class HubTimeoutError(_LangChain, errors.HubTimeoutError, core.ModelTimeoutError): ...
class HubConnectionError(_LangChain, errors.HubConnectionError, core.ModelConnectionError): ...
class EndpointError(_LangChain, errors.EndpointError, core.ModelConnectionError): ...
class MalformedAnswerError(_LangChain, errors.MalformedAnswerError, core.ModelAPIError): ...
class StreamInterruptedError(_LangChain, errors.StreamInterruptedError, core.ModelConnectionError): ...
class AllModelsFailedError(_LangChain, errors.AllModelsFailedError, core.ModelError): ...
class CatalogError(_LangChain, errors.CatalogError, core.ModelError): ...
class BudgetExceededError(_LangChain, errors.BudgetExceededError, core.ModelError): ...
class StructuredOutputError(_LangChain, errors.StructuredOutputError, core.ModelError): ...
# fmt: on


class RefusalError(_LangChain, errors.RefusalError, _ModelRefusalError):  # type: ignore[valid-type, misc]
    raw_message: Any = None


_OWN: dict[type[errors.HubmixError], type[errors.HubmixError]] = {
    cls.__mro__[2]: cls
    for cls in list(globals().values())
    if isinstance(cls, type) and issubclass(cls, _LangChain) and cls is not _LangChain
}
_PLAIN = {own: plain for plain, own in _OWN.items()}


def adopt(error: errors.HubmixError) -> None:
    """Make an error, and those in its group, LangChain's too.

    The object stays the same: its class changes.
    """
    if own := _OWN.get(type(error)):
        error.__class__ = own
    for part in getattr(error, "exceptions", ()):
        if isinstance(part, errors.HubmixError):
            adopt(part)


class _Boundary:
    """A `with` block that makes every error of `hubmix` LangChain's too."""

    __slots__ = ()

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if isinstance(error, errors.HubmixError):
            adopt(error)


LANGCHAIN_ERRORS = _Boundary()


def raises_langchain_errors(method: F) -> F:
    """Make every error of `hubmix` that a method raises LangChain's too.

    The method may be plain, async, or a generator of either kind.
    """
    return cast("F", wraps(method)(_wrapper(method)))


def _wrapper(method: Callable[..., Any]) -> Callable[..., Any]:
    if isasyncgenfunction(method):

        async def async_pieces(*args: Any, **kwargs: Any) -> Any:
            with LANGCHAIN_ERRORS:
                async with aclosing(Owned(method(*args, **kwargs))) as pieces:
                    async for piece in pieces:
                        yield piece

        # LangChain's own generator reads it, and the loop closes that one.
        return lambda *args, **kwargs: Owned(async_pieces(*args, **kwargs))
    if iscoroutinefunction(method):

        async def awaited(*args: Any, **kwargs: Any) -> Any:
            with LANGCHAIN_ERRORS:
                return await method(*args, **kwargs)

        return awaited
    if isgeneratorfunction(method):

        def pieces(*args: Any, **kwargs: Any) -> Any:
            with LANGCHAIN_ERRORS:
                yield from method(*args, **kwargs)

        return pieces

    def called(*args: Any, **kwargs: Any) -> Any:
        with LANGCHAIN_ERRORS:
            return method(*args, **kwargs)

    return called
