"""What calls cost together: a running total for each hub, and blocks of code that count their own calls.

A block counts the calls of its context: of its thread, of the asyncio tasks started in it, and of threads that were
started with a copy of the context, as LangChain's, LlamaIndex's and `asyncio.to_thread`'s are. Blocks nest; each counts
what happens inside the inner ones too.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from decimal import Decimal
from types import TracebackType

from hubmix._html import table
from hubmix._text import plain
from hubmix.wire import Usage
from hubmix.wire.values import Cost


@dataclass(frozen=True, slots=True)
class ModelSpending:
    """The calls that one model answered: how many, their tokens, and what they cost in USD as far as that is known."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    total: Decimal = Decimal(0)
    complete: bool = True

    def plus(self, usage: Usage | None, cost: Cost | None) -> ModelSpending:
        """The same after one more call."""
        known = cost is not None and cost.complete and cost.total is not None
        return ModelSpending(
            calls=self.calls + 1,
            input_tokens=self.input_tokens + (usage.input_tokens if usage else 0),
            output_tokens=self.output_tokens + (usage.output_tokens if usage else 0),
            total=self.total + (cost.total if known and cost is not None and cost.total is not None else 0),
            complete=self.complete and known,
        )


class Spending:
    """What calls cost. Thread-safe; reading it while calls go on gives the state at that moment.

    Example:
        ```python
        with hub.spending() as spent:
            hub.chat({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}]})
        print(spent.total, spent.by_model)  # 0.0000423 {'gpt-4o-mini': Decimal('0.0000423')}
        ```
    """

    def __init__(self) -> None:
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
    def by_model(self) -> dict[str, Decimal]:
        """USD for each model, as far as known."""
        return {model: spent.total for model, spent in self.models.items()}

    @property
    def total(self) -> Decimal:
        """USD, as far as known: where `complete` is False, what was really charged is more."""
        return sum((spent.total for spent in self.models.values()), Decimal(0))

    @property
    def calls(self) -> int:
        """How many calls were answered, to the end or in part."""
        return sum(spent.calls for spent in self.models.values())

    @property
    def input_tokens(self) -> int:
        """Tokens sent, cached ones included."""
        return sum(spent.input_tokens for spent in self.models.values())

    @property
    def output_tokens(self) -> int:
        """Tokens received, reasoning included."""
        return sum(spent.output_tokens for spent in self.models.values())

    @property
    def tokens(self) -> int:
        """Tokens sent and received."""
        return sum(spent.input_tokens + spent.output_tokens for spent in self.models.values())

    @property
    def complete(self) -> bool:
        """False where the cost of some call is not known, such as a stream that was left or cut off before its end."""
        return all(spent.complete for spent in self.models.values())

    def __repr__(self) -> str:
        rest = "" if self.complete else ", and some calls of unknown price"
        calls = f"{self.calls:,} call{'' if self.calls == 1 else 's'}"
        return f"<Spending USD {plain(self.total)}{rest}; {calls}, {self.tokens:,} tokens>"

    def _repr_html_(self) -> str:
        return _html(self.models)

    def __getstate__(self) -> dict[str, ModelSpending]:
        return self.models

    def __setstate__(self, models: dict[str, ModelSpending]) -> None:
        Spending.__init__(self)
        self._models = dict(models)


class HubSpending(Spending):
    """What `hub.spending()` returns: the hub's total in this process so far, and with `with`, a block of its own.

    The block is a new `Spending` each time; the same object may be entered several times, nested and in many threads.
    """

    def __init__(self) -> None:
        super().__init__()
        self._pid = os.getpid()

    def __enter__(self) -> Spending:
        block = Spending()
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


_blocks: ContextVar[tuple[tuple[HubSpending, Spending], ...]] = ContextVar("hubmix_spending", default=())
_totals: dict[str, HubSpending] = {}


def spending(hub_key: str) -> HubSpending:
    """The running total of a hub in this process. `hub_key` names the hub and the key, without being the key."""
    # setdefault is one step: of two threads that come at once, both get the same.
    return _totals.get(hub_key) or _totals.setdefault(hub_key, HubSpending())


def record(hub_key: str, model: str, usage: Usage | None, cost: Cost | None) -> None:
    """Count one answered call, in the hub's total and in every block of that hub around the caller.

    Args:
        hub_key: the hub and the key, as for `spending`.
        model: the id that answered.
        usage: its tokens, where the hub gave them.
        cost: what the catalog says it cost; None counts as unknown.
    """
    hub = spending(hub_key)
    hub.add(model, usage, cost)
    for owner, block in _blocks.get():
        if owner is hub:
            block.add(model, usage, cost)


def _after_fork() -> None:
    # A lock that another thread held in the parent would stay locked here for ever; the child's own spending is new.
    _totals.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)

_HEADINGS = ("model", "calls", "input tokens", "output tokens", "USD")


def _html(models: Mapping[str, ModelSpending]) -> str:
    total = ModelSpending(
        calls=sum(spent.calls for spent in models.values()),
        input_tokens=sum(spent.input_tokens for spent in models.values()),
        output_tokens=sum(spent.output_tokens for spent in models.values()),
        total=sum((spent.total for spent in models.values()), Decimal(0)),
        complete=all(spent.complete for spent in models.values()),
    )
    rows = [_row(name, spent) for name, spent in (*models.items(), ("total", total))]
    return table(_HEADINGS, rows, numeric=range(1, len(_HEADINGS)), total=True)


def _row(name: str, spent: ModelSpending) -> tuple[str, ...]:
    amount = plain(spent.total) + ("" if spent.complete else " + unknown")
    return name, f"{spent.calls:,}", f"{spent.input_tokens:,}", f"{spent.output_tokens:,}", amount
