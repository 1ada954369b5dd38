"""Drive one call over its routes; sync and async differ in how they wait."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from hubmix.failover.limits import Limits
from hubmix.failover.plan import AttemptFailed, Plan
from hubmix.failover.route import Route
from hubmix.failover.run import FailoverRun, Sleep

T = TypeVar("T")


def run_sync(plan: Plan, send: Callable[[Route, Limits], T]) -> tuple[T, FailoverRun]:
    """Ask the routes of a plan until one answers.

    Args:
        plan: the call.
        send: sends one request over a route within limits; returns the answer, or a stream at its first content.
            Raises `AttemptFailed` with what was seen; any other exception propagates at once.

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
                value = send(step.route, step.limits)
            except AttemptFailed as failed:
                if seconds := run.wants_more(failed):
                    first, ratio = plan.routes[0], plan.policy.max_price_ratio
                    run.admit(first.hub.discover_fallbacks(first.model, ratio, seconds))
                run.failed(step, failed)
            else:
                run.succeeded(step, value)
                return value, run
        except BaseException:  # also Ctrl-C in a hook of the user: an unreturned permit would block its breaker's probe
            run.abandoned(step)
            raise
    for hub, seconds in run.wants_lists():
        hub.learn_models(seconds)
    return run.finish(), run


async def run_async(plan: Plan, send: Callable[[Route, Limits], Awaitable[T]]) -> tuple[T, FailoverRun]:
    """`run_sync`, awaiting. Cancellation propagates and gives the permit back."""
    run = FailoverRun(plan)
    while (step := run.next()) is not None:
        if isinstance(step, Sleep):
            await plan.clock.async_sleep(step.seconds)
            continue
        try:
            try:
                value = await send(step.route, step.limits)
            except AttemptFailed as failed:
                if seconds := run.wants_more(failed):
                    first, ratio = plan.routes[0], plan.policy.max_price_ratio
                    run.admit(await first.hub.adiscover_fallbacks(first.model, ratio, seconds))
                run.failed(step, failed)
            else:
                run.succeeded(step, value)
                return value, run
        except BaseException:  # also Ctrl-C in a hook of the user: an unreturned permit would block its breaker's probe
            run.abandoned(step)
            raise
    for hub, seconds in run.wants_lists():
        await hub.alearn_models(seconds)
    return run.finish(), run
