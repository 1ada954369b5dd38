"""What calls cost together: a total for each hub, and blocks of code.

A block counts the calls of its context: of its thread, of asyncio tasks started in it, and of threads that were started
with a copy of the context, as LangChain's, LlamaIndex's and `asyncio.to_thread`'s are. Blocks nest; each counts the
calls inside the inner ones too.
"""

from __future__ import annotations

import os
import threading
from contextvars import ContextVar
from dataclasses import dataclass
from decimal import Decimal
from types import TracebackType

from hubmix._html import table
from hubmix._text import plain
from hubmix.hub.budget import Budget
from hubmix.wire import Usage
from hubmix.wire.values import Cost


@dataclass(frozen=True, slots=True)
class ModelSpending:
    """The calls that one model answered.

    Attributes:
        calls: how many.
        input_tokens, output_tokens: their tokens.
        known: USD, as far as the prices are known.
        complete: False if the cost of some call is not known.
    """

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    known: Decimal = Decimal(0)
    complete: bool = True

    @property
    def total(self) -> Decimal | None:
        """USD; None if the cost of some call is not known."""
        return self.known if self.complete else None

    def plus(self, usage: Usage | None, cost: Cost | None) -> ModelSpending:
        """Return the same after one more call."""
        amount = cost.total if cost is not None and cost.complete else None
        return ModelSpending(
            calls=self.calls + 1,
            input_tokens=self.input_tokens + (usage.input_tokens if usage else 0),
            output_tokens=self.output_tokens + (usage.output_tokens if usage else 0),
            known=self.known + (amount or 0),
            complete=self.complete and amount is not None,
        )

    def __add__(self, other: ModelSpending) -> ModelSpending:
        return ModelSpending(
            self.calls + other.calls,
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.known + other.known,
            self.complete and other.complete,
        )

    def __str__(self) -> str:
        return plain(self.known) + ("" if self.complete else " + unknown")


class Spending:
    """What calls cost. Thread-safe.

    If a price is unknown, `total` is None and `known` is the sum of what is known.

    Example:
        ```python
        with hub.spending() as spent:
            hub.chat({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}]})
        print(spent.total, spent.by_model)  # 0.0000423 {'gpt-4o-mini': Decimal('0.0000423')}
        ```
    """

    def __init__(self, budget: Budget | None = None) -> None:
        self.budget = budget
        """What the block may spend, if it was given a limit."""
        self._models: dict[str, ModelSpending] = {}
        # Reentrant: a stream that nobody holds any more is counted wherever the garbage collector finds it.
        self._lock = threading.RLock()

    def add(self, model: str, usage: Usage | None, cost: Cost | None) -> None:
        """Count one call that `model` answered."""
        with self._lock:
            self._models[model] = self._models.get(model, ModelSpending()).plus(usage, cost)

    @property
    def models(self) -> dict[str, ModelSpending]:
        """Calls, tokens and cost of each model, in the order in which they first answered."""
        with self._lock:
            return dict(self._models)

    @property
    def by_model(self) -> dict[str, Decimal | None]:
        """USD for each model; None if the cost of some call of it is not known."""
        return {model: spent.total for model, spent in self.models.items()}

    @property
    def together(self) -> ModelSpending:
        """All models as one."""
        return sum(self.models.values(), ModelSpending())

    @property
    def total(self) -> Decimal | None:
        """USD; None if the cost of some call is not known."""
        return self.together.total

    @property
    def known(self) -> Decimal:
        """USD, as far as known: if `complete` is False, what was charged is more."""
        return self.together.known

    @property
    def calls(self) -> int:
        """How many calls were answered, to the end or in part."""
        return self.together.calls

    @property
    def input_tokens(self) -> int:
        """Tokens sent, cached ones included."""
        return self.together.input_tokens

    @property
    def output_tokens(self) -> int:
        """Tokens received, reasoning included."""
        return self.together.output_tokens

    @property
    def tokens(self) -> int:
        """Tokens sent and received."""
        together = self.together
        return together.input_tokens + together.output_tokens

    @property
    def complete(self) -> bool:
        """False if the cost of some call is not known, such as that of a cut stream."""
        return self.together.complete

    def __repr__(self) -> str:
        together = self.together
        rest = "" if together.complete else ", and some calls of unknown price"
        calls = f"{together.calls:,} call{'' if together.calls == 1 else 's'}"
        return f"<Spending USD {plain(together.known)}{rest}; {calls}, {self.tokens:,} tokens>"

    def _repr_html_(self) -> str:
        return _html(self)

    def __getstate__(self) -> dict[str, ModelSpending]:
        return self.models

    def __setstate__(self, models: dict[str, ModelSpending]) -> None:
        Spending.__init__(self)
        self._models = dict(models)


