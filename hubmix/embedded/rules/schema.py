"""A value for a JSON schema, made of the literals of a text; valid for what schemas of tools and answers use."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hubmix.embedded.rules import literals as lit
from hubmix.embedded.rules import numbers, strings
from hubmix.embedded.rules.literals import Filled, Literals
from hubmix.embedded.rules.text import name_words, stem, unique, words

MAX_DEPTH = 5  # of nested objects: a schema may refer to itself
MAX_LEVEL = 40
MAX_VALUES = 5_000
_SINGULAR = {"const", "format", "pattern"}  # of a list's items: one value is looked for, not every word
_NOT = re.compile(r"\b(?:not|no|without|never|isn't|don't|doesn't|false)\b[^.,;]{0,24}$", re.I)


def fill(schema: Mapping[str, Any], text: str, *, literals: Literals | None = None) -> Any:
    """A value that is valid under `schema`, out of `text`.

    Args:
        schema: A JSON schema; ``$ref`` into itself, ``anyOf``, ``allOf``, enums, nested objects and arrays are
            followed.
        text: Where literals are looked for.
        literals: Those of the text, where the caller narrowed or used some of them.
    """
    return _Filler(schema, text, literals or lit.read(text)).any(schema, "", 0).value


@dataclass(slots=True)
class _Budget:
    """How many values may still be looked for: a schema that refers to itself in several places has no end."""

    left: int = MAX_VALUES
    level: int = 0


class _Filler:
    def __init__(self, root: Mapping[str, Any], text: str, literals: Literals, budget: _Budget | None = None) -> None:
        self.root = root
        self.text = text
        self.literals = literals
        self.budget = budget or _Budget()

    def any(self, schema: Any, name: str, depth: int) -> Filled:
        budget = self.budget
        if budget.left <= 0 or budget.level >= MAX_LEVEL:
            return Filled(None, False)
        budget.left -= 1
        budget.level += 1
        try:
            return self._any(self._resolve(schema), name, depth)
        finally:
            budget.level -= 1

    def _any(self, schema: Mapping[str, Any], name: str, depth: int) -> Filled:
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

    def _resolve(self, schema: Any, level: int = 0) -> Mapping[str, Any]:
        if not isinstance(schema, Mapping) or level > MAX_DEPTH:
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
            part = self._resolve(part, level + 1)
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
            found_numbers = [lit.number(self.literals.use(literal), integer=kind == "integer") for literal in free]
            values = [numbers.within(items, number) for number in found_numbers if number is not None]
        elif items.get("enum"):
            said = f" {' '.join(words(self.text))} "
            values = [value for value in items["enum"] if f" {' '.join(words(str(value)))} " in said]
        elif kind == "string" and not _SINGULAR & set(items):
            values = [strings.within(items, value) for value in self._strings(name)]
        else:
            one = self.any(items, name, depth + 1)
            values = [one.value] if one.found else []
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
                part = _Filler(self.root, clause, inner, self.budget).any(items, name, depth + 1)
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
        return numbers.fill(schema, name, self.literals)

    def _string(self, schema: Mapping[str, Any], name: str, depth: int) -> Filled:
        return strings.fill(schema, name, self.literals)
