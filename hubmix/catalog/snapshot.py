"""One state of the catalog: documents merged field by field, with an index of ids.

A snapshot never changes.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from typing import Any

from hubmix._text import redact, visible
from hubmix.catalog.aliases import AliasIndex
from hubmix.catalog.cells import moment, number
from hubmix.catalog.models import ModelInfo
from hubmix.catalog.prices import in_group
from hubmix.catalog.pricing import PRICE_NAMES, Pricing
from hubmix.catalog.readers import Entries, guess_kind
from hubmix.catalog.sources import SOURCES, Source
from hubmix.errors import ConfigurationError
from hubmix.transport.get import Fetched
from hubmix.wire.json_text import loads

_MODEL_FIELDS = frozenset(item.name for item in fields(ModelInfo)) - {"id", "raw", "source"}
_LISTS = ("input_modalities", "output_modalities", "features", "endpoints", "reasoning_options", "apis")
_ABSENT = frozenset({404, 405, 410, 501})


class RejectedError(Exception):
    """An answer that is no usable list.

    `absent` says that the hub has no such list at all, which is not a failure.
    """

    def __init__(self, reason: str, *, absent: bool = False, status: int | None = None) -> None:
        super().__init__(reason)
        self.absent = absent
        self.status = status


@dataclass(frozen=True, slots=True)
class Document:
    """One source's list as it came, with what was read from it.

    `fetched_at` is seconds since the epoch.
    """

    source: str
    payload: Any
    entries: Entries
    etag: str | None
    fetched_at: float


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The models by id, how to find them, and how old all of it is.

    `checked_at` is on the monotonic clock, `fetched_at` in seconds since the epoch; `notes` says of each source that
    gave nothing why. `groups` are those that the hub has prices for.
    """

    models: Mapping[str, ModelInfo]
    index: AliasIndex
    documents: Mapping[str, Document]
    checked_at: float
    fetched_at: float
    notes: Mapping[str, str]
    partial: bool = False
    groups: frozenset[str] = frozenset()

    def find(self, name: str) -> ModelInfo | None:
        """The one model that `name` means, else None."""
        # Not `models` first: an alias of the user's may stand before an id that the hub lists too.
        only = self.index.only(name)
        return None if only is None else self.models.get(only)


def read_document(
    source: Source, fetched: Fetched, now: float, further: Sequence[Fetched | Exception] = ()
) -> Document:
    """Read a source's answer, and its further pages if they came.

    Raises:
        RejectedError: the answer is anything but a list with models in it.
    """
    if fetched.status in _ABSENT:
        raise RejectedError("this hub has no such list", absent=True, status=fetched.status)
    if fetched.status != 200:
        raise RejectedError(f"HTTP {fetched.status}", status=fetched.status)
    return parse_document(source, fetched.body, fetched.headers.get("etag"), now, further)


def parse_document(
    source: Source, body: bytes, etag: str | None, now: float, further: Sequence[Fetched | Exception] = ()
) -> Document:
    """Do what `read_document` does, for a body whose status was good."""
    if body.lstrip()[:1] == b"<":
        raise RejectedError("it answered with a web page; is the base URL complete?")
    try:
        payload = _decoded(body)
    except ValueError:
        raise RejectedError("its answer is not JSON" if body.strip() else "its answer is empty") from None
    return document_of(source, [payload, *map(_page, further)] if source.more else payload, etag, now)


def _page(fetched: Fetched | Exception) -> Any:
    if isinstance(fetched, Exception) or fetched.status != 200:
        return None
    try:
        return _decoded(fetched.body)
    except ValueError:
        return None


def _decoded(body: bytes) -> Any:
    try:
        return loads(body)
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise
    except ValueError:
        # An integer of more digits than Python reads. It is one broken cell, and not the end of the list.
        return loads(body, parse_int=lambda digits: int(digits) if len(digits) < 100 else float(digits))


def document_of(source: Source, payload: Any, etag: str | None, now: float) -> Document:
    """Make a document from JSON that is already decoded."""
    first = payload[0] if source.more and isinstance(payload, list) and payload else payload
    if isinstance(first, Mapping):
        if first.get("success") is False:
            words = " ".join(str(first.get("message") or "no reason given").split())
            raise RejectedError(visible(redact(f"it reports a failure: {words}")[:300]))
        if "data" not in first and "error" in first:
            raise RejectedError("it answered with an error object")
    entries = source.read(payload)
    if not entries:
        raise RejectedError("its list is empty")
    return Document(source.name, payload, entries, etag, now)


