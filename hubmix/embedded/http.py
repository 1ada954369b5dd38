"""An answer as a value, and the one place that puts it on the wire.

A `Response` is decided completely before a byte leaves: status, headers, and a list of steps, each of which is bytes to
send, a `Wait`, or a `Drop` of the connection. Only `send` waits.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

JSON_TYPE = "application/json; charset=utf-8"
PASSED_JSON_TYPE = "application/json"  # an answer of a vendor, handed on as it came
STREAM_TYPE = "text/event-stream"
HTML_TYPE = "text/html; charset=utf-8"
PING = b": PING\n\n"

# A reset overtakes bytes that the client has not read yet on some systems; this is the head start they get.
_HEAD_START = 0.02


@dataclass(frozen=True, slots=True)
class Wait:
    """Silence, without end if `seconds` is None; `every` sends comments meanwhile.

    It ends at once when the client leaves or the hub closes.
    """

    seconds: float | None = None
    every: float | None = None


@dataclass(frozen=True, slots=True)
class Drop:
    """The end of the connection: in order (FIN) or, with `reset`, an RST."""

    reset: bool = False


Step = bytes | Wait | Drop


@dataclass(frozen=True, slots=True)
class Response:
    """What goes out: `before` happens ahead of the status line, `steps` after it.

    `length` is the Content-Length to announce; None lets a streamed response be chunked and measures any other.
    """

    status: int
    steps: tuple[Step, ...] = ()
    content_type: str | None = JSON_TYPE
    headers: Mapping[str, str] = field(default_factory=dict)
    before: tuple[Step, ...] = ()
    length: int | None = None
    pace: float = 0.0

    @property
    def body(self) -> bytes:
        """All bytes of the response, as if nothing happened between them."""
        return b"".join(step for step in self.steps if isinstance(step, bytes))

    def with_headers(self, headers: Mapping[str, str]) -> Response:
        """Return the response with more headers; its own win."""
        return replace(self, headers={**headers, **self.headers})


def json_response(
    status: int, body: Any, *, content_type: str | None = JSON_TYPE, headers: Mapping[str, str] | None = None
) -> Response:
    """A response with `body` as JSON in UTF-8."""
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return Response(status, (text.encode(),), content_type, headers or {})


class _GoneError(Exception):
    """The connection is gone, or the hub closes: nothing more is sent."""


class _Line:
    """One request's connection: what may be sent, waited for and broken off."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, closing: asyncio.Event) -> None:
        self._transport: asyncio.Transport = scope["state"]["transport"]
        self._receive = receive
        self._send = send
        self._closing = closing

    async def start(self, response: Response) -> None:
        headers = [
            (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in response.headers.items()
        ]
        if response.content_type is not None and "content-type" not in {name.lower() for name in response.headers}:
            headers.append((b"content-type", response.content_type.encode("latin-1")))
        length = response.length
        if length is None and response.content_type != STREAM_TYPE:
            length = len(response.body)
        if length is not None:
            headers.append((b"content-length", str(length).encode()))
        await self._send({"type": "http.response.start", "status": response.status, "headers": headers})

    async def take(self, steps: tuple[Step, ...], pace: float = 0.0) -> None:
        for step in steps:
            if isinstance(step, bytes):
                if self._transport.is_closing():  # the server learns of it later, and asyncio warns of every write
                    await self._disconnected()
                    raise _GoneError
                await self._send({"type": "http.response.body", "body": step, "more_body": True})
                if pace:
                    await self._silence(pace)
            elif isinstance(step, Wait):
                await self._wait(step)
            else:
                await self.drop(step)

    async def end(self, last: bytes = b"") -> None:
        await self._send({"type": "http.response.body", "body": last, "more_body": False})

    async def drop(self, drop: Drop) -> None:
        if drop.reset:
            await asyncio.sleep(_HEAD_START)
            sock: socket.socket | None = self._transport.get_extra_info("socket")
            if sock is not None and sock.fileno() >= 0:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._transport.abort()
        else:
            self._transport.close()
        await self._disconnected()
        raise _GoneError

    async def _wait(self, wait: Wait) -> None:
        left = wait.seconds
        while left is None or left > 0:
            if wait.every is None:
                await self._silence(left)
                return
            pause = wait.every if left is None else min(wait.every, left)
            await self._silence(pause)
            await self._send({"type": "http.response.body", "body": PING, "more_body": True})
            left = None if left is None else left - pause

    async def _silence(self, seconds: float | None) -> None:
        tasks = {asyncio.ensure_future(self._disconnected()), asyncio.ensure_future(self._closing.wait())}
        try:
            done, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
        if done:
            self._transport.abort()
            await self._disconnected()
            raise _GoneError

    async def _disconnected(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass


async def send(response: Response, scope: Scope, receive: Receive, send: Send, closing: asyncio.Event) -> None:
    """Send a response; stop when the client leaves or `closing` is set."""
    line = _Line(scope, receive, send, closing)
    try:
        await line.take(response.before)
        await line.start(response)
        if len(response.steps) == 1 and isinstance(response.steps[0], bytes):
            await line.end(response.steps[0])
            return
        await line.take(response.steps, response.pace)
        await line.end()
    except _GoneError:
        return
