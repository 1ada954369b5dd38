"""The answer to one HTTP attempt: its JSON, its events, or its failure.

The SDK does authentication, pooling, TLS and proxies through one plain request; its typed models, its
retries and its stream reader are left out.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hubmix._text import redact, redact_value
from hubmix.failover.evidence import Evidence
from hubmix.transport.events import EventDecoder
from hubmix.transport.evidence import error_evidence, evidence_headers, secrets_of, shown
from hubmix.transport.sizes import SIZES
from hubmix.wire.error_body import SHOWN, find_request_id, holds_error, plain_text
from hubmix.wire.json_text import NESTING, JsonLimitError, check_shape, has_halves, loads
from hubmix.wire.values import AnswerError

# What a good answer says of the model that served it, and of its end.
_TELLING = (b"x-aihubmix-router-", b"x-aihubmix-model", b"x-aihubmix-fallback", b"deprecation", b"sunset")


@dataclass(slots=True)
class Answer:
    """An open answer: its head has come, its body has not been read."""

    response: Any
    status: int
    content_type: str
    request_id: str | None
    headers: Mapping[str, str] = field(repr=False)

    @classmethod
    def of(cls, response: Any) -> Answer:
        headers = response.headers
        return cls(
            response, response.status_code, headers.get("content-type", "").lower(), find_request_id(headers), headers
        )

    def evidence(self, cause: str, phase: str, message: str = "", **more: Any) -> Evidence:
        """Evidence that carries what the head of this answer said."""
        return Evidence(
            cause=cause,
            phase=phase,
            status=self.status,
            message=message,
            headers=evidence_headers(self.headers),
            request_id=shown(self.request_id, secrets_of(self.response)),
            **more,
        )

    def failure_of(self, error: AnswerError | UnreadableBodyError, phase: str) -> Evidence:
        """Return evidence of what came in place of an answer.

        An error in any shape counts by what it says.
        """
        if error.cause == "error_body" or (error.cause == "no_choices" and holds_error(error.body)):
            return self.error_evidence(error.body, phase)
        secrets = secrets_of(self.response)
        said = f"{error.message} {error.body}" if isinstance(error.body, str) and error.body else error.message
        body = redact_value(error.body, secrets)
        return self.evidence(error.cause, phase, redact(said, secrets)[:1000], body=body)

    def error_evidence(self, body: Any, phase: str) -> Evidence:
        """Evidence from an error object that came under status 200."""
        return error_evidence("error_body", phase, self.status, self.headers, body, secrets_of(self.response))


def telling_headers(headers: Any) -> dict[str, str]:
    """Return the headers that name the model served, and its retirement."""
    # One pass over the raw pairs: asking for each by name costs more than the rest of reading an answer's head.
    return {
        name.decode("ascii", "replace").lower(): value.decode("latin-1")
        for name, value in headers.raw
        if name.lower().startswith(_TELLING)
    }


def decode(answer: Answer, body: bytes) -> Any:
    """Return the JSON of a whole body.

    9router puts a line `data: [DONE]` behind it, which is left out.

    Raises:
        UnreadableBodyError: it is no JSON.
    """
    body = body.strip()
    try:
        return loads(body.removesuffix(b"[DONE]").rstrip().removesuffix(b"data:") if body[-1:] == b"]" else body)
    except JsonLimitError as error:
        raise UnreadableBodyError("undecodable", str(error)) from error
    except ValueError as error:
        html = "html" in answer.content_type or body[:1] == b"<"
        what = "a web page" if html else "nothing" if not body else "text that is no JSON"
        said = plain_text(body[:SHOWN].decode("utf-8", "replace"))
        raise UnreadableBodyError("html" if html else "undecodable", f"The hub answered with {what}.", said) from error


class UnreadableBodyError(Exception):
    """A body that is no JSON.

    Args:
        cause: the word for it in `Evidence`.
        message: what came, in English.
        body: the first words of it.
    """

    def __init__(self, cause: str, message: str, body: str = "") -> None:
        super().__init__(message)
        self.cause = cause
        self.message = message
        self.body = body


_raw_decode = json.JSONDecoder().raw_decode


def _loads(data: bytes) -> Any:
    """Decode the data of an event like `json.loads`, in half of the time.

    An event is UTF-8 without white space around it, so neither is looked for.
    """
    if has_halves(data):
        return loads(data)
    try:
        text = data.decode()
        if len(data) > 2 * NESTING:  # one bracket opens a level, and one closes it
            check_shape(data)
        value, end = _raw_decode(text)
    except (ValueError, RecursionError, MemoryError):
        return loads(data)  # which may still read it, or says what is wrong with it
    return value if end == len(text) else loads(data)


def _as_error(chunk: Any) -> Any:
    return {"error": chunk} if isinstance(chunk, dict) and not chunk.get("error") else chunk


class Events:
    """The chunks of a streamed answer, as far as its bytes have come.

    Args:
        largest: the bytes that an event may have.
    """

    __slots__ = ("_decoder", "done", "seen")

    def __init__(self, largest: int = SIZES.event) -> None:
        self._decoder = EventDecoder(largest)
        self.done = False
        self.seen = False

    def feed(self, piece: bytes) -> list[Any]:
        """Take the next bytes and give the chunks that they complete.

        Raises:
            UnreadableBodyError: If the data of an event is no JSON.
            BodyError: If an event is too large.
        """
        return self._chunks(self._decoder.feed(piece))

    def end(self) -> list[Any]:
        """Return the chunks that the end of the stream completes."""
        return [] if self.done else self._chunks(self._decoder.end())

    def _chunks(self, events: list[tuple[bytes, bytes]]) -> list[Any]:
        chunks: list[Any] = []
        for name, data in events:
            if self.done:
                break
            if data.startswith(b"[DONE]"):
                self.done = True
                break
            if not data or data.isspace():
                continue
            self.seen = True
            try:
                found = [_loads(data)]
            except ValueError as error:
                found = self._several(data, error)
            chunks += map(_as_error, found) if name == b"error" else found
        return chunks

    def _several(self, data: bytes, error: Exception) -> list[Any]:
        """Return the chunks of events that no empty line separates.

        What cannot be read ends the stream.
        """
        lines = [line for line in data.split(b"\n") if line.strip()]
        done = next((at for at, line in enumerate(lines) if line.startswith(b"[DONE]")), None)
        try:
            if len(lines) > 1:
                chunks = [_loads(line) for line in lines[:done]]
                self.done = done is not None
                return chunks
        except ValueError:
            pass
        self.done = True
        return [UnreadableBodyError("undecodable", f"An event of the stream is no JSON: {error}")]

    @property
    def bare_body(self) -> bytes | None:
        """The whole body if it held no event: JSON instead of a stream, or a page."""
        text = b"\n".join(self._decoder.stray).strip()
        return text if text and not self.seen else None

    @property
    def stray_error(self) -> Any:
        """An error outside any event: New API appends it bare after comments."""
        for line in self._decoder.stray:
            if not line.lstrip().startswith(b"{"):
                continue
            try:
                found = loads(line)
            except ValueError:
                continue
            if isinstance(found, dict) and found.get("error"):
                return found
        return None


def monotonic() -> float:
    """The clock that deadlines are told by."""
    return time.monotonic()
