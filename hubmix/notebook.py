"""Hubs in a notebook: where to begin without a key."""

from __future__ import annotations

import atexit
import sys
import textwrap
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hubmix.hub.hub import Hub

__all__ = ["start"]

_EMBEDDED = (
    "No key in the environment, so this is the embedded hub: a real server on this machine whose models are rules "
    "without intelligence under well-known names. Prices are examples, and nothing is charged. "
    "With HUBMIX_API_KEY (or AIHUBMIX_API_KEY, AIHUBAPI_API_KEY) set, the same code runs on a real hub."
)

_lock = threading.Lock()
_embedded: Hub | None = None


def start() -> Hub:
    """Return a hub to try things on: your own if there is a key, else an embedded one.

    The embedded hub serves a sample of well-known model names, by rules (see `hubmix.embedded.sample`), until this
    process ends; asked again, the same one is returned. A line on standard output says which it is.

    Returns:
        A `Hub`, for the `hub=` of every class of this project.

    Raises:
        ConfigurationError: the environment names a hub that cannot be used.
        ImportError: there is no key, and the `embedded` extra is not installed.

    Example:
        ```python
        from hubmix.notebook import start

        hub = start()
        hub.models.list(supports="tools", max_input_price=1)
        ```
    """
    hub = own_hub()
    if hub is None:
        hub = _embedded_hub()
        said = _EMBEDDED
    else:
        said = f"This runs on {hub.base_url} with the key from {hub.key_source}."
    sys.stdout.write(textwrap.fill(said, 96, break_on_hyphens=False) + "\n")
    return hub


def own_hub() -> Hub | None:
    """Return the hub that the environment has a key for, or None; asks nothing."""
    from hubmix.hub.hub import Hub
    from hubmix.presets import PRESETS

    for hub in (Hub(), *map(Hub, PRESETS)):
        if hub.key_source != "none":
            return hub
    return None


def _embedded_hub() -> Hub:
    global _embedded
    with _lock:
        if _embedded is None:
            from hubmix.embedded import EmbeddedHub
            from hubmix.embedded.sample import sample_models
            from hubmix.hub.hub import Hub

            # A pause between the pieces of a stream, so that one can be seen to stream.
            server = EmbeddedHub("aihubmix", models=sample_models(), pace=0.01).start()
            atexit.register(server.close)
            # Named as AIHubMix, it is asked for that hub's rich catalog.
            _embedded = Hub("aihubmix", base_url=server.base_url, api_key=server.api_key)
        return _embedded
