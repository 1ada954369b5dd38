"""Words, stems and sentences of a text."""

from __future__ import annotations

import re
from functools import lru_cache


def word_set(text: str) -> frozenset[str]:
    """Return the words of a text that lists them."""
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
_CJK = r"\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"  # each of these signs counts as a word
_WORD = re.compile(rf"[{_CJK}]|[^\W_{_CJK}]+(?:['’][^\W_]+)?")
_PART = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|_|-|\.|/")
_SENTENCE = re.compile(r"(?<=[.!?])(?<!\b(?:Dr|Mr|Ms|St|No)\.)[\"')\]]*\s+|(?<=[。！？])|\n+")
_SUFFIXES = ("ations", "ation", "ings", "ing", "ers", "er", "ies", "ed", "es", "s", "ly", "e", "y")


@lru_cache(maxsize=1 << 16)
def stem(word: str) -> str:
    """Return a word without its commonest English ending, in lower case."""
    word = word.lower().replace("’", "'").removesuffix("'s")
    for suffix in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= 3:
            root = word[: -len(suffix)]
            return root[:-1] if len(root) > 3 and root[-1] == root[-2] and root[-1] not in "ls" else root
    return word


def words(text: str) -> list[str]:
    """Return all words of a text in lower case."""
    return [word.lower() for word in _WORD.findall(text)]


def key_words(text: str) -> list[str]:
    """Return the stems of the words that carry meaning, in order."""
    return [stem(word) for word in words(text) if word not in STOPWORDS]


def name_words(name: str) -> set[str]:
    """Return the stems in an identifier: `get_weather` gives `{"get", "weath"}`."""
    return {stem(part) for part in _PART.split(name) if part}


def sentences(text: str) -> list[str]:
    """Return the sentences and lines of a text, each once."""
    return list(dict.fromkeys(filter(None, map(str.strip, _SENTENCE.split(text)))))


def is_question(sentence: str) -> bool:
    """Return whether a sentence ends with a question mark."""
    return sentence.rstrip("\"') ").endswith(("?", "？"))


def shorten(text: str, limit: int) -> str:
    """Return the text on one line, at most `limit` characters, cut between words."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[:limit].rsplit(" ", 1)[0].rstrip(",;:") + " …"
