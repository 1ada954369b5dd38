"""What an API of a hub is: a path, a body, and readers of its answers.

All functions are pure. `apis` has the rows. A new endpoint is one folder in `wire/` and one row there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, Protocol, TypeVar

from hubmix.errors import ConfigurationError
from hubmix.wire.checks import check_chat
from hubmix.wire.requirements import Requirements, requirements_of
from hubmix.wire.values import Delta, Reply

Payload = Mapping[str, Any]
Answered = TypeVar("Answered")
ReasoningReplay = Literal["reasoning_details", "reasoning_content", "both"]


@dataclass(frozen=True, slots=True)
class BodyOptions:
    """How the payload of a call becomes the body for one route.

    Args:
        model: the model ID of the route, as the caller spelt it.
        model_id: the same in the spelling of the hub's catalog.
        reasoning_replay: how the hub takes the reasoning of earlier turns (see `hubmix.presets.Preset`).
        extra_body: the caller's own fields, merged last.
        stream: a stream is asked for.
        hub: the name of the hub; what an answer says that only its own hub can read goes back to no other.
    """

    model: str
    model_id: str
    reasoning_replay: ReasoningReplay = "both"
    extra_body: Mapping[str, Any] | None = None
    stream: bool = False
    hub: str | None = None

    def made(self, origin: Mapping[str, Any], api: str) -> bool:
        """Whether this route made an earlier answer and can read its signatures.

        Args:
            origin: what the message says of model, hub and API; what it does not say is taken for this route's.
            api: the API of this route.
        """
        ours = ((self.model, self.model_id), (self.hub,) if self.hub else (), (api,))
        said = (origin.get("model"), origin.get("hub"), origin.get("api"))
        return all(not own or name is None or name in own for own, name in zip(ours, said, strict=True))


class StreamReader(Protocol):
    """Reads the chunks of one stream; a chunk is the decoded data of one event."""

    @property
    def finish_reason(self) -> str | None:
        """The finish reason, once it has arrived."""

    @property
    def ended(self) -> bool:
        """Whether the API's own last event has arrived; `[DONE]` is seen by the transport."""

    def feed(self, chunk: Any) -> Delta | None:
        """Read one chunk; None if it brings nothing.

        Raises `AnswerError` if it is an error.
        """

    def partial(self) -> Reply:
        """Return what has arrived so far."""

    def close(self) -> Delta | None:
        """Return what was held back until the end of a whole answer, None if nothing was."""

    def finish(self) -> Reply:
        """Return the whole reply. Raises `AnswerError` if the stream held nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class Api(Generic[Answered]):
    """One row: an endpoint of a hub.

    Args:
        name: the name in a trace and in `ModelInfo.apis`.
        path: the path under the base URL.
        body: makes the body for one route from the payload of the call.
        read: reads a decoded whole answer to this payload. Raises `AnswerError`.
        stream: makes the reader of a streamed answer to this payload; None if the API has no streams.
        check: raises `ConfigurationError` for a payload that cannot be sent.
        requirements: what a model must be able to do to answer the payload.
        headers: sent with every request.
        key_header: a header that carries the key as well, next to `Authorization`.
        other_models: a fallback to another model is possible. Vectors of two models do not mix.
    """

    name: str
    path: str
    body: Callable[[Payload, BodyOptions], dict[str, Any]]
    read: Callable[[Any, Payload], Answered]
    stream: Callable[[Payload], StreamReader] | None = None
    check: Callable[[Payload], None] = check_chat
    requirements: Callable[[Payload], Requirements] = requirements_of
    headers: tuple[tuple[str, str], ...] = ()
    key_header: str | None = None
    other_models: bool = True


@dataclass(frozen=True, slots=True)
class Reading(Generic[Answered]):
    """Reads the answers to one request, in whichever framing they come.

    Args:
        api: the API that was asked.
        asked: the payload of the call with the caller's own fields; `n` may be one of these.
    """

    api: Api[Answered]
    asked: Payload

    def whole(self, data: Any) -> Answered:
        """Read a decoded document. Raises `AnswerError`."""
        return self.api.read(data, self.asked)

    def stream(self) -> StreamReader:
        """Return a reader of chunks.

        Raises `ConfigurationError` if the API has no streams.
        """
        if self.api.stream is None:
            raise ConfigurationError(f"The API {self.api.name!r} has no streams.")
        return self.api.stream(self.asked)
