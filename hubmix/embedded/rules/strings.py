"""A text for a property of a schema: a literal that fits its name, else words of the prompt."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from hubmix.embedded.rules import literals as lit
from hubmix.embedded.rules.extract import best_sentences
from hubmix.embedded.rules.literals import Filled, Literals
from hubmix.embedded.rules.text import name_words, sentences, shorten, stem, word_set

# Names of properties that want the whole message, and of those that want a sentence of it.
_WHOLE = word_set("query question input text message prompt content request search task statement __arg1 user_input q")
_PROSE = word_set("description reason summary note comment body explanation answer response rationale detail")
_FORMATS = {
    "email": (lit.EMAIL, "nobody@example.invalid"),
    "uri": (lit.URL, "https://example.invalid/"),
    "url": (lit.URL, "https://example.invalid/"),
    "date": (lit.DATE, "1970-01-01"),
    "date-time": (
        re.compile(r"\b\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(?::\d{2})?(?:Z|[+-]\d{2}:\d{2})?"),
        "1970-01-01T00:00:00Z",
    ),
    "time": (lit.TIME, "00:00:00"),
    "uuid": (re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "00000000-0000-0000-0000-000000000000"),
}
# The words that stand before a literal which fits a property of this name.
_PREPOSITIONS = {
    "origin": "from",
    "source": "from",
    "from": "from",
    "destination": "to|into",
    "target": "to|into",
    "recipient": "to",
    "to": "to",
    "city": "in|at|for|of|from|near|to",
    "location": "in|at|for|of|from|near|to",
    "place": "in|at|for|of|near|to",
    "country": "in|from|of",
    "town": "in|at|for",
    "language": "in|into|to",
    "company": "at|for|with|of",
    "employer": "at|for|with",
    "organization": "at|for|with|of",
}


def fill(schema: Mapping[str, Any], name: str, literals: Literals) -> Filled:
    """A text for the property `name`, in the format, pattern and length of the schema where the prompt has one."""
    form = schema.get("format") or next((key for key in ("email", "url", "date") if stem(key) in name_words(name)), "")
    if form in _FORMATS:
        pattern, default = _FORMATS[form]
        match = pattern.search(literals.text)
        if match or schema.get("format"):
            return Filled(match.group() if match else default, match is not None)
    value = _subject(name, str(schema.get("description") or ""), literals)
    wanted = schema.get("pattern")
    if wanted and _search(str(wanted), str(value.value)) is None:
        fitting = _search(str(wanted).strip("^$"), literals.text)
        value = Filled(fitting.group(), True) if fitting else value
    return Filled(within(schema, str(value.value)), value.found)


def within(schema: Mapping[str, Any], text: str) -> str:
    """A text of a length that the schema allows."""
    text = text.ljust(int(schema.get("minLength", 0)), ".")
    return text[: int(schema.get("maxLength", len(text)))]


def spoken(name: str) -> str:
    """A pattern for a property's name as people write it: ``customer_name`` is also "customer name"."""
    return r"[\W_]+".join(re.escape(part) for part in re.split(r"[\W_]+", name) if part)


def _search(pattern: str, text: str) -> re.Match[str] | None:
    try:
        return re.search(pattern, text)
    except re.error:  # the pattern is in JavaScript's dialect: it is not looked for
        return None


def _subject(name: str, description: str, literals: Literals) -> Filled:
    text, lowered = literals.text, name.lower()
    if lowered == "setup":
        return Filled(f"What does a rule know about {lit.topic(text)}?", True)
    if lowered == "punchline":
        return Filled("Only what the prompt says.", "no punchline" not in text)
    said = _said(name, text)
    if said is not None:
        return Filled(said, True)
    if lowered in _WHOLE:
        return Filled(text.strip(), bool(text.strip()))
    if lowered in _PROSE or lowered.rpartition("_")[2] in _PROSE:
        return Filled(_prose(f"{name} {description}", text), bool(text.strip()))
    placed = _placed(lowered, literals)
    if placed is not None:
        return Filled(placed, True)
    free = literals.free(literals.quoted) or literals.free(literals.names)
    if free:
        in_order = min(free, key=lambda literal: literal.at) if stem("name") in name_words(name) else free[0]
        return Filled(literals.use(in_order), True)
    after = re.search(r"\b(?:in|for|of|at|to|about|named|called|from)\s+([^\W\d_][\w-]*)", text)
    if after and not literals.used:
        return Filled(after.group(1), True)
    return Filled(lit.topic(text), False)


def _said(name: str, text: str) -> str | None:
    """The words after ``name:`` or ``name is``."""
    if not spoken(name):
        return None
    match = re.search(rf"(?i)\b{spoken(name)}\b\s*(?:is|=|:)\s*['\"“]?([^'\"”,.;\n]+)", text)
    return match.group(1).strip() if match else None


def _placed(name: str, literals: Literals) -> str | None:
    prepositions = _PREPOSITIONS.get(name) or _PREPOSITIONS.get(name.rpartition("_")[2])
    if prepositions is None:
        return None
    for literal in literals.free(literals.subjects):
        before = literals.text[max(0, literal.at - 20) : literal.at]
        if re.search(rf"\b(?:{prepositions})\s+(?:the\s+)?['\"“`]?$", before):
            return literals.use(literal)
    return None


def _prose(wanted: str, text: str) -> str:
    dashed = re.search(r"\s[-–—:]\s+([^\n]{3,})$", text.strip())
    if dashed:
        return dashed.group(1).strip(" .")
    return best_sentences(wanted, text, limit=1) or shorten((sentences(text) or [""])[0], 300)
