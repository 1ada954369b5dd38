"""What the clients of a pool send in their headers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from hubmix.transport.clients import ClientPool


@pytest.fixture
def header_names() -> Iterator[tuple[str, list[str]]]:
    """Return the base URL of a server, and the names of the headers that it read."""
    names: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            names.extend(self.headers)
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *args: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1", names
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("waits", [True, False], ids=["sync", "async"])
def test_key_goes_under_the_standard_spelling(waits: bool, header_names: tuple[str, list[str]]) -> None:
    base_url, names = header_names
    pool = ClientPool(base_url, "sk-test", {})

    async def post() -> None:
        await (await pool.current()).post("/chat/completions", body={}, cast_to=object)
        await pool.aclose()

    if waits:
        pool.sync().post("/chat/completions", body={}, cast_to=object)
        pool.close()
    else:
        asyncio.run(post())
    assert "Authorization" in names
    assert "authorization" not in names
