"""The table of expectations and the recordings cover each other."""

from __future__ import annotations

import json

import pytest

from tests.gateway.pages import recorded
from tests.gateway.table import KINDS, Case, Expected, Usage, read_table, recordings, table


def test_recordings_and_expectations_cover_each_other():
    expected, recorded = set(table()), recordings()
    assert recorded - expected == set(), "recorded, but nothing is expected"
    assert expected - recorded == set(), "expected, but not recorded"
    assert len(recorded) == 1110


def test_expectation_has_a_step_for_each_request():
    wrong = [case.id for case in table().values() if not fits(case)]
    assert wrong == []


def fits(case: Case) -> bool:
    """Return whether each step is about one request; a redirect is no answer."""
    asked = [each for each in recorded(case) if each.status != 301]
    return len(case.steps) == len(asked) and all(
        step.says in each.response_body.decode().replace("\\u003c", "<").replace('\\"', '"')
        and (each.status < 400 or step.fails is not None)
        for step, each in zip(case.steps, asked, strict=True)
    )


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("c: {text: Hi, usage: 1 + 2 = 3}", [Expected(text="Hi", usage=Usage(1, 2, 3))]),
        ("c: {text: Hi, new-api: {text: Ho}}", [Expected(text="Ho")]),
        ("c: {text: Hi, new-api: {fails: auth}}", [Expected(fails="auth")]),
        ("c: {fails: auth, says: x, new-api: {fails: quota}}", [Expected(fails="quota")]),
        ("c: {fails: auth, says: x, new-api: {says: y}}", [Expected(fails="auth", says="y")]),
        ("c: {fails: auth, says: x, new-api: {text: Hi}}", [Expected(text="Hi")]),
        ("c: {steps: [{text: a}, {fails: auth}]}", [Expected(text="a"), Expected(fails="auth")]),
        ("c: {text: a, usage: '5 + 1 = 6, 4 read, 2 reasoning'}", [Expected(text="a", usage=Usage(5, 1, 6, 4, 0, 2))]),
    ],
)
def test_what_one_gateway_does_is_laid_over_what_all_do(text, steps):
    assert list(read_table({"x": text})["new-api", "c"].steps) == steps


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("c: {txet: Hi}", "no such key: txet"),
        ("c: {fails: tired}", "unknown kind 'tired'"),
        ("c: {text: Hi, usage: 3 tokens}", "no usage"),
        ("c: {}", "nothing is expected"),
        ("c: {text: Hi, steps: [{text: Ho}]}", "text together with steps"),
    ],
)
def test_a_typo_in_the_table_is_an_error(text, why):
    with pytest.raises(ValueError, match=why):
        read_table({"x": text})


def test_a_case_expected_twice_is_an_error():
    with pytest.raises(ValueError, match="expected twice"):
        read_table({"x": "c: {text: a}", "y": "c: {text: b}"})


def test_case_belongs_to_gateways_where_it_was_recorded():
    found = {("one-api", "c"), ("portkey", "c")}
    assert set(read_table({"x": "c: {text: a}"}, found)) == found


@pytest.mark.parametrize("text", ["c: {text: a, one-hub: {text: b}}", "d: {text: a}"])
def test_expectation_without_a_recording_is_an_error(text):
    with pytest.raises(ValueError, match="expected, but recorded at"):
        read_table({"x": text}, {("one-api", "c")})


def test_table_knows_every_failure_of_a_gateway():
    met = {step.fails or step.weak for case in table().values() for step in case.steps} - {None}
    assert met == set(KINDS)


def test_incomplete_recording_has_no_finish_reason():
    for case in table().values():
        for step, interaction in zip(case.steps, recorded(case), strict=False):
            if step.incomplete:
                chunks = [line[6:] for line in interaction.response_body.decode().splitlines() if line[:7] == "data: {"]
                reasons = [
                    choice.get("finish_reason") for each in chunks for choice in json.loads(each).get("choices", ())
                ]
                assert not any(reasons), case.id
