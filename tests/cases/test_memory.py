"""Kind: a process with 512 MB of address space survives every bomb."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.support.answers import EVENTS, JSON, Answer, chunk, completion, encoded
from tests.support.scripted_hub import Request, ScriptedHub

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux limits the address space"),
]
MEGABYTE = 1 << 20


class Packed:
    """A body that is packed as it is sent.

    Args:
        piece: what it repeats.
        megabytes: its size.
        begin: what stands before.
        end: what stands behind.
    """

    def __init__(self, piece: bytes, megabytes: int, begin: bytes = b"", end: bytes = b"") -> None:
        self.piece = piece * max(MEGABYTE // len(piece), 1)
        self.megabytes = megabytes
        self.begin = begin
        self.end = end

    def __iter__(self) -> Iterator[bytes]:
        packer = zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS | 16)
        for plain in (self.begin, *[self.piece] * self.megabytes, self.end):
            if packed := packer.compress(plain):
                yield packed
        yield packer.flush()


def event(**delta: object) -> bytes:
    return b"data: " + encoded(chunk(**delta)) + b"\n\n"


CALL = b'{"function": {"name": "f", "arguments": "{}"}},'
PIECE = {"index": 0, "id": "c", "function": {"name": "f", "arguments": "x" * MEGABYTE}}
BODIES: Mapping[str, Packed] = {
    "blanks": Packed(b" ", 2000),
    "content": Packed(b"x", 300, b'{"choices": [{"message": {"content": "', b'"}}]}'),
    "objects": Packed(b"{},", 60, b"[", b"{}]"),
    "calls": Packed(CALL, 55, b'{"choices": [{"message": {"tool_calls": [', b"{}]}}]}"),
}
STREAMS: Mapping[str, Packed] = {
    "line": Packed(b"x", 400, b"data: "),
    "data-lines": Packed(b"data: x\n", 400),
    "long-tokens": Packed(event(content="x" * MEGABYTE), 400),
    "arguments": Packed(event(tool_calls=[PIECE]), 400),
}
CALLS = ("whole", "async whole", "stream", "async stream")


def answer(bomb: str, status: int = 200) -> Answer:
    if bomb in STREAMS:
        return Answer(STREAMS[bomb], status, EVENTS, {"Content-Encoding": "gzip"})
    return Answer(BODIES[bomb], status, JSON, {"Content-Encoding": "gzip"})


def script(request: Request) -> Answer:
    if request.model == "small":
        return completion("hi")
    name, _, error = request.model.partition(":")
    return answer(name, 500 if error else 200)


def outcomes(calls: list[tuple[str, str]], pages: Mapping[str, Answer]) -> list[str]:
    with ScriptedHub(script, pages) as server:
        child = [sys.executable, "-m", "tests.cases.memory_child", server.base_url, json.dumps(calls)]
        # Each thread's arena reserves 64 MB of address space.
        environment = {**os.environ, "MALLOC_ARENA_MAX": "2"}
        root = Path(__file__).parents[2]
        done = subprocess.run(child, cwd=root, env=environment, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr[-2000:]
    found: list[str] = json.loads(done.stdout)
    assert set(found) <= {"ours", "answer"}, done.stderr[-3000:]
    return found


@pytest.mark.parametrize("bomb", BODIES)
def test_bomb_of_a_body_ends_in_an_error_of_ours(bomb: str) -> None:
    calls = [*((way, bomb) for way in CALLS), ("whole", f"{bomb}:error"), ("async whole", f"{bomb}:error")]
    assert outcomes(calls, {}) == ["ours"] * len(calls)


@pytest.mark.parametrize("bomb", STREAMS)
def test_bomb_of_a_stream_ends_in_an_error_of_ours(bomb: str) -> None:
    assert set(outcomes([(way, bomb) for way in CALLS], {})) == {"ours"}


@pytest.mark.parametrize("bomb", ["blanks", "objects"])
def test_bomb_of_a_page_is_no_foreign_error(bomb: str) -> None:
    """A balance that cannot be read is unknown; a page within its limit is read."""
    names = ("/v1/models", "/api/pricing", "/dashboard/billing/subscription", "/dashboard/billing/remain", "/page")
    calls = [("models", bomb), ("balance", bomb), ("page", "page"), ("async page", "page")]
    assert len(outcomes(calls, dict.fromkeys(names, answer(bomb)))) == len(calls)
