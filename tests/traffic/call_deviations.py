"""How vendors tell tool calls: functions that make pieces of a stream."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Sequence
from typing import Any

from hubmix.wire import Reply, ToolCall

Calls = Sequence[ToolCall]
Pieces = list[list[dict[str, Any]]]
Telling = Callable[[Calls], Pieces | None]


def retold(tell: Telling) -> Callable[[list[Any], Reply], list[Any] | None]:
    """Return a deviation that tells the calls of a stream in another way."""

    def deviation(chunks: list[Any], reply: Reply) -> list[Any] | None:
        calls = reply.tool_calls
        if not calls or any(call.args is None or call.kind != "function" or call.extra for call in calls):
            return None
        pieces = tell(calls)
        if pieces is None:
            return None
        made, place = copy.deepcopy(chunks), 0
        for at, chunk in enumerate(made):
            for choice in (chunk.get("choices") or ()) if isinstance(chunk, dict) else ():
                said = choice.get("delta") or {}
                if said.pop("tool_calls", None) or said.pop("function_call", None):
                    place = at
        wrapped = [{"id": "c", "choices": [{"index": 0, "delta": {"tool_calls": each}}]} for each in pieces]
        # In front of the chunk that held the last piece: it may carry the finish reason too.
        return made[:place] + wrapped + made[place:]

    return deviation


def piece(index: Any = None, id: str | None = None, name: str | None = None, arguments: Any = None) -> dict[str, Any]:
    """Return a piece of a call with what is given and nothing else."""
    made: dict[str, Any] = {} if index is None else {"index": index}
    if id is not None:
        made |= {"id": id, "type": "function"}
    function = {"name": name, "arguments": arguments}
    return {**made, "function": {key: value for key, value in function.items() if value is not None}}


def parts(text: str, size: int = 7) -> list[str]:
    """Return the text in parts."""
    return [text[at : at + size] for at in range(0, len(text), size)]


def in_pieces(calls: Calls) -> Pieces:
    return [
        each
        for call in calls
        for each in (
            [piece(call.index, call.id, call.name, "")],
            *([piece(call.index, arguments=part)] for part in parts(call.arguments)),
        )
    ]


def whole(calls: Calls) -> Pieces:
    return [[piece(call.index, call.id, call.name, call.arguments)] for call in calls]


def in_one_delta(calls: Calls) -> Pieces:
    return [[one for each in whole(calls) for one in each]]


def interleaved(calls: Calls) -> Pieces | None:
    pieces = [[piece(call.index, call.id, call.name, "")] for call in calls]
    texts = [parts(call.arguments, 9) for call in calls]
    for at in range(max(map(len, texts))):
        pieces += [[piece(c.index, arguments=text[at])] for c, text in zip(calls, texts, strict=True) if at < len(text)]
    return pieces


def without_index(calls: Calls) -> Pieces:
    return [
        each
        for call in calls
        for each in (
            [piece(None, call.id, call.name, "")],
            *([piece(arguments=part)] for part in parts(call.arguments)),
        )
    ]


def null_index_and_id_repeated(calls: Calls) -> Pieces:
    return [
        [{**piece(None, call.id, call.name, part), "index": None}] for call in calls for part in parts(call.arguments)
    ]


def all_under_index_0(calls: Calls) -> Pieces:
    return [[piece(0, call.id, call.name, call.arguments)] for call in calls]


def index_from_1(calls: Calls) -> Pieces:
    return [[{**each[0], "index": each[0]["index"] + 1}] for each in in_pieces(calls)]


def index_as_a_fraction(calls: Calls) -> Pieces:
    return [[{**one, "index": float(one["index"])} for one in each] for each in interleaved(calls) or ()]


def id_and_name_repeated(calls: Calls) -> Pieces:
    return [[piece(call.index, call.id, call.name, part)] for call in calls for part in parts(call.arguments)]


def another_id_a_piece(calls: Calls) -> Pieces | None:
    made = in_pieces(calls)
    return [[{**one, "id": one.get("id") or f"made_up_{at}"} for one in each] for at, each in enumerate(made)]


def repeated_under_a_new_index(calls: Calls) -> Pieces:
    """New API's bridge to the Responses API: the call again at its end."""
    return in_pieces(calls) + [[piece(call.index + len(calls), call.id, call.name, call.arguments)] for call in calls]


def repeated_under_its_index(calls: Calls) -> Pieces:
    return [each for call in calls for each in (*in_pieces([call]), *whole([call]))]


def arguments_repeated(calls: Calls) -> Pieces | None:
    if any(call.arguments.strip() in ("", "{}") for call in calls):
        return None
    return [each for call in calls for each in (*in_pieces([call]), [piece(call.index, arguments=call.arguments)])]


def arguments_three_times(calls: Calls) -> Pieces:
    return [[piece(call.index, call.id, call.name, call.arguments * 3)] for call in calls]


def repeated_empty(calls: Calls) -> Pieces:
    """one-api repeats a finished call with an empty object."""
    return [each for call in calls for each in (*in_pieces([call]), [piece(call.index, call.id, call.name, "{}")])]


