"""Tables and timelines are escaped and readable in dark notebooks."""

from __future__ import annotations

import re

import pytest

from hubmix._html import Html, table
from hubmix.catalog import ModelInfo, ModelList
from hubmix.wire.trace import Attempt, Trace


def text_of(html: str) -> list[list[str]]:
    """The cells of each row, as a viewer shows them that drops every style."""
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", html)
    return [re.findall(r"<t[hd][^>]*>(?:<code[^>]*>)?(.*?)(?:</code>)?</t[hd]>", row) for row in rows]


def test_cells_are_escaped_unless_they_are_html() -> None:
    html = table(("a", "b"), [("<i>", Html("<i>x</i>"))], caption="<c>", note="<n>")
    assert text_of(html) == [["a", "b"], ["&lt;i&gt;", "<i>x</i>"]]
    assert "&lt;c&gt;" in html
    assert "&lt;n&gt;" in html


def test_without_headings_the_first_cell_is_one() -> None:
    assert "<th" in table((), [("a", "b")])
    assert "<thead>" not in table((), [("a", "b")])
    assert "<table" not in table(("a", "b"), [])


def test_numbers_are_on_the_right_and_a_total_stands_out() -> None:
    html = table(("a", "b"), [("x", "1"), ("total", "1")], numeric={1}, total=True)
    assert re.findall(r"<(t[hd]) style=\"text-align:(\w+)", html) == [
        *(("th", "left"), ("th", "right")),
        *(("td", "left"), ("td", "right")),
        *(("th", "left"), ("td", "right")),
    ]


def test_columns_without_a_single_fact_are_left_out() -> None:
    rerank = ModelInfo("r", owner="o", kind="rerank")
    assert text_of(ModelList([rerank])._repr_html_()) == [["id", "owner", "kind"], ["r", "o", "rerank"]]
    both = ModelList([rerank, ModelInfo("c", context_window=8_192)])
    assert text_of(both._repr_html_())[0] == ["id", "owner", "kind", "context"]


def test_column_of_sentences_is_not_squeezed_on_a_narrow_page() -> None:
    html = table(("a", "b"), [("x", "a sentence " * 5), ("y", "short")])
    assert html.count("min-width") == 2
    assert "min-width" not in table(("a", "b"), [("x", "short")])


ATTEMPTS = [
    Attempt("a", "error", "server", 502, reason="It failed.", latency_ms=100.0, request_id="2026-id"),
    Attempt("a", "error", "no_channel", 503, "model_not_found", reason="Nobody.", waited_ms=200.0, latency_ms=100.0),
    Attempt("b", "skipped", "no_channel", reason="The breaker is open."),
    Attempt("c", "ok", waited_ms=0.2, latency_ms=800.0),
]


def test_a_timeline_has_a_bar_for_each_attempt_where_it_belongs() -> None:
    trace = Trace("a", "c", ATTEMPTS)
    heading, *rows = text_of(trace._repr_html_())
    assert heading == ["model", "time", "waited", "took", "what happened"]
    bars = [row[1].replace("\N{NO-BREAK SPACE}", ".") for row in rows]
    assert bars == ["██", "..░░░░██", "", "........████████████████"]
    assert [row[2:4] for row in rows] == [["", "100 ms"], ["200 ms", "100 ms"], ["", ""], ["", "800 ms"]]
    assert rows[0][4] == "✗ failed: It failed. (server, HTTP 502)"
    assert rows[1][4] == "✗ failed: Nobody. (no_channel, HTTP 503, code model_not_found)"
    assert rows[2][4] == "– passed over: The breaker is open. (no_channel)"
    assert rows[3][4] == "✓ answered"
    assert "<strong>a → c</strong>" in trace._repr_html_()
    assert "1,200 ms in all" in trace._repr_html_()


@pytest.mark.parametrize("latencies", [(0.0, 0.0), (0.001, 5_000.0), (5_000.0, 0.001), (None, None), (1.0, 1.0)])
def test_every_attempt_is_to_be_seen_within_the_width(latencies: tuple[float | None, ...]) -> None:
    trace = Trace("a", None, [Attempt("a", "error", latency_ms=latency) for latency in latencies])
    bars = [row[1] for row in text_of(trace._repr_html_())[1:]]
    assert all(bar.endswith("█") and len(bar) <= 24 for bar in bars)


def test_text_of_a_route_that_was_not_asked_says_why() -> None:
    trace = Trace("a", "c", [Attempt("b", "skipped", "skipped", reason="It has no tools."), *ATTEMPTS[3:]])
    assert str(trace).splitlines()[1:] == ["  – passed over: b (It has no tools)", "  ✓ answered: c, 800 ms"]
    assert "– passed over: It has no tools.</td>" in trace._repr_html_()


def test_a_trace_without_attempts_or_switch_shows_too() -> None:
    assert "a → no answer" in Trace("a")._repr_html_()
    assert "<strong>a</strong>" in Trace("a", "a", [Attempt("a", "ok", latency_ms=1.0)])._repr_html_()


def test_a_trace_comes_back_from_what_the_frameworks_keep() -> None:
    trace = Trace("a", "c", ATTEMPTS)
    assert Trace.from_dict(trace.to_dict()) == trace
    later = {"requested": "a", "attempts": [{"model": "a", "outcome": "ok", "a_field_to_come": 1}], "more": 2}
    assert Trace.from_dict(later) == Trace("a", None, [Attempt("a", "ok")])
