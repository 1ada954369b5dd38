"""A value for a JSON schema, made of the literals of a text; valid for what schemas of tools and answers use."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hubmix.embedded.rules import literals as lit
from hubmix.embedded.rules.extract import best_sentences
from hubmix.embedded.rules.literals import Literals
from hubmix.embedded.rules.text import name_words, sentences, shorten, stem, unique, word_set, words

MAX_DEPTH = 5  # of nested objects: a schema may refer to itself
_NOT = re.compile(r"\b(?:not|no|without|never|isn't|don't|doesn't|false)\b[^.,;]{0,24}$", re.I)
_WHOLE = word_set("query question input text message prompt content request search task statement __arg1 user_input q")
_LONG = {
    "description",
    "reason",
    "summary",
    "note",
    "comment",
    "body",
    "explanation",
    "answer",
    "response",
    "rationale",
    "detail",
}
_HINTS: Mapping[str, str] = {
    "age": r"(-?\d+)[ -]*(?:years?|yrs?)|\baged? (-?\d+)",
    "price": r"[$€£]\s?(-?\d+(?:\.\d+)?)|(-?\d+(?:\.\d+)?)\s*(?:usd|dollars?|euros?)",
    "temperatur": r"(-?\d+(?:\.\d+)?)\s*(?:°|degrees?)",
    "degree": r"(-?\d+(?:\.\d+)?)\s*(?:°|degrees?)",
    "year": r"\b((?:19|20)\d\d)\b",
}
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


@dataclass(frozen=True, slots=True)
class Filled:
    """A value, and whether the text gave evidence for it (otherwise it is only valid)."""

    value: Any
    found: bool


def fill(schema: Mapping[str, Any], text: str, *, literals: Literals | None = None) -> Any:
    """A value that is valid under `schema`, out of `text`.

    Args:
        schema: A JSON schema; ``$ref`` into itself, ``anyOf``, ``allOf``, enums, nested objects and arrays are
            followed.
        text: Where literals are looked for.
        literals: Those of the text, where the caller narrowed or used some of them.
    """
    return _Filler(schema, text, literals or lit.read(text)).any(schema, "", 0).value


class _Filler:
    def __init__(self, root: Mapping[str, Any], text: str, literals: Literals) -> None:
        self.root = root
        self.text = text
        self.literals = literals

    def any(self, schema: Any, name: str, depth: int) -> Filled:
        schema = self._resolve(schema)
        if "const" in schema:
            return Filled(schema["const"], True)
        if schema.get("enum"):
            return self._enum(list(schema["enum"]), name)
        options = schema.get("anyOf") or schema.get("oneOf")
        if options:
            return self._either([self._resolve(option) for option in options], schema, name, depth)
        kind = schema.get("type")
        if isinstance(kind, list):
            return self._either([{**schema, "type": one} for one in kind], schema, name, depth)
        kind = kind or ("object" if "properties" in schema else "array" if "items" in schema else "string")
        fillers = {"object": self._object, "array": self._array, "string": self._string, "boolean": self._boolean,
                   "integer": self._number, "number": self._number}  # fmt: skip
        filler = fillers.get(str(kind))
        return filler(schema, name, depth) if filler else Filled(None, False)

    def _resolve(self, schema: Any) -> Mapping[str, Any]:
        if not isinstance(schema, Mapping):
            return {}
        for _ in range(MAX_DEPTH):
            ref = schema.get("$ref")
            if ref is None:
                break
            target: Any = self.root
            for key in str(ref).removeprefix("#").strip("/").split("/"):
                target = target.get(key, {}) if isinstance(target, Mapping) and key else target
            schema = (
                {**target, **{k: v for k, v in schema.items() if k != "$ref"}} if isinstance(target, Mapping) else {}
            )
        merged: dict[str, Any] = dict(schema)
        for part in merged.pop("allOf", ()):
            part = self._resolve(part)
            properties = {**merged.get("properties", {}), **part.get("properties", {})}
            merged = {**merged, **part, **({"properties": properties} if properties else {})}
        return merged

    def _enum(self, values: list[Any], name: str) -> Filled:
        said = f" {' '.join(words(self.text))} "
        for value in values:
            if f" {' '.join(words(str(value).replace('_', ' ')))} " in said:
                return Filled(value, True)
        stems = {stem(word) for word in words(self.text)}
        best = max(values, key=lambda value: len(stems & set(name_words(str(value)))))
        return Filled(best, bool(stems & set(name_words(str(best)))))

    def _either(self, options: list[Mapping[str, Any]], schema: Mapping[str, Any], name: str, depth: int) -> Filled:
        real = [option for option in options if option.get("type") != "null"]
        nullable = len(real) < len(options)
        if nullable and depth >= MAX_DEPTH:
            return Filled(None, False)
        attempts = []
        for option in real:
            before = set(self.literals.used)
            attempts.append(self.any({"description": schema.get("description", ""), **option}, name, depth))
            if attempts[-1].found:
                return attempts[-1]
            self.literals.used = before
        if nullable or not attempts:
            return Filled(schema.get("default"), False)
        return attempts[0]

    def _object(self, schema: Mapping[str, Any], name: str, depth: int) -> Filled:
        properties = schema.get("properties") or {}
        required = schema.get("required") or []
        value: dict[str, Any] = {}
        found = False
        for key, given in properties.items():
            if depth >= MAX_DEPTH and key not in required:
                continue
            part = self.any(given, key, depth + 1)
            if key not in required and not part.found:
                continue
            if not part.found and isinstance(given, Mapping) and "default" in given:
                part = Filled(given["default"], False)
            value[key] = part.value
            found = found or part.found
        return Filled(value, found or not properties)

    def _array(self, schema: Mapping[str, Any], name: str, depth: int) -> Filled:
        items = self._resolve(schema.get("items") or {})
        if schema.get("prefixItems"):
            parts = [self.any(part, name, depth + 1) for part in schema["prefixItems"]]
            return Filled([part.value for part in parts], any(part.found for part in parts))
        kind = items.get("type") or ("object" if "properties" in items else "string")
        least, most = schema.get("minItems", 0), schema.get("maxItems", 20)
        if depth >= MAX_DEPTH and not least:
            return Filled([], False)
        if kind == "object" or items.get("anyOf"):
            values = self._objects(items, name, depth, most)
        elif kind in ("integer", "number"):
            free = self.literals.free(self.literals.numbers)
            numbers = [lit.number(self.literals.use(literal), integer=kind == "integer") for literal in free]
            values = [number for number in numbers if number is not None]
        elif items.get("enum"):
            said = f" {' '.join(words(self.text))} "
            values = [value for value in items["enum"] if f" {' '.join(words(str(value)))} " in said]
        else:
            values = self._strings(name)
        found = bool(values)
        while len(values) < max(least, 0 if found else min(1, least)):
            values.append(self.any(items, name, depth + 1).value)
        return Filled(values[:most], found)

    def _objects(self, items: Mapping[str, Any], name: str, depth: int, most: int) -> list[Any]:
        clauses = [
            part
            for part in re.split(r"(?<=[.!?;])\s+|\n+|;|\s+and\s+(?=[A-Z\"'“])", self.text)
            if part and part.strip()
        ]
        values: list[Any] = []
        for clause in clauses:
            if len(values) >= most:
                break
            inner = lit.read(clause)
            if inner.subjects or inner.numbers:
                part = _Filler(self.root, clause, inner).any(items, name, depth + 1)
                if part.found and part.value not in values:
                    values.append(part.value)
        if values or depth > 1:
            return values
        return [self.any(items, name, depth + 1).value]

    def _strings(self, name: str) -> list[Any]:
        free = self.literals.free(self.literals.subjects)
        if len(free) > 1 or (free and name_words(name)[-1:] not in (["keyword"], ["tag"], ["topic"])):
            return unique(self.literals.use(literal) for literal in free)
        return lit.listed(self.text) or unique(w for w in words(self.text) if len(w) > 4)[:3]

    def _boolean(self, schema: Mapping[str, Any], name: str, depth: int) -> Filled:
        wanted = [part for part in name_words(name) if part not in ("is", "has", "was", "should", "use", "enabl")]
        for match in re.finditer(r"[^\W_]+", self.text):
            if stem(match.group()) in wanted:
                return Filled(_NOT.search(self.text[max(0, match.start() - 40) : match.start()]) is None, True)
        return Filled(bool(schema.get("default", False)), False)

    def _number(self, schema: Mapping[str, Any], name: str, depth: int) -> Filled:
        integer = schema.get("type") == "integer"
        literal = self._hinted_number(name) or self._said_number(name)
        if literal is None:
            for free in self.literals.free(self.literals.numbers):
                if lit.number(free.value, integer=integer) is not None:
                    literal = self.literals.use(free)
                    break
        value = lit.number(literal, integer=integer) if literal is not None else None
        if value is None:
            return Filled(_within(schema, schema.get("default", 0)), False)
        return Filled(_within(schema, value), True)

    def _hinted_number(self, name: str) -> str | None:
        for word in name_words(name):
            match = re.search(_HINTS[word], self.text, re.I) if word in _HINTS else None
            if match:
                value = next(group for group in match.groups() if group)
                return self._take_number(value)
        return None

    def _said_number(self, name: str) -> str | None:
        spoken = r"[\W_]+".join(re.escape(part) for part in re.split(r"[\W_]+", name) if part)
        match = (
            re.search(rf"(?i)\b{spoken}\b\W{{0,3}}(?:is|of|=|:|to|was)?\W{{0,2}}(-?\d+(?:\.\d+)?)", self.text)
            if spoken
            else None
        )
        return self._take_number(match.group(1)) if match else None

    def _take_number(self, value: str) -> str:
        for literal in self.literals.free(self.literals.numbers):
            if literal.value == value:
                self.literals.use(literal)
                break
        return value

    def _string(self, schema: Mapping[str, Any], name: str, depth: int) -> Filled:
        form = schema.get("format") or next(
            (key for key in ("email", "url", "date") if stem(key) in name_words(name)), ""
        )
        if form in _FORMATS:
            pattern, default = _FORMATS[form]
            match = pattern.search(self.text)
            if match or schema.get("format"):
                return Filled(match.group() if match else default, match is not None)
        value = self._subject(name, str(schema.get("description") or ""))
        pattern_text = schema.get("pattern")
        if pattern_text and not re.search(pattern_text, value.value):
            fitting = re.search(str(pattern_text).strip("^$"), self.text)
            value = Filled(fitting.group(), True) if fitting else value
        text = str(value.value).ljust(int(schema.get("minLength", 0)), ".")
        return Filled(text[: int(schema.get("maxLength", len(text)))], value.found)

    def _subject(self, name: str, description: str) -> Filled:
        lowered = name.lower()
        if lowered == "setup":
            return Filled(f"What does a rule know about {lit.topic(self.text)}?", True)
        if lowered == "punchline":
            return Filled("Only what the prompt says.", "no punchline" not in self.text)
        said = self._said(name)
        if said is not None:
            return Filled(said, True)
        if lowered in _WHOLE:
            return Filled(self.text.strip(), bool(self.text.strip()))
        if lowered in _LONG or lowered.rsplit("_", 1)[-1] in _LONG:
            return Filled(self._prose(f"{name} {description}"), bool(self.text.strip()))
        placed = self._placed(lowered)
        if placed is not None:
            return Filled(placed, True)
        free = self.literals.free(self.literals.quoted) or self.literals.free(self.literals.names)
        if free:
            in_order = min(free, key=lambda literal: literal.at) if stem("name") in name_words(name) else free[0]
            return Filled(self.literals.use(in_order), True)
        after = re.search(r"\b(?:in|for|of|at|to|about|named|called|from)\s+([^\W\d_][\w-]*)", self.text)
        if after and not self.literals.used:
            return Filled(after.group(1), True)
        return Filled(lit.topic(self.text), False)

    def _said(self, name: str) -> str | None:
        spoken = r"[\W_]+".join(re.escape(part) for part in re.split(r"[\W_]+", name) if part)
        if not spoken:
            return None
        match = re.search(rf"(?i)\b{spoken}\b\s*(?:is|=|:)\s*['\"“]?([^'\"”,.;\n]+)", self.text)
        return match.group(1).strip() if match else None

    def _placed(self, name: str) -> str | None:
        prepositions = _PREPOSITIONS.get(name) or _PREPOSITIONS.get(name.rsplit("_", 1)[-1])
        if prepositions is None:
            return None
        for literal in self.literals.free(self.literals.subjects):
            if re.search(
                rf"\b(?:{prepositions})\s+(?:the\s+)?['\"“`]?$", self.text[max(0, literal.at - 20) : literal.at]
            ):
                return self.literals.use(literal)
        return None

    def _prose(self, wanted: str) -> str:
        dashed = re.search(r"\s[-–—:]\s+([^\n]{3,})$", self.text.strip())
        if dashed:
            return dashed.group(1).strip(" .")
        return best_sentences(wanted, self.text, limit=1) or shorten((sentences(self.text) or [""])[0], 300)


def _within(schema: Mapping[str, Any], value: Any) -> Any:
    step = 1 if schema.get("type") == "integer" else 1e-6
    low = schema.get(
        "minimum", schema["exclusiveMinimum"] + step if _is_number(schema.get("exclusiveMinimum")) else None
    )
    high = schema.get(
        "maximum", schema["exclusiveMaximum"] - step if _is_number(schema.get("exclusiveMaximum")) else None
    )
    if not _is_number(value):
        value = 0
    if low is not None and value < low:
        value = low
    if high is not None and value > high:
        value = high
    multiple = schema.get("multipleOf")
    if _is_number(multiple) and multiple:
        value = round(value / multiple) * multiple
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