def empty_first(calls: Calls) -> Pieces:
    """Claude's block begins with an empty input, which some bridges pass on."""
    return [each for call in calls for each in ([piece(call.index, call.id, call.name, "{}")], *in_pieces([call])[1:])]


def snapshots(calls: Calls) -> Pieces:
    return [
        each
        for call in calls
        for each in (
            [piece(call.index, call.id, call.name, "")],
            *(
                [piece(call.index, arguments=call.arguments[:end])]
                for end in (*range(5, len(call.arguments), 6), len(call.arguments))
            ),
        )
    ]


def encoded_twice(calls: Calls) -> Pieces:
    return [[piece(call.index, call.id, call.name, json.dumps(call.arguments))] for call in calls]


def encoded_twice_in_pieces(calls: Calls) -> Pieces:
    twice = [ToolCall(c.index, c.id, c.name, json.dumps(c.arguments), c.args) for c in calls]
    return in_pieces(twice)


def encoded_twice_behind(calls: Calls) -> Pieces:
    return in_pieces(calls) + encoded_twice(calls)


def as_objects(calls: Calls) -> Pieces:
    return [[piece(call.index, call.id, call.name, call.args)] for call in calls]


def glued(calls: Calls) -> Pieces | None:
    if len({call.name for call in calls}) > 1 or not _distinct(calls):
        return None
    return [[piece(0, calls[0].id, calls[0].name, "".join(call.arguments for call in calls))]]


def under_one_id(calls: Calls) -> Pieces | None:
    if len({call.name for call in calls}) > 1 or not _distinct(calls):
        return None
    return [[piece(0, calls[0].id, call.name, call.arguments)] for call in calls]


def _distinct(calls: Calls) -> bool:
    """Equal calls glued are one that is repeated, and an empty one is none."""
    texts = [json.dumps(call.args, sort_keys=True) for call in calls]
    return len(calls) > 1 and len(set(texts)) == len(texts) and "{}" not in texts


def name_in_pieces(calls: Calls) -> Pieces | None:
    if any(len(call.name) < 4 or call.name[:2] == call.name[2:4] for call in calls):
        return None
    return [
        each
        for call in calls
        for each in (
            [piece(call.index, call.id, call.name[:2], "")],
            [piece(call.index, name=call.name[2:], arguments="")],
            *([piece(call.index, arguments=part)] for part in parts(call.arguments)),
        )
    ]


def arguments_under_another_index(calls: Calls) -> Pieces | None:
    if len(calls) > 1 or calls[0].arguments.strip() in ("", "{}"):
        return None
    return [[piece(2, calls[0].id, calls[0].name, "")], *([piece(1, arguments=p)] for p in parts(calls[0].arguments))]


def with_a_phantom(calls: Calls) -> Pieces:
    return [*in_pieces(calls), [piece(len(calls), "phantom", "", "")]]


def with_a_phantom_whole(calls: Calls) -> Pieces:
    return [*whole(calls), [piece(len(calls), "phantom", "", "")]]


def with_nulls(calls: Calls) -> Pieces:
    return [[{"id": None, "type": None, **one} for one in each] for each in in_pieces(calls)]


def control_characters(calls: Calls) -> Pieces | None:
    raw = [re.sub(r"(?<!\\)((?:\\\\)*)\\n", "\\1\n", call.arguments) for call in calls]
    if all(text == call.arguments for text, call in zip(raw, calls, strict=True)):
        return None
    return in_pieces([ToolCall(c.index, c.id, c.name, text, c.args) for text, c in zip(raw, calls, strict=True)])


def spaced(calls: Calls) -> Pieces:
    return in_pieces([ToolCall(c.index, c.id, c.name, f" \n{c.arguments} \n", c.args) for c in calls])


TELLINGS: dict[str, Telling] = {
    each.__name__.replace("_", " "): each
    for each in (
        in_pieces,
        whole,
        in_one_delta,
        interleaved,
        without_index,
        null_index_and_id_repeated,
        all_under_index_0,
        index_from_1,
        index_as_a_fraction,
        id_and_name_repeated,
        another_id_a_piece,
        repeated_under_a_new_index,
        repeated_under_its_index,
        arguments_repeated,
        arguments_three_times,
        repeated_empty,
        empty_first,
        snapshots,
        encoded_twice,
        encoded_twice_in_pieces,
        encoded_twice_behind,
        as_objects,
        glued,
        under_one_id,
        name_in_pieces,
        arguments_under_another_index,
        with_a_phantom,
        with_nulls,
        control_characters,
        spaced,
    )
}


def without_name(calls: Calls) -> Pieces | None:
    """A re-chunker drops id and name of the second call."""
    if len(calls) < 2 or any(call.arguments.strip() in ("", "{}") for call in calls[:2]):
        return None
    return [[piece(0, calls[0].id, calls[0].name, calls[0].arguments)], [piece(1, arguments=calls[1].arguments)]]


def cut_last(calls: Calls) -> Pieces | None:
    """The last call ends inside its arguments."""
    last = calls[-1]
    if len(last.arguments) < 4:
        return None
    return [*whole(calls[:-1]), [piece(last.index, last.id, last.name, last.arguments[:-2])]]
