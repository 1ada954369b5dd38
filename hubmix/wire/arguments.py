"""The arguments of a tool call: whole, in pieces, snapshots, repeated or glued."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import partial
from typing import Any

from hubmix.wire.json_text import JsonLimitError, loads

_decode = partial(loads, strict=False)
_OUTSIDE = re.compile(r'["{}\[\]]')
_INSIDE = re.compile(r'["\\]')
_BEGUN = re.compile(r"\s*\{\s*[^\s}]")
_LEAD = 1_000  # characters before the first key; an object that begins later waits for the end
_LITERALS = ("true", "false", "null")


@dataclass(frozen=True, slots=True)
class Arguments:
    """One call's arguments: `args` parsed, or None and the reason in `error`."""

    text: str
    args: dict[str, Any] | None
    error: str | None = None


class ArgumentsText:
    """Collects one call's arguments; `take` returns what can be passed on at once.

    Text is passed on while it belongs to the first object. What follows that object, an empty object, a value of
    another type and a possible snapshot wait for the end, because only the whole text says what they mean.
    """

    __slots__ = ("_held", "_joined", "_passed", "_pending", "_scanner", "_size", "_snapshot", "grew", "is_blank")

    def __init__(self) -> None:
        self._joined: list[str] = []  # every piece, in order
        self._snapshot: list[str] = []  # the same, with each piece that begins with all before it in their place
        self._size = 0  # of the snapshot
        self._pending = ""  # read, and not yet known to be the beginning of an object
        self._passed = 0  # characters passed on
        self._held = False
        self._scanner = _Scanner()
        self.is_blank = True  # nothing but white space has arrived
        self.grew = False  # the last piece was no repetition of all before it

    @property
    def is_open(self) -> bool:
        """True in the middle of a value."""
        return self._scanner.is_open

    @property
    def is_complete(self) -> bool:
        """True once a first value has ended."""
        return self._scanner.first_end is not None

    def take(self, piece: str) -> str:
        """Add a piece and return what can be passed on of it and of what waited."""
        self.grew = piece.strip() not in (("",) if self.is_blank else ("", "{}"))
        if not piece:
            return ""
        self.is_blank = self.is_blank and not piece.strip()
        self._joined.append(piece)
        if self._is_snapshot(piece):
            self.grew = len(piece) > self._size
            self._snapshot, self._size, self._scanner = [], 0, _Scanner()
            self._held = True
        before = self._scanner.length
        self._snapshot.append(piece)
        self._size += len(piece)
        self._scanner.take(piece)
        return "" if self._held else self._passable(piece, before)

    def _passable(self, piece: str, before: int) -> str:
        end = self._scanner.first_end
        if self._passed == 0:
            self._pending += piece
            if not _BEGUN.match(self._pending):
                self._held = end is not None or len(self._pending) > _LEAD or bool(self._pending.strip(" \t\r\n{"))
                return ""
            piece, before, self._pending = self._pending, 0, ""
        if end is not None:
            self._held = True
            piece = piece[: end - before]
        self._passed += len(piece)
        return piece

    def _is_snapshot(self, piece: str) -> bool:
        """True if the piece begins with all that came; `read` decides if it is a snapshot."""
        if not 0 < self._size <= len(piece):
            return False
        whole = "".join(self._snapshot)
        self._snapshot = [whole]
        return piece.startswith(whole) and bool(whole.strip())

    def read(self) -> list[Arguments]:
        """Return what the text means: the arguments of one call, or of several glued."""
        joined = "".join(self._joined)
        found = read_arguments(joined)
        if len(self._snapshot) == len(self._joined) or (len(found) == 1 and found[0].args is not None):
            return found
        return read_arguments("".join(self._snapshot))

    def rest_of(self, text: str) -> str:
        """Return the part of the final text that was not passed on."""
        return text[self._passed :]

    def joined_with(self, other: ArgumentsText) -> ArgumentsText:
        """Return both texts as one, this one first; neither is changed."""
        made = ArgumentsText()
        for piece in (*self._joined, *other._joined):
            made.take(piece)
        made._passed = self._passed
        return made


