"""The failure table: every recorded error of the gateways, and every row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from hubmix.errors import Scope
from hubmix.failover import table as failure_table
from hubmix.failover.classify import HUB_TYPES, TABLE, classify, retry_after_of
from hubmix.failover.evidence import Evidence, Failure, Fault, Recovery
from hubmix.failover.report import own_words, to_exception
from hubmix.transport.evidence import error_evidence
from hubmix.wire.error_body import find_request_id, read_error_body
from tests.failover.test_error_bodies import BODIES, evidence_of

RECORDINGS = Path(__file__).parents[2] / "cassettes" / "gateway"
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

# What each recorded case means, by `hubs.md` 3.1; where the gateways differ, by gateway. `*` stands for the others.
KINDS: dict[str, str | dict[str, str]] = {
    "account_banned": "account",
    "account_empty": "quota",
    "account_empty_stream": "quota",
    "account_short": "quota",
    "bad_key": "auth",
    "billing_bad_key": "auth",
    "body_empty": "bad_request",
    "channel_auto_off": "channel_auth",  # the first two; then no_channel, see below
    "chat_get": "endpoint",
    "claude_stream_overloaded": {"*": "rate_model", "one-api": "none"},  # one-api swallows the error
    "embeddings_missing": {"*": "bad_request", "one-api": "none"},
    "embeddings_unknown": "no_channel",
    "gemini_400": "channel_auth",
    "gemini_429": "rate_model",
    "gemini_blocked_prompt": {"new-api": "policy", "*": "server"},  # the older two cannot be told
    "key_disabled": "auth",
    "key_expired": "auth",
    "key_ip_denied": "account",
    "key_model_denied": "permission",
    "key_short": {"*": "quota", "one-api": "none"},
    "key_spent": {"new-api": "auth", "*": "quota"},  # New API 2026 says "Invalid token" to a spent key too
    "key_with_channel": "account",
    "limit_account": {"*": "rate_account", "one-api": "none"},
    "limit_account_stream": {"*": "rate_account", "one-api": "none"},
    "limit_ip": "rate_account",
    "max_tokens_huge": "bad_request",
    "max_tokens_negative": "bad_request",
    "messages_empty": "bad_request",
    "messages_missing": "bad_request",
    "model_alias": "no_channel",
    "model_case": "no_channel",
    "model_get_slash": "endpoint",
    "model_get_unknown": "not_found",
    "model_missing": "bad_request",
    "model_unknown": "no_channel",
    "model_unknown_stream": "no_channel",
    "models_bad_key": "auth",
    "models_no_key": "auth",
    "no_key": "auth",
    "not_json": "bad_request",
    "path_unknown": "endpoint",
    "rerank_no_documents": {"*": "bad_request", "one-api": "none"},
    "rerank_no_query": {"*": "bad_request", "one-api": "none"},
    "rerank_unserved": {"*": "no_channel", "one-api": "endpoint"},
    "responses_api": {"*": "endpoint", "new-api": "none"},
    "server_retry_all_fail": "server",
    "stream_429": "rate_model",
    "stream_error_event": {"*": "rate_model", "one-api": "none"},
    "stream_error_first": {"*": "server", "one-api": "none"},
    "stream_error_mid": {"*": "server", "one-api": "none"},
    "stream_json_instead": {"*": "none", "one-api": "unreadable"},
    "stream_pings_then_error": {"*": "server", "one-api": "none"},
    "user_self_with_key": {"new-api": "auth", "*": "none"},
    "vendor_200_empty": "server",
    "vendor_200_error": "server",
    "vendor_200_garbled": "server",
    "vendor_200_html": "server",
    "vendor_200_short": "server",
    "vendor_400_context": "context",
    "vendor_400_filter": "policy",
    "vendor_400_max_tokens": "capability",
    "vendor_403": "permission",
    "vendor_408": "transient",
    "vendor_413": "unreadable",
    "vendor_429": "rate_model",
    "vendor_429_quota": "channel_quota",
    "vendor_500": "server",
    "vendor_502_html": "server",
    "vendor_503": "server",
    "vendor_529": "rate_model",
    "vendor_error_detail": "unreadable",
    "vendor_error_message": "unreadable",
    "vendor_error_string": "unreadable",
    "vendor_refused": "server",
    "vendor_reset": "server",
    "wrong_type": "bad_request",
}

# Account pages and lists of the gateways, where an error says nothing about a call.
_OTHER_PAGES = {"api_models", "pricing", "usage_token", "model_get_custom", "server_retry"}


def _recorded(path: Path) -> list[Evidence]:
    """Return the errors of one recording: by status, in a 200, in a stream."""
    found = []
    for interaction in yaml.load(path.read_text("utf-8"), _LOADER)["interactions"]:
        response = interaction["response"]
        status = response["status"]["code"]
        headers = {name.lower(): values[0] for name, values in response["headers"].items()}
        body = response["body"].get("string") or ""
        if status >= 400:
            found.append(_evidence("status", status, headers, body))
            continue
        for line in body.splitlines():
            said = _json(line.removeprefix("data: "))
            if isinstance(said, dict) and said.get("error"):
                found.append(_evidence("error_body", status, headers, said))
    return found


def _evidence(cause: str, status: int, headers: dict[str, str], body: Any) -> Evidence:
    return error_evidence(cause, "body", status, headers, body.encode() if isinstance(body, str) else body, ())


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _cases() -> list[Any]:
    files = sorted(RECORDINGS.glob("*/*.yaml"))
    return [
        pytest.param(path, id=f"{path.parent.name}-{path.stem}")
        for path in files
        if path.stem in KINDS and _expected(path) != "none"
    ]


def _expected(path: Path) -> str:
    kind = KINDS[path.stem]
    return kind if isinstance(kind, str) else kind.get(path.parent.name, kind["*"])


@pytest.mark.parametrize("path", _cases())
def test_every_recorded_error_means_what_it_should(path: Path) -> None:
    evidences = _recorded(path)
    assert evidences, "the recording holds no error"
    kinds = [classify(evidence).kind for evidence in evidences]
    if path.stem == "channel_auto_off":
        # The hub passes the vendor's refusal on twice, then switches the channel off and has none left.
        assert kinds == ["channel_auth", "channel_auth", "no_channel", "no_channel"]
    else:
        assert set(kinds) == {_expected(path)}


@pytest.mark.parametrize("path", _cases())
def test_recorded_error_is_told_in_english_without_secrets(path: Path) -> None:
    for evidence in _recorded(path):
        failure = classify(evidence)
        error = to_exception(failure, evidence, model="gpt-4o", base_url="http://me:secret@127.0.0.1:3000/v1?key=x")
        text = str(error)
        assert "gpt-4o" in text
        assert "fault is" in text
        assert failure.hint in text
        if evidence.request_id:
            assert evidence.request_id in text
        assert not any("\u4e00" <= letter <= "\u9fff" for letter in text)
        told = text + repr(error.__dict__)
        assert "secret" not in told
        assert "sk-Og7" not in told
        assert "127.0.0.1:9" not in told


def test_no_recorded_error_is_left_out() -> None:
    silent = {path.stem for path in RECORDINGS.glob("*/*.yaml")} - set(KINDS) - _OTHER_PAGES
    forgotten = []
    for path in sorted(RECORDINGS.glob("*/*.yaml")):
        # Only a quick look: reading all of them in full takes too long for a unit test.
        if path.stem in silent and any(f"code: {status}" in path.read_text("utf-8") for status in (401, 403, 429, 503)):
            forgotten.append(f"{path.parent.name}/{path.stem}")
    assert forgotten == []


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
    for path in (p.values[0] for p in _cases()):
        evidences += _recorded(path)
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
