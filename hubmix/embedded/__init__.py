"""A hub on loopback that speaks the dialect of New API, one-api or AIHubMix.

Its models are rules: they copy sentences from the text they are given, fill tool calls and JSON schemas with
literals of the prompt, and say so in their descriptions. What is real is the wire: server-sent events, error bodies,
headers, quotas, and every way in which a hub fails, on request.

    from hubmix.embedded import EmbeddedHub, Fault

    with EmbeddedHub() as hub:                      # 127.0.0.1, a free port
        hub.fault("embedded/extract", Fault.answer(503), times=1)
        ...                                         # base_url=hub.base_url, api_key=hub.api_key

It needs the extra `embedded` (starlette and uvicorn); nothing is imported from them before `EmbeddedHub` is asked
for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hubmix.embedded.faults import Fault, refused_url
from hubmix.embedded.models import EmbeddedModel

if TYPE_CHECKING:
    from hubmix.embedded.app import RecordedRequest
    from hubmix.embedded.server import EmbeddedHub

__all__ = ["EmbeddedHub", "EmbeddedModel", "Fault", "RecordedRequest", "refused_url"]

_NEEDS_SERVER = {"EmbeddedHub": "hubmix.embedded.server", "RecordedRequest": "hubmix.embedded.app"}


def __getattr__(name: str) -> Any:
    if name not in _NEEDS_SERVER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    try:
        return getattr(import_module(_NEEDS_SERVER[name]), name)
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in {"starlette", "uvicorn", "h11", "anyio"}:
            raise
        raise ImportError(
            f"hubmix.embedded.{name} needs starlette and uvicorn, which are not installed ({error}). "
            "Install them with: pip install 'hubmix[embedded]'",
            name=error.name,
        ) from error