class _Scanner:
    """Follows brackets and quotes to see where the first JSON value ends."""

    __slots__ = ("_depth", "_escaped", "_in_string", "first_end", "length")

    def __init__(self) -> None:
        self._depth = 0
        self._in_string = self._escaped = False
        self.first_end: int | None = None
        self.length = 0

    @property
    def is_open(self) -> bool:
        return self._depth > 0 or self._in_string

    def take(self, piece: str) -> list[int]:
        """Read the next piece and return where values end in it."""
        ends: list[int] = []
        at = 1 if self._escaped and piece else 0
        if at:
            self._escaped = False
        while found := (_INSIDE if self._in_string else _OUTSIDE).search(piece, at):
            at = found.end()
            mark = found.group()
            if mark == "\\":
                self._escaped = at == len(piece)
                at += 1
            elif mark == '"':
                self._in_string = not self._in_string
            elif mark in "{[":
                self._depth += 1
            else:
                self._depth = max(self._depth - 1, 0)
            if mark in '"}]' and not self.is_open:
                ends.append(self.length + at)
        self.length += len(piece)
        if ends and self.first_end is None:
            self.first_end = ends[0]
        return ends


def read_arguments(text: str) -> list[Arguments]:
    """Read the whole text of a call's arguments.

    Returns:
        One entry for a call, even a broken one. More if several complete objects follow each other: an object that
        repeats an earlier one, or an empty one among others, is no further call. What follows the last object is a
        call of its own if it begins with a brace, and otherwise makes the last one invalid.

    Example:
        >>> [call.args for call in read_arguments('{"item": "tea"}{"item": "jam"}')]
        [{'item': 'tea'}, {'item': 'jam'}]
    """
    args, error = check_arguments(text)
    ends = [] if args is not None else _Scanner().take(text)
    if not ends or not text[ends[0] :].strip():
        return [Arguments(_plain(text, args), args, error)]
    values, rest = [text[a:b] for a, b in zip([0, *ends], ends, strict=False)], text[ends[-1] :]
    if rest.lstrip()[:1] == "{":
        values.append(rest)
    elif rest.strip():
        values[-1] += rest
    found: dict[str, Arguments] = {}
    for position, value in enumerate(values):
        args, why = check_arguments(value)
        if args is None and position < len(values) - 1:
            return [Arguments(text, None, error)]
        found.setdefault(_key(args, value), Arguments(_plain(value, args), args, why))
    calls = list(found.values())
    return [call for call in calls if call.args != {}] or calls


def _key(args: dict[str, Any] | None, text: str) -> str:
    try:
        return text if args is None else json.dumps(args, sort_keys=True)
    except RecursionError:
        return text


def _plain(text: str, args: dict[str, Any] | None) -> str:
    """Return the text of one JSON object: "{}" for nothing, double encoding undone."""
    if args is None:
        return text
    if not args and text.strip()[:1] != "{":
        return "{}"
    return str(_decode(text)) if text.lstrip()[0] == '"' else text


def check_arguments(text: str) -> tuple[dict[str, Any] | None, str | None]:
    """Return (parsed arguments, None), or (None, why the call must not be executed).

    Control characters inside strings are read (llama.cpp, Gemini and Kimi write raw newlines), as LangChain's own
    parsers do. Arguments that were encoded twice are decoded once more.
    """
    if not text.strip():
        return {}, None
    try:
        parsed = _decode(text)
        if isinstance(parsed, str):
            parsed = _decoded_again(parsed)
    except JsonLimitError as error:
        return None, f"the arguments are nested too deeply: {error}"
    except ValueError as error:
        cut = isinstance(error, json.JSONDecodeError) and _breaks_off(error)
        return None, f"the arguments are not valid JSON{', probably cut short' if cut else ''}: {error}"
    if parsed is None:
        return {}, None
    if not isinstance(parsed, dict):
        return None, f"the arguments are a JSON {type(parsed).__name__}, not an object"
    return parsed, None


def _decoded_again(text: str) -> Any:
    try:
        found = _decode(text)
    except ValueError:
        return text
    return found if isinstance(found, dict) else text


def _breaks_off(error: json.JSONDecodeError) -> bool:
    """True if the parse error is at the end of the text."""
    rest = error.doc[error.pos :].strip()
    if error.msg.startswith("Unterminated") or not rest or any(word.startswith(rest) for word in _LITERALS):
        return True
    return error.msg.startswith("Invalid \\") and len(rest) < 6


def arguments_text(value: Any) -> str:
    """Return tool arguments as JSON text, from text, an object (Ollama) or null."""
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False)
