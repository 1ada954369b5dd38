"""What vendors do to an answer: functions that retell a recorded stream.

A deviation takes the chunks of a good stream and what they say, and returns other chunks, or None if it does not apply.
One in `LOSSLESS` says the same, so the same must be read. One in `LOSSY` leaves something out, which must be noticed.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

from hubmix.wire import Reply
from tests.traffic.call_deviations import TELLINGS, cut_last, retold, without_name

Chunks = list[Any]
Deviation = Callable[[Chunks, Reply], Chunks | None]

FIELDS = ("reasoning_content", "reasoning", "thinking")


def choices(chunks: Chunks) -> Iterator[dict[str, Any]]:
    """Yield every choice of the chunks."""
    for chunk in chunks:
        yield from chunk["choices"] if isinstance(chunk, dict) and chunk.get("choices") else ()


def deltas(chunks: Chunks) -> Iterator[dict[str, Any]]:
    """Yield every delta that says something."""
    yield from (choice["delta"] for choice in choices(chunks) if choice.get("delta"))


def chunk(delta: Any = None, finish: str | None = None, **more: Any) -> dict[str, Any]:
    """Return one chunk."""
    return {"id": "c", "choices": [{"index": 0, "delta": delta or {}, "finish_reason": finish}], **more}


def speaks(delta: dict[str, Any]) -> bool:
    """Return True if a delta has words, or new parts of calls."""
    functions = [call.get("function") or {} for call in delta.get("tool_calls") or ()]
    called = any(function.get("name") or function.get("arguments") for function in functions)
    return bool(delta.get("content") or called or any(delta.get(name) for name in FIELDS))


def last_words(chunks: Chunks) -> int:
    """Return the place behind the last chunk that says something."""
    spoken = [at for at, each in enumerate(chunks) if any(speaks(delta) for delta in deltas([each]))]
    return spoken[-1] + 1 if spoken else 0


def changed(chunks: Chunks, change: Callable[[dict[str, Any]], bool | None]) -> Chunks | None:
    """Return the chunks with each delta changed in place; None if no change was made."""
    made = copy.deepcopy(chunks)
    return made if [change(delta) for delta in deltas(made)].count(True) else None


# ------------------------------------------------------------------------------------------------------------- text


def text_in_halves(chunks: Chunks, _: Reply) -> Chunks | None:
    made: Chunks = []
    for each in chunks:
        spoken = [delta for delta in deltas([each]) if isinstance(delta.get("content"), str) and delta["content"][1:]]
        if len(spoken) != 1 or len(each["choices"]) > 1:
            made.append(each)
            continue
        text = spoken[0]["content"]
        made.append(chunk({"content": text[: len(text) // 2]}))
        second = copy.deepcopy(each)
        second["choices"][0]["delta"]["content"] = text[len(text) // 2 :]
        made.append(second)
    return made if len(made) > len(chunks) else None


def text_as_parts(chunks: Chunks, _: Reply) -> Chunks | None:
    def change(delta: dict[str, Any]) -> bool:
        if not isinstance(delta.get("content"), str) or not delta["content"]:
            return False
        delta["content"] = [{"type": "text", "text": delta["content"]}]
        return True

    return changed(chunks, change)


def snapshots_of(names: tuple[str, ...], whole: Callable[[Reply], str]) -> Deviation:
    """Return a deviation whose pieces of a text each hold all so far."""

    def deviation(chunks: Chunks, reply: Reply) -> Chunks | None:
        told: list[str] = []

        def change(delta: dict[str, Any]) -> bool:
            name = next((name for name in names if isinstance(delta.get(name), str) and delta[name]), None)
            if name is None:
                return False
            told.append((told[-1] if told else "") + delta[name])
            delta[name] = told[-1]
            return True

        made = changed(chunks, change)
        # Two texts, of which the second begins with a short first one, may be pieces.
        return made if len(told) > 3 and told[-1] == whole(reply) and len(told[-2]) > 16 else None

    return deviation


def role_on_every_piece(chunks: Chunks, _: Reply) -> Chunks | None:
    return changed(chunks, lambda delta: bool(delta.update(role="assistant") or True))


def role_empty(chunks: Chunks, _: Reply) -> Chunks | None:
    return changed(chunks, lambda delta: bool(delta.update(role="") or True))


def nulls_in_every_delta(chunks: Chunks, _: Reply) -> Chunks | None:
    empty = dict.fromkeys(("refusal", "tool_calls", "function_call", "audio", "reasoning_content", "annotations"))

    def change(delta: dict[str, Any]) -> bool:
        delta.update({name: value for name, value in empty.items() if name not in delta})
        return True

    return changed(chunks, change)


def empty_chunks(chunks: Chunks, _: Reply) -> Chunks | None:
    odd: Chunks = [None, {"choices": []}, {"choices": None}, {"object": "", "choices": [{"index": 0, "delta": None}]}]
    return [more for each in chunks for more in (each, *odd)] + odd


def bare_envelope(chunks: Chunks, _: Reply) -> Chunks | None:
    made = copy.deepcopy(chunks)
    for each in made:
        if isinstance(each, dict):
            for name in ("id", "object", "created"):
                each.pop(name, None)
    return made


def another_id_a_chunk(chunks: Chunks, _: Reply) -> Chunks | None:
    return [{**each, "id": f"c{at}"} if isinstance(each, dict) else each for at, each in enumerate(chunks)]


def choice_index_counts_up(chunks: Chunks, _: Reply) -> Chunks | None:
    """New API of 2025 puts the number of Claude's content block there."""
    made, number, kind = copy.deepcopy(chunks), 0, None
    for choice in choices(made):
        if choice.get("index"):
            return None
        delta = choice.get("delta") or {}
        if speaks(delta):
            new = "calls" if delta.get("tool_calls") else "text" if delta.get("content") else "thoughts"
            number += kind is not None and new != kind
            kind = new
        if number:
            delta.pop("role", None)
        choice["index"] = number
    return made


