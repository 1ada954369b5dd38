"""Thinking over the Messages API: adaptive, or with a budget of tokens. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Shares of max_tokens for models that take a budget and no effort.
_BUDGETS = {"minimal": 0.1, "low": 0.2, "medium": 0.5, "high": 0.8, "xhigh": 0.8, "max": 0.8}
LEAST_BUDGET = 1024  # the API's own


def apply_effort(body: dict[str, Any], effort: str | None) -> None:
    """Turn an effort into thinking, in place, without what the API refuses with it.

    Without `display` new models send empty thoughts with a signature.

    Args:
        body: a Messages body, whose `max_tokens` is set.
        effort: the chat payload's `reasoning_effort`; None and `"none"` ask for nothing.
    """
    if effort not in (None, "none") and "thinking" not in body:
        level = "low" if effort == "minimal" else effort
        body["thinking"] = {"type": "adaptive", "display": "summarized"}
        body["output_config"] = {"effort": level, **(body.get("output_config") or {})}
    _settle(body)


def is_kind(body: Mapping[str, Any], kind: str) -> bool:
    """Whether a body asks for thinking of this kind: `"adaptive"` or `"enabled"`."""
    thinking = body.get("thinking")
    return isinstance(thinking, Mapping) and thinking.get("type") == kind


def with_adaptive(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body for a model that takes adaptive thinking, not a budget."""
    budget = body["thinking"].get("budget_tokens") or LEAST_BUDGET
    share = budget / max(body.get("max_tokens") or budget, budget)
    effort = "low" if share <= _BUDGETS["low"] else "medium" if share <= _BUDGETS["medium"] else "high"
    config = {"effort": effort, **(body.get("output_config") or {})}
    return {**body, "thinking": {"type": "adaptive", "display": "summarized"}, "output_config": config}


def with_budget(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body for a model that takes a budget, not adaptive thinking."""
    changed = dict(body)
    config = dict(body.get("output_config") or {})
    share = _BUDGETS.get(config.pop("effort", "medium"), 0.5)
    if config:
        changed["output_config"] = config
    else:
        changed.pop("output_config", None)
    budget = max(int(changed["max_tokens"] * share), LEAST_BUDGET)
    changed["thinking"] = {"type": "enabled", "budget_tokens": budget}
    _settle(changed)
    return changed


def without_thinking(body: Mapping[str, Any]) -> dict[str, Any]:
    """The same body without thinking; an effort alone is kept out as well."""
    changed = {name: value for name, value in body.items() if name != "thinking"}
    config = {name: value for name, value in (body.get("output_config") or {}).items() if name != "effort"}
    if config:
        changed["output_config"] = config
    else:
        changed.pop("output_config", None)
    return changed


def unforced(choice: Any) -> Any:
    """Return a tool choice that forces no tool."""
    if not isinstance(choice, Mapping) or choice.get("type") not in ("any", "tool"):
        return choice
    return {**{key: value for key, value in choice.items() if key != "name"}, "type": "auto"}


def _settle(body: dict[str, Any]) -> None:
    thinking = body.get("thinking")
    if not isinstance(thinking, dict):
        return
    kind = thinking.get("type")
    if kind not in ("adaptive", "enabled"):
        return
    if body.get("temperature") not in (None, 1):
        del body["temperature"]
    body.pop("top_k", None)
    if (body.get("top_p") or 1) < 0.95:
        del body["top_p"]
    if kind == "enabled":
        budget = thinking.get("budget_tokens") or LEAST_BUDGET
        if body["max_tokens"] <= budget:
            body["max_tokens"] = budget + LEAST_BUDGET
        if "tool_choice" in body:
            body["tool_choice"] = unforced(body["tool_choice"])
