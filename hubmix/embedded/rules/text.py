"""Words, stems and sentences: all the linguistics there is."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache


def word_set(text: str) -> frozenset[str]:
    """The words of a text that lists them."""
    return frozenset(text.split())


STOPWORDS = word_set(
    """
    a about above after all also am an and any anything are as at be because been before being below between both
    but by can could did do does doing done down each either else few for from further get give given gives had has
    have having he her here hers him his how i if in into is it its itself just let like may me might mine more most
    much must my no nor not now of off on once one only or other our ours out over own please same shall she should
    so some such tell than that the their theirs them then there these they this those through to too under until up
    upon us use using very was we were what whats when where which while who whom whose why will with would you your
    yours yes ok okay want need know show find make many
    """
)

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|_|-|\.|/")
_SENTENCE = re.compile(r"(?<=[.!?])[\"')\]]*\s+(?=[\"'(\[]?[^\s])|(?<=[。！？])|\n+")
_ABBREVIATION = re.compile(r"\b(?:e\.g|i\.e|etc|vs|Dr|Mr|Mrs|Ms|St|No|Inc|Ltd|approx|[A-Z])\.$")
_SUFFIXES = ("ations", "ation", "ings", "ing", "ers", "er", "ies", "ed", "es", "s", "ly", "e", "y")


@lru_cache(maxsize=1 << 16)
def stem(word: str) -> str:
    """A word without its commonest English ending, in lower case."""
    word = word.lower().replace("’", "'").removesuffix("'s")
    for suffix in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= 3:
            root = word[: -len(suffix)]
            return root[:-1] if len(root) > 3 and root[-1] == root[-2] and root[-1] not in "ls" else root
    return word


def words(text: str) -> list[str]:
    """All words of a text in lower case; runs of Chinese, Japanese and Korean as pairs of signs."""
    found: list[str] = []
    for match in _WORD.finditer(text):
        word = match.group()
        if _CJK.search(word):
            for run in _CJK.findall(word):
                found.extend(run[i : i + 2] for i in range(max(1, len(run) - 1)))
        else:
            found.append(word.lower())
    return found


def key_words(text: str) -> list[str]:
    """The stems of the words that carry meaning, in order."""
    return [stem(word) for word in words(text) if word not in STOPWORDS]


def name_words(name: str) -> list[str]:
    """The stems inside an identifier: ``get_weather`` and ``GetWeather`` give ``["get", "weath"]``."""
    return [stem(part) for part in _CAMEL.split(name) if part]


def sentences(text: str) -> list[str]:
    """The sentences and lines of a text, without blanks around them."""
    found: list[str] = []
    for part in _SENTENCE.split(text):
        part = part.strip()
        if not part:
            continue
        if found and _ABBREVIATION.search(found[-1]):
            found[-1] += " " + part
        else:
            found.append(part)
    return found


def is_question(sentence: str) -> bool:
    """Whether a sentence asks rather than says."""
    return sentence.rstrip("\"') ").endswith(("?", "？"))


def shorten(text: str, limit: int) -> str:
    """The text on one line, at most `limit` characters, cut between words."""
    line = " ".join(text.split())
    if len(line) <= limit:
        return line
    return line[:limit].rsplit(" ", 1)[0].rstrip(",;:") + " …"


def unique(items: Iterable[str]) -> list[str]:
    """The items in order, each once."""
    return list(dict.fromkeys(items))