# -------------------------------------------------------------------------------------------------------- reasoning


def told_as(write: Callable[[str, str], dict[str, Any]]) -> Deviation:
    """Return a deviation that writes each piece of reasoning by `write`."""

    def deviation(chunks: Chunks, reply: Reply) -> Chunks | None:
        so_far = ""

        def change(delta: dict[str, Any]) -> bool:
            nonlocal so_far
            piece = next((delta.pop(name) for name in FIELDS if isinstance(delta.get(name), str)), "")
            if not piece:
                return False
            so_far += piece
            delta.update(write(piece, so_far))
            return True

        if reply.reasoning_details or not reply.reasoning.strip():
            return None
        made = changed(chunks, change)
        return made if so_far == reply.reasoning else None

    return deviation


def _details(text: str, **more: Any) -> dict[str, Any]:
    return {"reasoning_details": [{"type": "reasoning.text", "text": text, "index": 0, **more}]}


def reasoning_part(chunks: Chunks, reply: Reply) -> Chunks | None:
    if reply.text:
        return None
    return told_as(lambda piece, _: {"content": [{"type": "thinking", "thinking": piece}]})(chunks, reply)


REASONING: dict[str, Deviation] = {
    "reasoning under another name": told_as(lambda piece, _: {"reasoning": piece}),
    "reasoning under three names": told_as(lambda piece, _: dict.fromkeys(FIELDS, piece)),
    "reasoning also in details": told_as(lambda piece, _: {"reasoning": piece, **_details(piece)}),
    "reasoning in details": told_as(lambda piece, _: _details(piece)),
    "reasoning in an object": told_as(lambda piece, _: {"reasoning_details": {"type": "thinking", "thinking": piece}}),
    "snapshots of details": told_as(lambda _, so_far: _details(so_far)),
    "snapshots of an object": told_as(lambda _, so: {"reasoning_details": {"type": "thinking", "thinking": so}}),
    "reasoning as a part": reasoning_part,
}


# ------------------------------------------------------------------------------------------------------ finish reasons


def blank_finish_everywhere(chunks: Chunks, _: Reply) -> Chunks | None:
    made = copy.deepcopy(chunks)
    for choice in choices(made):
        choice["finish_reason"] = choice.get("finish_reason") or ""
    return [*made, chunk({}, "")]


