"""The exceptions, and what they say.

    HubmixError
    ├── ConfigurationError (ValueError)      ├── ServerError
    ├── AuthenticationError                  ├── HubTimeoutError
    ├── PermissionDeniedError                ├── HubConnectionError
    ├── QuotaExceededError                   ├── EndpointError
    ├── RateLimitedError                     ├── MalformedAnswerError
    ├── BadRequestError                      ├── StreamInterruptedError   .partial
    │   ├── ContextLengthError               ├── AllModelsFailedError     .attempts (ExceptionGroup)
    │   ├── CapabilityError                  ├── CatalogError
    │   └── ContentFilterError               ├── StructuredOutputError
    ├── ModelNotFoundError   .suggestions    └── RefusalError
    └── ModelUnavailableError

`langchain_hubmix` raises subclasses of these that are also LangChain's `ModelError` of the same meaning. All of them
pickle, with or without LangChain on the other side, and none holds a key.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from enum import Enum
from importlib import import_module
from typing import TYPE_CHECKING, Any

if sys.version_info < (3, 11):
    from exceptiongroup import ExceptionGroup

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from typing_extensions import Self

__all__ = [
    "HUB_TYPES", "TABLE", "Action", "AllModelsFailedError", "AuthenticationError", "BadRequestError",
    "BudgetExceededError", "CapabilityError", "CatalogError", "ConfigurationError", "ContentFilterError",
    "ContextLengthError", "Cooldown", "EndpointError", "Evidence", "Failure", "Fault", "HubConnectionError",
    "HubTimeoutError", "HubmixError", "MalformedAnswerError", "ModelNotFoundError", "ModelUnavailableError",
    "PermissionDeniedError", "QuotaExceededError", "RateLimitedError", "RefusalError", "Scope", "ServerError",
    "StreamInterruptedError", "StructuredOutputError", "Target", "classify", "error_class", "find_request_id",
    "read_error_body", "retry_after_of", "to_exception",
]  # fmt: skip


class Scope(str, Enum):
    """Whom a failure concerns. Changing the model helps only where it is `MODEL`."""

    REQUEST = "request"
    MODEL = "model"
    ACCOUNT = "account"
    ENDPOINT = "endpoint"


class HubmixError(Exception):
    """Any failure of a hub, a model behind it, or a setting.

    Args:
        message: what happened, to which model, whose fault it is, and what to do next.
        kind: the row of the failure table, such as "no_channel".
        scope: whom the failure concerns; None where it is no failure of a call.
        status: HTTP status.
        code: the hub's error code, a number as text.
        model: the model ID that was asked.
        base_url: the base URL that was asked, without credentials and query.
        request_id: the hub's request id, for its support.
        hub_message: the hub's own words, in whatever language; keys and addresses taken out.
        retry_after: seconds after which another try makes sense.
        body: the decoded body of the hub's error, keys taken out; None if there was none.
    """

    is_retryable: bool = False
    """Whether the same request to the same model may succeed if it is sent again (LangChain reads this)."""

    def __init__(
        self,
        message: str = "",
        *,
        kind: str | None = None,
        scope: Scope | None = None,
        status: int | None = None,
        code: str | None = None,
        model: str | None = None,
        base_url: str | None = None,
        request_id: str | None = None,
        hub_message: str | None = None,
        retry_after: float | None = None,
        body: Any = None,
    ) -> None:
        # Not super().__init__: a group, or another base of the user's, takes other arguments.
        self.args = (message,)
        self.kind = kind
        self.scope = scope
        self.status = status
        self.code = code
        self.model = model
        self.base_url = base_url
        self.request_id = request_id
        self.hub_message = hub_message
        self.retry_after = retry_after
        self.body = body
        self.attempts: list[Any] = []
        """Every attempt of the call (`hubmix.failover.drivers.Attempt`), where the error ended a call."""

    def __reduce__(self) -> tuple[Any, ...]:
        return rebuild, (type(self), self.args, dict(self.__dict__))


class ConfigurationError(HubmixError, ValueError):
    """A setting is missing, wrong, or contradicts another. Nothing was sent."""


class AuthenticationError(HubmixError):
    """The hub does not accept the API key."""


class PermissionDeniedError(HubmixError):
    """The key or account may not do this: banned, wrong address, no access."""


class QuotaExceededError(HubmixError):
    """The account or the key at the hub has too little money or quota left."""


class RateLimitedError(HubmixError):
    """Too many requests of the account at the hub, or for the model."""

    is_retryable = True


class BadRequestError(HubmixError):
    """The request is invalid; another model would refuse it alike."""


class ContextLengthError(BadRequestError):
    """The request is longer than the model's context window."""


class CapabilityError(BadRequestError):
    """The model does not take a parameter, a tool, or a kind of input."""


class ContentFilterError(BadRequestError):
    """A content filter refused the request."""


class ModelNotFoundError(HubmixError):
    """The hub does not know the model ID, or the key may not use it.

    Args:
        suggestions: model IDs of this hub that are spelt alike.
    """

    def __init__(self, message: str = "", *, suggestions: Sequence[str] = (), **details: Any) -> None:
        super().__init__(message, **details)
        self.suggestions = tuple(suggestions)


