"""What calls cost together: blocks, threads, tasks, and the total of a hub."""

from __future__ import annotations

import asyncio
import contextvars
import pickle
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest

from hubmix.catalog import Cost
from hubmix.hub import spending as module
from hubmix.hub.spending import record, spending
from hubmix.wire import Usage
from tests.support.forked import exit_code_of_child

HUB = "http://hub-a/v1 key-1"


@pytest.fixture(autouse=True)
def nothing_spent() -> Iterator[None]:
    module._totals.clear()
    yield
    module._totals.clear()


def call(amount: str | None = "0.001", model: str = "gpt", hub: str = HUB) -> None:
    cost = Cost(model, None if amount is None else Decimal(amount), complete=amount is not None)
    record(hub, model, Usage(100, 20, 120), cost)


def test_a_block_counts_its_own_calls() -> None:
    call()
    with spending(HUB) as spent:
        call("0.001")
        call("0.002", "claude")
        call("0.003", "claude")
    call()
    assert spent.total == Decimal("0.006")
    assert spent.by_model == {"gpt": Decimal("0.001"), "claude": Decimal("0.005")}
    assert (spent.calls, spent.tokens, spent.input_tokens, spent.output_tokens) == (3, 360, 300, 60)
    assert spent.models["claude"].calls == 2
    assert spent.complete


def test_without_a_block_it_is_the_total_so_far() -> None:
    total = spending(HUB)
    assert (total.total, total.calls, total.complete) == (0, 0, True)
    call()
    with spending(HUB):
        call()
    assert (total.calls, spending(HUB).calls) == (2, 2)
    assert spending("another hub").calls == 0


def test_only_the_calls_of_this_hub_count() -> None:
    with spending(HUB) as mine, spending("another") as other:
        call()
        call(hub="another")
        call(hub="a third")
    assert (mine.calls, other.calls) == (1, 1)


def test_blocks_nest_and_the_outer_one_counts_all() -> None:
    hub = spending(HUB)
    with hub as outer:
        call()
        with hub as inner:
            call()
        call()
        with hub as second:
            call()
    assert (outer.calls, inner.calls, second.calls) == (4, 1, 1)


def test_an_unknown_price_leaves_the_total_open() -> None:
    with spending(HUB) as spent:
        call("0.001")
        call(None, "mystery")
        record(HUB, "no cost", None, None)
    assert (spent.total, spent.known) == (None, Decimal("0.001"))
    assert not spent.complete
    assert "unknown price" in repr(spent)
    assert spent.by_model["mystery"] is None


def test_an_exception_leaves_the_block_in_order() -> None:
    blocks = []

    def fails() -> None:
        with spending(HUB) as spent:
            blocks.append(spent)
            call()
            raise ValueError("inside")

    with pytest.raises(ValueError, match="inside"):
        fails()
    call()
    assert blocks[0].calls == 1


def test_threads_with_a_copied_context_count_and_others_do_not() -> None:
    with spending(HUB) as spent:
        context = contextvars.copy_context()
        inside = threading.Thread(target=lambda: context.run(call))
        outside = threading.Thread(target=call)
        for thread in (inside, outside):
            thread.start()
            thread.join()
    assert spending(HUB).calls == 2
    # From Python 3.14 on, threads may inherit the context by themselves.
    assert spent.calls >= 1


async def test_tasks_count_in_the_block_that_started_them() -> None:
    async def work(amount: str) -> Decimal:
        with spending(HUB) as mine:
            for _ in range(3):
                await asyncio.sleep(0)
                call(amount)
        return mine.total

    async with spending(HUB) as spent:
        totals = await asyncio.gather(*(work(f"0.00{n}") for n in range(1, 5)))
        await asyncio.to_thread(call, "1")
    assert totals == [Decimal(f"0.00{n}") * 3 for n in range(1, 5)]
    assert spent.total == sum(totals) + 1


def test_a_block_left_in_another_context_is_left_all_the_same() -> None:
    def generator() -> Iterator[module.Spending]:
        with spending(HUB) as spent:
            yield spent

    running = generator()
    spent = contextvars.copy_context().run(next, running)
    call()
    running.close()
    assert spent.calls == 0
    assert module._blocks.get() == ()


def test_many_threads_lose_nothing() -> None:
    with spending(HUB) as spent, ThreadPoolExecutor(8) as pool:
        for _ in range(400):
            pool.submit(contextvars.copy_context().run, call, "0.0001")
    assert (spent.calls, spent.total) == (400, Decimal("0.04"))


def test_a_child_process_starts_at_zero() -> None:
    def call_once() -> None:
        call()
        assert spending(HUB).calls == 1

    call()
    assert exit_code_of_child(call_once) == 0
    assert spending(HUB).calls == 1


def test_how_it_looks() -> None:
    with spending(HUB) as spent:
        call("0.0010", "<b>gpt</b>")
        call(None)
    html = spent._repr_html_()
    assert "&lt;b&gt;gpt&lt;/b&gt;" in html
    assert "0.001 + unknown" in html
    assert "240" not in html
    assert "200" in html
    assert repr(spent) == "<Spending USD 0.001, and some calls of unknown price; 2 calls, 240 tokens>"
    assert pickle.loads(pickle.dumps(spent)).by_model == spent.by_model
