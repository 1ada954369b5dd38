"""Tool calls, however they are told: one call is one id, name and arguments."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from hubmix.wire.arguments import Arguments, ArgumentsText, arguments_text, check_arguments
from hubmix.wire.values import ToolCall, ToolCallDelta

LEGACY = "function_call"
"""The index of the call in the field `function_call`."""

Cut = Literal["last", "any"]

_CALL = frozenset({"id", "index", "type", "function", "custom"})


class Calls:
    """Collects the calls of one message from whole entries and from pieces.

    A piece belongs to the call of its index, else to that of its id, else to the one that came last. The same id and
    name under another index is the same call. Arguments without id and name belong to the one call that lacks them.

    Args:
        only_tool: the name of the tool if just one was offered: a call without a name can be of no other.

    Example:
        >>> calls = Calls()
        >>> calls.take({"index": 0, "id": "a", "function": {"name": "order", "arguments": '{"item": "tea"}'}}, None)
        ToolCallDelta(index=0, id='a', name='order', arguments='{"item": "tea"}')
        >>> calls.read(None)[0].args
        {'item': 'tea'}
    """

    __slots__ = ("_by_id", "_by_index", "_calls", "_known", "_last", "_only_tool", "_told", "grew")

    def __init__(self, only_tool: str | None = None) -> None:
        self._only_tool = only_tool
        self._calls: list[_Call] = []
        self._by_index: dict[str, _Call] = {}
        self._by_id: dict[str, _Call] = {}
        self._last: _Call | None = None
        self._told = 0  # calls passed on
        self._known: tuple[Any, list[_Settled]] | None = None  # what was settled since the last piece
        self.grew = False  # the last piece said something new

    def __bool__(self) -> bool:
        return bool(self._calls)

    # ------------------------------------------------------------------------------------------------- what arrives

    def take(self, raw: Mapping[str, Any], answer_id: str | None) -> ToolCallDelta | None:
        """Read a piece of a call, or a whole one, and return what of it can be passed on."""
        self._known = None
        function = raw.get("function") or raw.get("custom") or {}
        function = function if isinstance(function, dict) else {}
        name = read_name(function.get("name"))
        piece = arguments_text(function.get("arguments", function.get("input")))
        index, call_id = _key(raw.get("index")), _key(raw.get("id"))
        call = self._find(index, call_id, name, piece)
        if call is None:
            call = _Call("legacy" if index == LEGACY else "custom" if raw.get("custom") else "function")
            self._calls.append(call)
        if index is not None:
            self._by_index[index] = call
        if call_id and call.id is None and call_id not in self._by_id:
            call.id, self._by_id[call_id] = call_id, call
        self._last = call
        grew = call.add_name(name)
        call.extra.update((key, raw[key]) for key in raw.keys() - _CALL if raw[key] is not None)
        told = call.take(piece)
        self.grew = grew or bool(told) or (call.kind != "custom" and call.arguments.grew)
        # Some servers fill both fields: the old one counts if it says something new, which only the end can tell.
        return None if call.kind == "legacy" else self._pass_on(call, told, answer_id)

    def _find(self, index: str | None, call_id: str | None, name: str, piece: str) -> _Call | None:
        call = self._by_index.get(index) if index is not None else None
        if call is not None and call.goes_on_with(call_id, name, piece):
            return call
        call = self._by_id.get(call_id) if call_id else None
        if call is not None and (name in ("", call.name) or call.needs(piece)):
            return call
        call = self._last if index is None else None
        if call is None or not (call_id or name) or call.needs(piece):
            return call
        # Whole calls without an index follow each other; a repeated name is no new one before there are arguments.
        begins = call_id or call.name not in ("", name) or (call.has_arguments and not call.arguments.is_open)
        return None if begins else call

    def _pass_on(self, call: _Call, piece: str, answer_id: str | None) -> ToolCallDelta | None:
        if not call.name:
            return None
        name, call.told_name = call.name[len(call.told_name) :], call.name
        if call.index is not None:
            return ToolCallDelta(call.index, None, name or None, piece) if name or piece else None
        call.index, self._told = self._told, self._told + 1
        call.id = call.id or made_up_id(answer_id, call.index, call.name)
        return ToolCallDelta(call.index, call.id, name, piece)

    def fill(self, entries: list[Any], answer_id: str | None) -> list[ToolCallDelta]:
        """Read the calls of a whole message behind its pieces; they fill gaps only."""
        deltas: list[ToolCallDelta | None] = []
        known = [(call.name, call.args or call.arguments) for call in self.read(answer_id)]
        for position, raw in enumerate(entry for entry in entries if isinstance(entry, dict)):
            alone = Calls(self._only_tool)
            alone.take(raw, answer_id)
            said = [(call.name, call.args or call.arguments) for call in alone.read(answer_id)]
            if position < len(known) and said == [known[position]]:
                continue
            deltas.append(self.take({**raw, "index": raw.get("id") or f"whole {position}"}, answer_id))
        return [delta for delta in deltas if delta is not None]

    # ---------------------------------------------------------------------------------------------------- what it is

    def read(self, answer_id: str | None, *, cut: Cut | None = None, whole: bool = False) -> list[ToolCall]:
        """Return the calls as they are now, those passed on first.

        Args:
            answer_id: the id of the answer, for calls without one.
            cut: which calls may have ended before their arguments; None for an answer that came to its end.
            whole: the answer did not come as a stream, so `{}` may be a gateway's word for no arguments.
        """
        return [settled.made for settled in self._settled(answer_id, cut, whole)]

    def close(self, answer_id: str | None, *, cut: Cut | None = None) -> list[ToolCallDelta]:
        """Return what has not been passed on, once the answer is known to be whole."""
        deltas: list[ToolCallDelta] = []
        for made, call, number in self._settled(answer_id, cut, False):
            if number or call.index is None:
                deltas.append(ToolCallDelta(made.index, made.id, made.name, made.arguments))
            elif rest := call.rest_of(made.arguments):
                deltas.append(ToolCallDelta(made.index, None, None, rest))
        return deltas

    def _settled(self, answer_id: str | None, cut: Cut | None, whole: bool) -> list[_Settled]:
        if self._known is None or self._known[0] != (answer_id, cut, whole):
            self._known = (answer_id, cut, whole), self._settle(answer_id, cut, whole)
        return self._known[1]

    def _settle(self, answer_id: str | None, cut: Cut | None, whole: bool) -> list[_Settled]:
        found = _together([(call, call.read()) for call in self._calls])
        known = {(call.name, each.text) for call, texts in found for each in texts if call.kind != "legacy"}
        found = [
            (call, texts)
            for call, texts in found
            if call.name or texts[0].text.strip(" {}")  # else a phantom
            if call.kind != "legacy" or (call.name, texts[0].text) not in known
        ]
        told = sorted((pair for pair in found if pair[0].index is not None), key=lambda pair: pair[0].index or 0)
        numbered = [(call, 0, texts[0]) for call, texts in told]
        for call, texts in found:
            numbered += [(call, number, each) for number, each in enumerate(texts) if number or call.index is None]
        made = [
            _Settled(self._tool_call(call, number, each, position, answer_id), call, number)
            for position, (call, number, each) in enumerate(numbered)
        ]
        for settled in made if cut else ():
            if (cut == "any" or settled.call is found[-1][0]) and settled.lacks_arguments(whole or cut == "any"):
                never_began(settled.made)
        return made

    def _tool_call(self, call: _Call, number: int, found: Arguments, position: int, answer_id: str | None) -> ToolCall:
        name = call.name or (self._only_tool if found.args and self._only_tool else "")
        args, error = (found.args, found.error) if name else (None, "the call has no name")
        identifier = call.id_of(number, position, answer_id)
        return ToolCall(
            position, identifier, name, found.text, args, error, call.kind, call.extra if not number else {}
        )


class _Call:
    """A call that is still arriving."""

    __slots__ = ("_free_text", "arguments", "extra", "id", "index", "kind", "made_up", "name", "told_name")

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.id: str | None = None
        self.name = ""
        self.told_name = ""  # the part of the name that was passed on
        self.arguments = ArgumentsText()
        self._free_text: list[str] | None = None  # the input of a custom tool
        self.index: int | None = None  # its place among the calls passed on
        self.made_up: dict[int, str] | None = None  # ids of further calls that were glued to this one
        self.extra: dict[str, Any] = {}

    @property
    def has_arguments(self) -> bool:
        return bool(self._free_text) if self.kind == "custom" else not self.arguments.is_blank

    def needs(self, piece: str) -> bool:
        """Return True inside an object, if the piece does not begin one."""
        return self.arguments.is_open and piece.lstrip()[:1] not in ("", "{", '"')

    def goes_on_with(self, call_id: str | None, name: str, piece: str) -> bool:
        """Return True unless a piece under the same index begins another call."""
        other_id = bool(call_id and self.id and call_id != self.id)
        if self.needs(piece) or not (name or other_id):
            return True
        if not name:  # some vendors make up an id for every piece
            return not (self.arguments.is_complete and piece.lstrip()[:1] == "{")
        return not other_id and (name == self.name or not self.name or not self.has_arguments)

    def add_name(self, name: str) -> bool:
        """Add a piece of the name and return whether it is new.

        Vendors send names in pieces, or whole on every piece.
        """
        if not name or name == self.name:
            return False
        self.name = name if name.startswith(self.name) else self.name + name
        return True

    def take(self, piece: str) -> str:
        if self.kind != "custom":
            return self.arguments.take(piece)
        self._free_text = self._free_text or []
        self._free_text.append(piece)
        return piece

    def read(self) -> list[Arguments]:
        if self.kind != "custom":
            return self.arguments.read()
        text = "".join(self._free_text or ())
        return [Arguments(text if text.strip() else "{}", *check_arguments(text))]

    def rest_of(self, text: str) -> str:
        return "" if self.kind == "custom" else self.arguments.rest_of(text)

    def id_of(self, number: int, position: int, answer_id: str | None) -> str:
        if not number:
            self.id = self.id or made_up_id(answer_id, position, self.name)
            return self.id
        self.made_up = self.made_up or {}
        return self.made_up.setdefault(number, made_up_id(answer_id, position, self.name))


class _Settled(NamedTuple):
    """A call as read, and as it arrived; `number` counts the objects glued into that."""

    made: ToolCall
    call: _Call
    number: int

    def lacks_arguments(self, empty_is_none: bool) -> bool:
        return not self.call.has_arguments or (empty_is_none and self.made.arguments.strip() == "{}")


def _together(found: list[tuple[_Call, list[Arguments]]]) -> list[tuple[_Call, list[Arguments]]]:
    """Give arguments without id and name to the one call that lacks them."""
    lost = [call for call, _ in found if not call.name and call.kind == "function" and call.has_arguments]
    named = [call for call, _ in found if call.name and call.kind == "function"]
    lacking = [call for call in named if not call.has_arguments] or [c for c in named if c.arguments.is_open]
    if len(lost) != 1 or len(lacking) != 1:
        return found
    joined = lacking[0].arguments.joined_with(lost[0].arguments).read()
    if len(joined) != 1 or joined[0].args is None:
        return found
    return [(call, joined if call is lacking[0] else texts) for call, texts in found if call is not lost[0]]


def make_call(
    index: int, call_id: Any, name: str, text: str, kind: str, answer_id: str | None, extra: dict[str, Any]
) -> ToolCall:
    """Return a checked call: arguments parsed, or the reason not to run it."""
    args, error = check_arguments(text) if name else (None, "the call has no name")
    identifier = str(call_id) if call_id else made_up_id(answer_id, index, name)
    return ToolCall(index, identifier, name, text if text.strip() else "{}", args, error, kind, extra)


def never_began(call: ToolCall) -> None:
    """Mark a call as broken: the answer was cut before its arguments.

    DeepSeek and Mistral do that (recorded).

    Elsewhere "" is how a call without arguments is written.
    """
    call.arguments, call.args = "", None
    call.error = "the answer was cut at its token limit before the arguments"


def made_up_id(answer_id: str | None, index: int, name: str) -> str:
    """Return an id for a call without one: stable for one answer, unique elsewhere."""
    if not answer_id:
        return f"call_{uuid.uuid4().hex[:24]}"
    return "call_" + hashlib.sha256(f"{answer_id}:{index}:{name}".encode(errors="replace")).hexdigest()[:24]


def only_tool(tools: Any) -> str | None:
    """Return the name of the tool if a request offers just one.

    Example:
        >>> only_tool([{"type": "function", "function": {"name": "order"}}])
        'order'
    """
    if not isinstance(tools, (list, tuple)) or len(tools) != 1 or not isinstance(tools[0], Mapping):
        return None
    function = tools[0].get("function")
    return read_name(function.get("name")) or None if isinstance(function, Mapping) else None


def read_name(value: Any) -> str:
    """Return the name of a tool; a value that is no text is no name."""
    return value if isinstance(value, str) else ""


def _key(value: Any) -> str | None:
    """Return an index or an id as text; "" and what cannot be either are None."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) and value != "" else None
