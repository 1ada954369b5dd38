"""Reasoning details: kept as they came for the way back, their pieces joined."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hubmix.wire.fields import THINKING_BLOCKS

_READABLE = ("text", "thinking", "summary", "content")
# Keys of a detail whose pieces are joined; any other text that comes again with the same value stays.
_JOINED = frozenset({*_READABLE, "data", "signature", "thought", "thinking_signature"})
_LONG = 8  # characters that no vendor sends twice by chance
_NEAR = 16  # details of one index that are compared with a piece


def details_text(details: Any) -> str:
    """Return the readable text inside `reasoning_details`, if it is nowhere else."""
    if isinstance(details, dict):
        details = [details]
    if not isinstance(details, list):
        return ""
    return "".join(str(each[key]) for each in details if isinstance(each, dict) and (key := _readable_key(each)))


class ThinkingBlocks:
    """Joins the streamed pieces of LiteLLM's `thinking_blocks`.

    A signature ends a block of thinking, and a redacted block comes whole.
    """

    __slots__ = ("_blocks",)

    def __init__(self) -> None:
        self._blocks: list[tuple[dict[str, Any], list[str]]] = []  # each with the pieces of its thinking

    def __bool__(self) -> bool:
        return bool(self._blocks)

    def add(self, blocks: Any) -> str:
        """Add the blocks of a piece or an answer; return what is new to read."""
        given = [block for block in blocks if isinstance(block, Mapping)] if isinstance(blocks, list) else []
        return "".join([self._add_block(block) for block in given])

    def _add_block(self, block: Mapping[str, Any]) -> str:
        text = block.get("thinking")
        pieces = [text] if isinstance(text, str) else []
        last, said = self._blocks[-1] if self._blocks else ({}, [])
        if block.get("type") == last.get("type") == "thinking" and not last.get("signature"):
            last["signature"] = block.get("signature")
            said += pieces
        else:
            self._blocks.append((dict(block), pieces))
        return "".join(pieces)

    def read(self) -> dict[str, Any] | None:
        """Return the blocks as `reasoning_details`, None if there are none."""
        whole = [{**block, "thinking": "".join(said)} if said else block for block, said in self._blocks]
        return {"type": THINKING_BLOCKS, "blocks": whole} if whole else None


def _readable_key(detail: Mapping[str, Any]) -> str | None:
    return next((key for key in _READABLE if isinstance(detail.get(key), str) and detail[key]), None)


class Growing:
    """A text that arrives in pieces, or in snapshots that each begin with all before.

    The second piece usually tells: increments do not begin with what is there. A long text that comes again whole
    is a repetition in either case.
    """

    __slots__ = ("_in_pieces", "_in_snapshots", "_parts", "_size")

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._size = 0
        self._in_pieces = self._in_snapshots = False

    def add(self, piece: str) -> str:
        """Add a piece and return what is new in it."""
        if self._size and len(piece) >= self._size and self._is_snapshot(piece):
            self._in_snapshots = True
            piece = piece[self._size :]
        elif self._size:
            self._in_pieces = True
        self._parts.append(piece)
        self._size += len(piece)
        return piece

    def _is_snapshot(self, piece: str) -> bool:
        whole = self.text
        if not piece.startswith(whole) or not whole.strip():
            return False
        return self._size >= _LONG or self._in_snapshots or (len(piece) > self._size and not self._in_pieces)

    @property
    def text(self) -> str:
        self._parts = ["".join(self._parts)]
        return self._parts[0]


class _Detail:
    """One detail in pieces; `joined` names keys whose texts are always joined."""

    __slots__ = ("_joins_all", "_texts", "values")

    def __init__(self, joins_all: bool) -> None:
        self._joins_all = joins_all
        self._texts: dict[str, Growing] = {}
        self.values: dict[str, Any] = {}

    def add(self, piece: Mapping[str, Any]) -> str:
        """Add a piece and return the readable text that is new in it."""
        readable, new = _readable_key(piece), ""
        for key, value in piece.items():
            if isinstance(value, str) and key != "type":
                added = self._add_text(key, value)
                new = added if key == readable else new
            elif value is not None:
                self.values[key] = value
                self._texts.pop(key, None)
        return new

    def _add_text(self, key: str, value: str) -> str:
        growing = self._texts.get(key)
        if growing is None:
            growing = self._texts[key] = Growing()
        elif not (self._joins_all or key in _JOINED) and value == growing.text:
            return ""
        self.values.setdefault(key, None)  # keeps the order in which the keys came
        return growing.add(value)

    def same(self, piece: Mapping[str, Any]) -> bool:
        """Return True unless index, type or id tell of another detail."""
        for key in ("index", "type", "id"):
            mine, its = self.get(key), piece.get(key)
            if mine is not None and its is not None and mine != its:
                return False
        return True

    def get(self, key: str) -> Any:
        growing = self._texts.get(key)
        return growing.text if growing is not None else self.values.get(key)

    def read(self) -> dict[str, Any]:
        return {key: self._texts[key].text if key in self._texts else value for key, value in self.values.items()}


class Details:
    """Joins the streamed pieces of `reasoning_details`, a list or an object.

    Pieces of one detail share their index, or follow each other with one type. A type or an id that differs starts a
    new detail: OpenRouter sends readable and encrypted reasoning under one index. In AIHubMix's object every text but
    `type` is joined (source: the accumulator in its unified inference page).
    """

    __slots__ = ("_by_index", "_listed", "_object", "_whole")

    def __init__(self) -> None:
        self._listed: list[Any] = []
        self._by_index: dict[str, list[_Detail]] = {}
        self._object: _Detail | None = None
        self._whole: Any = None

    def __bool__(self) -> bool:
        return bool(self._listed or self._object or self._whole)

    def keep(self, details: Any) -> str:
        """Keep details that came whole, unchanged, and return their readable text."""
        self._whole = details
        return details_text(details)

    def add(self, details: Any) -> str:
        """Add streamed details and return the readable text that is new in them."""
        if isinstance(details, dict):
            self._listed, self._by_index = [], {}
            self._object = self._object or _Detail(joins_all=True)
            return self._object.add(details)
        if not isinstance(details, list):
            return ""
        self._object = None
        return "".join([self._add_piece(piece) for piece in details])

    def _add_piece(self, piece: Any) -> str:
        if not isinstance(piece, dict):
            self._listed.append(piece)
            return ""
        index = piece.get("index")
        known = self._by_index.get(str(index), self._listed[-1:]) if index is not None else self._listed[-1:]
        for detail in known[: -_NEAR - 1 : -1]:
            if isinstance(detail, _Detail) and detail.same(piece):
                return detail.add(piece)
        made = _Detail(joins_all=False)
        self._listed.append(made)
        if index is not None:
            self._by_index.setdefault(str(index), []).append(made)
        return made.add(piece)

    def read(self) -> list[Any] | dict[str, Any] | None:
        """Return the details as one list or object, None if there are none."""
        if self._whole:
            found: list[Any] | dict[str, Any] = self._whole
            return found
        if self._object is not None:
            return self._object.read()
        return [each.read() if isinstance(each, _Detail) else each for each in self._listed] or None