def merge(
    documents: Mapping[str, Document],
    *,
    aliases: Mapping[str, str],
    overrides: Mapping[str, Mapping[str, Any]],
    checked_at: float,
    notes: Mapping[str, str],
    partial: bool = False,
    price_group: str | None = None,
) -> Snapshot:
    """Merge documents: each field from the most trusted source that knows it.

    The user's overrides come before all sources.
    """
    ordered = [documents[name] for name in SOURCES if name in documents]
    ids = dict.fromkeys(model for document in ordered for model in document.entries)
    listed = documents["openai"].entries if "openai" in documents else None
    by_user = _overrides_by_id(overrides, AliasIndex(ids, aliases)) if overrides else {}
    models = {
        model: _merge_one(model, ordered, listed, by_user.get(model), price_group)
        for model in dict.fromkeys((*ids, *by_user))
    }
    groups = frozenset(
        group for document in ordered for entry in document.entries.values() for group in entry.get("groups", ())
    )
    fetched_at = min((document.fetched_at for document in ordered), default=0.0)
    trusted = {document.source: document for document in ordered}
    return Snapshot(models, AliasIndex(models, aliases), trusted, checked_at, fetched_at, notes, partial, groups)


def check_overrides(overrides: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the user's own facts about models in the catalog's types.

    Raises:
        ConfigurationError: there is no such field, or its value cannot be used.
    """
    return {model: _check_override(model, values) for model, values in overrides.items()}


def _merge_one(
    model: str,
    documents: list[Document],
    listed: Entries | None,
    by_user: Mapping[str, Any] | None,
    price_group: str | None,
) -> ModelInfo:
    values: dict[str, Any] = dict(by_user or {})
    source: dict[str, str] = dict.fromkeys(values, "user")
    raw: dict[str, Any] = {}
    for document in documents:
        entry = document.entries.get(model)
        if entry is None:
            continue
        new = entry if not values else {name: value for name, value in entry.items() if name not in values}
        values.update(new)
        source.update(dict.fromkeys(new, document.source))
        raw[document.source] = values.pop("raw")
        groups = values.pop("groups", None)
        if groups and "pricing" in new:
            values["pricing"] = in_group(new["pricing"], groups, price_group)
    source.pop("raw", None)
    source.pop("groups", None)
    if "kind" not in values:
        values["kind"], origin = guess_kind(model, values.get("endpoints", ()))
        source["kind"] = origin or "default"
    if "available" not in values and listed is not None:
        values["available"], source["available"] = False, "openai"
    values.setdefault("name", model)
    return ModelInfo(model, raw=raw, source=source, **values)


def _overrides_by_id(overrides: Mapping[str, Mapping[str, Any]], index: AliasIndex) -> dict[str, Mapping[str, Any]]:
    return {index.match(model).only or model: values for model, values in overrides.items()}


def _check_override(model: str, values: Mapping[str, Any]) -> dict[str, Any]:
    checked: dict[str, Any] = {}
    for name, value in values.items():
        if name not in _MODEL_FIELDS:
            near = difflib.get_close_matches(name, _MODEL_FIELDS, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise ConfigurationError(
                f"model_overrides[{model!r}] has {name!r}, which is nothing the catalog knows of a model.{hint} "
                f"Known: {', '.join(sorted(_MODEL_FIELDS))}."
            )
        if name == "pricing" and isinstance(value, Mapping):
            value = _check_pricing(model, value)
        elif name in _LISTS and not isinstance(value, str):
            value = frozenset(value) if name == "apis" else tuple(value)
        elif name in ("deprecated_at", "retired_at"):
            value = value if isinstance(value, datetime) else moment(value)
        checked[name] = value
    return checked


def _check_pricing(model: str, prices: Mapping[str, Any]) -> Pricing:
    checked: dict[str, Any] = {}
    for name, value in prices.items():
        price = number(value) if not isinstance(value, Decimal) else value
        if name not in PRICE_NAMES or price is None:
            raise ConfigurationError(
                f"model_overrides[{model!r}]['pricing'] takes {', '.join(sorted(PRICE_NAMES))} "
                f"as USD per 1,000,000 tokens (per_call: USD); got {name}={value!r}."
            )
        checked[name] = price
    return Pricing(**checked)
