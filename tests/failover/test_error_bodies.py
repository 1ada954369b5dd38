"""Bodies of errors, and the kind that each means.

`tests/data/error_bodies.jsonl` has one line for each. A line has `kind`, `status`, `body` (JSON or text) and, if they
matter, `headers` and a `note` of where it was seen. Notes that begin with "not" are counter-examples: the words of one
kind, the meaning of another.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hubmix.errors import HubmixError
from hubmix.failover.classify import classify
from hubmix.failover.evidence import Evidence
from hubmix.failover.report import to_exception
from hubmix.wire.error_body import decode_error_body, holds_error, read_error_body

LINES = (Path(__file__).parents[1] / "data" / "error_bodies.jsonl").read_text("utf-8").splitlines()
BODIES: list[dict[str, Any]] = [json.loads(line) for line in LINES]


def evidence_of(line: dict[str, Any]) -> Evidence:
    """Return what the transport makes of a line."""
    body = line["body"]
    said = read_error_body(body)
    return Evidence(
        "status" if line["status"] != 200 else "error_body",
        "body",
        status=line["status"],
        code=said["code"],
        type=said["type"],
        param=said["param"],
        message=said["message"] or "",
        headers=line.get("headers", {}),
        empty_body=body == "",
        body=decode_error_body(body),
    )


@pytest.mark.parametrize("line", BODIES, ids=lambda line: f"{line['kind']}-{line['status']}-{line.get('note', '')}")
def test_body_means_its_kind(line: dict[str, Any]) -> None:
    if line["status"] == 200:
        assert holds_error(line["body"])
    evidence = evidence_of(line)
    failure = classify(evidence)
    assert failure.kind == line["kind"]
    error = to_exception(failure, evidence, model="m", base_url="https://h/v1")
    assert error.kind == line["kind"]
    assert type(error) is not HubmixError
    if isinstance(line["body"], (dict, list)):
        assert error.hub_message
        assert error.body == line["body"]


def test_no_line_stands_twice() -> None:
    assert len(set(LINES)) == len(LINES)


@pytest.mark.parametrize(
    "answer",
    [
        {"choices": [], "id": "x", "object": "chat.completion", "model": "m"},
        {"choices": None, "usage": {"total_tokens": 0}},
        {"choices": [], "prompt_filter_results": []},
        {"code": 0, "message": "success", "data": {}},
        {"code": "200", "msg": "ok"},
        {"base_resp": {"status_code": 0, "status_msg": ""}, "choices": []},
        [],
        "text",
        None,
    ],
)
def test_answer_without_words_is_no_error(answer: object) -> None:
    assert not holds_error(answer)
