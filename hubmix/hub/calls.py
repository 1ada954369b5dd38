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
from hubmix.transport.answer import Answer, monotonic
from hubmix.transport.exchange import Opened, Read, chat_reader, stream_async, stream_sync, whole_async, whole_sync
from hubmix.transport.owned import Owned
from hubmix.wire import Delta, EmbeddingReply, Reply, RerankReply, read_embeddings, read_rerank
from hubmix.wire.chat.body import shape
from hubmix.wire.trace import Trace

if TYPE_CHECKING:
    from hubmix.catalog import ModelCatalog
    from hubmix.errors import HubmixError
    from hubmix.hub.planning import Planning
    from hubmix.transport.connection import Connection

logger = logging.getLogger(__name__)

CHAT, EMBEDDINGS, RERANK = "chat/completions", "embeddings", "rerank"
_USAGE_WANTED = {"include_usage": True}


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

    # ------------------------------------------------------------------------------------------------ chat, whole

    def chat(self, payload: Mapping[str, Any], options: CallOptions) -> Reply:
        plan = self._planning.plan(payload, options)
        read = chat_reader(payload.get("n") or 1)

        def attempt(model: str, limits: Limits) -> Reply:
            self._take_turn(limits)
            body = self._body(payload, model, options)
            reply: Reply = whole_sync(self._client(), self._url(CHAT, limits), body, options.headers, limits, read)
            return reply

        reply, trace = walk_sync(plan, attempt)
        return self._complete(reply, trace)

    async def achat(self, payload: Mapping[str, Any], options: CallOptions) -> Reply:
        plan = self._planning.plan(payload, options)
        read = chat_reader(payload.get("n") or 1)

        async def attempt(model: str, limits: Limits) -> Reply:
            await self._atake_turn(limits)
            body = self._body(payload, model, options)
            client = await self._aclient()
            reply: Reply = await whole_async(client, self._url(CHAT, limits), body, options.headers, limits, read)
            return reply

        reply, trace = await walk_async(plan, attempt)
        return self._complete(reply, trace)

    # --------------------------------------------------------------------------------------------- chat, streamed

    def stream(self, payload: Mapping[str, Any], options: CallOptions) -> Generator[Delta, None, None]:
        plan = self._planning.plan(payload, options, streaming=True)
        n = payload.get("n") or 1

        def attempt(model: str, limits: Limits) -> Opened[Generator[Delta, None, None]]:
            self._take_turn(limits)
            body = self._stream_body(payload, model, options)
            try:
                return stream_sync(self._client(), self._url(CHAT, limits), body, options.headers, limits, n)
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

    async def astream(self, payload: Mapping[str, Any], options: CallOptions) -> AsyncGenerator[Delta, None]:
        plan = self._planning.plan(payload, options, streaming=True)
        n = payload.get("n") or 1

        async def attempt(model: str, limits: Limits) -> Opened[Owned[Delta]]:
            await self._atake_turn(limits)
            body = self._stream_body(payload, model, options)
            client = await self._aclient()
            try:
                return await stream_async(client, self._url(CHAT, limits), body, options.headers, limits, n)
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

    def _stream_body(self, payload: Mapping[str, Any], model: str, options: CallOptions) -> dict[str, Any]:
        body = self._body(payload, model, options)
        body["stream"] = True
        # Without it New API drops the usage, and may drop a finish_reason with it (read in its source).
        body.setdefault("stream_options", _USAGE_WANTED)
        if model in self._no_stream_options:
            del body["stream_options"]
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

    # ------------------------------------------------------------------------------------- embeddings and rerank

    def embed(self, payload: Mapping[str, Any], options: CallOptions) -> EmbeddingReply:
        reply: EmbeddingReply = self._whole(
            EMBEDDINGS, payload, replace(options, fallbacks=()), _embedding_reader(payload)
        )
        return reply

    async def aembed(self, payload: Mapping[str, Any], options: CallOptions) -> EmbeddingReply:
        read = _embedding_reader(payload)
        reply: EmbeddingReply = await self._awhole(EMBEDDINGS, payload, replace(options, fallbacks=()), read)
        return reply

    def rerank(self, payload: Mapping[str, Any], options: CallOptions) -> RerankReply:
        reply: RerankReply = self._whole(RERANK, payload, options, _rerank_reader(payload))
        return reply

    async def arerank(self, payload: Mapping[str, Any], options: CallOptions) -> RerankReply:
        reply: RerankReply = await self._awhole(RERANK, payload, options, _rerank_reader(payload))
        return reply

    def _whole(self, path: str, payload: Mapping[str, Any], options: CallOptions, read: Read) -> Any:
        def attempt(model: str, limits: Limits) -> Any:
            self._take_turn(limits)
            body = self._plain_body(payload, model, options)
            return whole_sync(self._client(), self._url(path, limits), body, options.headers, limits, read)

        reply, trace = walk_sync(self._planning.plan(payload, options), attempt)
        return self._counted(reply, trace)

    async def _awhole(self, path: str, payload: Mapping[str, Any], options: CallOptions, read: Read) -> Any:
        async def attempt(model: str, limits: Limits) -> Any:
            await self._atake_turn(limits)
            body = self._plain_body(payload, model, options)
            client = await self._aclient()
            return await whole_async(client, self._url(path, limits), body, options.headers, limits, read)

        reply, trace = await walk_async(self._planning.plan(payload, options), attempt)
        return self._counted(reply, trace)

    def _plain_body(self, payload: Mapping[str, Any], model: str, options: CallOptions) -> dict[str, Any]:
        return {**payload, "model": self._catalog.cached.id(model), **(options.extra_body or {})}

    # ------------------------------------------------------------------------------------------------ what it needs

    def _client(self) -> Any:
        return self._connection.pool.sync()

    async def _aclient(self) -> Any:
        return await self._connection.pool.current()

    def _url(self, path: str, limits: Limits) -> str:
        return f"{limits.base_url or self._connection.base_url}/{path}"

    def _body(self, payload: Mapping[str, Any], model: str, options: CallOptions) -> dict[str, Any]:
        body = shape(payload, model, self._connection.endpoint.preset.takes_back, options.extra_body)
        if body["model"] == model:  # unless extra_body says otherwise
            body["model"] = self._catalog.cached.id(model)
        return body

    # ---------------------------------------------------------------------------------------------------- the answer

    def _complete(self, reply: Reply, trace: Trace) -> Reply:
        reply.trace, reply.served = trace, trace.served
        if trace.served is not None:  # a price by the call needs no usage
            reply.cost = self._catalog.cached.cost(trace.served, reply.usage)
        self._counted(reply, trace)
        return reply

    def _counted(self, reply: Any, trace: Trace) -> Any:
        self._record(trace, reply)
        if self._refresh_catalog:
            self._catalog.warm()
        return reply

    def _count_unfinished(self, last: Delta, trace: Trace) -> None:
        """Count a stream that was left or cut off: hubs bill what they sent, and count it in the last piece."""
        if last.final is None:
            spending.record(self._connection.spending_key, trace.served or trace.requested, None, None)

    def _record(self, trace: Trace, reply: Any) -> None:
        cost = getattr(reply, "cost", None)
        if cost is None and trace.served is not None:
            cost = self._catalog.cached.cost(trace.served, reply.usage)
        spending.record(self._connection.spending_key, trace.served or trace.requested, reply.usage, cost)

    # ----------------------------------------------------------------------------------------- the limit on requests

    def _take_turn(self, limits: Limits) -> None:
        limiter = self._connection.limiter()
        if limiter is not None:
            limiter.acquire(_left(limits))

    async def _atake_turn(self, limits: Limits) -> None:
        limiter = self._connection.limiter()
        if limiter is not None:
            await limiter.aacquire(_left(limits))


def _embedding_reader(payload: Mapping[str, Any]) -> Read:
    texts = payload.get("input")
    count = len(texts) if isinstance(texts, list) else 1

    def read(data: Any, answer: Answer) -> EmbeddingReply:
        reply = read_embeddings(data, count)
        reply.request_id = answer.request_id
        return reply

    return read


def _rerank_reader(payload: Mapping[str, Any]) -> Read:
    def read(data: Any, answer: Answer) -> RerankReply:
        reply = read_rerank(data, len(payload.get("documents") or ()))
        reply.request_id = answer.request_id
        return reply

    return read


def _left(limits: Limits) -> float | None:
    return None if limits.deadline is None else max(limits.deadline - monotonic(), 0.0)
