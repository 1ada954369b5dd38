"""The benchmarks run and report; no test decides how fast anything is."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from benchmarks import __main__ as program
from benchmarks import catalog, comparison, failover, money, report, responses, routing, speed, startup
from benchmarks.comparison import CASES, CLIENTS, QUESTION, Result
from benchmarks.comparison_page import page
from benchmarks.contenders import (
    chat_hubmix,
    check,
    history,
    hub_alone,
    hubmix_llm,
    installed,
    langchain_floor,
    raw_http,
)
from benchmarks.measure import TINY, Timings
from benchmarks.outcomes import Expected, Outcome, Received, judge
from benchmarks.results import Figure, Section
from benchmarks.routing_runs import TINY as TINY_ROUTING
from benchmarks.routing_runs import percentile
from benchmarks.server import ANSWER, DEAD, Loopback

pytestmark = pytest.mark.slow

FEW = {"Hub": hub_alone, "LangChain alone": langchain_floor, "ChatHubmix": chat_hubmix}


@pytest.fixture(autouse=True)
def log_levels_kept() -> Iterator[None]:
    """Restore the log levels, which the programs change for the process."""
    known = [
        logging.getLogger(name)
        for name in ("hubmix", "llama_index", "httpx", "httpx2", "openai", "langchain", "langgraph")
    ]
    before = [(logger, logger.level) for logger in known]
    yield
    for logger, level in before:
        logger.setLevel(level)


@pytest.fixture(scope="module")
def server() -> Iterator[Loopback]:
    with Loopback() as running:
        yield running


def test_both_classes_are_measured_over_responses(server: Loopback) -> None:
    tables = responses.measure(server, TINY).tables
    assert len(tables) == 2
    assert all({"ChatHubmix", "Hubmix"} <= table.keys() and min(table.values()) > 0 for table in tables.values())


def test_ratios_are_taken_round_by_round() -> None:
    timings = Timings({"ours": [1.0, 10.0, 3.0], "theirs": [2.0, 20.0, 12.0]})
    assert timings.ratio("ours", "theirs") == 0.5
    assert timings.table == {"ours": 3.0, "theirs": 12.0}


def test_a_target_is_met_up_to_its_last_digit() -> None:
    assert Figure("call", 0.6504, "×", "peer", 0.65).met is True
    assert Figure("call", 0.6516, "×", "peer", 0.65).met is False
    assert Figure("call", 0.9, "×", "peer").met is None


@pytest.mark.parametrize("make", [raw_http, hub_alone, chat_hubmix, hubmix_llm])
def test_clients_read_what_the_server_sends(server: Loopback, make: Any) -> None:
    check(make(server.burst))


def test_a_stream_may_come_a_packet_at_a_time(server: Loopback) -> None:
    check(hub_alone(server.drip))


def test_a_client_that_reads_something_else_is_not_timed(server: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.contenders.ANSWER", "Something else.")
    with pytest.raises(RuntimeError, match=ANSWER):
        check(hub_alone(server.burst))


def test_a_missing_peer_is_named(server: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "langchain_openai", None)
    clients, missing = installed(server.burst)
    assert "ChatHubmix" in [client.name for client in clients]
    assert any(line.startswith("ChatOpenAI: not measured") for line in missing)


def test_the_server_counts_by_model(server: Loopback) -> None:
    server.counts()
    hub_alone(server.burst).call([{"role": "user", "content": "Hello"}])
    assert server.counts() == {"bench": 1}
    assert server.counts() == {}


def test_a_history_ends_with_the_question() -> None:
    turns = history(4)
    assert [role for role, _ in turns] == ["user", "assistant", "user", "assistant", "user"]


def test_speed_is_measured_with_every_kind_of_work(server: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.contenders.EVERYONE", FEW)
    monkeypatch.setattr(speed, "TURNS", 10)
    found = speed.measure(server, TINY)
    works = list(found.tables)
    assert len(works) == 6
    assert all("ChatHubmix" in table for table in found.tables.values())
    assert all(ms > 0 for table in found.tables.values() for ms in table.values())
    assert any(figure.work.startswith("of it the converter") for figure in found.figures)


def test_a_fresh_interpreter_makes_no_connection_before_the_call(server: Loopback) -> None:
    ran = startup.fresh("langchain_hubmix", server.burst)
    assert ran is not None
    assert ran["early"] == []
    assert ran["tiktoken"] is False
    assert ran["first answer"] >= ran["import"] > 0


def test_a_dead_first_model_costs_one_request_and_then_none(server: Loopback) -> None:
    found = failover.measure(server, TINY, patient=False)
    values = {figure.work: figure.value for figure in found.figures}
    assert values["dead first model: extra requests"] == 1
    assert values["dead first model: extra requests while its breaker is open"] == 0
    assert DEAD not in server.counts()


def test_the_catalog_that_is_measured_is_a_whole_one() -> None:
    found = catalog.measure(TINY)
    assert [figure.met is not None for figure in found.figures] == [True] * 4


def test_money_is_measured_switched_off_and_on() -> None:
    found = money.measure(TINY).figures
    assert sum(figure.target == 20.0 for figure in found) == 4
    assert all(figure.value > 0 for figure in found)


def test_routing_writes_page_and_plot(tmp_path: Any) -> None:
    target = tmp_path / "page.md"
    assert routing.main(["--write", str(target)], TINY_ROUTING) == 0
    text = target.read_text(encoding="utf-8")
    assert "| some calls stall |" in text
    assert text.count("| yes |") + text.count("| **no** |") == 4
    assert target.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


def test_percentiles_are_values_that_were_seen() -> None:
    assert percentile([3.0, 1.0, 2.0], 50) == 3.0
    assert percentile([1.0], 99) == 1.0


def test_the_program_writes_page_and_numbers(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "page.md"
    assert program.main(["--effort", "tiny", "--only", "catalog", "--write", str(target)]) == 0
    text = target.read_text(encoding="utf-8")
    assert "| read a catalog of 1,000 models (json.loads of the same text" in text
    numbers = json.loads(target.with_suffix(".json").read_text(encoding="utf-8"))
    assert [figure["unit"] for figure in numbers["figures"]] == ["ms", "µs", "µs", "µs"]
    assert "read a catalog" in capsys.readouterr().out


def test_the_report_shows_targets_times_and_what_is_missing() -> None:
    found = Section(
        [Figure("one call", 0.5, "×", "ChatOpenAI", 0.65), Figure("stream", 0.4, "×", "ChatOpenAI", 0.22)],
        {"one call": {"ChatOpenAI": 2.0, "ChatHubmix": 1.0}, "construct, ms": {"ChatHubmix": 0.03}},
        ["OpenAILike: not measured"],
    )
    about = {"python": "3", "system": "x", "cores": 2, "load": 9.0, "packages": {"openai": "2", "httpx2": None}}
    text = report.to_markdown(found, about, "plot.png")
    assert "| one call | 0.5 × ChatOpenAI | ≤ 0.65 × | yes |" in text
    assert "| stream | 0.4 × ChatOpenAI | ≤ 0.22 × | **no** |" in text
    assert "| ChatHubmix | 1 |" in text
    assert "load 9.0 on 2 cores" in text
    assert "(plot.png)" in text
    assert "- OpenAILike: not measured." in text
    assert report.missed(found) == ["stream: 0.4 ×, target 0.22, 82% more than it"]
    assert "- stream: 0.4 ×, target 0.22, 82% more than it." in text


def test_a_missed_target_in_milliseconds_says_what_counts_in_it() -> None:
    about = {"python": "3", "system": "x", "cores": 2, "load": 0.1, "packages": {}}
    slow, requests = Figure("read", 40.0, "ms", "", 30.0), Figure("asked", 1.0, "requests", "", 0.0)
    assert "idle machine" in report.to_markdown(Section([slow]), about)
    text = report.to_markdown(Section([requests]), about)
    assert "- asked: 1 requests, target 0." in text
    assert "idle machine" not in text
    assert "Missed" not in report.to_markdown(Section([Figure("read", 20.0, "ms", "", 30.0)]), about)


def test_the_plot_is_drawn(tmp_path: Any) -> None:
    found = Section(tables={"one call": {"ChatOpenAI": 2.0, "ChatHubmix": 1.0}, "memory": {"openai": 66.0}})
    target = tmp_path / "plot.png"
    assert report.draw(found, target)
    assert target.read_bytes().startswith(b"\x89PNG")
    assert not report.draw(Section(tables={"memory": {"openai": 66.0}}), target)


A, B = "The sky is blue.", "Why is it so?"
OUTCOMES = {
    "whole": (Received(A), Outcome.WHOLE),
    "whole, of the second": (Received(B), Outcome.WHOLE),
    "mixture": (Received("The sky" + B), Outcome.MIXTURE),
    "half": (Received("The sky"), Outcome.HALF),
    "half and marked": (Received("The sky", marked=True), Outcome.MARKED),
    "nothing": (Received(), Outcome.SILENT),
    "error": (Received(error=ValueError()), Outcome.ERROR),
    "error, late": (Received("The", error=ValueError()), Outcome.ERROR_AFTER),
    "waiting": (Received("The", waiting=True), Outcome.WAITING),
}


@pytest.mark.parametrize(("got", "outcome"), OUTCOMES.values(), ids=OUTCOMES)
def test_outcomes_of_text(got: Received, outcome: Outcome) -> None:
    assert judge(got, Expected(A, B)) is outcome


def test_outcomes_of_tool_calls() -> None:
    expected = Expected("", "", {"city": "Paris"})
    assert judge(Received(calls=[{"city": "Paris"}]), expected) is Outcome.WHOLE
    assert judge(Received(calls=[{"city": "Par"}]), expected) is Outcome.HALF_CALL
    assert judge(Received(marked=True), expected) is Outcome.MARKED
    assert judge(Received(), expected) is Outcome.SILENT


def test_what_cannot_be_told_is_an_error_of_the_comparison() -> None:
    with pytest.raises(RuntimeError, match="Another"):
        judge(Received("Another text"), Expected(A, B))


def test_the_models_of_the_comparison_begin_differently() -> None:
    expected = comparison._expected(tool=False)
    assert expected.first
    assert expected.second == QUESTION
    assert expected.first[0] != expected.second[0]


def test_the_comparison_runs_and_makes_a_page() -> None:
    wanted = {"nothing", "your account at the hub is empty (403)", "an error in the middle", "a tool call is cut short"}
    cases = tuple(case for case in CASES if case.name in wanted)
    ours = tuple(client for client in CLIENTS if client.name == "ChatHubmix")
    results = list(comparison.compare(cases, ours))
    found = {(result.case.name, result.stream): result for result in results}
    assert len(cases) == len(wanted)
    assert found["nothing", False].outcome is found["nothing", True].outcome is Outcome.WHOLE
    empty = found["your account at the hub is empty (403)", True]
    assert (empty.outcome, empty.received.requests) == (Outcome.ERROR, {"first": 1})
    assert found["an error in the middle", True].outcome is Outcome.ERROR_AFTER
    assert found["a tool call is cut short", True].outcome is Outcome.ERROR
    assert _cells(page(results)) >= len(results)


def test_the_page_sets_off_what_does_harm() -> None:
    text = page([Result(CASES[0], "ChatHubmix", True, Received("The sky"), Outcome.HALF)])
    assert "**half an answer, taken as whole**" in text


def _cells(text: str) -> int:
    return text.count(" requests, ")
