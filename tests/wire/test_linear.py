"""Reading time grows in proportion to the answer's length."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Any

import pytest

from hubmix.wire import Delta, StreamReader, read_reply
from langchain_hubmix._stream import ChunkWriter
from llamaindex_hubmix._stream import ResponseStream

SIZE = 1_000
SQUARE = 16  # what four times as much costs if the cost grows with the square


def chunk(delta: Any = None, finish: str | None = None, **choice: Any) -> dict[str, Any]:
    return {"id": "c", "choices": [{"index": 0, "delta": delta or {}, "finish_reason": finish, **choice}]}


def entry(index: int | None, id: str | None = None, name: str | None = None, arguments: str = "") -> dict[str, Any]:
    return {"index": index, "id": id, "function": {"name": name, "arguments": arguments}}


def call(*about: Any) -> dict[str, Any]:
    return chunk({"tool_calls": [entry(*about)]})


def times(make: Callable[[int], dict[str, Any]]) -> Callable[[int], list[Any]]:
    return lambda size: [make(number) for number in range(size)]


STREAMS: dict[str, Callable[[int], list[Any]]] = {
    "calls": times(lambda n: call(n, f"c{n}", "f", '{"a": 1}')),
    "calls without index": times(lambda n: call(None, f"c{n}", "f", '{"a": 1}')),
    "calls in one delta": lambda size: [chunk({"tool_calls": [entry(n, f"c{n}", "f") for n in range(size)]})],
    "calls under one id": times(lambda n: call(0, "c", "f", f'{{"a": {n}}}')),
    "calls without a name": times(lambda n: call(n, None, None, f'{{"a": {n}}}')),
    "pieces": times(lambda n: call(0, "c" if not n else None, "f" if not n else None, '{"a": "' if not n else "word ")),
    "blank pieces": times(lambda n: call(0, "c", "f", "  ")),
    "braces": times(lambda n: call(0, "c", "f", "{")),
    "pieces of a name": times(lambda n: call(0, "c", f"f{n}")),
    "text that stops each time": times(lambda n: chunk({"content": "word "}, "stop")),
    "messages for deltas": times(lambda n: {"choices": [{"message": {"content": f"word{n} "}}]}),
    "reasoning in turns": times(lambda n: chunk({("reasoning", "thinking")[n % 2]: f"word{n} "})),
    "details": times(lambda n: chunk({"reasoning_details": [{"index": 0, "text": "word "}]})),
    "details of many ids": times(lambda n: chunk({"reasoning_details": [{"index": 0, "id": str(n), "text": "x"}]})),
    "an object of details": times(lambda n: chunk({"reasoning_details": {"thinking": "word "}})),
    "annotations": times(lambda n: chunk({"annotations": [{"url": f"https://a.example/{n}"}]})),
    "audio": times(lambda n: chunk({"audio": {"data": "abcd", "transcript": "ab"}})),
    "log-probabilities": times(lambda n: chunk({"content": "w"}, logprobs={"content": [{"token": "w"}]})),
}


def cost(work: Callable[[], Any]) -> float:
    """Return the CPU seconds of the better of two runs, without garbage collection."""
    best = float("inf")
    gc.disable()
    try:
        for _ in range(2):
            began = time.process_time()
            work()
            best = min(best, time.process_time() - began)
    finally:
        gc.enable()
    return best


def deltas(chunks: list[Any]) -> list[Delta]:
    reader = StreamReader()
    steps = [reader.feed(each) for each in [chunk({"content": "x"}), *chunks, chunk(None, "stop")]]
    final = reader.finish()
    return [step for step in (*steps, reader.close(), Delta(final=final)) if step is not None]


def in_frameworks(chunks: list[Any]) -> None:
    steps = deltas(chunks)
    writer, stream = ChunkWriter(), ResponseStream("m")
    for step in steps:
        writer.write(step)
        stream.read(step)


@pytest.mark.slow
@pytest.mark.parametrize("what", STREAMS)
def test_stream_costs_in_proportion_to_its_length(what: str) -> None:
    small, large = (STREAMS[what](size) for size in (SIZE, 4 * SIZE))
    assert cost(lambda: in_frameworks(large)) < 0.7 * SQUARE * max(cost(lambda: in_frameworks(small)), 0.002)


@pytest.mark.slow
@pytest.mark.parametrize("arguments", ["", "{}", '{"a": 1}'])
def test_whole_calls_cost_in_proportion_to_their_number(arguments: str) -> None:
    def answer(size: int) -> dict[str, Any]:
        calls = [{"id": f"c{n}", "function": {"name": "f", "arguments": arguments}} for n in range(size)]
        return {"choices": [{"message": {"tool_calls": calls}, "finish_reason": "tool_calls"}]}

    small, large = answer(SIZE), answer(4 * SIZE)
    assert cost(lambda: read_reply(large)) < 0.7 * SQUARE * max(cost(lambda: read_reply(small)), 0.002)
