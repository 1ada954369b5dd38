"""Which model an id means: `GPT-4o` and `openai/gpt-4o` are one. Never a guess."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

_SAME = str.maketrans("._", "--")


@dataclass(frozen=True, slots=True)
class Match:
    """What an id means: one choice, several (ambiguous), or none (unknown)."""

    choices: tuple[str, ...]

    @property
    def only(self) -> str | None:
        return self.choices[0] if len(self.choices) == 1 else None

    @property
    def ambiguous(self) -> bool:
        return len(self.choices) > 1


class _Spellings(NamedTuple):
    """The ids in lower case, without vendor, and with `.`, `-` and `_` made equal."""

    lower: dict[str, tuple[str, ...]]
    short: dict[str, tuple[str, ...]]
    folded: dict[str, tuple[str, ...]]
    short_folded: dict[str, tuple[str, ...]]


class AliasIndex:
    """Answers what an id means among `ids`.

    In this order, and the first step that finds anything decides: the user's own aliases, the id itself, the id in
    another case, without its vendor prefix, with a vendor prefix, and with `.`, `-` and `_`
    made equal (`claude-sonnet-4.6` is `claude-sonnet-4-6`). A step that finds several is ambiguous.

    The other spellings are collected when they are first needed: most names are ids.
    """

    __slots__ = ("_aliases", "_ids", "_spellings")

    def __init__(self, ids: Collection[str], aliases: Mapping[str, str]) -> None:
        self._ids = ids
        self._aliases = aliases
        self._spellings: _Spellings | None = None

    def _spelt(self) -> _Spellings:
        # Two threads that come first both collect the same.
        if self._spellings is None:
            self._spellings = _spellings(self._ids)
        return self._spellings

    def only(self, name: str) -> str | None:
        """The one id that `name` means, else None."""
        if name not in self._aliases:
            if name in self._ids:
                return name
            if not self._ids:  # no list is known
                return None
        return self.match(name).only

    def match(self, name: str) -> Match:
        """What `name` means."""
        if (target := self._aliases.get(name)) is not None:
            found = self._by_steps(target)
            # An alias for a model that the hub does not list is the user's business: it passes as it is.
            return found if found.choices else Match((target,))
        return self._by_steps(name)

    def _by_steps(self, name: str) -> Match:
        if name in self._ids:
            return Match((name,))
        if not self._ids:  # no list is known
            return Match(())
        lower = name.strip().lower()
        shorter = tuple(_without_vendor(lower))
        spelt = self._spelt()
        return Match(
            spelt.lower.get(lower)
            or _first(spelt.lower, shorter)
            or spelt.short.get(lower)
            or spelt.folded.get(lower.translate(_SAME))
            or _first(spelt.folded, [short.translate(_SAME) for short in shorter])
            or spelt.short_folded.get(lower.translate(_SAME))
            or ()
        )

    def suggest(self, name: str, limit: int = 3) -> tuple[str, ...]:
        """Return the ids that look most like `name`, best first; never used in a call."""
        lower = name.strip().lower()
        # Compared with and without vendor: `opanai/gpt-4o` and `gpt-4o-minii` are both typing errors.
        spellings = (lower, *_without_vendor(lower))
        spelt = self._spelt()
        words = [*spelt.lower, *(short for short in spelt.short if short not in spelt.lower)]
        close = {
            word: max(difflib.SequenceMatcher(None, word, spelling).ratio() for spelling in spellings)
            for spelling in spellings
            for word in difflib.get_close_matches(spelling, words, n=limit, cutoff=0.6)
        }
        best = sorted(close, key=lambda word: (-close[word], word))
        found = (model for word in best for model in spelt.lower.get(word) or spelt.short[word])
        return tuple(dict.fromkeys(found))[:limit]


def _spellings(ids: Iterable[str]) -> _Spellings:
    found = _Spellings({}, {}, {}, {})
    for model in ids:
        lower = model.lower()
        _add(found.lower, lower, model)
        _add(found.folded, lower.translate(_SAME), model)
        for short in _without_vendor(lower):
            _add(found.short, short, model)
            _add(found.short_folded, short.translate(_SAME), model)
    return found


def same_model(one: str, other: str) -> bool:
    """Whether two ids differ only in case, vendor prefix and punctuation."""
    return one.rsplit("/", 1)[-1].lower().translate(_SAME) == other.rsplit("/", 1)[-1].lower().translate(_SAME)


def _without_vendor(lower: str) -> Iterable[str]:
    while "/" in lower:
        lower = lower.partition("/")[2]
        if lower:
            yield lower


def _first(index: Mapping[str, tuple[str, ...]], names: Iterable[str]) -> tuple[str, ...]:
    return next((found for name in names if (found := index.get(name))), ())


def _add(index: dict[str, tuple[str, ...]], key: str, model: str) -> None:
    # A tuple and not a list: nearly every key has one model, and the tuples are handed out as they are.
    held = index.get(key)
    if held is None:
        index[key] = (model,)
    elif model not in held:
        index[key] = (*held, model)
