"""Budgets in USD: reserve an amount before a call, settle its real cost after it."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, InvalidOperation
from typing import Any, Literal

from hubmix._html import table
from hubmix._text import plain
from hubmix.errors import BudgetExceededError, ConfigurationError, HubmixError
from hubmix.hub.ledger import Ledger, MemoryLedger, RedisLedger, SQLiteLedger
from hubmix.transport.stores import read_store

Period = Literal["hour", "day", "month"]
_PERIODS = (None, "hour", "day", "month")
_PICO = Decimal(1_000_000_000_000)


class Budget:
    """A limit in USD that hubs, models and both frameworks share.

    Before each request the most it can cost is reserved; afterwards the reservation is settled at the real cost. The
    sum of both never passes the limit, whatever runs at the same time. Two budgets with the same `store`, `name` and
    `per` count in one ledger; the limit is each one's own.

    Args:
        limit: USD, as text, `Decimal`, int or float. `"0"` lets only free models through.
        per: the period that the limit is for, `"hour"`, `"day"` or `"month"`, from its start in UTC; None: for good.
        store: None counts in this process, `"sqlite:///path"` for the processes of one machine,
            `"redis://…"` for several machines (`ratelimit` extra).
        name: tells ledgers in one store apart.
        unknown_price: `"refuse"` a model whose price the catalog does not know, or `"allow"` it, uncounted.

    Raises:
        ConfigurationError: the limit, period or store cannot be used.

    Example:
        >>> budget = Budget("5.00", per="day", name="docs")
        >>> budget.left
        Decimal('5.00')
    """

    def __init__(
        self,
        limit: str | Decimal | float,
        *,
        per: Period | None = None,
        store: str | None = None,
        name: str = "default",
        unknown_price: Literal["refuse", "allow"] = "refuse",
    ) -> None:
        if per not in _PERIODS:
            raise ConfigurationError(f"per must be None, 'hour', 'day' or 'month', not {per!r}.")
        if unknown_price not in ("refuse", "allow"):
            raise ConfigurationError(f"unknown_price must be 'refuse' or 'allow', not {unknown_price!r}.")
        self.limit = _dollars(limit)
        self.per = per
        self.store = store
        self.name = name
        self.unknown_price = unknown_price
        self._private: Ledger | None = None

    @classmethod
    def private(cls, limit: str | Decimal | float) -> Budget:
        """A budget with a ledger of its own in this process, for one block of code."""
        budget = cls(limit, name="this block")
        budget._private = MemoryLedger()
        return budget

    @property
    def ledger(self) -> Ledger:
        """Where it counts."""
        return self._private or _ledger(self.store, self.name)

    @property
    def period(self) -> str:
        """The current period as text, such as `"2026-11-26"`."""
        return _period(self.per, self.ledger.now)

    @property
    def resets_at(self) -> datetime | None:
        """When the current period ends, in UTC; None without `per`."""
        return _resets_at(self.per, self.ledger.now())

    @property
    def spent(self) -> Decimal:
        """USD that settled calls of the current period cost."""
        return _usd(self.ledger.balance(self.period).spent)

    @property
    def reserved(self) -> Decimal:
        """USD that calls under way may still cost."""
        return _usd(self.ledger.balance(self.period).reserved)

    @property
    def left(self) -> Decimal:
        """USD that further calls may reserve; never below 0."""
        state = self.ledger.balance(self.period)
        return max(self.limit - _usd(state.spent + state.reserved), Decimal(0))

    @property
    def by_model(self) -> dict[str, Decimal]:
        """USD of the current period for each model that served."""
        return {model: _usd(amount) for model, amount in self.ledger.balance(self.period).by_model.items()}

    def __repr__(self) -> str:
        # The URL of a store may hold a password.
        where = "" if self.store is None else f", store={self.store.partition(':')[0]!r}"
        return f"Budget({plain(self.limit)!r}, per={self.per!r}{where}, name={self.name!r})"

    def _repr_html_(self) -> str:
        state = self.ledger.balance(self.period)
        bar = _bar(_usd(state.spent), _usd(state.reserved), self.limit)
        rows = [(model, plain(_usd(amount))) for model, amount in state.by_model.items()]
        rows.append(("total", plain(_usd(state.spent))))
        note = f"{bar} {plain(_usd(state.spent))} of {plain(self.limit)} USD" + (f" a {self.per}" if self.per else "")
        return table(("model", "USD"), rows, numeric={1}, total=True, note=note)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Budget) and self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def _identity(self) -> tuple[Any, ...]:
        own = None if self._private is None else id(self._private)
        return self.limit, self.per, self.store, self.name, self.unknown_price, own

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_private": None}

    def __deepcopy__(self, memo: dict[int, Any]) -> Budget:
        return self  # a copy of a model is held to the same limit


@dataclass(frozen=True, slots=True)
class Estimate:
    """The most that one request can cost, in USD.

    Args:
        model: the model that will be asked.
        input: the price of the estimated prompt; None if the catalog knows no price.
        output: the price of the longest answer.
        output_price: USD per 1,000,000 output tokens, to say which `max_tokens` would fit.
        by_call: whether `input` is the price of the call, however long it is.
    """

    model: str
    input: Decimal | None
    output: Decimal = Decimal(0)
    output_price: Decimal = Decimal(0)
    by_call: bool = False

    @property
    def price(self) -> Decimal | None:
        """Input and output together; None if unknown."""
        return None if self.input is None else self.total

    @property
    def total(self) -> Decimal:
        """Input and output together; 0 if unknown."""
        return (self.input or Decimal(0)) + self.output


class Reservation:
    """What one request holds in its budgets. Settling twice does nothing."""

    __slots__ = ("_entries", "_estimate")

    def __init__(self, estimate: Estimate) -> None:
        self._estimate = estimate
        self._entries: list[tuple[Ledger, str, str]] = []

    @property
    def is_shared(self) -> bool:
        """Whether settling may wait for a store outside this process."""
        return any(not isinstance(ledger, MemoryLedger) for ledger, _, _ in self._entries)

    def settle(self, cost: Decimal | None, model: str) -> None:
        """Count what the call cost; None counts what was reserved."""
        self._close(self._estimate.total if cost is None else cost, model)

    def keep_input(self) -> None:
        """Count the prompt alone: the hub may have billed the broken call."""
        self._close(self._estimate.input or Decimal(0), self._estimate.model)

    def release(self) -> None:
        """Count nothing: the request was refused before any work."""
        self._close(Decimal(0), self._estimate.model)

    def _close(self, amount: Decimal, model: str) -> None:
        entries, self._entries = self._entries, []
        for ledger, period, token in entries:
            # The answer is here and paid for. A store that is down keeps the reservation until it expires.
            with suppress(HubmixError):
                ledger.settle(period, token, _pico(amount), model)

    def __del__(self) -> None:
        if self._entries:
            self.keep_input()


def check_budget(budget: object) -> tuple[Budget, ...]:
    """Return the budget that was given, or nothing.

    Raises:
        ConfigurationError: it is no `Budget`.
    """
    if budget is None:
        return ()
    if not isinstance(budget, Budget):
        raise ConfigurationError(f'budget must be a Budget, such as Budget("5.00"), not {budget!r}.')
    return (budget,)


def reserve(
    budgets: Iterable[Budget], estimate: Estimate, *, seconds: float, patience: float | None = None
) -> Reservation:
    """Reserve the most a request can cost in every budget, or in none.

    Args:
        budgets: those that apply; the tightest decides.
        estimate: the most the request can cost.
        seconds: after which an abandoned reservation expires.
        patience: seconds that a store may take; two at most.

    Raises:
        BudgetExceededError: a budget has no room, or the model's price is unknown.
        HubConnectionError: the store of a budget cannot be reached.
    """
    held = Reservation(estimate)
    try:
        for budget in dict.fromkeys(budgets):
            if estimate.input is None:
                if budget.unknown_price == "refuse":
                    raise _unpriced(budget, estimate.model)
                continue
            ledger, period = budget.ledger, budget.period
            token = ledger.reserve(period, _pico(estimate.total), _pico(budget.limit), seconds, patience)
            if token is None:
                raise _exceeded(budget, estimate)
            held._entries.append((ledger, period, token))
    except BaseException:
        held.release()
        raise
    return held


def _exceeded(budget: Budget, estimate: Estimate) -> BudgetExceededError:
    spent, left = budget.spent, budget.left
    fits = None
    if estimate.output_price and left > (estimate.input or 0):
        fits = int((left - (estimate.input or 0)) * 1_000_000 / estimate.output_price)
    advice = f"max_tokens={fits} would fit. " if fits else ""
    resets = budget.resets_at
    again = f"The budget starts anew at {resets:%Y-%m-%d %H:%M} UTC. " if resets else ""
    return BudgetExceededError(
        f"The call of the model {estimate.model!r} could cost {_shown(estimate.total)} USD, and {budget!r} has "
        f"{_shown(left, ROUND_FLOOR)} USD left ({_shown(spent)} spent). Nothing was sent. {advice}{again}"
        f"Raise the limit, or choose a cheaper model.",
        spent=spent,
        left=left,
        could_cost=estimate.total,
        max_tokens=fits,
        model=estimate.model,
    )


def _unpriced(budget: Budget, model: str) -> BudgetExceededError:
    return BudgetExceededError(
        f"The price of the model {model!r} is unknown, so {budget!r} cannot count it. Nothing was sent. Give its price "
        f'with Hub(model_overrides={{{model!r}: {{"pricing": {{"input": "1", "output": "2"}}}}}}) (USD per 1,000,000 '
        f'tokens), or use Budget(unknown_price="allow").',
        spent=budget.spent,
        left=budget.left,
        model=model,
    )


def _dollars(value: str | Decimal | float) -> Decimal:
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        amount = Decimal("nan")
    if isinstance(value, bool) or not amount.is_finite() or amount < 0:
        raise ConfigurationError(f"A budget's limit is an amount in USD, such as '5.00', not {value!r}.")
    return amount


def _pico(amount: Decimal) -> int:
    return int((amount * _PICO).to_integral_value(ROUND_CEILING))


def _usd(pico: int) -> Decimal:
    amount = (Decimal(pico) / _PICO).normalize()
    return amount.quantize(Decimal("0.01")) if amount == amount.quantize(Decimal("0.01")) else amount


def _shown(amount: Decimal, rounding: str = ROUND_CEILING) -> str:
    """USD with six decimals, or with the first three digits of a smaller amount."""
    decimals = max(6, 2 - amount.adjusted()) if amount else 0
    return plain(amount.quantize(Decimal(1).scaleb(-decimals), rounding))


def _bar(spent: Decimal, reserved: Decimal, limit: Decimal) -> str:
    full = min(round(20 * spent / limit), 20) if limit else 20
    held = min(round(20 * reserved / limit), 20 - full) if limit else 0
    return "█" * full + "▒" * held + "░" * (20 - full - held)


def _period(per: Period | None, now: Callable[[], float]) -> str:
    if per is None:
        return "always"
    moment = datetime.fromtimestamp(now(), timezone.utc)
    return moment.strftime({"hour": "%Y-%m-%dT%H", "day": "%Y-%m-%d", "month": "%Y-%m"}[per])


def _resets_at(per: Period | None, now: float) -> datetime | None:
    if per is None:
        return None
    start = datetime.fromtimestamp(now, timezone.utc).replace(minute=0, second=0, microsecond=0)
    if per == "hour":
        return start + timedelta(hours=1)
    start = start.replace(hour=0)
    return start + timedelta(days=1) if per == "day" else (start.replace(day=1) + timedelta(days=32)).replace(day=1)


_ledgers: dict[tuple[str | None, str, int], Ledger] = {}
_lock = threading.Lock()


def _ledger(store: str | None, name: str) -> Ledger:
    """Return this process's ledger of a store and name; locks survive no fork."""
    key = (store, name, os.getpid())
    known = _ledgers.get(key)
    if known is None:
        with _lock:
            known = _ledgers.get(key) or _ledgers.setdefault(key, _make(store, name))
    return known


def _make(store: str | None, name: str) -> Ledger:
    key = "hubmix_budget_" + hashlib.sha256(name.encode()).hexdigest()[:24]
    if not store:
        return MemoryLedger()
    kind, place = read_store(store, "A budget's store")
    return SQLiteLedger(place, key) if kind == "sqlite" else RedisLedger(place, key)
