"""A hub of bare sockets, for answers that no HTTP server would give."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
from collections.abc import Callable
from types import TracebackType

from tests.support.answers import completion_body, encoded

Play = Callable[[socket.socket], None]
"""What is done with a connection whose request has been read."""


def head(body: bytes, *lines: str) -> bytes:
    """Return a head that announces this body and the end of the connection."""
    said = ["HTTP/1.1 200 OK", "content-type: application/json", f"content-length: {len(body)}", "connection: close"]
    return ("\r\n".join([*said, *lines]) + "\r\n\r\n").encode()


def whole(connection: socket.socket) -> None:
    """Answer with one word."""
    body = encoded(completion_body("hello"))
    connection.sendall(head(body) + body)


def says(data: bytes) -> Play:
    """Send these bytes and close in order."""
    return lambda connection: connection.sendall(data)


def resets(data: bytes = b"") -> Play:
    """Send these bytes and reset the connection."""

    def play(connection: socket.socket) -> None:
        connection.sendall(data)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return play


class RawHub:
    """A server on loopback; a context manager.

    Args:
        plays: what is done for each model; any other is answered in full.
    """

    def __init__(self, **plays: Play) -> None:
        self.plays = plays
        self.models: list[str] = []
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.base_url = f"http://127.0.0.1:{self._listening.getsockname()[1]}/v1"
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> RawHub:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:  # closed
                return
            # One after the other: the tests ask one question at a time.
            with connection, contextlib.suppress(ConnectionError):
                if (model := self._model(connection)) is not None:
                    self.models.append(model)
                    self.plays.get(model, whole)(connection)

    def _model(self, connection: socket.socket) -> str | None:
        data = b""
        while b"\r\n\r\n" not in data:
            piece = connection.recv(65_536)
            if not piece:
                return None
            data += piece
        said, _, body = data.partition(b"\r\n\r\n")
        length = next(line for line in said.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        while len(body) < int(length.partition(b":")[2]):
            body += connection.recv(65_536)
        return str(json.loads(body)["model"])
