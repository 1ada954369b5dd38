"""One HTTP attempt: a plain dict goes out, the answer's JSON or its chunks come in, and a failure comes as evidence.

The SDK does authentication, pooling, TLS and proxies through its public low-level ``post``; its typed models, its
retries and its stream reader are left out.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from hubmix._compat import http
from hubmix._text import one_line, redact, redact_value
from hubmix.failover.evidence import Evidence
from hubmix.transport.events import EventDecoder
from hubmix.wire.error_body import decode_error_body, find_request_id, holds_error, plain_text, read_error_body
from hubmix.wire.values import AnswerError

_EVIDENCE_HEADERS = ("retry-after-ms", "retry-after", "x-should-retry", "content-type", "date")


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

    @property
    def is_event_stream(self) -> bool:
        return "event-stream" in self.content_type

    def evidence(self, cause: str, phase: str, message: str = "", **more: Any) -> Evidence:
        """Evidence that carries what the head of this answer said."""
        return Evidence(
            cause=cause,
            phase=phase,
            status=self.status,
            message=message,
            headers=evidence_headers(self.headers),
            request_id=_shown(self.request_id, secrets_of(self.response)),
            **more,
        )

    def failure_of(self, error: AnswerError | UnreadableBodyError, phase: str) -> Evidence:
        """Evidence from what came in place of an answer; an error in any shape counts by what it says."""
        if error.cause == "error_body" or (error.cause == "no_choices" and holds_error(error.body)):
            return self.error_evidence(error.body, phase)
        secrets = secrets_of(self.response)
        said = f"{error.message} {error.body}" if isinstance(error.body, str) and error.body else error.message
        body = redact_value(error.body, secrets)
        return self.evidence(error.cause, phase, redact(said, secrets)[:1000], body=body)

    def error_evidence(self, body: Any, phase: str) -> Evidence:
        """Evidence from an error object that came under status 200."""
        return _error_evidence("error_body", phase, self.status, self.headers, body, secrets_of(self.response))


def evidence_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The few headers that a decision may rest on."""
    return {name: headers[name] for name in _EVIDENCE_HEADERS if name in headers}


def decode(answer: Answer, body: bytes) -> Any:
    """Return the JSON of a whole body; a line `data: [DONE]` behind it is none of it (9router).

    Raises:
        UnreadableBodyError: it is no JSON.
    """
    body = body.strip()
    try:
        return json.loads(body.removesuffix(b"[DONE]").rstrip().removesuffix(b"data:") if body[-1:] == b"]" else body)
    except (ValueError, RecursionError) as error:
        html = "html" in answer.content_type or body[:1] == b"<"
        what = "a web page" if html else "nothing" if not body else "text that is no JSON"
        said = plain_text(body.decode("utf-8", "replace"))
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
    """`json.loads` for the data of an event. An event is UTF-8 without white space around it, and looking for another
    encoding and for white space would take half of the time.
    """
    try:
        text = data.decode()
        value, end = _raw_decode(text)
    except ValueError:
        return json.loads(data)  # which may still read it, or says what is wrong with it
    return value if end == len(text) else json.loads(data)


