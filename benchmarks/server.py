"""A server on loopback, in its own process, that answers with prepared bytes.

What is answered depends on the request: the path says how a stream is sent (``/burst/v1``: all at once;
``/drip/v1``: every event in a packet of its own), the body says whether there is a stream at all, and the model
``dead`` is answered as New API answers for a model that no channel serves.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.request import urlopen

from benchmarks import responses_events

CHUNKS = 500
PIECE = " word"
TEXT = PIECE * CHUNKS
ANSWER = "The capital of France is Paris."
DEAD = "dead"
_DRIP = 0.0005  # seconds between the packets of a dripped stream; the client has read one before the next comes

_HEAD = {"id": "chatcmpl-b3", "created": 1_760_000_000, "model": "bench", "system_fingerprint": "fp_1"}
_USAGE = {
    "prompt_tokens": 14,
    "completion_tokens": CHUNKS,
    "total_tokens": 14 + CHUNKS,
    "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
}


def _answer(status: str, kind: str, body: bytes) -> bytes:
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nX-Oneapi-Request-Id: b3\r\n\r\n"
    )
    return head.encode() + body


def _json(status: str, body: Any) -> bytes:
    return _answer(status, "application/json", json.dumps(body).encode())


def _events() -> list[bytes]:
    def event(choices: list[Any], **more: Any) -> bytes:
        chunk = {**_HEAD, "object": "chat.completion.chunk", "choices": choices, **more}
        return b"data: " + json.dumps(chunk, separators=(",", ":")).encode() + b"\n\n"

    def choice(delta: dict[str, Any], finish: str | None = None) -> list[Any]:
        return [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]

    words = [event(choice({"content": PIECE}))] * CHUNKS
    first = event(choice({"role": "assistant", "content": ""}))
    return [first, *words, event(choice({}, "stop")), event([], usage=_USAGE), b"data: [DONE]\n\n"]


def _http_chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


_STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
    b"Transfer-Encoding: chunked\r\nX-Oneapi-Request-Id: b3\r\n\r\n"
)
_EVENTS = _events()


def _burst(events: list[bytes]) -> bytes:
    body = b"".join(events)
    pieces = (_http_chunk(body[at : at + 16_384]) for at in range(0, len(body), 16_384))
    return _STREAM_HEAD + b"".join(pieces) + b"0\r\n\r\n"


_BURST = _burst(_EVENTS)
_RESPONSES_BURST = _burst(responses_events.events(PIECE, CHUNKS))
_RESPONSES_WHOLE = _json("200 OK", responses_events.whole(ANSWER, 7))
_DRIPS = [
    _STREAM_HEAD + _http_chunk(_EVENTS[0]),
    *map(_http_chunk, _EVENTS[1:-1]),
    _http_chunk(_EVENTS[-1]) + b"0\r\n\r\n",
]
_WHOLE = _json(
    "200 OK",
    {
        **_HEAD,
        "object": "chat.completion",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": ANSWER, "refusal": None, "annotations": []},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": _USAGE,
    },
)
# As New API of 2026 words it (recorded).
_DEAD = _json(
    "503 Service Unavailable",
    {
        "error": {
            "code": "model_not_found",
            "message": "No available channel for model dead under group default (distributor) (request id: b3)",
            "type": "new_api_error",
        }
    },
)
_MODELS = _json("200 OK", {"object": "list", "data": [{"id": "bench", "object": "model"}]})
_NOTHING = _json("404 Not Found", {"error": {"message": "Invalid URL", "type": "invalid_request_error"}})

_MODEL = re.compile(rb'"model": ?"([^"]+)"')
_LENGTH = re.compile(rb"\r\ncontent-length: ?(\d+)", re.IGNORECASE)


class _Connection(asyncio.Protocol):
    counts: dict[str, int] = {}  # noqa: RUF012  # one table for all connections is what is meant

    def __init__(self) -> None:
        self._received = bytearray()
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while True:
            end = self._received.find(b"\r\n\r\n")
            if end < 0:
                return
            head = bytes(self._received[:end])
            found = _LENGTH.search(head)
            whole = end + 4 + (int(found.group(1)) if found else 0)
            if len(self._received) < whole:
                return
            body = bytes(self._received[end + 4 : whole])
            del self._received[:whole]
            self._answer(head, body)

    def _answer(self, head: bytes, body: bytes) -> None:
        path = head.split(b" ", 2)[1]
        if path == b"/counts":
            self._transport.write(_json("200 OK", self.counts))
            self.counts.clear()
        elif path.endswith(b"/responses"):
            self._transport.write(_RESPONSES_BURST if _streams(body) else _RESPONSES_WHOLE)
        elif not path.endswith(b"/chat/completions"):
            self._transport.write(_MODELS if path.endswith(b"/models") else _NOTHING)
        else:
            named = _MODEL.search(body)
            model = named.group(1).decode() if named else ""
            self.counts[model] = self.counts.get(model, 0) + 1
            self._complete(path, model, _streams(body))

    def _complete(self, path: bytes, model: str, stream: bool) -> None:
        if model.startswith(DEAD):
            self._transport.write(_DEAD)
        elif not stream:
            self._transport.write(_WHOLE)
        elif path.startswith(b"/drip"):
            self._drip(0)
        else:
            self._transport.write(_BURST)

    def _drip(self, at: int) -> None:
        if self._transport.is_closing():
            return
        self._transport.write(_DRIPS[at])
        if at + 1 < len(_DRIPS):
            asyncio.get_running_loop().call_later(_DRIP, self._drip, at + 1)


def _streams(body: bytes) -> bool:
    return b'"stream":true' in body.replace(b" ", b"")


class Loopback:
    """The server, started in another process and ended with the block.

    Example:
        ```python
        with Loopback() as server:
            OpenAI(base_url=server.burst, api_key="sk-test")
        ```
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self.root = ""

    @property
    def burst(self) -> str:
        """The base URL whose streams come all at once."""
        return f"{self.root}/burst/v1"

    @property
    def drip(self) -> str:
        """The base URL whose streams come an event at a time."""
        return f"{self.root}/drip/v1"

    def counts(self) -> dict[str, int]:
        """The chat completions asked for since the last look, by model."""
        with urlopen(f"{self.root}/counts") as answer:
            found: dict[str, int] = json.load(answer)
        return found

    def __enter__(self) -> Loopback:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[1],
        )
        assert self._process.stdout is not None
        self.root = self._process.stdout.readline().strip()
        if not self.root:
            raise RuntimeError("the loopback server did not start; its error stands above")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        self._process.communicate()  # its input ends, and with it the server
        self._process = None


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Connection, "127.0.0.1", 0, backlog=1024)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(_serve())
