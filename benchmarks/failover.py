"""What failover costs: on healthy calls, and with a dead first model."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any
from unittest.mock import patch

from benchmarks.contenders import KEY, MODEL, QUESTION
from benchmarks.measure import Effort, in_turns
from benchmarks.results import Figure, Section
from benchmarks.server import ANSWER, DEAD, Loopback
from hubmix import FailoverPolicy, Hub
from hubmix.failover.breakers import REGISTRY
from hubmix.failover.options import CallOptions

PAYLOAD = {"model": MODEL, "messages": [{"role": "user", "content": QUESTION}]}
_GUARDED = CallOptions(fallbacks=("second", "third"), policy=FailoverPolicy(max_retries=2), total_timeout=60.0)


def measure(server: Loopback, effort: Effort, *, patient: bool = True) -> Section:
    """The bookkeeping, and the dead first model.

    Args:
        server: The loopback server.
        effort: How long to measure.
        patient: Also let the peers try, which wait whole seconds.
    """
    found = _bookkeeping(server, effort)
    found.add(_dead_first(server, patient=patient))
    return found


def _bookkeeping(server: Loopback, effort: Effort) -> Section:
    """Measure everything that a hub does around the one attempt.

    It is measured with the attempt replaced by an answer at hand, since the difference of two whole calls would be
    smaller than its error.
    """
    hub = Hub(base_url=server.burst, api_key=KEY)
    reply = hub.chat(PAYLOAD, _GUARDED)
    whole = in_turns({"call": lambda: hub.chat(PAYLOAD, _GUARDED), "bare": lambda: hub.chat(PAYLOAD)}, effort)
    with patch("hubmix.hub.calls.whole_sync", lambda *_: reply):
        alone = in_turns({"walk": lambda: hub.chat(PAYLOAD, _GUARDED), "bare": lambda: hub.chat(PAYLOAD)}, effort)
    hub.close()
    share = 100 * alone.ms("walk") / whole.ms("call")
    note = "all that Hub.chat does except the request: with two fallbacks, retries and a deadline"
    return Section(
        [Figure("bookkeeping of a healthy call", share, "%", "the call", 5.0, note)],
        {
            "failover bookkeeping, CPU ms": {
                "a call with fallbacks": whole.ms("call"),
                "a call without": whole.ms("bare"),
                "bookkeeping with fallbacks": alone.ms("walk"),
                "bookkeeping without": alone.ms("bare"),
            }
        },
    )


def _dead_first(server: Loopback, *, patient: bool) -> Section:
    found = Section()
    wall: dict[str, float] = {}
    REGISTRY.reset()  # breakers are of the process; this hub's may know the dead model from before
    hub = Hub(base_url=server.burst, api_key=KEY)
    hub.chat(PAYLOAD)  # the client is made, the connection is open
    healthy = _timed(lambda: hub.chat(PAYLOAD).text)
    dead = {**PAYLOAD, "model": DEAD}
    options = CallOptions(fallbacks=(MODEL,))
    server.counts()
    first = _timed(lambda: hub.chat(dead, options).text)
    extra = sum(server.counts().values()) - 1
    second = _timed(lambda: hub.chat(dead, options).text)
    later = sum(server.counts().values()) - 1
    hub.close()
    REGISTRY.reset()
    found.figures += [
        Figure("dead first model: extra requests", extra, "requests", "", 1),
        Figure("dead first model: extra requests while its breaker is open", later, "requests", "", 0),
    ]
    wall |= {"healthy": healthy, "Hub, dead first model": first, "Hub, its breaker open": second}
    for name, make in _peers(server.burst).items() if patient else ():
        try:
            ask = make()
        except ImportError as error:
            found.skipped.append(f"dead first model, {name}: not measured, since {error.name} is not installed")
            continue
        server.counts()
        wall[name] = _timed(ask, fails=name == "OpenAILike")
        requests = server.counts()
        found.figures.append(Figure(f"dead first model, {name}: requests to it", requests.get(DEAD, 0), "requests"))
    found.tables["dead first model, wall ms"] = wall
    return found


def _peers(url: str) -> dict[str, Callable[[], Callable[[], Any]]]:
    """The peers with their own defaults for retries, since that is what is compared."""

    def with_fallbacks() -> Callable[[], Any]:
        from langchain_openai import ChatOpenAI

        first, second = (ChatOpenAI(model=model, base_url=url, api_key=KEY) for model in (DEAD, MODEL))
        return lambda: first.with_fallbacks([second]).invoke(QUESTION).content

    def openai_like() -> Callable[[], Any]:
        from llama_index.llms.openai_like import OpenAILike

        llm = OpenAILike(model=DEAD, api_base=url, api_key=KEY, is_chat_model=True)
        return partial(llm.complete, QUESTION)

    return {"with_fallbacks": with_fallbacks, "OpenAILike": openai_like}


def _timed(ask: Callable[[], Any], *, fails: bool = False) -> float:
    """Return the milliseconds until the answer, or until the error of a plain client."""
    started = time.perf_counter()
    try:
        answer = ask()
    except Exception:
        if not fails:
            raise
    else:
        if fails or answer != ANSWER:
            raise RuntimeError(f"the answer was {answer!r}")
    return (time.perf_counter() - started) * 1000
