"""Drive one call over its routes; sync and async differ in how they wait."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from hubmix.failover.limits import Limits
from hubmix.failover.plan import AttemptFailed, Plan
from hubmix.failover.race import race_async, race_sync
from hubmix.failover.requests import Sleep
from hubmix.failover.route import Route
from hubmix.failover.run import FailoverRun

T = TypeVar("T")


def _nothing(route: Route, value: object) -> None:
    """Drop nothing."""


def run_sync(
    plan: Plan, send: Callable[[Route, Limits], T], drop: Callable[[Route, Any], None] = _nothing
) -> tuple[T, FailoverRun]:
    """Ask the routes of a plan until one answers.

    Args:
        plan: the call.
        send: sends one request over a route within limits; returns the answer, or a stream at its first content.
            Raises `AttemptFailed` with what was seen; any other exception propagates at once.
        drop: called with the route of a hedged request that lost (`Plan.hedging`), and with its answer if that
            came too.

    Returns:
        The answer, and the run with its trace.

    Raises:
        HubmixError: as `FailoverRun.finish` says.
    """
    run = FailoverRun(plan)
    while (step := run.next()) is not None:
        if isinstance(step, Sleep):
            plan.clock.sleep(step.seconds)
            continue
        try:
            try:
                after = run.hedge_after(step)
                value = send(step.route, step.limits) if after is None else race_sync(run, step, after, send, drop)
            except AttemptFailed as failed:
                if seconds := run.wants_more(failed):
                    first, ratio = plan.routes[0], plan.policy.max_price_ratio
                    run.admit(first.hub.discover_fallbacks(first.model, ratio, seconds))
                run.failed(run.current, failed)
            else:
                run.succeeded(run.current, value)
                return value, run
        except BaseException:  # also Ctrl-C in a hook of the user: an unreturned permit would block its breaker's probe
            run.abandoned()
            raise
    for hub, seconds in run.wants_lists():
        hub.learn_models(seconds)
    return run.finish(), run


async def run_async(
    plan: Plan, send: Callable[[Route, Limits], Coroutine[Any, Any, T]], drop: Callable[[Route, Any], None] = _nothing
) -> tuple[T, FailoverRun]:
    """`run_sync`, awaiting. Cancellation propagates and gives the permit back."""
    run = FailoverRun(plan)
    while (step := run.next()) is not None:
        if isinstance(step, Sleep):
            await plan.clock.async_sleep(step.seconds)
            continue
        try:
            try:
                after = run.hedge_after(step)
                asked = send(step.route, step.limits) if after is None else race_async(run, step, after, send, drop)
                value = await asked
            except AttemptFailed as failed:
                if seconds := run.wants_more(failed):
                    first, ratio = plan.routes[0], plan.policy.max_price_ratio
                    run.admit(await first.hub.adiscover_fallbacks(first.model, ratio, seconds))
                run.failed(run.current, failed)
            else:
                run.succeeded(run.current, value)
                return value, run
        except BaseException:  # also Ctrl-C in a hook of the user: an unreturned permit would block its breaker's probe
            run.abandoned()
            raise
    for hub, seconds in run.wants_lists():
        await hub.alearn_models(seconds)
    return run.finish(), run
