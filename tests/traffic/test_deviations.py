"""Recorded good answers told as vendors tell them are read, or refused."""

from __future__ import annotations

import itertools
import json
import random
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hubmix.wire import AnswerError, Reply, StreamReader
from tests.traffic.answers import Good, of_cassettes, of_traffic
from tests.traffic.deviations import ALL, LOSSY, ORDER, Chunks

PAIRS = 60  # of deviations, for each recorded answer in the slow test


def said(reply: Reply) -> dict[str, Any]:
    """Return what an answer says, without the ids and the envelope."""
    usage = reply.usage
    return {
        "text": reply.text,
        "reasoning": reply.reasoning.strip(),
        "refusal": reply.refusal,
        "calls": [(call.name, call.args) for call in reply.tool_calls],
        "finish": reply.finish_reason,
        "usage": usage and (usage.input_tokens, usage.output_tokens, usage.total_tokens, usage.cache_read),
        "citations": reply.citations,
        "logprobs": {key: each for key, each in (reply.logprobs or {}).items() if isinstance(each, list)},
        "images": reply.images,
    }


def applied(deviations: Mapping[str, Any], names: Iterable[str], subject: Any, reply: Reply) -> Any:
    """Return an answer told with these deviations, or None if one does not apply."""
    for name in names:
        subject = None if subject is None else deviations[name](subject, reply)
    return subject


def calls_of(answer: dict[str, Any]) -> Counter[str]:
    """Count the calls that can be executed."""
    return Counter(json.dumps(call, sort_keys=True) for call in answer["calls"] if call[1] is not None)


def difference(wanted: dict[str, Any], got: dict[str, Any]) -> str | None:
    """Name what was read differently, or return None."""
    different = {key: (wanted[key], got[key]) for key in wanted if wanted[key] != got[key]}
    return f"read differently: {different}" if different else None


def read(chunks: Chunks) -> Reply:
    """Read a stream as the transport does; check that deltas add up to the reply."""
    reader = StreamReader()
    steps = [reader.feed(chunk) for chunk in chunks]
    reply = reader.finish()
    if reply.incomplete:
        return reply
    deltas = [delta for delta in (*steps, reader.close()) if delta is not None]
    assert "".join(delta.text for delta in deltas) == reply.text
    assert "".join(delta.reasoning for delta in deltas) == reply.reasoning
    assert "".join(delta.refusal for delta in deltas) == reply.refusal
    names, texts, ids = Counter[int](), {}, {}
    for piece in itertools.chain.from_iterable(delta.tool_calls for delta in deltas):
        names[piece.index] += len(piece.name or "")
        texts[piece.index] = texts.get(piece.index, "") + piece.arguments
        ids.setdefault(piece.index, piece.id)
    assert [texts[call.index] for call in reply.tool_calls] == [call.arguments for call in reply.tool_calls]
    assert [names[call.index] for call in reply.tool_calls] == [len(call.name) for call in reply.tool_calls]
    assert [ids[call.index] for call in reply.tool_calls] == [call.id for call in reply.tool_calls]
    assert len({call.id for call in reply.tool_calls}) == len(reply.tool_calls)
    return reply


def problem(good: Good, names: tuple[str, ...]) -> str | None:
    """Return what is wrong with the reading of one deviation, or None."""
    chunks = applied(ALL, sorted(names, key=ORDER.__getitem__), good.chunks, good.reply)
    if chunks is None:
        return None
    lossy = any(name in LOSSY for name in names)
    try:
        found = read(chunks)
    except AnswerError:
        return None if lossy else "an error"
    wanted, got = said(good.reply), said(found)
    if invented := calls_of(got) - calls_of(wanted):
        return f"a call that was not made: {invented}"
    noticed = found.incomplete or calls_of(got).total() < len(got["calls"])
    if noticed:
        return None if lossy else f"noticed what is not there: {got}"
    return difference(wanted, got)


def report(good: Good, names: tuple[str, ...]) -> str | None:
    try:
        found = problem(good, names)
    except Exception as error:  # noqa: BLE001 - the deviation is named with whatever happened
        found = f"{type(error).__name__}: {error}"
    return found and f"{good.id}, {' + '.join(names)}: {found:.600}"


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_deviations_of_gateway_answers_are_read(data: st.DataObject) -> None:
    good = data.draw(st.sampled_from(of_cassettes()))
    names = data.draw(st.lists(st.sampled_from(sorted(ALL)), min_size=1, max_size=2, unique=True))
    assert report(good, tuple(names)) is None


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("source", [of_cassettes, of_traffic])
def test_deviations_of_every_recorded_answer_are_read(source: Any) -> None:
    chance, tried, wrong = random.Random(15), 0, []
    for good in source():
        pairs = [tuple(chance.sample(sorted(ALL), 2)) for _ in range(PAIRS)]
        for names in (*((name,) for name in ALL), *pairs):
            tried += 1
            if found := report(good, names):
                wrong.append(found)
    assert not wrong, f"{len(wrong)} of {tried}: " + "\n".join(wrong[:20])
