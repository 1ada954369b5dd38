"""The literals of a prompt: numbers, quoted words, names, dates, addresses. Answers are made of them alone."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from hubmix.embedded.rules.text import STOPWORDS, stem, unique, word_set

_QUOTED = re.compile(
    r"\"([^\"\n]{1,200})\"|“([^”\n]{1,200})”|「([^」\n]{1,200})」|『([^』\n]{1,200})』|`([^`\n]{1,200})`|(?<![\w])'([^'\n]{1,200})'(?!\w)"
)
_NUMBER = re.compile(r"(?<![\w.])[-−]?\d+(?:,\d{3})*(?:\.\d+)?(?![\w]*\.\d)")
_NAME = re.compile(r"\b[A-Z][\w’'&-]*(?:(?:\s+(?:of|de|da|van|von|der|la|le)\s+|\s+)[A-Z][\w’'&-]*)*")
_STATE = re.compile(r"\s*,\s*([A-Z]{2,3})\b")
_PLACE = re.compile(r"\s*,\s*([A-Z]\w+)")
_BEGINS = re.compile(r"[.!?:;\n\"“(]\s*$")
_LOOK_BACK = 40  # how far around a name it is looked: a prompt can be a whole book
_AND = re.compile(r"^\s*(?:,\s*)?(?:and|or|&|,|versus|vs\.?|und|et|y|to)\s+", re.I)
EMAIL = re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]*\w")
URL = re.compile(r"https?://[^\s\"'<>)\]]+")
DATE = re.compile(r"\b\d{4}-\d{2}-\d{2}\b")
TIME = re.compile(r"\b\d{1,2}:\d{2}(?::\d{2})?\b")
_COUNTED = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_NUMBER_WORDS = {word: number for number, word in enumerate(_COUNTED)}
_STARTERS = word_set(
    """
    add answer ask book call calculate check classify compare compute continue convert create delete describe
    determine divide explain extract fetch generate greet hand hello hi invoke list look lookup make multiply name open
    pass plan play please query read remove respond return run save say search send set show subtract sum summarize
    summarise take think translate update use using write today tomorrow yes no given suppose consider output input
    question answer context here thanks
    """
)


@dataclass(frozen=True, slots=True)
class Filled:
    """A value for a property, and whether the text gave evidence for it (otherwise it is only valid)."""

    value: Any
    found: bool


@dataclass(frozen=True, slots=True)
class Literal:
    """A literal and where it begins in the text."""

    value: str
    at: int


@dataclass(slots=True)
class Literals:
    """The literals of one text, and which of them an answer has used already."""

    text: str
    quoted: list[Literal] = field(default_factory=list)
    names: list[Literal] = field(default_factory=list)
    numbers: list[Literal] = field(default_factory=list)
    used: set[int] = field(default_factory=set)

    def free(self, literals: list[Literal]) -> list[Literal]:
        """Those not used yet."""
        return [literal for literal in literals if literal.at not in self.used]

    def use(self, literal: Literal) -> str:
        """Mark a literal as used and give its text."""
        self.used.add(literal.at)
        return literal.value

    @property
    def subjects(self) -> list[Literal]:
        """What the text can be about: quoted words, else names, those in the middle of a sentence first."""
        return self.quoted or self.names


def read(text: str) -> Literals:
    """All literals of a text."""
    quoted = [
        Literal(next(group for group in match.groups() if group), match.start()) for match in _QUOTED.finditer(text)
    ]
    found = Literals(text, quoted)
    found.numbers = [Literal(m.group().replace("−", "-").replace(",", ""), m.start()) for m in _NUMBER.finditer(text)]
    if not found.numbers:
        found.numbers = [
            Literal(str(_NUMBER_WORDS[m.group().lower()]), m.start())
            for m in re.finditer(r"[A-Za-z]+", text)
            if m.group().lower() in _NUMBER_WORDS
        ]
    found.names = _names(text)
    return found


def _names(text: str) -> list[Literal]:
    middle: list[Literal] = []
    initial: list[Literal] = []
    for match in _NAME.finditer(text):
        value, at = match.group(), match.start()
        first = re.sub(r"['’]\w+$", "", value.split()[0])
        begins = at == 0 or _BEGINS.search(text[max(0, at - _LOOK_BACK) : at]) is not None
        if begins and (first.lower() in STOPWORDS or first.lower() in _STARTERS or stem(first) in _STARTERS):
            value = value[len(value.split()[0]) :].lstrip()
            at += len(match.group()) - len(value)
            begins = False
        if not value or (len(value.split()) == 1 and value.lower() in STOPWORDS) or value == "JSON":
            continue
        value = re.sub(r"['’]s$", "", value)
        (initial if begins else middle).append(Literal(value, at))
    return _join_regions(middle + initial, text)


def _join_regions(names: list[Literal], text: str) -> list[Literal]:
    """``San Francisco, CA`` and ``Paris, France`` are one name, ``Paris, Oslo and Rome`` are three."""
    joined: list[Literal] = []
    swallowed: set[int] = set()
    for name in names:
        if name.at in swallowed:
            continue
        end = name.at + len(name.value)
        region = _STATE.match(text, end) or _PLACE.match(text, end)
        if region and not (_STATE.match(text, end) is None and _continues(text, name.at, region.end())):
            swallowed.add(region.start(1))
            name = Literal(text[name.at : region.end()], name.at)
        joined.append(name)
    return [name for name in joined if name.at not in swallowed]


def _continues(text: str, start: int, end: int) -> bool:
    after = _AND.match(text[end : end + _LOOK_BACK])
    before = re.search(r"(?:,|\band|\bor)\s*$", text[max(0, start - _LOOK_BACK) : start])
    return bool(after and text[end + after.end() :][:1].isupper()) or bool(before)


def number(literal: str, *, integer: bool) -> int | float | None:
    """A number's value; None where an integer was wanted and it is none."""
    value = float(literal)
    if value.is_integer() and (integer or "." not in literal):
        return int(value)
    return None if integer else value


def topic(text: str) -> str:
    """What a request is about, in its own words: what follows ``about``, else its last word that carries meaning."""
    match = re.search(r"\babout\s+((?:[\w'-]+\s*){1,4})", text)
    if match:
        kept = [word for word in match.group(1).split() if word.lower() not in STOPWORDS]
        if kept:
            return " ".join(kept)
    carrying = [word for word in re.findall(r"[^\W_]+", text) if word.lower() not in STOPWORDS]
    return carrying[-1] if carrying else text.strip() or "nothing"


def listed(text: str) -> list[str]:
    """The items of a list in the text: after a colon, or joined by commas and ``and``."""
    match = re.search(r":\s*([^:\n]+)$", text) or re.search(r"((?:[\w' -]{1,60},\s*)+(?:and |or )?[\w' -]{1,60})", text)
    if match is None:
        return []
    parts = re.split(r"\s*(?:,|;|\band\b|\bor\b)\s*", match.group(1).strip(" ."))
    return unique(part.strip(" .") for part in parts if part.strip(" ."))
