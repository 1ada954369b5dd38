"""The failure table: every row, and what the transport saw.

The recorded errors of the gateways are classified in `tests/gateway/test_wire.py`.
"""

from __future__ import annotations

from typing import Any

import pytest

from hubmix.errors import Scope
from hubmix.failover import table as failure_table
from hubmix.failover.classify import HUB_TYPES, TABLE, classify, retry_after_of
from hubmix.failover.evidence import Evidence, Failure, Fault, Recovery
from hubmix.failover.report import own_words
from hubmix.wire.error_body import find_request_id, read_error_body
from tests.failover.test_error_bodies import BODIES, evidence_of
from tests.gateway.pages import errors_in, recorded
from tests.gateway.table import table


def said(status: int, message: str = "", *, type: str | None = None, code: str | None = None, **more: Any) -> Evidence:
    return Evidence("status", "body", status=status, message=message, type=type, code=code, **more)


TRANSPORT = [
    ("refused", "connect", "connect", Scope.ENDPOINT, Recovery.RETRY),
    ("dns", "connect", "connect", Scope.ENDPOINT, Recovery.RETRY),
    ("tls", "connect", "connect", Scope.ENDPOINT, Recovery.RETRY),
    ("connect_timeout", "connect", "connect", Scope.ENDPOINT, Recovery.RETRY),
    ("pool_timeout", "connect", "connect", Scope.ENDPOINT, Recovery.RETRY),
    ("reset", "connect", "connect", Scope.ENDPOINT, Recovery.RETRY),
    ("reset", "open", "reset", Scope.MODEL, Recovery.RETRY),
    ("cut", "body", "reset", Scope.MODEL, Recovery.RETRY),
    ("read_timeout", "open", "timeout", Scope.MODEL, Recovery.NEXT),
    ("first_token_timeout", "body", "timeout", Scope.MODEL, Recovery.NEXT),
    ("idle_timeout", "body", "timeout", Scope.MODEL, Recovery.NEXT),
    ("total_timeout", "open", "timeout", Scope.REQUEST, Recovery.FAIL),
    ("total_timeout", "committed", "interrupted", Scope.REQUEST, Recovery.FAIL),
    ("own_delay", "connect", "own_delay", None, Recovery.RETRY),
    ("proxy", "connect", "connect", Scope.ENDPOINT, Recovery.RETRY),
    ("failed_finish", "body", "interrupted", Scope.MODEL, Recovery.NEXT),
    ("failed_finish", "committed", "interrupted", Scope.MODEL, Recovery.FAIL),
    ("html", "body", "garbled", Scope.MODEL, Recovery.RETRY),
    ("undecodable", "body", "garbled", Scope.MODEL, Recovery.RETRY),
    ("no_choices", "body", "garbled", Scope.MODEL, Recovery.RETRY),
    ("empty_stream", "body", "garbled", Scope.MODEL, Recovery.RETRY),
    ("no_finish", "body", "garbled", Scope.MODEL, Recovery.RETRY),
    ("empty_answer", "body", "empty", Scope.MODEL, Recovery.RETRY),
    ("cut", "committed", "interrupted", Scope.MODEL, Recovery.FAIL),
    ("idle_timeout", "committed", "interrupted", Scope.MODEL, Recovery.FAIL),
    ("error_body", "committed", "interrupted", Scope.MODEL, Recovery.FAIL),
    ("undecodable", "committed", "interrupted", Scope.MODEL, Recovery.FAIL),
    ("no_finish", "committed", "interrupted", Scope.MODEL, Recovery.FAIL),
    ("something new", "body", "garbled", Scope.MODEL, Recovery.RETRY),
]


@pytest.mark.parametrize(("cause", "phase", "kind", "scope", "action"), TRANSPORT)
def test_what_the_transport_saw(cause: str, phase: str, kind: str, scope: Scope | None, action: Recovery) -> None:
    failure = classify(Evidence(cause, phase))
    assert (failure.kind, failure.scope, failure.action) == (kind, scope, action)


def test_an_empty_answer_is_judged_by_its_finish_reason() -> None:
    def kind(reason: str | None) -> str:
        return classify(Evidence("empty_answer", "body", status=200, finish_reason=reason)).kind

    assert [kind("stop"), kind(None), kind("length"), kind("content_filter")] == ["empty", "empty", "length", "policy"]