class ModelUnavailableError(HubmixError):
    """No channel serves the model now, or the vendor refuses the hub."""


class ServerError(HubmixError):
    """The hub or the vendor behind it failed."""

    is_retryable = True


class HubTimeoutError(HubmixError):
    """No answer, or no first token, in time."""

    is_retryable = True


class HubConnectionError(HubmixError):
    """The hub could not be reached, or the connection broke before the answer."""

    is_retryable = True


class EndpointError(HubmixError):
    """There is no such API at this base URL."""


class MalformedAnswerError(HubmixError):
    """What came back is no answer: HTML, broken JSON, nothing at all."""

    is_retryable = True


class StreamInterruptedError(HubmixError):
    """A stream broke off after part of the answer had been delivered.

    Args:
        partial: what had arrived, a `hubmix.wire.Reply`.
    """

    is_retryable = True

    def __init__(self, message: str = "", *, partial: Any = None, **details: Any) -> None:
        super().__init__(message, **details)
        self.partial = partial


class CatalogError(HubmixError):
    """The hub's catalog of models could not be had or read."""


class BudgetExceededError(HubmixError):
    """A budget has no room for the call: nothing was sent, no model is asked.

    Args:
        spent: USD spent in the budget's period.
        left: USD left in it.
        could_cost: USD that the call could have cost; None if the model's price is unknown.
        max_tokens: the longest answer that would fit, if any.
    """

    def __init__(
        self,
        message: str = "",
        *,
        spent: Decimal | None = None,
        left: Decimal | None = None,
        could_cost: Decimal | None = None,
        max_tokens: int | None = None,
        **details: Any,
    ) -> None:
        super().__init__(message, **details)
        self.spent = spent
        self.left = left
        self.could_cost = could_cost
        self.max_tokens = max_tokens


class StructuredOutputError(HubmixError):
    """The model's answer does not fit the schema that was asked for."""


class RefusalError(HubmixError):
    """The model refused to answer."""


class AllModelsFailedError(HubmixError, ExceptionGroup[Exception]):
    """Every candidate failed. An `ExceptionGroup` of the errors of each.

    `except*` and `.split()` work on them.

    Args:
        message: what was tried, and what each candidate said.
        exceptions: the errors of the candidates, in the order in which they were asked.
        attempts: every attempt (`hubmix.failover.drivers.Attempt`), skipped ones included.
        retry_after: seconds until the first candidate may be asked again, or None.

    Example:
        >>> error = AllModelsFailedError("Both failed.", [ServerError("a"), QuotaExceededError("b")])
        >>> [type(e).__name__ for e in error.exceptions]
        ['ServerError', 'QuotaExceededError']
    """

    def __new__(cls, message: str, exceptions: Sequence[Exception], **details: Any) -> Self:
        return super().__new__(cls, message, exceptions)

    def __init__(
        self, message: str, exceptions: Sequence[Exception], *, attempts: Sequence[Any] = (), **details: Any
    ) -> None:
        super().__init__(message, **details)
        # HubmixError keeps the message alone; a group is its message and its exceptions.
        self.args = (message, tuple(exceptions))
        self.attempts = list(attempts)
        self.is_retryable = any(getattr(error, "is_retryable", False) for error in exceptions)

    def derive(self, excs: Sequence[Exception], /) -> AllModelsFailedError:  # type: ignore[override]  # typeshed makes it generic in the exceptions
        """A group of the same call with other exceptions, for `split` and `subgroup`."""
        details = {name: getattr(self, name) for name in _DETAILS}
        return AllModelsFailedError(self.message, excs, attempts=self.attempts, **details)


_DETAILS = ("kind", "scope", "status", "code", "model", "base_url", "request_id", "hub_message", "retry_after", "body")


def rebuild(
    cls: type[HubmixError], args: tuple[Any, ...], state: dict[str, Any], module: str | None = None
) -> HubmixError:
    """Rebuild a pickled exception, as the class in `module` if there is one."""
    if module is not None:
        with suppress(ImportError):
            cls = getattr(import_module(module), cls.__name__)
    error = cls.__new__(cls, *args)
    error.__dict__.update(state)
    return error


# Where names of earlier versions live now; imported on first use.
_MOVED = {
    "HUB_TYPES": "failover.classify",
    "TABLE": "failover.table",
    "classify": "failover.classify",
    "retry_after_of": "failover.classify",
    "Cooldown": "failover.evidence",
    "Evidence": "failover.evidence",
    "Failure": "failover.evidence",
    "Fault": "failover.evidence",
    "Recovery": "failover.evidence",
    "error_class": "failover.report",
    "to_exception": "failover.report",
    "find_request_id": "wire.error_body",
    "read_error_body": "wire.error_body",
}
_RENAMED = {"Action": "Recovery", "Target": "Scope"}


def __getattr__(name: str) -> Any:
    name = _RENAMED.get(name, name)
    if name in globals():
        return globals()[name]
    if name in _MOVED:
        return getattr(import_module(f"hubmix.{_MOVED[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
