"""Ask a hub of bombs with 512 MB of address space; print what each call ended in."""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import traceback
from collections.abc import Callable
from typing import Any

from hubmix import CallOptions, FailoverPolicy, Hub, HubmixError
from hubmix.failover.breakers import REGISTRY

SPACE = 512 << 20
ONCE = CallOptions(timeout=120, policy=FailoverPolicy(max_retries=0))


def payload(bomb: str) -> dict[str, Any]:
    return {"model": bomb, "messages": [{"role": "user", "content": "hi"}]}


def stream(hub: Hub, bomb: str) -> None:
    for _ in hub.stream_chat(payload(bomb), ONCE):
        pass


async def astream(hub: Hub, bomb: str) -> None:
    async for _ in hub.astream_chat(payload(bomb), ONCE):
        pass


ASKS: dict[str, Callable[[Hub, str], Any]] = {
    "whole": lambda hub, bomb: hub.chat(payload(bomb), ONCE),
    "stream": stream,
    "async whole": lambda hub, bomb: asyncio.run(hub.achat(payload(bomb), ONCE)),
    "async stream": lambda hub, bomb: asyncio.run(astream(hub, bomb)),
    "page": lambda hub, bomb: hub.get(f"//{bomb}", timeout=120),
    "async page": lambda hub, bomb: asyncio.run(hub.aget(f"//{bomb}", timeout=120)),
    "models": lambda hub, bomb: hub.models.list(),
    "balance": lambda hub, bomb: hub.balance(),
}


def outcome(ask: Callable[[], Any]) -> str:
    """Return "answer", "ours" for an error of ours, or the name of a foreign one."""
    REGISTRY.reset()
    try:
        ask()
    except HubmixError:
        return "ours"
    except BaseException as error:  # noqa: BLE001 - it is what the test is about
        traceback.print_exc()
        return f"{type(error).__name__}: {error}"
    return "answer"


def main(base_url: str, calls: list[list[str]]) -> None:
    hub = Hub(base_url=base_url, api_key="sk-test")
    outcome(lambda: ASKS["whole"](hub, "small"))  # loads what is loaded on first use
    outcome(lambda: ASKS["async whole"](hub, "small"))
    resource.setrlimit(resource.RLIMIT_AS, (SPACE, SPACE))
    print(json.dumps([outcome(lambda: ASKS[way](hub, bomb)) for way, bomb in calls]))  # noqa: B023 - called at once


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
