"""The list that a catalog returns, and the filter that makes it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, TypedDict

from typing_extensions import Unpack

from hubmix._html import Records
from hubmix.catalog.models import CAPABILITIES, KINDS, ModelInfo, capability_name
from hubmix.catalog.pricing import Pricing
from hubmix.errors import ConfigurationError

Price = Decimal | float | int
Available = bool | Literal["any"] | None

# Never by `created`, which is a constant on these gateways, and never by the hub's own order: it sorts numbers as text.
_SORT_KEYS: dict[str, Callable[[ModelInfo], Any]] = {
    "id": lambda info: (info.id.lower(), info.id),
    "name": lambda info: info.name.lower(),
    "owner": lambda info: None if info.owner is None else info.owner.lower(),
    "kind": lambda info: info.kind,
    "context_window": lambda info: info.context_window,
    "max_output_tokens": lambda info: info.max_output_tokens,
    "input_price": lambda info: info.input_price,
    "output_price": lambda info: info.output_price,
}
_SORT_ALIASES = {"context": "context_window", "price": "input_price", "max_output": "max_output_tokens"}


class Criteria(TypedDict, total=False):
    """The arguments of `ModelCatalog.list`, which says what each means."""

    kind: str | None
    supports: Iterable[str] | str
    modalities: Iterable[str] | str
    min_context: int | None
    max_input_price: Price | None
    max_output_price: Price | None
    free: bool | None
    owner: str | None
    available: Available
    retired: bool
    unknown: bool
    unknown_prices: bool
    sort: str | None
    descending: bool
    limit: int | None


@dataclass(frozen=True, slots=True)
class LeftOut:
    """How many models a list leaves out, and why.

    Attributes:
        unknown: the hub does not say whether they meet a criterion.
        unavailable: the key may not call them.
        retired: the hub does not serve them any more.
        of: how many models may meet the criteria in all.
    """

    unknown: int = 0
    unavailable: int = 0
    retired: int = 0
    of: int = 0

    def __str__(self) -> str:
        return self.in_words("unknown=True", 'available="any"', "retired=True")

    def in_words(self, unknown: str, available: str, retired: str) -> str:
        """Return one line; "" if nothing is left out.

        Args:
            unknown, available, retired: what shows those models, as this reader writes it.
        """
        parts = (
            (self.unknown, "this hub does not say whether they meet that", unknown),
            (self.unavailable, "this key may not call them", available),
            (self.retired, "retired", retired),
        )
        told = [f"{count:,} of {self.of:,}: {why} ({how} shows them)" for count, why, how in parts if count]
        return f"left out {'; '.join(told)}" if told else ""


class ModelList(Records[ModelInfo]):
    """Models in order: a sequence that filters further and prints as a table.

    Example:
        ```python
        cheap = hub.models.list("claude", supports={"tools"}, max_input_price=3)
        print(cheap.ids)  # ['claude-haiku-4.5', 'claude-sonnet-4.6']
        cheap.filter(min_context=200_000, sort="input_price")
        ```
    """

    __slots__ = ("as_of", "left_out")

    def __init__(
        self, models: Iterable[ModelInfo], *, as_of: str | None = None, left_out: LeftOut | None = None
    ) -> None:
        super().__init__(models)
        self.as_of = as_of
        """How old the list is, if it is not fresh: "3 h ago"."""
        self.left_out = left_out or LeftOut()
        """How many models are left out because something of them is unknown, or because they cannot be called."""

    @property
    def ids(self) -> list[str]:
        """The ids, in order."""
        return [info.id for info in self._rows]

    def filter(self, query: str | None = None, **criteria: Unpack[Criteria]) -> ModelList:
        """Return the models that also meet the criteria of `ModelCatalog.list`.

        Every kind stays unless `kind` is given, and the order stays unless `sort` is.
        """
        criteria = {"kind": None, "available": "any", "retired": True, **criteria}
        found, left_out = select(self._rows, query, **criteria)
        return ModelList(found, as_of=self.as_of, left_out=left_out)

    def to_pandas(self) -> Any:
        """Return a pandas DataFrame: a row for each model, a column for each field.

        Prices are USD per 1,000,000 tokens.

        Needs the `notebook` extra.
        """
        from hubmix.catalog.display import to_pandas

        return to_pandas(self._rows)

    def plot(self, *, path: str | Path | None = None, price: str = "input") -> Any:
        """Plot price against context window, coloured by vendor, on logarithmic axes.

        Models without either are left out.

        Needs the `notebook` extra.

        Args:
            path: where to save the picture too; the ending decides the format.
            price: which price, "input" or "output".

        Returns:
            The matplotlib axes.
        """
        from hubmix.catalog.display import plot

        return plot(self._rows, path=path, price=price)

    def _part(self, rows: Iterable[ModelInfo]) -> ModelList:
        return ModelList(rows, as_of=self.as_of)

    def __contains__(self, item: object) -> bool:
        """Whether a model, or a model of that id, is among these."""
        if isinstance(item, str):
            return any(info.id == item for info in self._rows)
        return item in self._rows

    def __eq__(self, other: object) -> bool:
        return self._rows == other._rows if isinstance(other, ModelList) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._rows)

    def __repr__(self) -> str:
        from hubmix.catalog.display import table_text

        return table_text(self._rows, as_of=self.as_of, left_out=str(self.left_out))

    def _repr_html_(self) -> str:
        from hubmix.catalog.display import table_html

        return table_html(self._rows, as_of=self.as_of, left_out=str(self.left_out))


def select(
    models: Iterable[ModelInfo],
    query: str | None = None,
    *,
    kind: str | None = "chat",
    supports: Iterable[str] | str = (),
    modalities: Iterable[str] | str = (),
    min_context: int | None = None,
    max_input_price: Price | None = None,
    max_output_price: Price | None = None,
    free: bool | None = None,
    owner: str | None = None,
    available: Available = None,
    retired: bool = False,
    unknown: bool = False,
    unknown_prices: bool = False,
    sort: str | None = None,
    descending: bool = False,
    limit: int | None = None,
) -> tuple[list[ModelInfo], LeftOut]:
    """Return the models that meet every criterion, and how many were left out.

    `ModelCatalog.list` says what each argument means. `sort=None` keeps the order.
    """
    if kind is not None and kind not in KINDS:
        raise ConfigurationError(f"There is no kind {kind!r} of model. Kinds: {', '.join(KINDS)}; None for all.")
    if limit is not None and limit < 0:
        raise ConfigurationError(f"limit is a number of models, 0 or more; got {limit}.")
    words = (query or "").lower().split()
    needed, inputs = _names(supports), _names(modalities)

    def verdicts(info: ModelInfo) -> Iterator[bool | None]:
        yield kind is None or info.kind == kind
        yield all(_mentions(info, word) for word in words)
        yield owner is None or (info.owner or "").lower() == owner.lower()
        yield from (info.supports(name) for name in needed)
        yield from (name in info.input_modalities if info.input_modalities else None for name in inputs)
        if min_context is not None:
            yield None if info.context_window is None else info.context_window >= min_context
        yield _affordable(info, "input", max_input_price, unknown_prices)
        yield _affordable(info, "output", max_output_price, unknown_prices)
        if free is not None:
            yield None if info.free is None else info.free is free
        if isinstance(available, bool):
            yield None if info.available is None else info.available is available

    found: list[ModelInfo] = []
    counts = {"unknown": 0, "unavailable": 0, "retired": 0, "of": 0}
    for info in models:
        if (met := _met(verdicts(info))) is False:
            continue
        counts["of"] += 1
        if info.retired and not retired:
            counts["retired"] += 1
        elif info.available is False and available is None:
            counts["unavailable"] += 1
        elif met is None and not unknown:
            counts["unknown"] += 1
        else:
            found.append(info)
    ordered = found if sort is None else _sorted(found, sort, descending)
    return ordered if limit is None else ordered[:limit], LeftOut(**counts)


def _met(verdicts: Iterable[bool | None]) -> bool | None:
    """Return False if a criterion is not met, None if one is unknown, else True."""
    met: bool | None = True
    for verdict in verdicts:
        if verdict is False:
            return False
        if verdict is None:
            met = None
    return met


def check_supports(supports: Iterable[str] | str, models: Iterable[ModelInfo]) -> None:
    """Raise ConfigurationError for a word that is said of no model.

    A typing error would look like a hub without such models.
    """
    unknown = [word for word in _names(supports) if capability_name(word) is None]
    if not unknown:
        return
    own = {name for info in models for name in info.features if capability_name(name) is None}
    for word in unknown:
        if word not in own:
            words = f"; and in this hub's own words: {', '.join(sorted(own))}" if own else ""
            raise ConfigurationError(
                f"{word!r} is nothing that this hub says of a model. Capabilities: {', '.join(CAPABILITIES)}{words}."
            )


def _names(value: Iterable[str] | str) -> list[str]:
    words = value.split(",") if isinstance(value, str) else value
    return [word.strip().lower() for word in words if word.strip()]


def _mentions(info: ModelInfo, word: str) -> bool:
    return word in info.id.lower() or word in info.name.lower() or word in (info.owner or "").lower()


def _affordable(info: ModelInfo, name: str, limit: Price | None, unknown: bool) -> bool | None:
    if limit is None:
        return True
    pricing = info.pricing or Pricing()
    # A price by the length of the prompt has to hold for the longest.
    prices: list[Decimal | None] = [getattr(part, name) for part in pricing.tiers or (pricing,)]
    known = [price for price in prices if price is not None]
    if len(known) < len(prices):
        # What is sold by the call has no price per token to compare.
        return False if pricing.per_call is not None else unknown or None
    return max(known) <= _decimal(limit)


def _decimal(value: Price) -> Decimal:
    # Through repr, so that max_input_price=0.15 finds what costs 0.15: the float is a little less than the decimal.
    return Decimal(repr(value)) if isinstance(value, float) else Decimal(value)


def _sorted(models: list[ModelInfo], sort: str, descending: bool) -> list[ModelInfo]:
    key = _SORT_KEYS.get(_SORT_ALIASES.get(sort, sort))
    if key is None:
        raise ConfigurationError(f"Models cannot be sorted by {sort!r}. Sort by one of {', '.join(_SORT_KEYS)}.")
    ordered = sorted(models, key=_SORT_KEYS["id"])
    known = [info for info in ordered if key(info) is not None]
    # What is not known comes last in either direction.
    return sorted(known, key=key, reverse=descending) + [info for info in ordered if key(info) is None]
