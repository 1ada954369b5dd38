"""What the clients of a pool send in their headers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from hubmix.transport.clients import ClientPool

Heard = tuple[str, list[list[tuple[str, str]]]]


@pytest.fixture
def heard() -> Iterator[Heard]:
    """Return the URL of a server that sets a cookie, and the headers that it read."""
    read: list[list[tuple[str, str]]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            read.append(list(self.headers.items()))
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", "2")
            if len(read) == 1:
                self.send_header("Set-Cookie", "route=a; Path=/")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *args: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1", read
        server.shutdown()
        thread.join()


def send_twice(base_url: str, *, waits: bool) -> None:
    pool = ClientPool(base_url, "sk-test", {})

    async def post() -> None:
        for _ in range(2):
            await (await pool.current()).post("/chat/completions", body={}, cast_to=object)
        await pool.aclose()

    if waits:
        for _ in range(2):
            pool.sync().post("/chat/completions", body={}, cast_to=object)
        pool.close()
    else:
        asyncio.run(post())


@pytest.mark.parametrize("waits", [True, False], ids=["sync", "async"])
def test_key_goes_under_the_standard_spelling(waits: bool, heard: Heard) -> None:
    base_url, read = heard
    send_twice(base_url, waits=waits)
    names = [name for name, _ in read[0]]
    assert "Authorization" in names
    assert "authorization" not in names


@pytest.mark.parametrize("waits", [True, False], ids=["sync", "async"])
def test_cookie_of_a_hub_goes_back(waits: bool, heard: Heard) -> None:
    base_url, read = heard
    send_twice(base_url, waits=waits)
    cookies = [[value for name, value in headers if name.lower() == "cookie"] for headers in read]
    assert cookies == [[], ["route=a"]]
