"""`hub.compare`: the same prompts through several models, as one table."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from hubmix import BudgetExceededError, ConfigurationError, Hub
from hubmix.embedded import EmbeddedHub, Fault
from tests.hub.conftest import MODEL, OTHER


def test_rows_stand_in_the_order_of_prompts_and_models(hub: Hub) -> None:
    found = hub.compare(["one", "two"], [OTHER, MODEL], temperature=0)
    assert [(row.prompt, row.model) for row in found] == [
        ("one", OTHER),
        ("one", MODEL),
        ("two", OTHER),
        ("two", MODEL),
    ]
    assert all(row.answer and row.first_token_s is not None for row in found)
    assert list(found.to_pandas().columns) == [
        *("prompt", "model", "answer", "first_token_s", "tokens_per_s", "cost", "error")
    ]


def test_one_prompt_has_no_column_of_its_own(hub: Hub) -> None:
    found = hub.compare("Hello", [OTHER])
    assert list(found.to_pandas().columns) == ["model", "answer", "first_token_s", "tokens_per_s", "cost", "error"]
    assert "Hello" in repr(found)
    assert "<table" in found._repr_html_()


def test_messages_are_one_prompt(hub: Hub, server: EmbeddedHub) -> None:
    messages = [{"role": "system", "content": "Be short."}, {"role": "user", "content": "Hello"}]
    (row,) = hub.compare(messages, OTHER)
    assert row.prompt == "Hello"
    (sent,) = [request for request in server.requests if request.path.endswith("/chat/completions")]
    assert sent.json["messages"] == messages


def test_failed_call_is_a_row_with_its_error(hub: Hub, server: EmbeddedHub) -> None:
    server.fault(OTHER, Fault.error("vendor_503"), times=None)
    failed, answered = hub.compare("Hello", [OTHER, MODEL])
    assert failed.answer is None
    assert failed.to_dict()["error"]
    assert answered.error is None


def test_spending_block_around_it_counts_and_holds(server: EmbeddedHub) -> None:
    prices = {OTHER: {"pricing": {"input": "1", "output": "10"}}}
    with Hub(base_url=server.base_url, api_key=server.api_key, model_overrides=prices) as hub:
        with hub.spending() as spent:
            hub.compare(["one", "two"], [OTHER])
        assert spent.calls == 2
        with hub.spending(limit="0.001"):
            (row,) = hub.compare("Hello", [OTHER], max_tokens=1000)
    assert isinstance(row.error, BudgetExceededError)


def test_concurrency_bounds_the_calls_at_once(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    open_now, most, lock, reached = 0, 0, threading.Lock(), threading.Event()

    def stream_chat(self: Hub, payload: Any, options: Any = None) -> Any:
        nonlocal open_now, most
        with lock:
            open_now += 1
            most = max(most, open_now)
            if open_now == 2:
                reached.set()
        reached.wait(10)
        with lock:
            open_now -= 1
        yield from ()

    monkeypatch.setattr(Hub, "stream_chat", stream_chat)
    hub.compare(["a", "b", "c"], [OTHER, MODEL], concurrency=2)
    assert most == 2


@pytest.mark.parametrize("asked", [("", []), ("Hello", []), ([], [OTHER])])
def test_nothing_to_ask_is_an_error(hub: Hub, asked: tuple[Any, Any]) -> None:
    with pytest.raises(ConfigurationError, match="compare needs"):
        hub.compare(*asked)


def test_plot_has_a_point_for_each_priced_answer(hub: Hub) -> None:
    pytest.importorskip("matplotlib").use("agg")
    axes = hub.compare("Hello", [OTHER, MODEL]).plot()
    assert axes.get_xlabel() == "seconds to the first content"