class HubSpending(Spending):
    """The hub's total in this process so far, and with `with`, a block of its own.

    The block is a new `Spending` each time; the same object may be entered several times, nested and in many threads.
    """

    def __enter__(self) -> Spending:
        return self._enter(Spending())

    def _enter(self, block: Spending) -> Spending:
        _blocks.set((*_blocks.get(), (self, block)))
        return block

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # By value and not by token: a generator or a notebook may leave the block in another context than it entered.
        blocks = list(_blocks.get())
        for position in range(len(blocks) - 1, -1, -1):
            if blocks[position][0] is self:
                del blocks[position]
                break
        _blocks.set(tuple(blocks))

    async def __aenter__(self) -> Spending:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)


class LimitedSpending:
    """A block that may spend so much, of `hub.spending(limit=…)`.

    Each use has the whole limit.

    Args:
        hub: the hub's total.
        limit: USD.
    """

    def __init__(self, hub: HubSpending, limit: str | Decimal | float) -> None:
        self._hub = hub
        self._limit = limit
        Budget(limit)  # refuses what is no amount, here and not when the block begins

    def __enter__(self) -> Spending:
        return self._hub._enter(Spending(Budget.private(self._limit)))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hub.__exit__(kind, error, trace)

    async def __aenter__(self) -> Spending:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)


_blocks: ContextVar[tuple[tuple[HubSpending, Spending], ...]] = ContextVar("hubmix_spending", default=())
_totals: dict[str, HubSpending] = {}


def spending(hub_key: str) -> HubSpending:
    """Return the total of a hub in this process; `hub_key` names hub and key."""
    # setdefault is one step: of two threads that come at once, both get the same.
    return _totals.get(hub_key) or _totals.setdefault(hub_key, HubSpending())


def budgets(hub_key: str) -> tuple[Budget, ...]:
    """The budgets of the blocks around the caller that are of this hub."""
    blocks = _blocks.get()
    if not blocks:
        return ()
    hub = spending(hub_key)
    return tuple(block.budget for owner, block in blocks if owner is hub and block.budget is not None)


def record(hub_key: str, model: str, usage: Usage | None, cost: Cost | None) -> None:
    """Count one answered call in the hub's total and in the blocks around it.

    Args:
        hub_key: the hub and the key, as for `spending`.
        model: the id that answered.
        usage: its tokens, if the hub gave them.
        cost: what the catalog says it cost; None counts as unknown.
    """
    hub = spending(hub_key)
    hub.add(model, usage, cost)
    for owner, block in _blocks.get():
        if owner is hub:
            block.add(model, usage, cost)


def _after_fork() -> None:
    # A lock that another thread held in the parent would stay locked here; the child's own spending is new.
    _totals.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)

_HEADINGS = ("model", "calls", "input tokens", "output tokens", "USD")


def _html(spending: Spending) -> str:
    rows = [_row(name, spent) for name, spent in (*spending.models.items(), ("total", spending.together))]
    return table(_HEADINGS, rows, numeric=range(1, len(_HEADINGS)), total=True)


def _row(name: str, spent: ModelSpending) -> tuple[str, ...]:
    return name, f"{spent.calls:,}", f"{spent.input_tokens:,}", f"{spent.output_tokens:,}", str(spent)
