"""A value for a JSON schema, made of the literals of a text."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from hubmix.embedded.rules.extract import best_sentences
from hubmix.embedded.words import STOPWORDS, name_words, sentences, stem, words

MAX_DEPTH = 5  # of optional parts: a schema may refer to itself
MAX_SUBJECTS = 100
MAX_VALUES = 2_000  # a schema that refers to itself in several places has no end

_QUOTED = re.compile(r"\"([^\"\n]{1,200})\"|“([^”\n]{1,200})”|「([^」\n]{1,200})」|(?<!\w)'([^'\n]{1,200})'(?!\w)")
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:,\d{3})*(?:\.\d+)?(?![\w]*\.\d)")
# Verbs and labels that begin a request: with a capital letter, but no names.
_STARTERS = "add answer ask book call create describe extract generate greet hello hi list multiply order output return"
_STARTERS += " search set summarize write question context tags json"
_NO_NAME = "|".join(word.capitalize() for word in (*STOPWORDS, *_STARTERS.split()))
_NAME = (
    rf"\b(?!(?:{_NO_NAME}|JSON)\b)[A-Z][\w&-]*(?:['’](?!s\b)\w+)?"
    r"(?:\s+(?:(?:of|de|da|van|von|der|la|le)\s+)?[A-Z][\w&-]*)*"
)
_REGION = r"\s*,\s*(?:[A-Z]{2,3}\b|[A-Z]\w+\b(?!\s*(?:,|and\b|or\b)))"  # "Paris, France" is one name, a list is not
_NAMES = re.compile(rf"(?<!, )(?<!and ){_NAME}{_REGION}|{_NAME}")
_BEGINS = re.compile(r"[.!?:;\n\"“(]\s*$")
_NOT = re.compile(r"\b(?:not|no|without|never|false)\b[^.,;]{0,24}$", re.I)
_AFTER = re.compile(r"\b(?:in|for|of|at|to|about|named|called|from)\s+([^\W\d_][\w-]*)")
# Names of properties that take the whole message, and of those that take a sentence of it.
_WHOLE = {"query", "question", "input", "text", "message", "prompt", "content", "request", "search", "task", "__arg1"}
_PROSE = {"description", "reason", "summary", "note", "comment", "body", "explanation", "answer", "response"}
# The words in front of a literal that fits a property of this name.
_PLACES = {"origin": "from", "source": "from", "destination": "to|into", "target": "to|into", "recipient": "to"}
_PLACES |= dict.fromkeys(("city", "location", "place", "country"), "in|at|for|of|from|near|to")
_MARKS = {"object": "properties", "array": "items"}  # of a schema that names no type
# Pattern and default of a format.
_FORMATS = {
    "email": (r"[\w.+-]+@[\w-]+\.[\w.-]*\w", "nobody@example.invalid"),
    "uri": (r"https?://[^\s\"'<>)\]]+", "https://example.invalid/"),
    "date": (r"\b\d{4}-\d{2}-\d{2}\b", "1970-01-01"),
    "date-time": (r"\b\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:Z|[+-]\d{2}:\d{2})", "1970-01-01T00:00:00Z"),
    "time": (r"\b\d{2}:\d{2}:\d{2}\b", "00:00:00"),
    "uuid": (r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "00000000-0000-0000-0000-000000000000"),
}

Filled = tuple[Any, bool]  # a value, and whether the text gave evidence for it
Schema = Mapping[str, Any]


def fill(schema: Schema, text: str) -> Any:
    """Return a value that is valid under a schema and made of a text."""
    return _Filler(schema, text, [MAX_VALUES]).fill(schema, "")[0]


def subjects_in(text: str) -> list[str]:
    """Return the quoted words of a text, else its names, sentence starts last."""
    quoted = [next(filter(None, match.groups())) for match in _QUOTED.finditer(text)]
    names = [(match.start(), match[0]) for match in _NAMES.finditer(text)]
    names.sort(key=lambda name: not name[0] or _BEGINS.search(text[max(0, name[0] - 9) : name[0]]) is not None)
    return list(dict.fromkeys(quoted or (name for _, name in names)))[:MAX_SUBJECTS]


def topic(text: str) -> str:
    """Return the last word of a text that carries meaning."""
    return next((word for word in reversed(words(text)) if word not in STOPWORDS), text.strip() or "nothing")


class _Filler:
    def __init__(self, root: Schema, text: str, left: list[int]) -> None:
        self.root = root
        self.text = text
        self.left = left  # values that may still be made, shared with the fillers of parts
        self.subjects = subjects_in(text)
        self.numbers = [number.replace(",", "") for number in _NUMBER.findall(text)]

    def fill(self, schema: Any, name: str, depth: int = 0) -> Filled:
        schema = self._resolve(schema)
        self.left[0] -= 1
        if self.left[0] < 0 or depth > 8 * MAX_DEPTH:
            return None, False
        if "const" in schema:
            return schema["const"], True
        if schema.get("enum"):
            return self._enum(schema["enum"])
        kind = schema.get("type") or (
            "object" if "properties" in schema else "array" if "items" in schema else "string"
        )
        options = schema.get("anyOf") or schema.get("oneOf")
        if options or isinstance(kind, list):
            return self._either(options or [{**schema, "type": one} for one in kind], schema, name, depth)
        make = getattr(self, f"_{kind}", None)
        return make(schema, name, depth) if make else (None, False)

    def _resolve(self, schema: Any, level: int = 0) -> dict[str, Any]:
        """Return a schema with its `$ref` and `allOf` merged into it."""
        if not isinstance(schema, Mapping) or level > MAX_DEPTH:
            return {}
        parts = list(schema.get("allOf") or ())
        if "$ref" in schema:
            target: Any = self.root
            for key in str(schema["$ref"]).split("/")[1:]:
                target = target.get(key) if isinstance(target, Mapping) else None
            parts.append(target)
        merged: dict[str, Any] = {}
        for part in parts:
            merged |= self._resolve(part, level + 1)
        return merged | {key: value for key, value in schema.items() if key not in ("$ref", "allOf")}

    def _says(self, value: object) -> bool:
        return f" {' '.join(words(str(value).replace('_', ' ')))} " in f" {' '.join(words(self.text))} "

    def _enum(self, values: Sequence[Any]) -> Filled:
        stems = {stem(word) for word in words(self.text)}
        best = max(values, key=lambda value: (self._says(value), len(stems & name_words(str(value)))))
        return best, self._says(best) or bool(stems & name_words(str(best)))

    def _either(self, options: Sequence[Any], schema: Schema, name: str, depth: int) -> Filled:
        real = [option for option in map(self._resolve, options) if option.get("type") != "null"]
        nullable = len(real) < len(options)
        made = []
        for option in real if depth < MAX_DEPTH or not nullable else ():
            before = list(self.subjects), list(self.numbers)
            made.append(self.fill(option, name, depth + 1))
            if made[-1][1]:
                return made[-1]
            self.subjects, self.numbers = before
        return (schema.get("default"), False) if nullable or not made else made[0]

    def _object(self, schema: Schema, name: str, depth: int) -> Filled:
        properties, required = schema.get("properties") or {}, schema.get("required") or ()
        made: dict[str, Filled] = {}
        for key in [key for key in properties if depth < MAX_DEPTH or key in required]:
            part = self.fill(properties[key], key, depth + 1)
            made |= {key: part} if part[1] or key in required else {}
        found = not properties or any(part[1] for part in made.values())
        return {key: value for key, (value, _) in made.items()}, found

    def _array(self, schema: Schema, name: str, depth: int) -> Filled:
        items = schema.get("items") or {}
        if schema.get("prefixItems"):
            return [self.fill(part, name, depth + 1)[0] for part in schema["prefixItems"]], False
        values = self._items(self._resolve(items), name, depth)[: schema.get("maxItems", 20)]
        found = bool(values)
        while len(values) < schema.get("minItems", 0):
            values.append(self.fill(items, name, depth + 1)[0])
        return values, found

    def _items(self, items: dict[str, Any], name: str, depth: int) -> list[Any]:
        """Return an item for every literal, or an object for every clause that has one."""
        if items.get("enum"):
            return [value for value in items["enum"] if self._says(value)]
        if items.get("type") in ("integer", "number", "string"):
            listed = re.search(r":\s*([^:\n]+)$", self.text)
            if listed and not self.subjects:
                self.subjects = [part for part in re.split(r",\s*|\sand\s", listed[1].strip(" .")) if part]
            given = self.subjects if items["type"] == "string" else self.numbers
            return [self.fill(items, "", depth + 1)[0] for _ in given[:20]]
        values: list[Any] = []
        for clause in re.split(r"(?<=[.!?;])\s+|\n+|;|\sand\s(?=[A-Z])", self.text)[: 20 if depth < MAX_DEPTH else 0]:
            inner = _Filler(self.root, clause, self.left)
            value, found = inner.fill(items, name, depth + 1)
            values += [value] if found and value not in values else []
        return values

    def _boolean(self, schema: Schema, name: str, depth: int) -> Filled:
        wanted = name_words(name) - {"is", "has", "was"}
        for match in re.finditer(r"[^\W_]+", self.text):
            if stem(match[0]) in wanted:
                return _NOT.search(self.text[max(0, match.start() - 40) : match.start()]) is None, True
        return bool(schema.get("default", False)), False

    def _number(self, schema: Schema, name: str, depth: int) -> Filled:
        near = self._after(name, r"\W{0,3}(?:is|of|to)?\W{0,2}(-?\d+(?:\.\d+)?)")
        whole = schema.get("type") == "integer"
        fitting = [one for one in self.numbers if not whole or float(one).is_integer()]
        if not fitting:
            return _bounded(schema, schema.get("default", 0)), False
        chosen = near if near in fitting else fitting[0]
        self.numbers.remove(chosen)
        return _bounded(schema, int(float(chosen)) if whole or "." not in chosen else float(chosen)), True

    _integer = _number

    def _string(self, schema: Schema, name: str, depth: int) -> Filled:
        form = schema.get("format") or next((key for key in ("email", "date") if key in name.lower()), "")
        pattern, default = _FORMATS.get(form, (str(schema.get("pattern") or "").strip("^$") or "(?!)", None))
        try:
            match = re.search(pattern, self.text)
        except re.error:  # a pattern in JavaScript's dialect
            match = None
        if match or (default and schema.get("format")):
            return (match[0], True) if match else (default, False)
        text, found = self._text(name, str(schema.get("description") or ""))
        text = text.ljust(int(schema.get("minLength", 0)), ".")
        return text[: int(schema.get("maxLength", len(text)))], found

    def _text(self, name: str, description: str) -> tuple[str, bool]:
        """Return a text for a property, by its name, literals or the topic."""
        lowered, text = name.lower(), self.text.strip()
        kind = lowered.rpartition("_")[2]
        said = self._after(name, r"\s*(?:is|=|:)\s*['\"“]?([^'\"”,.;\n<]+)")
        if said or lowered in _WHOLE:
            return said or text, bool(said or text)
        if kind in _PROSE:
            dashed = re.search(r"\s[-–—]\s+([^\n]{3,})$", text)
            prose = dashed[1].strip(" .") if dashed else best_sentences(f"{name} {description}", text, limit=1)
            return prose or (sentences(text) or [""])[0], bool(text)
        if self.subjects:
            before = rf"\b(?:{_PLACES.get(kind, '(?!)')})\s+(?:the\s+)?['\"“]?"
            placed = [one for one in self.subjects if re.search(before + re.escape(one), text)]
            in_order = sorted(self.subjects, key=text.find) if "nam" in name_words(name) else self.subjects
            self.subjects.remove(chosen := (placed or in_order)[0])
            return chosen, True
        after = next((word for word in _AFTER.findall(text) if word not in STOPWORDS), "")
        return after or topic(text), bool(after)

    def _after(self, name: str, pattern: str) -> str:
        """Return what the text says after a property's name."""
        spoken = r"[\W_]+".join(re.escape(part) for part in re.split(r"[\W_]+", name) if part)
        match = re.search(rf"\b{spoken}\b{pattern}", self.text, re.I) if spoken else None
        return match[1].strip() if match else ""


def _bounded(schema: Schema, value: Any) -> Any:
    """Return the value nearest to `value` that the bounds of a schema allow."""
    step = 1 if schema.get("type") == "integer" else 1e-6
    low, high = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    value = max(value, schema.get("minimum", value), value if low is None else low + step)
    return min(value, schema.get("maximum", value), value if high is None else high - step)
