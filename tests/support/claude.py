"""The models of a hub that serves Claude over `/v1/messages`, and its requests."""

from __future__ import annotations

from typing import Any

from hubmix.embedded import EmbeddedHub

CLAUDE, RESOLD, BUDGET, CHAT, RESPONSES = "claude-x", "claude-resold", "claude-budget", "gpt-x", "o3-pro"
SERVED = {"rule": "think", "apis": ("messages", "chat"), "modalities": ("text", "image", "pdf")}
THINKING = ("thinking", "tools", "redacted_thinking")
MODELS: dict[str, Any] = {
    CLAUDE: {**SERVED, "features": THINKING},
    RESOLD: {**SERVED, "apis": ("chat", "messages")},
    BUDGET: {**SERVED, "features": (*THINKING, "structured_outputs", "no_adaptive_thinking")},
    "claude-old": {**SERVED, "features": ("thinking", "no_adaptive_thinking")},
    "claude-new": {**SERVED, "features": ("thinking", "no_enabled_thinking")},
    CHAT: {"rule": "think"},
    RESPONSES: {"rule": "think", "apis": ("responses",)},
}


def get_weather(city: str) -> str:
    """Return the weather in a city."""
    return f"sunny in {city}"


def sent(server: EmbeddedHub) -> list[tuple[str, dict[str, Any]]]:
    """Return the API and the body of each request, in order."""
    return [
        (request.path.removeprefix("/v1/"), request.json) for request in server.requests if request.method == "POST"
    ]