class Events:
    """The chunks of a streamed answer, as far as its bytes have come; no waiting is done here."""

    __slots__ = ("_decoder", "done", "seen")

    def __init__(self) -> None:
        self._decoder = EventDecoder()
        self.done = False
        self.seen = False

    def feed(self, piece: bytes) -> list[Any]:
        """Take the next bytes and give the chunks that they complete.

        Raises:
            UnreadableBodyError: If the data of an event is no JSON.
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
            if not data.strip():
                continue
            self.seen = True
            try:
                found = [_loads(data)]
            except (ValueError, RecursionError) as error:
                found = self._several(data, error)
            for chunk in found:
                wrapped = name == b"error" and isinstance(chunk, dict) and not chunk.get("error")
                chunks.append({"error": chunk} if wrapped else chunk)
        return chunks

    def _several(self, data: bytes, error: Exception) -> list[Any]:
        """Return the chunks of events without an empty line between them; what cannot be read ends the stream."""
        lines = [line for line in data.split(b"\n") if line.strip()]
        done = next((at for at, line in enumerate(lines) if line.startswith(b"[DONE]")), None)
        try:
            if len(lines) > 1:
                chunks = [_loads(line) for line in lines[:done]]
                self.done = done is not None
                return chunks
        except (ValueError, RecursionError):
            pass
        self.done = True
        return [UnreadableBodyError("undecodable", f"An event of the stream is no JSON: {error}")]

    @property
    def bare_body(self) -> bytes | None:
        """The whole body if it held no event but something else: JSON where a stream was asked for, or a page."""
        text = b"\n".join(self._decoder.stray).strip()
        return text if text and not self.seen else None

    @property
    def stray_error(self) -> Any:
        """An error that stands in the stream outside any event: New API appends it bare once comments have begun."""
        for line in self._decoder.stray:
            if not line.lstrip().startswith(b"{"):
                continue
            try:
                found = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(found, dict) and found.get("error"):
                return found
        return None


def status_evidence(response: Any) -> Evidence:
    """Evidence from an HTTP error status; the body has been read."""
    content, secrets = response.content, secrets_of(response)
    return _error_evidence("status", "body", response.status_code, response.headers, content, secrets)


def page_evidence(status: int, headers: Mapping[str, str], body: bytes) -> Evidence:
    """Evidence from the error status of a page, whose keys have been taken out."""
    return _error_evidence("status", "body", status, headers, body, ())


def _error_evidence(
    cause: str, phase: str, status: int, headers: Mapping[str, str], body: Any, secrets: Collection[str]
) -> Evidence:
    decoded = redact_value(decode_error_body(body), secrets)
    words = read_error_body(decoded)
    message = words["message"] or ""
    return Evidence(
        cause=cause,
        phase=phase,
        status=status,
        code=_shown(words["code"]),
        type=_shown(words["type"]),
        param=_shown(words["param"]),
        message=message,
        headers=evidence_headers(headers),
        request_id=_shown(find_request_id(headers, message), secrets),
        empty_body=isinstance(body, bytes) and not body.strip(),
        body=decoded or None,
    )


def secrets_of(response: Any) -> tuple[str, ...]:
    """Return the keys that the request of a response carried: a hub may repeat one in its error."""
    try:
        headers = response.request.headers
    except (AttributeError, RuntimeError):  # a response that was made by hand has no request
        return ()
    values = (headers.get(name, "").removeprefix("Bearer ").strip() for name in _KEY_HEADERS)
    return tuple(value for value in values if len(value) >= _SHORTEST_KEY)


_KEY_HEADERS = ("authorization", "x-api-key", "api-key")
_SHORTEST_KEY = 6  # characters; taking out a shorter one would spoil ordinary words


def _shown(text: str | None, secrets: Collection[str] = ()) -> str | None:
    """Return a code, type or request ID as one visible line of at most 200 characters."""
    return text and one_line(redact(text, secrets))[:200]


def failure_evidence(error: BaseException, phase: str) -> Evidence | None:
    """Evidence from an exception of the SDK or of the HTTP library, or None if it is none of theirs.

    Args:
        error: What was raised.
        phase: Where the attempt had got to: ``open`` before any header, ``body`` after.
    """
    import openai

    if isinstance(error, openai.APIStatusError):
        return status_evidence(error.response)
    lost = isinstance(error, openai.APIConnectionError)
    cause = (error.__cause__ or error) if lost else error
    library = http()
    if not lost and not isinstance(cause, transport_errors()):
        return None
    name = type(cause).__name__
    if name in ("ConnectTimeout", "PoolTimeout"):
        word = "connect_timeout" if name == "ConnectTimeout" else "pool_timeout"
        return Evidence(cause=word, phase="connect", message=_words(cause))
    if isinstance(cause, library.TimeoutException) or "Timeout" in name:
        return Evidence(cause="read_timeout", phase=phase, message=_words(cause))
    if name == "DecodingError":
        return Evidence(cause="undecodable", phase=phase, message=_words(cause))
    if name == "ProxyError":
        return Evidence(cause="proxy", phase="connect", message=_words(cause), own=True)
    if phase == "open" and (name in ("ConnectError", "UnsupportedProtocol") or not isinstance(cause, _http_errors())):
        return Evidence(cause=_connect_cause(cause), phase="connect", message=_words(cause))
    return Evidence(cause="reset" if phase == "open" else "cut", phase=phase, message=_words(cause))


def transport_errors() -> tuple[type[Exception], ...]:
    """Return what a connection can fail with: the HTTP libraries' errors, and those of a transport of the user's."""
    return (*_http_errors(), OSError)


def _http_errors() -> tuple[type[Exception], ...]:
    """The request errors of every HTTP library that may be in play: the SDK's, and that of a client of the user's."""
    import sys

    found = [http().RequestError]
    for name in ("httpx", "httpx2"):
        module = sys.modules.get(name)
        if module is not None and module.RequestError not in found:
            found.append(module.RequestError)
    return tuple(found)


def _connect_cause(error: BaseException) -> str:
    import socket
    import ssl

    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, socket.gaierror):
            return "dns"
        if isinstance(seen, ssl.SSLError):
            return "tls"
        seen = seen.__cause__ or seen.__context__
    text = str(error).lower()
    if "name or service" in text or "nodename" in text or "getaddrinfo" in text or "name resolution" in text:
        return "dns"
    if isinstance(error, ConnectionError) and not isinstance(error, ConnectionRefusedError):
        return "reset"
    return "tls" if "ssl" in text or "certificate" in text else "refused"


def _words(error: BaseException) -> str:
    return str(error) or type(error).__name__


def monotonic() -> float:
    """The clock that deadlines are told by."""
    return time.monotonic()