def early_stop(chunks: Chunks, _: Reply) -> Chunks | None:
    if not last_words(chunks):
        return None
    return [chunk({"role": "assistant", "content": ""}, "stop"), *chunks]


def stop_on_every_piece_but_the_last(chunks: Chunks, _: Reply) -> Chunks | None:
    made, end = copy.deepcopy(chunks), last_words(chunks)
    for choice in choices(made[: end - 1]) if end else ():
        choice["finish_reason"] = "stop"
    return made if end > 1 else None


def another_reason_behind(chunks: Chunks, reply: Reply) -> Chunks | None:
    return [*chunks, chunk({}, "length" if reply.finish_reason == "stop" else "stop")]


def finish_in_capitals(chunks: Chunks, _: Reply) -> Chunks | None:
    made = copy.deepcopy(chunks)
    for choice in choices(made):
        choice["finish_reason"] = (choice.get("finish_reason") or "").upper() or None
    return made


def finish_twice(chunks: Chunks, reply: Reply) -> Chunks | None:
    return [*chunks, chunk({}, reply.native_finish_reason or reply.finish_reason)]


def without_end(chunks: Chunks, _: Reply) -> Chunks | None:
    made = copy.deepcopy(chunks)
    for choice in choices(made):
        choice.pop("finish_reason", None)
    return made


def ended_by(word: str) -> Deviation:
    """Return a deviation whose finish reason names a failure."""
    return lambda chunks, reply: [*(without_end(chunks, reply) or ()), chunk({}, word)]


def cut_at(share: float) -> Deviation:
    """Return a deviation that ends after a part of what is said."""

    def deviation(chunks: Chunks, reply: Reply) -> Chunks | None:
        end = int(last_words(chunks) * share)
        return (without_end(chunks[:end], reply) if end else None) or None

    return deviation


# ----------------------------------------------------------------------------------------------------- whole messages


def _message(reply: Reply) -> dict[str, Any]:
    message = reply.to_wire_message()
    message.pop("reasoning_details", None)
    return message


def whole_behind(chunks: Chunks, reply: Reply) -> Chunks | None:
    """MiniMax ends a stream with everything once more."""
    finish = reply.native_finish_reason or reply.finish_reason
    choice = {"index": 0, "message": _message(reply), "finish_reason": finish}
    return [*chunks, {"object": "chat.completion", "choices": [choice]}]


def whole_is_the_end(chunks: Chunks, reply: Reply) -> Chunks | None:
    return whole_behind(without_end(chunks, reply) or [], reply)


def whole_text_on_the_end(chunks: Chunks, reply: Reply) -> Chunks | None:
    pieces = [text for delta in deltas(chunks) if isinstance(text := delta.get("content"), str) and text]
    if len(pieces) < 2 or "".join(pieces) != reply.text:
        return None
    end = chunk({"content": reply.text}, reply.native_finish_reason or reply.finish_reason)
    return [*(without_end(chunks, reply) or ()), end]


def whole_reasoning_on_the_end(chunks: Chunks, reply: Reply) -> Chunks | None:
    pieces = [text for delta in deltas(chunks) for name in FIELDS if isinstance(text := delta.get(name), str) and text]
    told_twice = any(delta.get("content") == reply.text for delta in deltas(chunks))
    if reply.reasoning_details or told_twice or len(pieces) < 2 or "".join(pieces) != reply.reasoning:
        return None
    end = chunk({"reasoning_content": reply.reasoning}, reply.native_finish_reason or reply.finish_reason)
    return [*(without_end(chunks, reply) or ()), end]


def message_beside_every_delta(chunks: Chunks, reply: Reply) -> Chunks | None:
    """Perplexity sends the text so far with every piece."""
    made, so_far = copy.deepcopy(chunks), ""
    for choice in choices(made):
        text = (choice.get("delta") or {}).get("content")
        so_far += text if isinstance(text, str) else ""
        choice["message"] = {"role": "assistant", "content": so_far}
    return made if so_far == reply.text and so_far else None


def only_messages(chunks: Chunks, reply: Reply) -> Chunks | None:
    if reply.tool_calls:
        return None
    made = copy.deepcopy(chunks)
    for choice in choices(made):
        choice["message"] = choice.pop("delta", None)
    return made


