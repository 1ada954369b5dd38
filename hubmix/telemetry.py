"""OpenTelemetry spans and metrics of calls. Needs the `otel` extra.

The names are those of the GenAI semantic conventions. One client span a call; below it one span an attempt, made from
the trace once the call has ended. Skipped routes and hedges are events of the call's span. Nothing is measured until
`instrument` is called.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator, Generator, Iterator, Mapping
from contextlib import aclosing, closing, contextmanager
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from hubmix._compat import extra
from hubmix.hub import hub as hub_module
from hubmix.transport.closing import Owned
from hubmix.wire import Delta, Reply
from hubmix.wire.trace import Attempt, Trace

if TYPE_CHECKING:
    from hubmix.failover.options import CallOptions
    from hubmix.hub.calls import Calls
    from hubmix.hub.hub import Hub
    from hubmix.wire.api import Api, Payload

_OPERATIONS = {"embeddings": "embeddings", "rerank": "rerank"}
_PARAMETERS = {
    "max_tokens": "gen_ai.request.max_tokens",
    "max_completion_tokens": "gen_ai.request.max_tokens",
    "temperature": "gen_ai.request.temperature",
    "top_p": "gen_ai.request.top_p",
    "frequency_penalty": "gen_ai.request.frequency_penalty",
    "presence_penalty": "gen_ai.request.presence_penalty",
    "seed": "gen_ai.request.seed",
    "n": "gen_ai.request.choice.count",
    "dimensions": "gen_ai.embeddings.dimension.count",
}
_DURATION_BUCKETS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_TOKEN_BUCKETS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864)


def instrument(tracer_provider: Any = None, meter_provider: Any = None, content: bool = False) -> None:
    """Record every call of this process as a span and in metrics.

    Calling it again replaces the setting.

    Args:
        tracer_provider: an OpenTelemetry `TracerProvider`; None for the global one.
        meter_provider: an OpenTelemetry `MeterProvider`; None for the global one.
        content: also record prompts and answers. Keys are never recorded.

    Raises:
        ImportError: opentelemetry-api is not installed.

    Example:
        ```python
        import hubmix

        hubmix.instrument()
        ```
    """
    trace = extra("opentelemetry.trace", "instrument()", "otel")
    metrics = extra("opentelemetry.metrics", "instrument()", "otel")
    recorder = _Recorder(
        trace,
        trace.get_tracer("hubmix", tracer_provider=tracer_provider),
        metrics.get_meter("hubmix", meter_provider=meter_provider),
        content,
    )
    hub_module.observe = lambda hub, calls: cast("Calls", ObservedCalls(hub, calls, recorder))


def uninstrument() -> None:
    """Record nothing any more."""
    hub_module.observe = None


class ObservedCalls:
    """The calls of one hub, each within a span, as `hubmix.hub.calls.Calls` has them."""

    __slots__ = ("_calls", "_hub", "_recorder")

    def __init__(self, hub: Hub, calls: Calls, recorder: _Recorder) -> None:
        self._hub = hub
        self._calls = calls
        self._recorder = recorder

    def whole(self, api: Api[Any], payload: Payload, options: CallOptions) -> Any:
        """`Calls.whole` within a span."""
        with self._recorder.call(self._hub, api, payload) as watch:
            reply = self._calls.whole(api, payload, options)
            watch.answered(reply)
            return reply

    async def awhole(self, api: Api[Any], payload: Payload, options: CallOptions) -> Any:
        """`Calls.awhole` within a span."""
        with self._recorder.call(self._hub, api, payload) as watch:
            reply = await self._calls.awhole(api, payload, options)
            watch.answered(reply)
            return reply

    def stream(self, api: Api[Any], payload: Payload, options: CallOptions) -> Generator[Delta, None, None]:
        """`Calls.stream` within a span."""
        with (
            self._recorder.call(self._hub, api, payload) as watch,
            closing(self._calls.stream(api, payload, options)) as deltas,
        ):
            for delta in deltas:
                watch.passed(delta)
                yield delta

    async def astream(self, api: Api[Any], payload: Payload, options: CallOptions) -> AsyncGenerator[Delta, None]:
        """`Calls.astream` within a span."""
        with self._recorder.call(self._hub, api, payload) as watch:
            async with aclosing(Owned(self._calls.astream(api, payload, options))) as deltas:
                async for delta in deltas:
                    watch.passed(delta)
                    yield delta


class _Recorder:
    """Makes spans and metrics with one tracer and one meter."""

    def __init__(self, api: Any, tracer: Any, meter: Any, content: bool) -> None:
        self.api = api
        self.tracer = tracer
        self.content = content
        self.duration = meter.create_histogram(
            "gen_ai.client.operation.duration",
            unit="s",
            description="Duration of a call.",
            explicit_bucket_boundaries_advisory=_DURATION_BUCKETS,
        )
        self.tokens = meter.create_histogram(
            "gen_ai.client.token.usage",
            unit="{token}",
            description="Input and output tokens of a call.",
            explicit_bucket_boundaries_advisory=_TOKEN_BUCKETS,
        )
        self.first_chunk = meter.create_histogram(
            "gen_ai.client.operation.time_to_first_chunk",
            unit="s",
            description="Time to the first content of a stream.",
            explicit_bucket_boundaries_advisory=_DURATION_BUCKETS,
        )

    @contextmanager
    def call(self, hub: Hub, api: Api[Any], payload: Payload) -> Iterator[_Watch]:
        """The span of one call.

        It is not made current: a stream may be read in another context."""
        watch = _Watch(self, hub, api, payload)
        try:
            yield watch
        except GeneratorExit:  # the caller left the stream
            raise
        except BaseException as error:
            watch.failed(error)
            raise
        finally:
            watch.end()


class _Watch:
    """What one call is recorded as."""

    def __init__(self, recorder: _Recorder, hub: Hub, api: Api[Any], payload: Payload) -> None:
        self._recorder = recorder
        self._started = time.time_ns()
        self._clock = time.perf_counter()
        self._first: float | None = None
        operation = _OPERATIONS.get(api.name, "chat")
        self._labels: dict[str, Any] = {
            "gen_ai.operation.name": operation,
            "gen_ai.provider.name": hub.name if hub.name != "custom" else _host(hub.base_url)[0],
            "gen_ai.request.model": str(payload.get("model") or ""),
            **_server(hub.base_url),
        }
        self._span = recorder.tracer.start_span(
            f"{operation} {self._labels['gen_ai.request.model']}",
            kind=recorder.api.SpanKind.CLIENT,
            attributes={**self._labels, **_asked(payload)},
            start_time=self._started,
        )
        if recorder.content and (said := payload.get("messages") or payload.get("input")):
            self._span.set_attribute("gen_ai.input.messages", _json(said))

    def passed(self, delta: Delta) -> None:
        """A piece of the stream went to the caller."""
        if self._first is None and delta.has_content:
            self._first = time.perf_counter() - self._clock
        if delta.final is not None:
            self.answered(delta.final)

    def answered(self, reply: Any) -> None:
        """The call was answered."""
        usage = reply.usage
        found: dict[str, Any] = {"gen_ai.response.model": reply.model}
        if isinstance(reply, Reply):
            found |= _of_reply(reply)
            if reply.trace is not None:
                self._attempts(reply.trace.attempts)
            if self._recorder.content:
                self._span.set_attribute("gen_ai.output.messages", _json([reply.to_wire_message()]))
        if usage is not None:
            found["gen_ai.usage.input_tokens"] = usage.input_tokens
            found["gen_ai.usage.output_tokens"] = usage.output_tokens
            found["gen_ai.usage.cache_read.input_tokens"] = usage.cache_read
            found["gen_ai.usage.cache_creation.input_tokens"] = usage.cache_creation
        self._span.set_attributes({name: value for name, value in found.items() if value is not None})
        if reply.model:
            self._labels["gen_ai.response.model"] = reply.model
        if usage is not None:
            for kind, count in (("input", usage.input_tokens), ("output", usage.output_tokens)):
                self._recorder.tokens.record(count, {**self._labels, "gen_ai.token.type": kind})

    def failed(self, error: BaseException) -> None:
        """The call failed, or was cancelled."""
        self._labels["error.type"] = type(error).__name__
        self._span.set_attribute("error.type", type(error).__name__)
        self._span.set_status(self._recorder.api.StatusCode.ERROR, str(getattr(error, "kind", None) or ""))
        self._attempts(getattr(error, "attempts", ()))

    def end(self) -> None:
        """End the span and record the durations."""
        self._recorder.duration.record(time.perf_counter() - self._clock, self._labels)
        if self._first is not None:
            self._recorder.first_chunk.record(self._first, self._labels)
        self._span.end()

    def _attempts(self, attempts: Any) -> None:
        """Add a span for each request, and an event for each skipped route and each hedge."""
        trace = Trace("", attempts=list(attempts))
        parent = self._recorder.api.set_span_in_context(self._span)
        for attempt, times in zip(trace.attempts, trace.times(), strict=True):
            began, ended = (self._started + round(at * 1e6) for at in times)
            about = {f"hubmix.attempt.{name}": value for name, value in _facts(attempt).items()}
            if attempt.outcome == "skipped":
                self._span.add_event("hubmix.skipped", about, timestamp=began)
                continue
            if attempt.hedged_after_ms is not None:
                self._span.add_event("hubmix.hedged", about, timestamp=began)
            span = self._recorder.tracer.start_span(
                f"attempt {attempt.model}", context=parent, attributes=about, start_time=began
            )
            if attempt.outcome == "error":
                span.set_attribute("error.type", attempt.kind or "error")
                span.set_status(self._recorder.api.StatusCode.ERROR)
            span.end(end_time=ended)


def _asked(payload: Payload) -> dict[str, Any]:
    asked = {name: payload[key] for key, name in _PARAMETERS.items() if isinstance(payload.get(key), (int, float))}
    stop = payload.get("stop")
    if stop:
        asked["gen_ai.request.stop_sequences"] = [stop] if isinstance(stop, str) else [str(text) for text in stop]
    return asked


def _of_reply(reply: Reply) -> dict[str, Any]:
    found: dict[str, Any] = {
        "gen_ai.response.id": reply.id,
        "gen_ai.response.finish_reasons": [reply.finish_reason] if reply.finish_reason else None,
        "hubmix.served": reply.served,
        "hubmix.hub": reply.hub,
        "hubmix.api": reply.api,
        "hubmix.request_id": reply.request_id,
        "hubmix.incomplete": True if reply.incomplete else None,
    }
    if reply.cost is not None and reply.cost.total is not None:
        found["hubmix.cost_usd"] = float(reply.cost.total)
    return found


def _facts(attempt: Attempt) -> Mapping[str, Any]:
    names = ("model", "hub", "api", "outcome", "kind", "status", "code", "request_id", "reason")
    known = {name: getattr(attempt, name, None) for name in names}
    return {name: value for name, value in known.items() if value is not None}


def _host(base_url: str) -> tuple[str, int | None]:
    parts = urlsplit(base_url)
    return parts.hostname or "", parts.port or {"https": 443, "http": 80}.get(parts.scheme)


def _server(base_url: str) -> dict[str, Any]:
    host, port = _host(base_url)
    return {"server.address": host, **({"server.port": port} if port else {})}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
