"""Events for LlamaIndex's instrumentation, in addition to core's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from llama_index_instrumentation import get_dispatcher
from llama_index_instrumentation.base import BaseEvent
from llama_index_instrumentation.span import active_span_id

if TYPE_CHECKING:
    from hubmix.wire.trace import Attempt

dispatcher = get_dispatcher(__name__)


class HubmixFailoverEvent(BaseEvent):
    """A candidate failed or was skipped, and the call went on.

    Args:
        requested: The model asked for.
        model: The candidate.
        outcome: ``error`` or ``skipped``.
        kind: The kind of failure, such as ``server`` or ``rate_model``.
        status: The HTTP status, where there was one.
        code: The hub's error code, where there was one.
        request_id: The hub's id of the request.
        reason: Why, in words.

    Example:
        ```python
        from llama_index.core.instrumentation import get_dispatcher
        from llama_index.core.instrumentation.event_handlers import BaseEventHandler
        from llamaindex_hubmix import HubmixFailoverEvent

        class Watch(BaseEventHandler):
            def handle(self, event, **kwargs):
                if isinstance(event, HubmixFailoverEvent):
                    print(event.model, event.kind, event.request_id)

        get_dispatcher().add_event_handler(Watch())
        ```
    """

    requested: str
    model: str
    outcome: str
    kind: str | None = None
    status: int | None = None
    code: str | None = None
    request_id: str | None = None
    reason: str | None = None

    @classmethod
    def class_name(cls) -> str:
        """Its name in serialised events."""
        return "HubmixFailoverEvent"


def failover_reporter(requested: str) -> Callable[[Attempt], None]:
    """The `on_attempt` of a call: it sends the event under the call's span."""
    span_id = active_span_id.get()

    def report(attempt: Attempt) -> None:
        dispatcher.event(
            HubmixFailoverEvent(
                requested=requested,
                model=attempt.model,
                outcome=attempt.outcome,
                kind=attempt.kind,
                status=attempt.status,
                code=None if attempt.code is None else str(attempt.code),
                request_id=attempt.request_id,
                reason=attempt.reason,
                span_id=span_id,
            )
        )

    return report
