"""Scripts for runs, a send function that plays them, and both drivers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hubmix.failover.drivers import run_async, run_sync
from hubmix.failover.evidence import Evidence
from hubmix.failover.limits import Limits
from hubmix.failover.plan import AttemptFailed, Plan
from hubmix.failover.route import Route
from hubmix.wire.trace import Trace

BOTH = ("https://hub.example/v1", "https://mirror.example/v1")


def said(status: int, message: str = "", **more: Any) -> Evidence:
    return Evidence("status", "body", status=status, message=message, request_id=f"r{status}", **more)


OOPS = said(500)
DOWN = said(503, "No available channel for model x", type="new_api_error", code="model_not_found")
BUSY = said(429, "slow down", type="requests", code="rate_limit_exceeded")
LIMITED = said(429, "", empty_body=True)
EMPTY_WALLET = said(403, "no money", type="new_api_error", code="insufficient_user_quota")
WRONG_KEY = said(401, "Invalid token", type="new_api_error")
TOO_LONG = said(400, "This model's maximum context length is 8000 tokens.", type="x", code="context_length_exceeded")
FILTERED = said(400, "filtered", type="x", code="content_filter")
BAD = said(400, "bad", type="new_api_error")
REFUSED = Evidence("refused", "connect")
LATE = Evidence("read_timeout", "open")
EMPTY = Evidence("empty_answer", "body", status=200, finish_reason="stop")
NO_ROOM = Evidence("empty_answer", "body", status=200, finish_reason="length")
WEBSITE = Evidence("html", "body", status=200)


@dataclass
class Script:
    """A send function that plays what is written for each model; the last repeats."""

    lines: dict[str, list[Any]]

    def __post_init__(self) -> None:
        self.asked: list[str] = []
        self.limits: list[Limits] = []

    def __call__(self, route: Route, limits: Limits) -> str:
        model = route.model
        self.asked.append(model if route.mirror is None else f"{model}@{route.mirror}")
        self.limits.append(limits)
        lines = self.lines[model]
        line = lines.pop(0) if len(lines) > 1 else lines[0]
        if isinstance(line, Evidence):
            raise AttemptFailed(line, partial=f"empty {model}" if line.cause == "empty_answer" else None)
        if isinstance(line, BaseException):
            raise line
        return str(line)


def script(**lines: Any) -> Script:
    return Script({name: line if isinstance(line, list) else [line] for name, line in lines.items()})


Walker = Callable[[Plan, Any], tuple[str, Trace]]


def _run_sync(plan: Plan, play: Callable[[Route, Limits], str]) -> tuple[str, Trace]:
    answer, run = run_sync(plan, play)
    return answer, run.trace


def _run_async(plan: Plan, play: Callable[[Route, Limits], str]) -> tuple[str, Trace]:
    async def send(route: Route, limits: Limits) -> str:
        await asyncio.sleep(0)
        return play(route, limits)

    answer, run = asyncio.run(run_async(plan, send))
    return answer, run.trace


WALKERS: dict[str, Walker] = {"sync": _run_sync, "async": _run_async}


def outcomes(trace: Trace) -> list[tuple[str, str, str | None]]:
    return [(a.model, a.outcome, a.kind) for a in trace.attempts]