def test_an_unreadable_page_of_the_hub_counts_by_its_status() -> None:
    assert classify(Evidence("html", "body", status=200)).kind == "garbled"
    assert classify(Evidence("status", "body", status=502, message="Bad Gateway")).kind == "server"


def test_base_url_without_hub_types_speaks_for_itself() -> None:
    refused = said(401, "Incorrect API key provided", type="invalid_request_error", code="invalid_api_key")
    assert classify(refused, frozenset()).kind == "auth"
    assert classify(refused, HUB_TYPES).kind == "channel_auth"
    empty = said(429, "You exceeded your current quota", type="insufficient_quota", code="insufficient_quota")
    assert classify(empty, frozenset()).kind == "quota"
    assert classify(empty, HUB_TYPES).kind == "channel_quota"


def test_a_hub_behind_a_hub_is_a_vendor() -> None:
    words = "Your account balance is insufficient."
    behind = said(403, words, type="Aihubmix_api_error")
    assert classify(behind, frozenset({"new_api_error"})).scope is Scope.MODEL
    assert classify(behind, frozenset({"Aihubmix_api_error"})).kind == "quota"


MONTH = 31 * 86400.0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9.0),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT", "date": "Wed, 21 Oct 2026 07:27:30 GMT"}, 30.0),
        ({"retry-after": "Wed, 21 Oct 2020 07:28:00 GMT"}, 0.0),
        ({"retry-after": "later"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, MONTH),
        ({"retry-after": "1e400"}, MONTH),
        ({"retry-after": "9" * 400}, MONTH),
        ({"retry-after-ms": "Infinity"}, MONTH),
        ({"retry-after": "Wed, 21 Oct 9998 07:28:00 GMT"}, MONTH),
        ({}, None),
    ],
)
def test_retry_after_in_every_spelling(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_of(headers) == seconds


def test_a_date_is_read_against_the_given_clock() -> None:
    assert retry_after_of({"retry-after": "Thu, 01 Jan 1970 00:01:40 GMT"}, now=60.0) == 40.0


@pytest.mark.parametrize(
    ("words", "seconds"),
    [
        ("Limit 3, Used 3. Please try again in 20s.", 20.0),
        ("Please try again in 1m30s.", 90.0),
        ("Please try again in 6.5s. Visit https://x", 6.5),
        ("Please try again in 250ms.", 0.25),
        ("Please retry in 3 seconds", 3.0),
        (f"Please try again in {'9' * 400}s.", MONTH),
        ("please try again later", None),
    ],
)
def test_a_wait_that_only_the_words_have_is_found(words: str, seconds: float | None) -> None:
    assert classify(said(429, words, code="rate_limit_exceeded")).retry_after == seconds


def test_a_header_against_retrying_is_obeyed() -> None:
    assert classify(said(500, headers={"x-should-retry": "false"})).action is Recovery.NEXT
    assert classify(said(500, headers={"x-should-retry": "true"})).action is Recovery.RETRY


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.signal)
def test_every_row_is_fit_to_be_told(row: failure_table.Row) -> None:
    means = row.means
    assert row.signal
    assert means.what.endswith(".")
    assert means.hint[-1] in ".?"
    assert means.cooldown.describe()
    # A failure of the request or of nobody closes no breaker; one of the account never leads to another model.
    if means.scope is Scope.REQUEST:
        assert means.cooldown.target is None
    if means.scope is Scope.ACCOUNT:
        assert means.action is not Recovery.NEXT


def test_no_row_stands_in_the_shadow_of_another() -> None:
    """Each row is reached by the corpus, this file, or a recording."""
    reached = set()
    evidences = [evidence_of(line) for line in BODIES]
    evidences += [Evidence(cause, phase) for cause, phase, *_ in TRANSPORT]
    evidences.append(Evidence("amended", "body", status=400))
    evidences += [Evidence("empty_answer", "body", finish_reason=r) for r in ("stop", "length", "content_filter")]
    evidences += [evidence for case in table().values() for each in recorded(case) for evidence in errors_in(each)]
    for evidence in evidences:
        reached.add(_row_of(evidence).signal)
    reached.add(_row_of(said(429, "quota", code="insufficient_quota"), frozenset()).signal)
    assert [row.signal for row in TABLE if row.signal not in reached] == []


