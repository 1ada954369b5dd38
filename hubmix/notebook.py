"""How a hub looks in a notebook. Colours are the notebook's own, so that it reads in light and in dark."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hubmix.hub import Hub


def hub_card(hub: Hub) -> str:
    """A small table: where the hub is, where its key comes from, what is known of its catalog and its health.

    Nothing is asked for it.
    """
    info = hub.models.info()
    age = "not asked yet" if info.age is None else f"{info.count} models, {info.age:.0f} s old"
    open_breakers = [state for state in hub.health() if state.state != "closed"]
    troubled = ", ".join(f"{state.model or state.target} ({state.state})" for state in open_breakers) or "good"
    rows = [
        ("hub", hub.name),
        ("base URL", hub.base_url),
        ("key from", hub.key_source),
        ("catalog", age),
        ("health", troubled),
    ]
    cells = "".join(
        f'<tr><th style="text-align:left">{escape(name)}</th><td style="text-align:left">{escape(str(value))}</td></tr>'
        for name, value in rows
    )
    return f'<table style="border-collapse:collapse;font-size:90%">{cells}</table>'
