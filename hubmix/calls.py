"""A call through a hub: the payload shaped for each candidate, the walk over them, and what is put on the answer.

Sync and async share everything but the verb that waits.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import aclosing, closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hubmix.attempts import Opened, Read, chat_reader, stream_async, stream_sync, whole_async, whole_sync
from hubmix.classification import classify
from hubmix.errors import BadRequestError, HubmixError, to_exception
from hubmix.failover import AttemptFailed, Limits, Needs, Plan, Trace, interrupted, needs_of, walk_async, walk_sync
from hubmix.health import HubHealth
from hubmix.options import CallOptions
from hubmix.settings import is_loopback
from hubmix.shaping import shape
from hubmix.transport import Answer, failure_evidence, monotonic
from hubmix.wire import Delta, EmbeddingReply, Reply, RerankReply, read_embeddings, read_rerank

if TYPE_CHECKING:
    from hubmix.catalog.sources import Fetched
    from hubmix.health import BreakerState
    from hubmix.hub import Hub
    from hubmix.rate_limit import Limiter

logger = logging.getLogger(__name__)

CHAT, EMBEDDINGS, RERANK = "chat/completions", "embeddings", "rerank"
_USAGE_WANTED = {"include_usage": True}


class Calls:
    """The calls of one hub."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._made_health: HubHealth | None = None
        self._made_limiter: tuple[Limiter | None] | None = None
        self._no_stream_options: set[str] = set()  # models whose vendor refused stream_options with a 400

    # ------------------------------------------------------------------------------------------------ chat, whole

    def chat(self, payload: Mapping[str, Any], options: CallOptions) -> Reply:
        plan = self._plan(payload, options)
        read = chat_reader(payload.get("n") or 1)

        def attempt(model: str, limits: Limits) -> Reply:
            self._take_turn(limits)
            body = self._body(payload, model, options)
            reply: Reply = whole_sync(self._client(), self._url(CHAT, limits), body, options.headers, limits, read)
            return reply

        reply, trace = walk_sync(plan, attempt)
        return self._complete(reply, trace)

    async def achat(self, payload: Mapping[str, Any], options: CallOptions) -> Reply:
        await self._prepare_auto(payload, options)
        plan = self._plan(payload, options)
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
        plan = self._plan(payload, options, streaming=True)
        n = payload.get("n") or 1

        def send(model: str, limits: Limits, *, usage: bool) -> Opened[Generator[Delta, None, None]]:
            self._take_turn(limits)
            body = self._stream_body(payload, model, options, usage=usage)
            return stream_sync(self._client(), self._url(CHAT, limits), body, options.headers, limits, n)

        def attempt(model: str, limits: Limits) -> Opened[Generator[Delta, None, None]]:
            try:
                return send(model, limits, usage=model not in self._no_stream_options)
            except AttemptFailed as failed:
                if not self._refuses_stream_options(failed, model):
                    raise
                return send(model, limits, usage=False)

        opened, trace = walk_sync(plan, attempt)
        if isinstance(opened, Reply):  # an empty answer, with nobody else to ask
            yield Delta(final=self._complete(opened, trace))
            return
        broken: AttemptFailed | None = None
        with closing(opened.rest) as rest:
            try:
                for delta in opened.begun:
                    yield self._pass_on(delta, plan, trace)
                for delta in rest:
                    yield self._pass_on(delta, plan, trace)
            except AttemptFailed as failed:
                broken = failed
        if broken is not None:
            # Not while the SDK's error is being handled: that holds the request, and the request holds the key.
            raise self._interrupted(broken, plan, trace)

    async def astream(self, payload: Mapping[str, Any], options: CallOptions) -> AsyncGenerator[Delta, None]:
        await self._prepare_auto(payload, options)
        plan = self._plan(payload, options, streaming=True)
        n = payload.get("n") or 1

        async def send(model: str, limits: Limits, *, usage: bool) -> Opened[AsyncGenerator[Delta, None]]:
            await self._atake_turn(limits)
            body = self._stream_body(payload, model, options, usage=usage)
            client = await self._aclient()
            return await stream_async(client, self._url(CHAT, limits), body, options.headers, limits, n)

        async def attempt(model: str, limits: Limits) -> Opened[AsyncGenerator[Delta, None]]:
            try:
                return await send(model, limits, usage=model not in self._no_stream_options)
            except AttemptFailed as failed:
                if not self._refuses_stream_options(failed, model):
                    raise
                return await send(model, limits, usage=False)

        opened, trace = await walk_async(plan, attempt)
        if isinstance(opened, Reply):
            yield Delta(final=self._complete(opened, trace))
            return
        broken: AttemptFailed | None = None
        async with aclosing(opened.rest) as rest:
            try:
                for delta in opened.begun:
                    yield self._pass_on(delta, plan, trace)
                async for delta in rest:
                    yield self._pass_on(delta, plan, trace)
            except AttemptFailed as failed:
                broken = failed
        if broken is not None:
            # Not while the SDK's error is being handled: that holds the request, and the request holds the key.
            raise self._interrupted(broken, plan, trace)

    def _stream_body(
        self, payload: Mapping[str, Any], model: str, options: CallOptions, *, usage: bool
    ) -> dict[str, Any]:
        body = self._body(payload, model, options)
        body["stream"] = True
        # Without it New API drops the usage, and may drop a finish_reason with it (read in its source).
        body.setdefault("stream_options", _USAGE_WANTED)
        if not usage:
            del body["stream_options"]
        return body

    def _refuses_stream_options(self, failed: AttemptFailed, model: str) -> bool:
        """True, and remembered, where a vendor knows no ``stream_options``; the request was not answered."""
        seen = failed.evidence
        said = f"{seen.param} {seen.message}"
        if seen.status not in (400, 422) or "stream_options" not in said or model in self._no_stream_options:
            return False
        self._no_stream_options.add(model)
        return True

    def _pass_on(self, delta: Delta, plan: Plan, trace: Trace) -> Delta:
        if delta.final is not None:
            served = trace.attempts[-1]
            plan.health.record(served.model, base_url=served.base_url)
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

        reply, trace = walk_sync(self._plan(payload, options), attempt)
        return self._counted(reply, trace)

    async def _awhole(self, path: str, payload: Mapping[str, Any], options: CallOptions, read: Read) -> Any:
        async def attempt(model: str, limits: Limits) -> Any:
            await self._atake_turn(limits)
            body = self._plain_body(payload, model, options)
            client = await self._aclient()
            return await whole_async(client, self._url(path, limits), body, options.headers, limits, read)

        reply, trace = await walk_async(self._plan(payload, options), attempt)
        return self._counted(reply, trace)

    def _plain_body(self, payload: Mapping[str, Any], model: str, options: CallOptions) -> dict[str, Any]:
        return {**payload, "model": self._hub.models.peek_id(model), **(options.extra_body or {})}

    # ------------------------------------------------------------------------------------------------ what it needs

    def _client(self) -> Any:
        return self._hub.pool.sync()

    async def _aclient(self) -> Any:
        return await self._hub.pool.current()

    def _url(self, path: str, limits: Limits) -> str:
        return f"{limits.base_url or self._hub.base_url}/{path}"

    def _body(self, payload: Mapping[str, Any], model: str, options: CallOptions) -> dict[str, Any]:
        body = shape(payload, model, self._hub.endpoint.preset.takes_back, options.extra_body)
        if body["model"] == model:  # unless extra_body says otherwise
            body["model"] = self._hub.models.peek_id(model)
        return body

    def candidates(self, model: str, options: CallOptions) -> list[str]:
        chosen: list[str] = [model]
        if options.fallbacks == "auto":
            chosen += self._nearest(model)
        else:
            chosen += options.fallbacks
        return list(dict.fromkeys(chosen))

    def _nearest(self, model: str) -> list[str]:
        """The catalog's choice. Where there is no catalog yet it is asked for once; where there is none, nobody."""
        catalog = self._hub.models
        if catalog.peek(model) is None:
            catalog.find(model)
        return [info.id for info in catalog.nearest(model)]

    async def _prepare_auto(self, payload: Mapping[str, Any], options: CallOptions) -> None:
        """Ask for the catalog where ``fallbacks="auto"`` needs one, without blocking the event loop."""
        model = payload.get("model")
        if options.fallbacks == "auto" and model and self._hub.models.peek(model) is None:
            await self._hub.models.afind(model)

    def _plan(self, payload: Mapping[str, Any], options: CallOptions, *, streaming: bool = False) -> Plan:
        hub = self._hub
        hub.require_key()
        if not payload.get("model"):
            raise BadRequestError("No model was named: pass model=, for example 'gpt-4o-mini'.")
        return Plan(
            self.candidates(payload["model"], options),
            policy=options.policy,
            health=self._health(),
            endpoints=hub.endpoint.base_urls,
            hub_types=hub.endpoint.preset.own_error_types,
            timeout=options.timeout if options.timeout is not None else hub.timeout,
            total_timeout=options.total_timeout,
            streaming=streaming,
            needs=lambda: needs_of(payload),
            lacks=self._lacks,
            window=self._window,
            is_free=self._is_free,
            suggest=self._suggest,
            on_attempt=options.on_attempt,
        )

    def _lacks(self, model: str, needs: Needs) -> str | None:
        """The catalog's explicit *no* to something the request needs; what it does not know is tried."""
        info = self._hub.models.peek(model)
        if info is None:
            return None
        asked = (
            (needs.tools, info.tools, "tools"),
            (needs.images, info.vision, "images"),
            (needs.audio, info.audio, "audio"),
            (needs.files, info.pdf, "files"),
            (needs.structured_output, info.structured_output, "structured output"),
        )
        for needed, has, what in asked:
            if needed and has is False:
                return f"The catalog says that it does not take {what}."
        if info.context_window is not None and needs.tokens > info.context_window:
            return f"Its context window of {info.context_window} tokens is too small for about {needs.tokens}."
        return None

    def _window(self, model: str) -> int | None:
        info = self._hub.models.peek(model)
        return None if info is None else info.context_window

    def _is_free(self, model: str) -> bool:
        info = self._hub.models.peek(model)
        return info is not None and info.free is True

    def _suggest(self, model: str) -> tuple[str, ...]:
        return self._hub.models.peek_suggest(model)

    # ---------------------------------------------------------------------------------------------------- the answer

    def _complete(self, reply: Reply, trace: Trace) -> Reply:
        reply.trace, reply.served = trace, trace.served
        if reply.usage is not None and trace.served is not None:
            reply.cost = self._hub.models.peek_cost(trace.served, reply.usage)
        self._record(trace, reply)
        if self._hub.catalog_refresh:
            self._hub.models.warm()
        return reply

    def _counted(self, reply: Any, trace: Trace) -> Any:
        self._record(trace, reply)
        return reply

    def _record(self, trace: Trace, reply: Any) -> None:
        from hubmix import spending

        cost = getattr(reply, "cost", None)
        if cost is None and reply.usage is not None and trace.served is not None:
            cost = self._hub.models.peek_cost(trace.served, reply.usage)
        spending.record(self._hub.spending_key, trace.served or trace.requested, reply.usage, cost)

    # ------------------------------------------------------------------------------------------- limits and health

    def _health(self) -> HubHealth:
        if self._made_health is None:
            mirrors = tuple(self._hub.endpoint.base_urls[1:])
            self._made_health = HubHealth(self._hub.base_url, self._hub.key_id, mirrors)
        return self._made_health

    def health(self) -> list[BreakerState]:
        return self._health().snapshot()

    def reset_health(self) -> None:
        self._health().reset()

    def _limiter(self) -> Limiter | None:
        if self._made_limiter is None:
            if self._hub.rate_limit is None:
                self._made_limiter = (None,)
            else:
                from hubmix.rate_limit import limiter_for

                hub = self._hub
                made = limiter_for(hub.rate_limit, fingerprint=hub.key_id, base_url=hub.base_url)
                self._made_limiter = (made,)
        return self._made_limiter[0]

    def _take_turn(self, limits: Limits) -> None:
        limiter = self._limiter()
        if limiter is not None:
            limiter.acquire(_left(limits))

    async def _atake_turn(self, limits: Limits) -> None:
        limiter = self._limiter()
        if limiter is not None:
            await limiter.aacquire(_left(limits))

    # --------------------------------------------------------------------------------------------------- plain GETs

    def get(self, path: str, headers: Mapping[str, str] | None, authorized: bool, timeout: float) -> Fetched:
        url, options, read = self._get(path, headers, authorized, timeout)
        import openai

        try:
            return read(self._client().get(url, **options))
        except openai.APIStatusError as error:
            return read(error.response)
        except openai.APIConnectionError as error:
            unreachable = self._unreachable(error)
        raise unreachable  # not "from" the SDK's error, which holds the request and with it the key

    async def aget(self, path: str, headers: Mapping[str, str] | None, authorized: bool, timeout: float) -> Fetched:
        url, options, read = self._get(path, headers, authorized, timeout)
        import openai

        client = await self._aclient()
        try:
            return read(await client.get(url, **options))
        except openai.APIStatusError as error:
            return read(error.response)
        except openai.APIConnectionError as error:
            unreachable = self._unreachable(error)
        raise unreachable  # not "from" the SDK's error, which holds the request and with it the key

    def _get(
        self, path: str, headers: Mapping[str, str] | None, authorized: bool, timeout: float
    ) -> tuple[str, dict[str, Any], Callable[[Any], Fetched]]:
        from openai import Omit

        from hubmix._compat import http

        if authorized:
            self._hub.require_key()
        sent: dict[str, Any] = dict(headers or {})
        if self._hub.owns_clients:  # asked once in minutes: no connection is worth keeping for it
            sent.setdefault("Connection", "close")
        if not authorized:
            sent["Authorization"] = Omit()
        options = {"cast_to": http().Response, "options": {"headers": sent, "timeout": timeout}}
        return self._absolute(path), options, _fetched

    def _absolute(self, path: str) -> str:
        from urllib.parse import urlsplit, urlunsplit

        from hubmix.errors import ConfigurationError

        base = urlsplit(self._hub.base_url)
        if path.startswith("//"):
            return urlunsplit((base.scheme, base.netloc, path[1:], "", ""))
        if "://" not in path:
            return f"{self._hub.base_url}/{path.lstrip('/')}"
        asked = urlsplit(path)
        if asked.netloc != base.netloc or (asked.scheme != "https" and not is_loopback(asked.hostname or "")):
            raise ConfigurationError(
                f"{asked.scheme}://{asked.netloc} is not this hub; its key is sent to {base.netloc} only."
            )
        return path

    def _unreachable(self, error: Exception) -> HubmixError:
        evidence = failure_evidence(error, "open")
        if evidence is None:
            raise error
        failure = classify(evidence, self._hub.endpoint.preset.own_error_types)
        return to_exception(failure, evidence, model="", base_url=self._hub.base_url)


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


def _fetched(response: Any) -> Fetched:
    from hubmix.catalog.sources import Fetched

    headers = {name.lower(): value for name, value in response.headers.items()}
    return Fetched(response.status_code, headers, response.content)
