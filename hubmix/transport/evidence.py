"""Evidence of a failed attempt. Keys are taken out here.

It comes from an HTTP status, an error object inside a 200, or an exception.
"""

from __future__ import annotations

import socket
import ssl
import sys
from asyncio import CancelledError
from collections.abc import Collection, Mapping
from traceback import walk_tb
from typing import Any

from hubmix._compat import http
from hubmix._text import SHORTEST_SECRET, one_line, redact, redact_value, spellings
from hubmix.failover.evidence import Evidence
from hubmix.transport.sizes import NO_MEMORY, BodyError
from hubmix.wire.error_body import decode_error_body, find_request_id, read_error_body

_EVIDENCE_HEADERS = (
    "retry-after-ms", "retry-after", "ratelimit", "ratelimit-remaining", "ratelimit-reset", "x-should-retry",
    "content-type", "date",
)  # fmt: skip


def evidence_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The few headers that a decision may rest on."""
    return {name: headers[name] for name in _EVIDENCE_HEADERS if name in headers}


def status_evidence(response: Any) -> Evidence:
    """Evidence from an HTTP error status; the body has been read."""
    content, secrets = response.content, secrets_of(response)
    return error_evidence("status", "body", response.status_code, response.headers, content, secrets)


def page_evidence(status: int, headers: Mapping[str, str], body: bytes) -> Evidence:
    """Evidence from the error status of a page, whose keys have been taken out."""
    return error_evidence("status", "body", status, headers, body, ())


def error_evidence(
    cause: str, phase: str, status: int, headers: Mapping[str, str], body: Any, secrets: Collection[str]
) -> Evidence:
    decoded = redact_value(decode_error_body(body), secrets)
    words = read_error_body(decoded)
    message = words["message"] or ""
    return Evidence(
        cause=cause,
        phase=phase,
        status=status,
        code=shown(words["code"]),
        type=shown(words["type"]),
        param=shown(words["param"]),
        message=message,
        headers=evidence_headers(headers),
        request_id=shown(find_request_id(headers, message), secrets),
        empty_body=isinstance(body, bytes) and not body.strip(),
        body=decoded or None,
    )


def secrets_of(response: Any) -> tuple[str, ...]:
    """Return the keys that the request carried: a hub may repeat one."""
    try:
        headers = response.request.headers
    except (AttributeError, RuntimeError):  # a response that was made by hand has no request
        return ()
    values = (headers.get(name, "").removeprefix("Bearer ").strip() for name in _KEY_HEADERS)
    return tuple(form for value in values if len(value) >= SHORTEST_SECRET for form in spellings(value))


_KEY_HEADERS = ("authorization", "x-api-key", "api-key")


def shown(text: str | None, secrets: Collection[str] = ()) -> str | None:
    """Return a code, type or request ID as one visible line of at most 200 characters."""
    return text and one_line(redact(text, secrets))[:200]


def failure_evidence(error: BaseException, phase: str) -> Evidence | None:
    """Return the evidence of a transport's exception, or None for any other.

    Args:
        error: What was raised.
        phase: Where the attempt had got to: ``open`` before any header, ``body`` after.
    """
    import openai

    if isinstance(error, openai.APIStatusError):
        return status_evidence(error.response)
    wrapped = isinstance(error, openai.APIConnectionError)
    cause = error.__cause__ if wrapped else error
    if isinstance(cause, BodyError):  # openai 2.x wraps it, because it reads the body of an error itself
        return Evidence(cause="undecodable", phase="body", status=cause.status, message=str(cause))
    if isinstance(error, MemoryError) and phase != "open":
        return Evidence(cause="undecodable", phase=phase, message=NO_MEMORY)
    if cause is None or not (wrapped or _is_of_transport(cause, phase)):
        return None
    word = _named(_real(cause))
    if phase != "open" and word not in ("read_timeout", "undecodable"):
        word = "cut"
    own = word in ("proxy", "pool_timeout")
    return Evidence(word, "connect" if word in _UNSENT else phase, message=redact(_words(cause)), own=own)


# What was raised, by the name of its type or of the nearest base that stands here.
_CAUSES = {
    "PoolTimeout": "pool_timeout",
    **dict.fromkeys(("ConnectTimeout", "ConnectionTimeoutError"), "connect_timeout"),
    **dict.fromkeys(("TimeoutException", "TimeoutError"), "read_timeout"),
    "DecodingError": "undecodable",
    **dict.fromkeys(("ProxyError", "ClientProxyConnectionError", "ClientHttpProxyError"), "proxy"),
    **dict.fromkeys(("ConnectError", "ClientConnectorError", "UnsupportedProtocol"), "refused"),
    **dict.fromkeys(("ConnectionRefusedError", "SSLError", "gaierror"), "refused"),
}
_UNSENT = ("pool_timeout", "connect_timeout", "proxy", "refused", "dns", "tls")


def _real(error: BaseException) -> BaseException:
    """Return aiohttp's own error, if there is one.

    httpx-aiohttp raises `ConnectTimeout` for every `ClientConnectionError`: also for a reset after the request was
    sent (read in 0.2.0, `AIOHTTP_EXC_MAP`).
    """
    below = error.__cause__
    return below if below is not None and type(below).__module__.startswith("aiohttp") else error


def _named(error: BaseException) -> str:
    names = [base.__name__ for base in type(error).__mro__]
    word = next((_CAUSES[name] for name in names if name in _CAUSES), None)
    if word is None:
        return "read_timeout" if "Timeout" in names[0] else "reset"
    if word == "connect_timeout" and waited_for(error) == "pool_timeout":
        return "pool_timeout"
    return _connect_cause(getattr(error, "os_error", error)) if word == "refused" else word


# Where the HTTP libraries wait before they have sent anything: httpcore and aiohttp, functions of their own.
_WAITS = {
    "wait_for_connection": "pool_timeout",
    "_wait_for_available_connection": "pool_timeout",
    "connect_tcp": "connect_timeout",
    "start_tls": "connect_timeout",
    "_create_connection": "connect_timeout",
}


def waited_for(error: BaseException) -> str | None:
    """Return what a request that was not sent waited for, by the traceback.

    aiohttp has one error for a full pool and for a hub that takes no connection, and a cancelled wait has none at all.

    Returns:
        "pool_timeout", "connect_timeout", or None if the request may have been sent.
    """
    seen: BaseException | None = error
    while seen is not None:
        for frame, _ in walk_tb(seen.__traceback__):
            if frame.f_code.co_name in _WAITS:
                return _WAITS[frame.f_code.co_name]
        if isinstance(seen, CancelledError):  # what came before it is another story
            break
        seen = seen.__cause__ or seen.__context__
    return None


def transport_errors() -> tuple[type[Exception], ...]:
    """Return the errors of every HTTP library in use, of sockets and of bodies."""
    return (*_request_errors(), OSError, BodyError, MemoryError)


def _request_errors() -> tuple[type[Exception], ...]:
    found = [http().RequestError]
    for name in ("httpx", "httpx2"):
        module = sys.modules.get(name)
        if module is not None and module.RequestError not in found:
            found.append(module.RequestError)
    return tuple(found)


def _is_of_transport(error: BaseException, phase: str) -> bool:
    """Return whether the HTTP client or its transport raised an error.

    A transport of the user's may raise any type. Before the headers, only what comes out of the client's `send` is: the
    SDK also calls a key function of the user's.
    """
    if isinstance(error, _request_errors()):
        return True
    if phase != "open":
        return isinstance(error, OSError)
    frames = (frame for frame, _ in walk_tb(error.__traceback__) if frame.f_code.co_name == "send")
    return any(frame.f_globals.get("__name__", "").startswith("httpx") for frame in frames)


def _connect_cause(error: BaseException) -> str:
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
    return "tls" if "ssl" in text or "certificate" in text else "refused"


def _words(error: BaseException) -> str:
    # The words of a transport's own error say nothing without its name.
    name = type(error).__name__
    said = str(error)
    return said if said and isinstance(error, http().RequestError) else f"{name}: {said}" if said else name
