"""A hub on loopback whose answers a test writes."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from tests.support.answers import Answer, error


@dataclass(frozen=True, slots=True)
class Request:
    """One POST: path, lower-case headers, decoded body, number of earlier POSTs."""

    path: str
    headers: Mapping[str, str]
    body: Any
    number: int

    @property
    def model(self) -> str:
        return str(self.body["model"])

    @property
    def stream(self) -> bool:
        return bool(self.body.get("stream"))

    @property
    def after_tools(self) -> bool:
        """Return whether the request carries a tool's result (an agent's second turn)."""
        return any(message["role"] == "tool" for message in self.body["messages"])


# One answer to everything, one answer a request (the last one repeats), or a function of the request.
Script = Answer | Sequence[Answer] | Callable[[Request], Answer]


class ScriptedHub:
    """A server on a free port of loopback; a context manager.

    Args:
        script: what a POST is answered with.
        pages: path (without query) to what a GET is answered with; any other page is a 404.
    """

    def __init__(self, script: Script, pages: Mapping[str, Answer] | None = None) -> None:
        self.script = script
        self.pages = dict(pages or {})
        self.requests: list[Request] = []
        self.pages_asked: list[str] = []
        self._lock = threading.Lock()
        self._http = _Server(("127.0.0.1", 0), _handler(self))
        self.root_url = f"http://127.0.0.1:{self._http.server_port}"
        self.base_url = self.root_url + "/v1"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def bodies(self) -> list[Any]:
        return [request.body for request in self.requests]

    @property
    def models(self) -> list[str]:
        """The models that were asked, in order."""
        return [request.model for request in self.requests]

    def again(self) -> ScriptedHub:
        """Return a new hub of the same script, with nothing asked yet."""
        return ScriptedHub(self.script, self.pages)

    def _serve(self) -> None:
        while not self._http.over:
            self._http.handle_request()

    def close(self) -> None:
        self._http.over = True
        socket.create_connection(("127.0.0.1", self._http.server_port)).close()  # wakes the thread that waits for one
        self._thread.join()
        self._http.server_close()

    def __enter__(self) -> ScriptedHub:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _answer(self, path: str, headers: Mapping[str, str], raw: bytes) -> Answer:
        with self._lock:
            request = Request(path, headers, json.loads(raw or b"null"), len(self.requests))
            self.requests.append(request)
        if callable(self.script):
            return self.script(request)
        if isinstance(self.script, Answer):
            return self.script
        return self.script[min(request.number, len(self.script) - 1)]

    def _page(self, path: str) -> Answer:
        self.pages_asked.append(path)
        missing = error(404, f"Invalid URL (GET {path})", type="invalid_request_error")
        return self.pages.get(path.partition("?")[0], missing)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512
    over = False

    def verify_request(self, *_: object) -> bool:
        """Return whether a connection is served: the one that closes the hub is not."""
        return not self.over

    def handle_error(self, *_: object) -> None:
        """Print nothing: a client that closes its connection early is part of many tests."""


def _handler(hub: ScriptedHub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1  # headers and body leave in one packet

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            self._send(hub._page(self.path))

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self._send(hub._answer(self.path, {name.lower(): text for name, text in self.headers.items()}, raw))

        def _send(self, answer: Answer) -> None:
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.content_type)
            for name, value in answer.headers.items():
                self.send_header(name.replace("_", "-"), value)
            if isinstance(answer.body, bytes):
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)
            else:
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                self._send_pieces(answer.body)
            self.wfile.flush()

        def _send_pieces(self, pieces: Any) -> None:
            self.wfile.flush()
            try:
                for piece in pieces:
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                    self.wfile.flush()
                self.wfile.write(b"0\r\n\r\n")
            except ConnectionAbortedError:
                self.close_connection = True

    return Handler