def one_message(chunks: Chunks, reply: Reply) -> Chunks | None:
    if reply.images or reply.audio or reply.citations or reply.logprobs or reply.reasoning_details:
        return None
    made = whole_behind([], reply) or []
    usage = reply.usage.raw if reply.usage else None
    return [{**made[0], "usage": usage}]


# -------------------------------------------------------------------------------------------------------------- usage


def usage_written(write: Callable[[dict[str, Any]], Chunks]) -> Deviation:
    """Return a deviation that says the usage in another way at the end."""

    def deviation(chunks: Chunks, reply: Reply) -> Chunks | None:
        if reply.usage is None or not reply.usage.total_tokens:
            return None
        made = copy.deepcopy(chunks)
        for each in made:
            if isinstance(each, dict):
                each.pop("usage", None)
                each.pop("x_groq", None)
        for choice in choices(made):
            choice.pop("usage", None)
        return made + write(dict(reply.usage.raw))

    return deviation


def usage_as_text(chunks: Chunks, reply: Reply) -> Chunks | None:
    def as_text(usage: dict[str, Any]) -> Chunks:
        return [{"choices": [], "usage": {k: str(v) if type(v) is int else v for k, v in usage.items()}}]

    return usage_written(as_text)(chunks, reply)


ZEROS = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
LESS = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}

CALLS: dict[str, Deviation] = {f"calls: {name}": retold(tell) for name, tell in TELLINGS.items()}
STOPS: dict[str, Deviation] = {"stop on every piece": stop_on_every_piece_but_the_last}
PIECES: dict[str, Deviation] = {
    "text in halves": text_in_halves,
    "text as snapshots": snapshots_of(("content",), lambda reply: reply.text),
    "reasoning as snapshots": snapshots_of(FIELDS, lambda reply: "" if reply.reasoning_details else reply.reasoning),
    "text as parts": text_as_parts,
    **REASONING,
}
WHOLE: dict[str, Deviation] = {
    "whole behind": whole_behind,
    "whole is the end": whole_is_the_end,
    "whole text on the end": whole_text_on_the_end,
    "whole reasoning on the end": whole_reasoning_on_the_end,
    "message with every delta": message_beside_every_delta,
    "only messages": only_messages,
    "one message": one_message,
}
ENVELOPE: dict[str, Deviation] = {
    "role on every piece": role_on_every_piece,
    "role empty": role_empty,
    "nulls in every delta": nulls_in_every_delta,
    "bare envelope": bare_envelope,
    "another id a chunk": another_id_a_chunk,
    "choice index counts up": choice_index_counts_up,
    "blank finish everywhere": blank_finish_everywhere,
    "early stop": early_stop,
    "another reason behind": another_reason_behind,
    "finish in capitals": finish_in_capitals,
    "finish twice": finish_twice,
    "usage as text": usage_as_text,
    "usage of Groq": usage_written(lambda usage: [{"choices": [], "x_groq": {"usage": usage}}]),
    "usage in a choice": usage_written(lambda usage: [{"choices": [{"index": 0, "delta": {}, "usage": usage}]}]),
    "usage, then zeros": usage_written(lambda usage: [{"usage": usage}, {"choices": [], "usage": ZEROS}]),
    "usage grows": usage_written(lambda usage: [{"usage": LESS}, {"choices": None, "usage": usage}]),
    "empty chunks": empty_chunks,
}
LOSSY: dict[str, Deviation] = {
    "calls: second without id and name": retold(without_name),
    "calls: last one cut": retold(cut_last),
    "without end": without_end,
    "ended by network_error": ended_by("network_error"),
    "ended by insufficient_system_resource": ended_by("insufficient_system_resource"),
    "cut at a third": cut_at(0.34),
    "cut at nine tenths": cut_at(0.9),
}
# In the order in which several are applied: a whole message is made of the pieces, and a loss comes last.
ALL: dict[str, Deviation] = {**STOPS, **CALLS, **PIECES, **WHOLE, **ENVELOPE, **LOSSY}
ORDER = {name: place for place, name in enumerate(ALL)}
