"""A call through a hub: the payload shaped for each candidate, the walk over them, and what is put on the answer.

Sync and async share everything but the verb that waits.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import aclosing, closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hubmix.failover.drivers import walk_async, walk_sync
from hubmix.failover.options import CallOptions
from hubmix.failover.plan import AttemptFailed, Limits, Plan
from hubmix.failover.stream_end import ended, interrupted
from hubmix.hub import spending
from hubmix.transport.answer import monotonic
from hubmix.transport.exchange import Opened, stream_async, stream_sync, whole_async, whole_sync
from hubmix.transport.owned import Owned
from hubmix.wire import Delta, Reply
from hubmix.wire.api import Answered, Api, BodyOptions, Reading
from hubmix.wire.trace import Trace

if TYPE_CHECKING:
    from hubmix.catalog import ModelCatalog
    from hubmix.errors import HubmixError
    from hubmix.hub.planning import Planning
    from hubmix.transport.connection import Connection

logger = logging.getLogger(__name__)


class Calls:
    """The calls of one hub."""

    def __init__(
        self, connection: Connection, planning: Planning, catalog: ModelCatalog, *, refresh_catalog: bool
    ) -> None:
        self._connection = connection
        self._planning = planning
        self._catalog = catalog
        self._refresh_catalog = refresh_catalog
        self._no_stream_options: set[str] = set()  # models whose vendor refused stream_options with a 400

    # ---------------------------------------------------------------------------------------------- whole answers

    def whole(self, api: Api[Answered], payload: Mapping[str, Any], options: CallOptions) -> Answered:
        """Ask for one whole answer."""

        def attempt(model: str, limits: Limits) -> Answered:
            self._take_turn(limits)
            body = api.body(payload, self._body_options(model, options))
            reading = _reading(api, payload, options)
            reply: Answered = whole_sync(self._client(), self._url(api, limits), body, options.headers, limits, reading)
            return reply

        reply, trace = walk_sync(self._planning.plan(api, payload, options), attempt)
        self._complete(reply, trace)
        return reply

    async def awhole(self, api: Api[Answered], payload: Mapping[str, Any], options: CallOptions) -> Answered:
        """`whole`, for asyncio."""

        async def attempt(model: str, limits: Limits) -> Answered:
            await self._atake_turn(limits)
            body = api.body(payload, self._body_options(model, options))
            reading = _reading(api, payload, options)
            client, url = await self._aclient(), self._url(api, limits)
            reply: Answered = await whole_async(client, url, body, options.headers, limits, reading)
            return reply

        reply, trace = await walk_async(self._planning.plan(api, payload, options), attempt)
        self._complete(reply, trace)
        return reply

    # ---------------------------------------------------------------------------------------------------- streams

    def stream(self, api: Api[Any], payload: Mapping[str, Any], options: CallOptions) -> Generator[Delta, None, None]:
        """Ask for an answer in pieces."""
        plan = self._planning.plan(api, payload, options, streaming=True)

        def attempt(model: str, limits: Limits) -> Opened[Generator[Delta, None, None]]:
            self._take_turn(limits)
            body = self._stream_body(api, payload, model, options)
            try:
                reading = _reading(api, payload, options)
                return stream_sync(self._client(), self._url(api, limits), body, options.headers, limits, reading)
            except AttemptFailed as failed:
                self._mind_stream_options(failed, model, body)
                raise

        opened, trace = walk_sync(plan, attempt)
        if isinstance(opened, Reply):  # an empty answer, with nobody else to ask
            yield Delta(final=self._complete(opened, trace))
            return
        broken: AttemptFailed | None = None
        delta = Delta()
        with closing(opened.rest) as rest:
            try:
                for delta in opened.begun:
                    yield self._pass_on(delta, plan, trace)
                for delta in rest:
                    yield self._pass_on(delta, plan, trace)
            except AttemptFailed as failed:
                broken = failed
            finally:
                self._count_unfinished(delta, trace)
        if broken is not None:
            # Not while the SDK's error is being handled: that holds the request, and the request holds the key.
            raise self._interrupted(broken, plan, trace)

    async def astream(
        self, api: Api[Any], payload: Mapping[str, Any], options: CallOptions
    ) -> AsyncGenerator[Delta, None]:
        """`stream`, for asyncio."""
        plan = self._planning.plan(api, payload, options, streaming=True)

        async def attempt(model: str, limits: Limits) -> Opened[Owned[Delta]]:
            await self._atake_turn(limits)
            body = self._stream_body(api, payload, model, options)
            client = await self._aclient()
            try:
                reading = _reading(api, payload, options)
                return await stream_async(client, self._url(api, limits), body, options.headers, limits, reading)
            except AttemptFailed as failed:
                self._mind_stream_options(failed, model, body)
                raise

        opened, trace = await walk_async(plan, attempt)
        if isinstance(opened, Reply):
            yield Delta(final=self._complete(opened, trace))
            return
        broken: AttemptFailed | None = None
        delta = Delta()
        async with aclosing(opened.rest) as rest:
            try:
                for delta in opened.begun:
                    yield self._pass_on(delta, plan, trace)
                async for delta in rest:
                    yield self._pass_on(delta, plan, trace)
            except AttemptFailed as failed:
                broken = failed
            finally:
                self._count_unfinished(delta, trace)
        if broken is not None:
            # Not while the SDK's error is being handled: that holds the request, and the request holds the key.
            raise self._interrupted(broken, plan, trace)

    def _stream_body(
        self, api: Api[Any], payload: Mapping[str, Any], model: str, options: CallOptions
    ) -> dict[str, Any]:
        body = api.body(payload, self._body_options(model, options, stream=True))
        if model in self._no_stream_options:
            body.pop("stream_options", None)
        return body

    def _mind_stream_options(self, failed: AttemptFailed, model: str, body: Mapping[str, Any]) -> None:
        """Where the vendor refused ``stream_options``, leave it out from now on, and let the walk ask once more."""
        seen = failed.evidence
        said = f"{seen.param} {seen.message}"
        if "stream_options" in body and seen.status in (400, 422) and "stream_options" in said:
            self._no_stream_options.add(model)
            failed.evidence = replace(seen, cause="stream_options")

    def _pass_on(self, delta: Delta, plan: Plan, trace: Trace) -> Delta:
        if delta.final is not None:
            ended(plan, trace, incomplete=delta.final.incomplete)
            self._complete(delta.final, trace)
        return delta

    def _interrupted(self, failed: AttemptFailed, plan: Plan, trace: Trace) -> HubmixError:
        partial = failed.partial
        if partial is not None:
            partial.served, partial.trace = trace.served, trace
        return interrupted(plan, trace, failed)

    # ------------------------------------------------------------------------------------------------ what it needs

    def _client(self) -> Any:
        return self._connection.pool.sync()

    async def _aclient(self) -> Any:
        return await self._connection.pool.current()

    def _url(self, api: Api[Any], limits: Limits) -> str:
        return f"{limits.base_url or self._connection.base_url}/{api.path}"

    def _body_options(self, model: str, options: CallOptions, *, stream: bool = False) -> BodyOptions:
        replay = self._connection.endpoint.preset.reasoning_replay
        return BodyOptions(model, self._catalog.cached.id(model), replay, options.extra_body, stream)

    # ---------------------------------------------------------------------------------------------------- the answer

    def _complete(self, reply: Any, trace: Trace) -> Any:
        cost = None if trace.served is None else self._catalog.cached.cost(trace.served, reply.usage)
        if isinstance(reply, Reply):
            reply.trace, reply.served, reply.cost = trace, trace.served, cost
        spending.record(self._connection.spending_key, trace.served or trace.requested, reply.usage, cost)
        if self._refresh_catalog:
            self._catalog.warm()
        return reply

    def _count_unfinished(self, last: Delta, trace: Trace) -> None:
        """Count a stream that was left or cut off: hubs bill what they sent, and count it in the last piece."""
        if last.final is None:
            spending.record(self._connection.spending_key, trace.served or trace.requested, None, None)

    # ----------------------------------------------------------------------------------------- the limit on requests

    def _take_turn(self, limits: Limits) -> None:
        limiter = self._connection.limiter()
        if limiter is not None:
            limiter.acquire(_left(limits))

    async def _atake_turn(self, limits: Limits) -> None:
        limiter = self._connection.limiter()
        if limiter is not None:
            await limiter.aacquire(_left(limits))


def _reading(api: Api[Answered], payload: Mapping[str, Any], options: CallOptions) -> Reading[Answered]:
    return Reading(api, {**payload, **options.extra_body} if options.extra_body else payload)


def _left(limits: Limits) -> float | None:
    return None if limits.deadline is None else max(limits.deadline - monotonic(), 0.0)
