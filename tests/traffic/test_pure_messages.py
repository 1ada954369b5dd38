"""Every recorded exchange of the Messages API through the pure readers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.traffic import corpus

pytestmark = pytest.mark.skipif(not corpus.PRESENT, reason=corpus.REASON)


def load() -> tuple[Any, list[dict[str, Any]]]:
    import replay_messages

    return replay_messages, replay_messages.load(path=str(corpus.FILES["messages"]))


@pytest.mark.parametrize("pieces", [0, 7], ids=["whole", "7-byte-pieces"])
def test_nothing_is_lost(pieces: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.traffic.pure_messages import adapter

    monkeypatch.setenv("REPLAY_CHUNK", str(pieces))
    tool, exchanges = load()
    stats, detail = tool.run("pure", adapter, exchanges)
    assert not detail, {problem: rows[:5] for problem, rows in detail.items()}
    assert stats["lossless"] == stats["n ok"] > 500


def test_every_cut_and_error_is_noticed() -> None:
    from tests.traffic.pure_messages import adapter

    tool, exchanges = load()
    cut, errors = tool.run_cut(adapter, exchanges), tool.run_errors(adapter, exchanges)
    assert cut["n"] > 1000
    assert not cut["silent"]
    assert errors["n errors"] > 1000
    assert not errors["swallowed"] + errors["raised without the server's words"]
    assert errors["early end said"] == errors["n early ends"]


def test_every_answer_fits_a_strict_server_as_history() -> None:
    from tests.traffic.pure_messages import adapter

    tool, exchanges = load()
    stats, detail = tool.run_again(adapter, exchanges)
    assert not detail, {problem: rows[:5] for problem, rows in detail.items()}
    assert stats["fit"] == stats["n"] > 500


def test_deltas_add_up_to_the_whole_answer() -> None:
    from tests.traffic.pure_messages import streamed

    tool, exchanges = load()
    seen = 0
    for exchange in exchanges:
        truth = tool.oracle(exchange)
        if not exchange["is_stream"] or truth["error"] or truth["incomplete"]:
            continue
        reply, said = streamed(exchange)
        calls = [call.arguments or "{}" for call in reply.tool_calls]
        assert said == {"text": reply.text, "reasoning": reply.reasoning, "calls": calls}, exchange["id"]
        seen += 1
    assert seen > 100
