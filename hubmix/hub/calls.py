"""A call through a hub: the run over its routes, and what is put on the answer.

Sync and async share everything but the verb that waits.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from contextlib import aclosing, closing
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar, cast

from hubmix.failover.drivers import run_async, run_sync
from hubmix.failover.plan import AttemptFailed
from hubmix.hub import spending
from hubmix.hub.charging import Charging
from hubmix.hub.sharing import shared_by
from hubmix.transport.exchange import Opened, Request
from hubmix.transport.exchange_async import stream_async, whole_async
from hubmix.transport.exchange_sync import stream_sync, whole_sync
from hubmix.wire import Delta, Reply, Usage
from hubmix.wire.api import Answered, Api, Payload

if TYPE_CHECKING:
    from types import TracebackType

    from hubmix.errors import HubmixError
    from hubmix.failover.limits import Limits
    from hubmix.failover.options import CallOptions
    from hubmix.failover.plan import Plan
    from hubmix.failover.route import Route
    from hubmix.failover.run import FailoverRun
    from hubmix.hub.planning import ConnectedHub
    from hubmix.transport.closing import Owned

T = TypeVar("T")


class Sent:
    """The requests of one call: what refusals teach, and what they may have cost."""

    __slots__ = ("_amended", "_charging", "_payload")

    def __init__(self, payload: Payload, charging: Charging) -> None:
        self._payload = payload
        self._charging = charging
        self._amended: dict[Route, tuple[str, ...]] = {}

    def watching(self, hub: ConnectedHub, route: Route) -> _Watched:
        """Go around one request."""
        return _Watched(self, hub, route)

    def ended(self, watched: _Watched, error: BaseException | None) -> None:
        """Have a request sent once more if what was refused can be sent differently."""
        request = watched.request
        if error is None:
            if request is not None and request.amended:
                self._amended[watched.route] = request.amended
            return
        if isinstance(error, AttemptFailed) and request is not None:
            error.evidence = watched.hub.learn(error.evidence, watched.route, request)
        self._charging.failed(watched.route, error)

    def note(self, run: FailoverRun, usage: Usage | None) -> None:
        """Tell what was changed in the request that was answered, and what did not count."""
        run.completed(self._amended.get(run.served, ()), usage.output_tokens if usage is not None else None)
        _hub_of(run.served).tell_of_marks(run.served, self._payload, usage)


class _Watched:
    """One request, from the moment that its hub is asked for a client."""

    __slots__ = ("_sent", "hub", "request", "route")

    def __init__(self, sent: Sent, hub: ConnectedHub, route: Route) -> None:
        self._sent, self.hub, self.route = sent, hub, route
        self.request: Request | None = None

    def __enter__(self) -> _Watched:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sent.ended(self, error)


def _hub_of(route: Route) -> ConnectedHub:
    return cast("ConnectedHub", route.hub)


class Calls:
    """The calls of one hub."""

    def __init__(self, hub: ConnectedHub, *, refresh_catalog: bool) -> None:
        self._hub = hub
        self._refresh_catalog = refresh_catalog

    def _run(self, plan: Plan, send: Callable[[Route, Limits], T], charging: Charging) -> tuple[T, FailoverRun]:
        self._hub.load()
        shared = shared_by(plan)
        for breakers, keys in shared:
            breakers.share(keys)
        try:
            return run_sync(plan, send, charging.dropped)
        finally:
            for breakers, _ in shared:
                breakers.share()

    async def _arun(
        self, plan: Plan, send: Callable[[Route, Limits], Coroutine[Any, Any, T]], charging: Charging
    ) -> tuple[T, FailoverRun]:
        await self._hub.aload()
        shared = shared_by(plan)
        for breakers, keys in shared:
            await breakers.ashare(keys)
        try:
            return await run_async(plan, send, charging.dropped)
        finally:
            for breakers, _ in shared:
                await breakers.ashare()

    # -- whole answers ----------------------------------------------------------------------------------------------

    def whole(self, api: Api[Answered], payload: Payload, options: CallOptions) -> Answered:
        """Ask for one whole answer."""
        charging = Charging(payload, options)
        sent = Sent(payload, charging)

        def send(route: Route, limits: Limits) -> Answered:
            hub = _hub_of(route)
            charging.reserve(hub, route, limits)
            with sent.watching(hub, route) as watched:
                client = hub.client(limits)
                request = watched.request = hub.request(route, payload, self._options_at(hub, options))
                reply: Answered = whole_sync(client, request, limits, request.reading)
                return reply

        plan = self._hub.plan(api, payload, options)
        reply, run = self._run(plan, send, charging)
        _count_hedged(run)
        self._complete(reply, run, charging, sent)
        charging.settle()
        return reply

    async def awhole(self, api: Api[Answered], payload: Payload, options: CallOptions) -> Answered:
        """`whole`, for asyncio."""
        charging = Charging(payload, options)
        sent = Sent(payload, charging)

        async def send(route: Route, limits: Limits) -> Answered:
            hub = _hub_of(route)
            await charging.areserve(hub, route, limits)
            with sent.watching(hub, route) as watched:
                client = await hub.aclient(limits)
                request = watched.request = hub.request(route, payload, self._options_at(hub, options))
                reply: Answered = await whole_async(client, request, limits, request.reading)
                return reply

        plan = self._hub.plan(api, payload, options)
        reply, run = await self._arun(plan, send, charging)
        _count_hedged(run)
        self._complete(reply, run, charging, sent)
        await charging.asettle()
        return reply

    # -- streams ----------------------------------------------------------------------------------------------------

    def stream(self, api: Api[Any], payload: Payload, options: CallOptions) -> Generator[Delta, None, None]:
        """Ask for an answer in pieces."""
        charging = Charging(payload, options)
        sent = Sent(payload, charging)

        def send(route: Route, limits: Limits) -> Opened[Generator[Delta, None, None]]:
            hub = _hub_of(route)
            charging.reserve(hub, route, limits)
            with sent.watching(hub, route) as watched:
                client = hub.client(limits)
                request = watched.request = hub.request(route, payload, self._options_at(hub, options), stream=True)
                return stream_sync(client, request, limits, request.reading)

        plan = self._hub.plan(api, payload, options, streaming=True)
        opened, run = self._run(plan, send, charging)
        _count_hedged(run)
        if isinstance(opened, Reply):  # an empty answer, and no route had a better one
            final = Delta(final=self._complete(opened, run, charging, sent))
            charging.settle()
            yield final
            return
        broken: AttemptFailed | None = None
        delta = Delta()
        with closing(opened.rest) as rest:
            try:
                for delta in chain(opened.begun, rest):
                    if delta.final is not None:
                        self._end(delta.final, run, charging, sent)
                        charging.settle()
                    yield delta
            except AttemptFailed as failed:
                broken = failed
            finally:
                _count_unfinished(delta, run, charging)
        if broken is not None:
            # Not while the SDK's error is being handled: that holds the request, and the request holds the key.
            raise _interrupted(broken, run)

    async def astream(self, api: Api[Any], payload: Payload, options: CallOptions) -> AsyncGenerator[Delta, None]:
        """`stream`, for asyncio."""
        charging = Charging(payload, options)
        sent = Sent(payload, charging)

        async def send(route: Route, limits: Limits) -> Opened[Owned[Delta]]:
            hub = _hub_of(route)
            await charging.areserve(hub, route, limits)
            with sent.watching(hub, route) as watched:
                client = await hub.aclient(limits)
                request = watched.request = hub.request(route, payload, self._options_at(hub, options), stream=True)
                return await stream_async(client, request, limits, request.reading)

        plan = self._hub.plan(api, payload, options, streaming=True)
        opened, run = await self._arun(plan, send, charging)
        _count_hedged(run)
        if isinstance(opened, Reply):
            final = Delta(final=self._complete(opened, run, charging, sent))
            await charging.asettle()
            yield final
            return
        broken: AttemptFailed | None = None
        delta = Delta()
        async with aclosing(opened.rest) as rest:
            try:
                for delta in opened.begun:
                    if delta.final is not None:
                        self._end(delta.final, run, charging, sent)
                        await charging.asettle()
                    yield delta
                async for delta in rest:
                    if delta.final is not None:
                        self._end(delta.final, run, charging, sent)
                        await charging.asettle()
                    yield delta
            except AttemptFailed as failed:
                broken = failed
            finally:
                _count_unfinished(delta, run, charging)
        if broken is not None:
            # Not while the SDK's error is being handled: that holds the request, and the request holds the key.
            raise _interrupted(broken, run)

    def _end(self, reply: Reply, run: FailoverRun, charging: Charging, sent: Sent) -> None:
        run.ended(incomplete=reply.incomplete)
        self._complete(reply, run, charging, sent)

    def _options_at(self, hub: ConnectedHub, options: CallOptions) -> CallOptions:
        """Return the options for a hub; headers go to the call's own hub alone."""
        if hub is self._hub or not (options.headers or options.session):
            return options
        return replace(options, headers=None, session=None)

    # -- the answer -------------------------------------------------------------------------------------------------

    def _complete(self, reply: Any, run: FailoverRun, charging: Charging, sent: Sent) -> Any:
        route = run.served
        hub = _hub_of(route)
        sent.note(run, reply.usage)
        hub.answered.add(route.api.name)
        served = hub.served(route.model, reply)
        cost = hub.known.cost(served.billed, reply.usage)  # a price by the call needs no usage
        run.trace.served = served.model
        run.trace.substituted = route.model if served.substituted else None
        # No list has the prices of searches and containers.
        if cost is not None and isinstance(reply, Reply) and reply.used_hosted_tools:
            cost = replace(cost, complete=False)
        reply.trace, reply.served, reply.cost = run.trace, served.model, cost
        reply.hub, reply.api = hub.name, route.api.name
        spending.record(hub.spending_key, served.billed, reply.usage, cost)
        charging.owe(route, served.billed, cost)
        if self._refresh_catalog:
            hub.catalog.warm()
        return reply


def _interrupted(failed: AttemptFailed, run: FailoverRun) -> HubmixError:
    if failed.partial is not None:
        failed.partial.served, failed.partial.trace = run.trace.served, run.trace
        failed.partial.hub, failed.partial.api = run.served.hub.name, run.served.api.name
    return run.interrupted(failed)


def _count_hedged(run: FailoverRun) -> None:
    """Count the hedged requests that lost: hubs may bill their prompts."""
    for route in run.hedged:
        spending.record(_hub_of(route).spending_key, route.model, None, None)


def _count_unfinished(last: Delta, run: FailoverRun, charging: Charging) -> None:
    """Count a stream that was left or cut off, because hubs bill what they sent."""
    if last.final is None:
        spending.record(_hub_of(run.served).spending_key, run.served.model, None, None)
        charging.broke_off(run.served)
