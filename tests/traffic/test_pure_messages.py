"""Every recorded exchange of the Messages API through the pure readers."""

from __future__ import annotations

import pytest

from tests.traffic import corpus
from tests.traffic.replaying import check_cuts_and_errors, check_nothing_left, load_messages

pytestmark = pytest.mark.skipif(not corpus.PRESENT, reason=corpus.REASON)


@pytest.mark.parametrize("pieces", [0, 7], ids=["whole", "7-byte-pieces"])
def test_nothing_is_lost(pieces: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.traffic.pure_messages import adapter

    monkeypatch.setenv("REPLAY_CHUNK", str(pieces))
    tool, exchanges = load_messages()
    stats, detail = tool.run("pure", adapter, exchanges)
    check_nothing_left(detail)
    assert stats["lossless"] == stats["n ok"] > 500


def test_every_cut_and_error_is_noticed() -> None:
    from tests.traffic.pure_messages import adapter

    tool, exchanges = load_messages()
    check_cuts_and_errors(tool, adapter, exchanges, cuts=1000)


def test_every_answer_fits_a_strict_server_as_history() -> None:
    from tests.traffic.pure_messages import adapter

    tool, exchanges = load_messages()
    stats, detail = tool.run_again(adapter, exchanges)
    check_nothing_left(detail)
    assert stats["fit"] == stats["n"] > 500


def test_deltas_add_up_to_the_whole_answer() -> None:
    from tests.traffic.pure_messages import streamed

    tool, exchanges = load_messages()
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
