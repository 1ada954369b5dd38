"""OpenTelemetry: one span a call, one an attempt, metrics; no content and no key."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any, cast

import pytest

import hubmix
from hubmix import CallOptions, Hub, HubmixError
from hubmix.embedded import EmbeddedHub, Fault
from hubmix.hub import hub as observed
from hubmix.telemetry import uninstrument
from hubmix.wire import Reply
from hubmix.wire.apis import CHAT
from hubmix.wire.trace import Attempt, Trace
from tests.hub.conftest import MODEL, OTHER

sdk = pytest.importorskip("opentelemetry.sdk.trace")
SECRET = "the words of the prompt"


class Recorded:
    def __init__(self, *, content: bool = False) -> None:
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import InMemoryMetricReader
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

        self.exporter, self.reader = InMemorySpanExporter(), InMemoryMetricReader()
        provider = sdk.TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        hubmix.instrument(provider, MeterProvider(metric_readers=[self.reader]), content)

    @property
    def spans(self) -> list[Any]:
        return list(self.exporter.get_finished_spans())

    @property
    def call(self) -> Any:
        (span,) = [span for span in self.spans if span.parent is None]
        return span

    @property
    def attempts(self) -> list[Any]:
        return [span for span in self.spans if span.parent is not None]

    def metrics(self) -> dict[str, list[Any]]:
        data = self.reader.get_metrics_data()
        return {
            metric.name: list(metric.data.data_points)
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }


@pytest.fixture
def recorded() -> Iterator[Recorded]:
    yield Recorded()
    uninstrument()


def ask(model: str = OTHER, words: str = SECRET) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": words}], "temperature": 0.5}


def test_call_is_one_span_with_genai_attributes(hub: Hub, recorded: Recorded) -> None:
    reply = hub.chat(ask())
    span, seen = recorded.call, dict(recorded.call.attributes)
    assert span.name == f"chat {OTHER}"
    assert span.kind.name == "CLIENT"
    assert seen["gen_ai.operation.name"] == "chat"
    assert seen["gen_ai.request.model"] == OTHER
    assert seen["gen_ai.response.model"] == reply.model
    assert seen["gen_ai.request.temperature"] == 0.5
    assert seen["gen_ai.response.finish_reasons"] == ("stop",)
    assert reply.usage is not None
    assert seen["gen_ai.usage.input_tokens"] == reply.usage.input_tokens
    assert seen["server.address"] == "127.0.0.1"
    assert (seen["hubmix.hub"], seen["hubmix.api"]) == (reply.hub, "chat")
    assert [child.name for child in recorded.attempts] == [f"attempt {OTHER}"]


def test_no_content_and_no_key_is_recorded(hub: Hub, server: EmbeddedHub, recorded: Recorded) -> None:
    hub.chat(ask())
    server.fault(OTHER, Fault.error("bad_key"), times=None)
    with pytest.raises(HubmixError):
        hub.chat(ask())
    for span in recorded.spans:
        text = span.to_json()
        assert SECRET not in text
        assert server.api_key not in text


def test_content_is_recorded_only_if_asked(hub: Hub) -> None:
    recorded = Recorded(content=True)
    try:
        hub.chat(ask())
    finally:
        uninstrument()
    assert SECRET in recorded.call.attributes["gen_ai.input.messages"]
    assert "assistant" in recorded.call.attributes["gen_ai.output.messages"]


def test_failed_attempt_is_a_child_span_with_its_error(hub: Hub, server: EmbeddedHub, recorded: Recorded) -> None:
    server.fault(OTHER, Fault.error("vendor_503"), times=None)
    hub.chat(ask(), CallOptions(fallbacks=(MODEL,)))
    failed, answered = recorded.attempts[-2:]
    assert failed.attributes["error.type"]
    assert failed.status.status_code.name == "ERROR"
    assert answered.attributes["hubmix.attempt.model"] == MODEL
    assert recorded.call.status.status_code.name == "UNSET"
    assert recorded.call.attributes["hubmix.served"] == MODEL


def test_skipped_route_and_hedge_are_events_of_the_call(hub: Hub, recorded: Recorded) -> None:
    attempts = [
        Attempt(MODEL, "skipped", "server"),
        Attempt(MODEL, "hedged", latency_ms=30.0),
        Attempt(OTHER, "ok", hedged_after_ms=20.0, latency_ms=5.0),
    ]

    class Answered:
        def whole(self, *_: Any) -> Reply:
            return Reply(model=OTHER, trace=Trace(MODEL, OTHER, attempts))

    assert observed.observe is not None
    observed.observe(hub, cast("Any", Answered())).whole(CHAT, ask(), CallOptions())
    assert [event.name for event in recorded.call.events] == ["hubmix.skipped", "hubmix.hedged"]
    assert recorded.call.events[1].attributes["hubmix.attempt.model"] == OTHER
    assert [span.name for span in recorded.attempts] == [f"attempt {MODEL}", f"attempt {OTHER}"]


def test_failed_call_has_its_error_type(hub: Hub, server: EmbeddedHub, recorded: Recorded) -> None:
    server.fault(OTHER, Fault.error("bad_key"), times=None)
    with pytest.raises(HubmixError) as caught:
        hub.chat(ask())
    assert recorded.call.attributes["error.type"] == type(caught.value).__name__
    points = recorded.metrics()["gen_ai.client.operation.duration"]
    assert points[0].attributes["error.type"] == type(caught.value).__name__


def test_stream_ends_its_span_and_has_a_first_chunk(hub: Hub, recorded: Recorded) -> None:
    for _ in hub.stream_chat(ask(MODEL)):
        assert not [span for span in recorded.spans if span.parent is None]
    assert recorded.call.attributes["gen_ai.response.finish_reasons"] == ("stop",)
    assert recorded.metrics()["gen_ai.client.operation.time_to_first_chunk"][0].count == 1


def test_stream_that_is_left_ends_its_span(hub: Hub, recorded: Recorded) -> None:
    deltas = hub.stream_chat(ask(MODEL))
    next(deltas)
    deltas.close()
    assert "error.type" not in recorded.call.attributes


async def test_async_calls_and_streams_are_recorded(hub: Hub, recorded: Recorded) -> None:
    await hub.achat(ask())
    async for _ in hub.astream_chat(ask(MODEL)):
        pass
    calls = [span for span in recorded.spans if span.parent is None]
    assert [span.name for span in calls] == [f"chat {OTHER}", f"chat {MODEL}"]
    assert {point.attributes["gen_ai.token.type"] for point in recorded.metrics()["gen_ai.client.token.usage"]} == {
        *("input", "output")
    }


def test_embeddings_are_recorded_as_such(hub: Hub, recorded: Recorded) -> None:
    hub.embed({"model": "embedded/embed", "input": ["a"]})
    assert recorded.call.name == "embeddings embedded/embed"


def test_nothing_of_opentelemetry_is_imported_unless_asked() -> None:
    code = "import hubmix, sys; hubmix.Hub; sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
