"""From a row to the request for it. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass, fields
from typing import Any

from hubmix.errors import ConfigurationError, HubmixError
from hubmix.failover.options import CallOptions
from hubmix.wire.parameters import REQUEST_PARAMETERS, normalize_names, reject_unknown

Content = str | Sequence[Mapping[str, Any]] | Mapping[str, Any]
_OPTIONS = frozenset(option.name for option in fields(CallOptions))
Prompt = str | Callable[[Any], Content] | None


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be asked for a row.

    Args:
        index: the row's place.
        input: the row.
        payload: the body, or None if none could be made.
        key: a hash of the payload; the same row and prompt have the same key in every run.
        error: why there is no payload.
    """

    index: int
    input: Any
    payload: dict[str, Any] | None
    key: str = ""
    error: HubmixError | None = None


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes requests: the prompt, the model and what every request has in common."""

    prompt: Prompt
    model: str
    system: str | None
    parameters: Mapping[str, Any]

    @staticmethod
    def of(prompt: Prompt, model: str, system: str | None, parameters: Mapping[str, Any]) -> Maker:
        """Check what the user gave; a mistake shows before anything is sent."""
        if not isinstance(model, str) or not model:
            raise ConfigurationError("map needs a model ID: model='gpt-4o-mini'.")
        if not (prompt is None or isinstance(prompt, str) or callable(prompt)):
            raise ConfigurationError(
                f"prompt is a template such as 'Translate: {{}}' or a function of the row, not {type(prompt).__name__}."
            )
        named = normalize_names(parameters, REQUEST_PARAMETERS)
        for name in named:
            if name in _OPTIONS:
                raise ConfigurationError(f"map takes {name!r} with its options: options=CallOptions({name}=…).")
        reject_unknown(named, REQUEST_PARAMETERS, where="map", into="options=CallOptions({})")
        return Maker(prompt, model, system, {name: value for name, value in named.items() if value is not None})

    def make(self, index: int, row: Any) -> Request:
        """Return the request for one row; what goes wrong here is the row's error."""
        try:
            payload = self._payload(self._content(row))
            # As strict as what sends it: half a character (a lone surrogate) or a NaN would end the whole map there.
            body = json.dumps(payload, sort_keys=True, ensure_ascii=False, allow_nan=False).encode()
            key = hashlib.sha256(body).hexdigest()[:32]
        except Exception as error:  # noqa: BLE001 - the prompt is the user's code; one bad row must not lose the others
            message = f"Row {index}: its request could not be made: {type(error).__name__}: {error}. Nothing was sent."
            made = ConfigurationError(message, kind="prompt", model=self.model)
            return Request(index, row, None, error=made)
        return Request(index, row, payload, key)

    def _content(self, row: Any) -> Content:
        if self.prompt is None:
            return row  # type: ignore[no-any-return]  # whatever it is, `_payload` looks at it
        if callable(self.prompt):
            return self.prompt(row)
        if isinstance(row, Mapping):
            return self.prompt.format_map(row)
        return self.prompt.format(row)

    def _payload(self, content: Content) -> dict[str, Any]:
        common = {"model": self.model, **self.parameters}
        if isinstance(content, Mapping):
            if not content.get("messages"):
                raise ValueError("a request as a mapping needs 'messages'")
            payload = {**common, **content}
        elif isinstance(content, str):
            payload = {**common, "messages": [{"role": "user", "content": content}]}
        elif isinstance(content, Sequence) and all(isinstance(message, Mapping) for message in content) and content:
            payload = {**common, "messages": list(content)}
        else:
            raise TypeError(f"a prompt is a text, a list of messages or a whole request, not {type(content).__name__}")
        if self.system is not None:
            payload["messages"] = [{"role": "system", "content": self.system}, *payload["messages"]]
        return payload


def rows_of(rows: Any) -> tuple[Iterator[Any], int | None]:
    """Return the rows one by one, and how many there are, if that is known.

    A data frame (pandas, polars) gives a dict for each of its rows; iterating one would give its columns' names.
    """
    if isinstance(rows, (str, bytes, Mapping)):
        raise ConfigurationError(f"rows is a list or another iterable of rows, not one {type(rows).__name__}.")
    if hasattr(rows, "iter_rows") and hasattr(rows, "columns"):
        return rows.iter_rows(named=True), len(rows)
    if hasattr(rows, "itertuples") and hasattr(rows, "columns"):
        columns = [str(name) for name in rows.columns]
        found = rows.itertuples(index=False, name=None)
        return (dict(zip(columns, values, strict=True)) for values in found), len(rows)
    if hasattr(rows, "__aiter__"):
        raise ConfigurationError("rows that come asynchronously need an event loop: await hub.amap(...).")
    if not isinstance(rows, Iterable):
        raise ConfigurationError(f"rows is a list or another iterable of rows, not {type(rows).__name__}.")
    return iter(rows), len(rows) if isinstance(rows, Sized) else None
