"""What budgets, order by measurement and hedging cost a call: off, and on."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from benchmarks.measure import Effort, Work, in_turns
from benchmarks.results import Figure, Section
from hubmix import Budget, CallOptions, FailoverPolicy, Hub
from hubmix.failover.limits import Limits
from hubmix.failover.measurements import MEASUREMENTS, Measurements
from hubmix.failover.plan import Plan
from hubmix.failover.preference import measured_as, preferred
from hubmix.failover.requests import Send
from hubmix.failover.run import FailoverRun
from hubmix.hub.charging import Charging
from hubmix.wire.apis import CHAT

_TIMES = 1000  # so that the milliseconds measured are microseconds for one
_MODELS = ("first", "second", "third")
_PAYLOAD: dict[str, Any] = {"model": "first", "messages": [{"role": "user", "content": "Say hello."}]}
_TARGETS: dict[str, float | None] = {
    "no budget": 20.0,
    "measuring a route, which every call does": 20.0,
    "no hedging": 20.0,
    "order by latency among three routes": 20.0,
    "a budget in this process": None,
    "hedging, until it begins": None,
}
_PRICES = {model: {"pricing": {"input": "1", "output": "2"}} for model in _MODELS}


def measure(effort: Effort) -> Section:
    """Measure what each adds to a healthy call: switched off, and switched on."""
    with Hub(base_url="http://127.0.0.1:9/v1", api_key="sk-bench", model_overrides=_PRICES) as hub:
        works = {name: _often(work) for name, work in {**_off(hub), **_on(hub)}.items()}
        found = in_turns(works, effort)
    return Section([Figure(name, found.ms(name), "µs", "", target) for name, target in _TARGETS.items()])


def _off(hub: Hub) -> dict[str, Work]:
    connected = hub._connected
    plan = connected.plan(CHAT, _PAYLOAD, CallOptions(fallbacks=_MODELS[1:]))
    run, step = _begun(plan)

    def charge() -> None:
        charging = Charging(_PAYLOAD, CallOptions())
        charging.reserve(connected, step.route, Limits())
        charging.owe(step.route, step.route.model, None)
        charging.settle()

    def measured() -> None:
        key = measured_as(step.route, streaming=False)
        MEASUREMENTS.answered(key, 0.2)
        MEASUREMENTS.produced(key, 100, 1.0)

    return {
        "no budget": charge,
        "measuring a route, which every call does": measured,
        "no hedging": lambda: run.hedge_after(step),
    }


def _on(hub: Hub) -> dict[str, Work]:
    connected, budget = hub._connected, Budget("1000000", name="benchmark")
    options = CallOptions(fallbacks=_MODELS[1:], policy=FailoverPolicy(hedge_after=2.0), budget=budget)
    plan = connected.plan(CHAT, _PAYLOAD, options)
    run, step = _begun(plan)
    known = Measurements()
    for number, route in enumerate(plan.routes):
        known.answered(measured_as(route, streaming=False), 0.1 * (number + 1))

    def charge() -> None:
        charging = Charging(_PAYLOAD, options)
        charging.reserve(connected, step.route, Limits())
        charging.owe(step.route, step.route.model, None)
        charging.settle()

    def nothing(_: object) -> Decimal | None:
        return None

    return {
        "a budget in this process": charge,
        "order by latency among three routes": lambda: preferred(
            plan.routes, "latency", nothing, streaming=False, measurements=known
        ),
        "hedging, until it begins": lambda: run.hedge_after(step),
    }


def _begun(plan: Plan) -> tuple[FailoverRun, Send]:
    run = FailoverRun(plan)
    step = run.next()
    if not isinstance(step, Send):
        raise RuntimeError(f"the first step was {step!r}")
    return run, step


def _often(work: Work) -> Work:
    def many() -> None:
        for _ in range(_TIMES):
            work()

    return many