def _row_of(evidence: Evidence, hub_types: frozenset[str] = HUB_TYPES) -> failure_table.Row:
    from hubmix.failover import classify as classification

    status = classification.effective_status(evidence)
    own = classification._is_own_type(evidence, hub_types)
    speaker = "hub" if own or classification._speaks_for_itself(evidence, hub_types) else "vendor"
    return next((r for r in TABLE if r.matches(evidence, status=status, speaker=speaker, own_type=own)), TABLE[-1])


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"error":{"message":"m","type":"t","param":"p","code":"c"}}', ("c", "t", "p", "m")),
        (b'{"error":{"message":"m","type":"","param":"","code":400}}', ("400", None, None, "m")),
        (b'{"error":{"message":"m","code":null,"type":"<nil>"}}', (None, None, None, "m")),
        (b'{"type":"error","error":{"type":"overloaded_error","message":"m"}}', (None, "overloaded_error", None, "m")),
        (b'{"error":{"message":"m"},"type":"unauthorized"}', (None, "unauthorized", None, "m")),
        (b'[{"error":{"code":400,"message":"m","status":"INVALID_ARGUMENT"}}]', ("400", "INVALID_ARGUMENT", None, "m")),
        (
            b'{"object":"error","message":"m","type":"invalid_model","code":"1500"}',
            ("1500", "invalid_model", None, "m"),
        ),
        (b'{"success":false,"message":"m"}', (None, None, None, "m")),
        (b'{"detail":"m"}', (None, None, None, "m")),
        (b'{"detail":[{"msg":"m"}]}', (None, None, None, '[{"msg": "m"}]')),
        (b'{"error":"m"}', (None, None, None, "m")),
        (b'{"errors":[{"message":"m","code":7003}]}', ("7003", None, None, "m")),
        (
            b'{"error":{"message":"Provider returned error","metadata":{"raw":"m"}}}',
            (None, None, None, "Provider returned error: m"),
        ),
        (b'{"error":{"message":"m","innererror":{"code":"content_filter"}}}', ("content_filter", None, None, "m")),
        (b'"m"', (None, None, None, "m")),
        (b"m  m", (None, None, None, "m m")),
        (b"<!DOCTYPE html><html><head><title>502 Bad\nGateway</title>", (None, None, None, "502 Bad Gateway")),
        (b"<html><body>x", (None, None, None, "an HTML page")),
        (b"", (None, None, None, "")),
        (b"null", (None, None, None, "")),
        (b"[]", (None, None, None, "")),
        (b"\xff\xfe", (None, None, None, "\ufffd\ufffd")),
        ({"error": {"message": "m"}}, (None, None, None, "m")),
        (None, (None, None, None, "")),
    ],
)
def test_every_shape_of_error_body_is_read(body: Any, expected: tuple[str | None, ...]) -> None:
    read = read_error_body(body)
    assert (read["code"], read["type"], read["param"], read["message"]) == expected


def test_request_id_is_found_in_headers_then_in_words() -> None:
    assert find_request_id({"x-oneapi-request-id": "a", "x-request-id": "b"}, "(request id: c)") == "a"
    assert find_request_id({}, "无效的令牌 (request id: c)") == "c"
    assert find_request_id({}, "no key provided (tid: 20260908)") == "20260908"
    assert find_request_id({}, "nothing") is None


def test_own_words_hold_no_request_id_and_are_short() -> None:
    assert own_words("Invalid token (request id: 2026)") == "Invalid token"
    assert len(own_words("x" * 5000)) == 500


def test_a_failure_says_whose_fault_it_is() -> None:
    assert classify(said(401, type="new_api_error")).fault is Fault.ACCOUNT
    assert classify(said(401, type="invalid_request_error", code="invalid_api_key")).fault is Fault.VENDOR
    assert classify(said(429, code="insufficient_quota", type="insufficient_quota")).fault is Fault.VENDOR
    assert isinstance(classify(said(500)), Failure)


def test_a_date_beyond_all_years_is_no_date() -> None:
    assert retry_after_of({"retry-after": "Mon, 99999999999999999999 Jan 2026 00:00:00 GMT"}, now=60.0) is None
