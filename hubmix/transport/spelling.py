"""The names of headers as they are written, on aiohttp too.

httpx-aiohttp hands over the headers as a mapping, whose names httpx gives in lower case. HTTP does not mind; a gateway
that reads headers from a plain dict does.
"""

from __future__ import annotations

from collections.abc import ItemsView
from typing import TYPE_CHECKING, Any

from hubmix._compat import http

if TYPE_CHECKING:
    from httpx import Headers
else:
    Headers = http().Headers


class SpeltHeaders(Headers):
    """Headers that give each name as it was written."""

    def items(self) -> ItemsView[str, str]:
        """Return the names and values; a name that was set twice comes once."""
        names = {name.lower(): name for name, _ in self.raw}
        spelt = {names[name.encode()].decode(): value for name, value in super().items()}
        return spelt.items()


async def keep_spelling(request: Any) -> None:
    """Give the names of a request's headers as they are written; a hook of httpx."""
    request.headers = SpeltHeaders(request.headers.raw)
