"""Recorded good answers as whole bodies, told as vendors tell them, are read."""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hubmix.wire import AnswerError, Reply, read_reply
from tests.traffic import call_deviations as tell
from tests.traffic.answers import Good, of_cassettes, of_traffic
from tests.traffic.deviations import FIELDS
from tests.traffic.test_deviations import applied, calls_of, difference, said

Body = dict[str, Any]
Deviation = Callable[[Body, Reply], Body | None]


def body_of(reply: Reply) -> Body:
    """Return what a reply says as the body of a whole answer."""
    message = reply.to_wire_message()
    message.pop("reasoning_details", None)
    choice = {"index": 0, "message": message, "finish_reason": reply.finish_reason, "logprobs": reply.logprobs}
    usage = dict(reply.usage.raw) if reply.usage else None
    return {"id": "c", "object": "chat.completion", "model": "m", "choices": [choice], "usage": usage}


def on_message(change: Callable[[Body, Reply], bool]) -> Deviation:
    """Return a deviation that changes the message in place; False if it cannot."""

    def deviation(body: Body, reply: Reply) -> Body | None:
        made = copy.deepcopy(body)
        return made if change(made["choices"][0]["message"], reply) else None

    return deviation


def on_choice(**fields: Any) -> Deviation:
    return lambda body, _: {**body, "choices": [{**body["choices"][0], **fields}]}


def calls_as(telling: tell.Telling, *, again: bool = False) -> Deviation:
    """Return a deviation that tells the calls of the answer in another way."""

    def change(message: Body, reply: Reply) -> bool:
        calls = reply.tool_calls
        plain = all(call.kind == "function" and not call.extra for call in calls)
        pieces = telling(calls) if calls and plain else None
        entries = [one for each in pieces or () for one in each]
        message["tool_calls"] = entries * 2 if again else entries
        return bool(entries)

    return on_message(change)


def text_as_parts(message: Body, reply: Reply) -> bool:
    message["content"] = [{"type": "text", "text": reply.text[:3]}, {"type": "text", "text": reply.text[3:]}]
    return bool(reply.text)


def reasoning_as(write: Callable[[str], Body]) -> Deviation:
    def change(message: Body, reply: Reply) -> bool:
        for name in FIELDS:
            message.pop(name, None)
        message.update(write(reply.reasoning))
        return bool(reply.reasoning.strip()) and not reply.reasoning_details

    return on_message(change)


def legacy_call(message: Body, reply: Reply) -> bool:
    message["function_call"] = (message.pop("tool_calls", None) or [{}])[0].get("function")
    return len(reply.tool_calls) == 1 and reply.tool_calls[0].kind == "function"


def as_delta(body: Body, _: Reply) -> Body:
    choice = dict(body["choices"][0])
    return {**body, "choices": [{**choice, "delta": choice.pop("message")}]}


def usage_as(write: Callable[[Body], Body]) -> Deviation:
    return lambda body, reply: {**body, "usage": None, **write(body["usage"])} if body["usage"] else None


def counts_as(kind: type) -> Deviation:
    return usage_as(lambda usage: {"usage": {k: kind(v) if type(v) is int else v for k, v in usage.items()}})


def in_capitals(body: Body, reply: Reply) -> Body:
    return on_choice(finish_reason=(reply.finish_reason or "").upper())(body, reply) or body


WHOLE_TELLINGS = (
    *(tell.whole, tell.as_objects, tell.encoded_twice, tell.arguments_three_times, tell.all_under_index_0),
    *(tell.glued, tell.under_one_id, tell.with_a_phantom_whole),
)
LOSSLESS: dict[str, Deviation] = {
    "as it came": lambda body, _: body,
    **{f"calls: {each.__name__}": calls_as(each) for each in WHOLE_TELLINGS},
    "calls: each one twice": calls_as(tell.whole, again=True),
    "legacy call": on_message(legacy_call),
    "text as parts": on_message(text_as_parts),
    "reasoning under another name": reasoning_as(lambda text: {"reasoning": text}),
    "reasoning under three names": reasoning_as(lambda text: dict.fromkeys(FIELDS, text)),
    "reasoning in details": reasoning_as(
        lambda text: {"reasoning_details": [{"type": "reasoning.text", "text": text}]}
    ),
    "nulls": on_message(lambda message, _: bool([message.setdefault(k, None) for k in ("refusal", "audio", "images")])),
    "delta for a message": as_delta,
    "finish in capitals": in_capitals,
    "usage as text": counts_as(str),
    "usage as fractions": counts_as(float),
    "usage of Groq": usage_as(lambda usage: {"x_groq": {"usage": usage}}),
    "bare envelope": lambda body, _: {key: body[key] for key in body.keys() - {"id", "object", "model"}},
}
LOSSY: dict[str, Deviation] = {
    "calls: last one cut": calls_as(tell.cut_last),
    "calls: second without id and name": calls_as(tell.without_name),
    **{f"ended by {word}": on_choice(finish_reason=word) for word in ("network_error", "abort", "error_finish")},
}
ALL = {**LOSSLESS, **LOSSY}


def problem(good: Good, names: tuple[str, ...]) -> str | None:
    """Return what is wrong with the reading of one deviation, or None."""
    body = applied(ALL, sorted(names, key=list(ALL).index), body_of(good.reply), good.reply)
    if body is None:
        return None
    lossy = any(name in LOSSY for name in names)
    try:
        found = read_reply(json.loads(json.dumps(body)))
    except AnswerError as error:
        return None if lossy else f"an error: {error}"
    # Citations stand next to the choices of a stream, and are kept as they came.
    wanted, got = ({**said(reply), "citations": None, "images": None} for reply in (good.reply, found))
    if invented := calls_of(got) - calls_of(wanted):
        return f"a call that was not made: {invented}"
    if lossy and (found.incomplete or calls_of(got).total() < len(got["calls"])):
        return None
    return difference(wanted, got)


def report(good: Good, names: tuple[str, ...]) -> str | None:
    found = problem(good, names)
    return found and f"{good.id}, {' + '.join(names)}: {found:.600}"


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_deviations_of_whole_gateway_answers_are_read(data: st.DataObject) -> None:
    good = data.draw(st.sampled_from(of_cassettes()))
    names = data.draw(st.lists(st.sampled_from(sorted(ALL)), min_size=1, max_size=2, unique=True))
    assert report(good, tuple(names)) is None


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("source", [of_cassettes, of_traffic])
def test_deviations_of_every_whole_answer_are_read(source: Any) -> None:
    ways = [*((name,) for name in ALL), *itertools.combinations(ALL, 2)]
    wrong = [found for good in source() for names in ways if (found := report(good, names))]
    assert not wrong, f"{len(wrong)}: " + "\n".join(wrong[:20])
