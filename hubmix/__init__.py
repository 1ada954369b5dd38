"""hubmix: every model of an OpenAI-compatible hub, for LangChain and LlamaIndex.

The names below are loaded when they are first used, so that ``import hubmix`` costs next to nothing.
"""

from __future__ import annotations

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hubmix.catalog import CatalogInfo, Cost, ModelCatalog, ModelInfo, ModelList, Pricing
    from hubmix.errors import (
        AllModelsFailedError,
        AuthenticationError,
        BadRequestError,
        BudgetExceededError,
        CapabilityError,
        CatalogError,
        ConfigurationError,
        ContentFilterError,
        ContextLengthError,
        EndpointError,
        HubConnectionError,
        HubmixError,
        HubTimeoutError,
        MalformedAnswerError,
        ModelNotFoundError,
        ModelUnavailableError,
        PermissionDeniedError,
        QuotaExceededError,
        RateLimitedError,
        RefusalError,
        ServerError,
        StreamInterruptedError,
        StructuredOutputError,
    )
    from hubmix.failover.options import CallOptions
    from hubmix.failover.policy import FailoverPolicy
    from hubmix.hub.balance import Balance
    from hubmix.hub.budget import Budget
    from hubmix.hub.hub import Hub
    from hubmix.telemetry import instrument
    from hubmix.transport.rate_limit import SharedRateLimit
    from hubmix.wire import Delta, Reply, ToolCall, Usage
    from hubmix.wire.trace import Trace, trace

__version__ = "0.1.0"

_ROOMS: dict[str, tuple[str, ...]] = {
    "hubmix.hub.balance": ("Balance",),
    "hubmix.hub.budget": ("Budget",),
    "hubmix.catalog": ("CatalogInfo", "Cost", "ModelCatalog", "ModelInfo", "ModelList", "Pricing"),
    "hubmix.failover": ("FailoverPolicy", "Trace"),
    "hubmix.hub.hub": ("Hub",),
    "hubmix.failover.options": ("CallOptions",),
    "hubmix.transport.rate_limit": ("SharedRateLimit",),
    "hubmix.telemetry": ("instrument",),
    "hubmix.wire.trace": ("trace",),
    "hubmix.wire": ("Delta", "Reply", "ToolCall", "Usage"),
}
__all__ = [
    "AllModelsFailedError", "AuthenticationError", "BadRequestError", "Balance", "Budget", "BudgetExceededError",
    "CallOptions", "CapabilityError", "CatalogError", "CatalogInfo", "ConfigurationError", "ContentFilterError",
    "ContextLengthError", "Cost", "Delta", "EndpointError", "FailoverPolicy", "Hub", "HubConnectionError",
    "HubTimeoutError", "HubmixError", "MalformedAnswerError", "ModelCatalog", "ModelInfo", "ModelList",
    "ModelNotFoundError", "ModelUnavailableError", "PermissionDeniedError", "Pricing", "QuotaExceededError",
    "RateLimitedError", "RefusalError", "Reply", "ServerError", "SharedRateLimit", "StreamInterruptedError",
    "StructuredOutputError", "ToolCall", "Trace", "Usage", "__version__", "instrument", "trace",
]  # fmt: skip
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}
_ROOM_OF |= {name: "hubmix.errors" for name in __all__ if name.endswith("Error")}

# Without a handler of its own, the standard library would print this package's warnings to stderr.
logging.getLogger(__name__).addHandler(logging.NullHandler())


def __getattr__(name: str) -> Any:
    room = _ROOM_OF.get(name)
    if room is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(room), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
