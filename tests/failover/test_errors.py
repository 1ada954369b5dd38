"""The exceptions: what they carry, what they say, and that they pickle."""

from __future__ import annotations

import copy
import pickle
import sys
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from typing import Any

import pytest

from hubmix import errors
from hubmix._text import public_url, redact, spellings
from hubmix.errors import (
    AllModelsFailedError,
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    ContextLengthError,
    HubmixError,
    ModelNotFoundError,
    ModelUnavailableError,
    QuotaExceededError,
    RateLimitedError,
    Scope,
    ServerError,
    StreamInterruptedError,
)
from hubmix.failover.classify import classify
from hubmix.failover.evidence import Evidence
from hubmix.failover.failures import NOT_FOUND
from hubmix.failover.report import to_exception
from hubmix.wire.trace import Attempt
from tests.support.processes import warm

if sys.version_info < (3, 11):
    from exceptiongroup import ExceptionGroup

EVERY_CLASS = [
    cls
    for cls in vars(errors).values()
    if isinstance(cls, type) and issubclass(cls, HubmixError) and cls is not AllModelsFailedError
]

DETAILS: dict[str, Any] = {
    "kind": "server",
    "scope": Scope.MODEL,
    "status": 500,
    "code": "c",
    "model": "gpt-4o",
    "base_url": "https://hub.example/v1",
    "request_id": "2026",
    "hub_message": "无效",
    "retry_after": 1.5,
}


def a_group() -> AllModelsFailedError:
    inner = [ServerError("one", status=500), ModelNotFoundError("two", suggestions=["gpt-4o"])]
    return AllModelsFailedError("both failed", inner, attempts=[Attempt("a", "error", kind="server")], retry_after=3.0)


@pytest.mark.parametrize("cls", EVERY_CLASS)
@pytest.mark.parametrize("again", [lambda e: pickle.loads(pickle.dumps(e)), copy.deepcopy, copy.copy])
def test_every_exception_survives_pickling_and_copying(cls: type[HubmixError], again: Any) -> None:
    error = cls("what happened", **DETAILS)
    error.attempts = [Attempt("a", "error")]
    back = again(error)
    assert type(back) is type(error)
    assert isinstance(back, cls)
    assert str(back) == "what happened"
    assert back.__dict__ == error.__dict__


def test_a_group_survives_with_everything_inside() -> None:
    back = pickle.loads(pickle.dumps(a_group()))
    assert isinstance(back, AllModelsFailedError)
    assert isinstance(back, ExceptionGroup)
    assert [type(e).__name__ for e in back.exceptions] == ["ServerError", "ModelNotFoundError"]
    assert back.exceptions[1].suggestions == ("gpt-4o",)
    assert back.attempts == [Attempt("a", "error", kind="server")]
    assert back.retry_after == 3.0
    nested = AllModelsFailedError("outer", [back])
    assert pickle.loads(pickle.dumps(nested)).exceptions[0].exceptions[0].status == 500


def test_the_parts_of_a_group_know_the_whole_call() -> None:
    group = a_group()
    servers, others = group.split(ServerError)
    assert servers is not None
    assert others is not None
    assert isinstance(servers, AllModelsFailedError)
    assert [str(e) for e in servers.exceptions] == ["one"]
    assert servers.attempts == others.attempts == group.attempts
    assert servers.retry_after == 3.0
    assert servers.is_retryable
    assert not others.is_retryable
    assert isinstance(group.subgroup(ModelNotFoundError), AllModelsFailedError)


def test_a_partial_answer_travels_with_its_error() -> None:
    error = pickle.loads(pickle.dumps(StreamInterruptedError("cut", partial={"text": "half"}, **DETAILS)))
    assert error.partial == {"text": "half"}
    assert error.request_id == "2026"


class OurOwnError(RateLimitedError):
    """A user's subclass with a constructor of its own."""

    def __init__(self, tenant: str) -> None:
        super().__init__(f"{tenant} is too fast")
        self.tenant = tenant


def test_a_users_subclass_pickles_whatever_its_constructor_takes() -> None:
    back = pickle.loads(pickle.dumps(OurOwnError("acme")))
    assert isinstance(back, OurOwnError)
    assert (back.tenant, str(back)) == ("acme", "acme is too fast")


def _raise_in_worker(_: int) -> None:
    raise AllModelsFailedError("in a worker", [to_exception(*_failure(503), model="m", base_url="https://h/v1")])


def _failure(status: int) -> tuple[Any, Evidence]:
    evidence = Evidence("status", "body", status=status, request_id="r")
    return classify(evidence), evidence


def test_an_error_of_a_worker_process_arrives_whole() -> None:
    with warm().Pool(1) as pool, pytest.raises(AllModelsFailedError) as caught:
        pool.map(_raise_in_worker, [0])
    assert caught.value.exceptions[0].request_id == "r"
    assert caught.value.exceptions[0].scope is Scope.MODEL


RETRYABLE = {
    *("RateLimitedError", "ServerError", "HubTimeoutError", "HubConnectionError"),
    *("MalformedAnswerError", "StreamInterruptedError"),
}


@pytest.mark.parametrize("cls", EVERY_CLASS)
def test_class_says_whether_a_retry_may_help(cls: type[HubmixError]) -> None:
    assert cls("x").is_retryable is (cls.__name__ in RETRYABLE)


def test_group_is_retryable_if_any_part_is() -> None:
    assert a_group().is_retryable
    assert not AllModelsFailedError("x", [AuthenticationError("y")]).is_retryable


def test_names_of_earlier_versions_still_import() -> None:
    assert errors.Action is errors.Recovery
    assert errors.Target is Scope
    assert errors.classify is classify
    assert errors.Failure is type(NOT_FOUND)


def test_a_configuration_error_is_a_value_error() -> None:
    assert issubclass(ConfigurationError, ValueError)
    assert issubclass(ContextLengthError, BadRequestError)


def test_a_message_says_what_where_whose_fault_and_what_next() -> None:
    evidence = Evidence(
        "status",
        "body",
        status=403,
        code="insufficient_user_quota",
        type="new_api_error",
        message="用户额度不足, 剩余额度: ＄0.000000 (request id: 2026abc)",
        headers={"x-oneapi-request-id": "2026abc"},
    )
    error = to_exception(classify(evidence), evidence, model="gpt-4o", base_url="https://hub.example/v1")
    assert isinstance(error, QuotaExceededError)
    text = str(error)
    for part in ("gpt-4o", "hub.example", "HTTP 403", "insufficient_user_quota", "2026abc", "your key", "Top up"):
        assert part in text
    assert text.isascii()
    assert error.hub_message == "用户额度不足, 剩余额度: ＄0.000000"
    assert error.request_id == "2026abc"
    assert error.scope is Scope.ACCOUNT


def test_english_words_are_quoted_and_suggestions_offered() -> None:
    evidence = Evidence("status", "body", status=404, message="The model `gpt-4p` does not exist")
    error = to_exception(NOT_FOUND, evidence, model="gpt-4p", base_url="https://h/v1", suggestions=["gpt-4o"])
    assert isinstance(error, ModelNotFoundError)
    assert error.suggestions == ("gpt-4o",)
    assert 'The model `gpt-4p` does not exist"' in str(error)
    assert "Did you mean 'gpt-4o'?" in str(error)


def test_a_model_id_with_braces_is_told_as_it_is() -> None:
    error = to_exception(*_failure(503), model="{0}{model}", base_url="https://h/v1")
    assert "'{0}{model}'" in str(error)


def test_the_wait_is_told() -> None:
    evidence = Evidence("status", "body", status=429, headers={"retry-after": "12"}, message="Too many requests")
    error = to_exception(classify(evidence), evidence, model="m", base_url="https://h/v1")
    assert error.retry_after == 12
    assert "12 s" in str(error)


def test_no_error_tells_credentials_of_the_base_url() -> None:
    error = to_exception(*_failure(500), model="m", base_url="https://me:secret@h.example:8443/v1?key=k#f")
    assert error.base_url == "https://h.example:8443/v1"
    assert "secret" not in repr(error.__dict__) + str(error)


@pytest.mark.parametrize(
    ("text", "hidden", "kept"),
    [
        ("[sk-Og7***UDn] spent", "Og7", "spent"),
        ("Incorrect API key provided: sk-test. You can", "sk-test", "You can"),
        ("Authorization: Bearer abcdefgh12345", "abcdefgh12345", "Bearer"),
        ("see https://user:pw@host/path now", "pw", "host/path now"),
        ("at https://host/v1?key=AAA done", "AAA", "https://host/v1 done"),
        ('do request failed: Post "http://10.0.0.7:9/v1/x": dial tcp 10.0.0.7:9: refused', "10.0.0.7", "refused"),
        ("read tcp 127.0.0.1:49670->127.0.0.1:9001: read: connection reset", "9001", "connection reset"),
        ("dial tcp: lookup vendor.internal on 10.0.0.2:53: no such host", "vendor.internal", "no such host"),
        ("key AIza" + "x" * 35, "xxxxx", "key"),
    ],
)
def test_what_must_not_be_told_is_taken_out(text: str, hidden: str, kept: str) -> None:
    told = redact(text)
    assert hidden not in told
    assert kept in told


@pytest.mark.parametrize(
    "text", ["The task-based model is sk", "ask-me-anything", "Visit https://platform.example/docs"]
)
def test_ordinary_words_stay(text: str) -> None:
    assert redact(text) == text


def test_public_url() -> None:
    assert public_url("http://127.0.0.1:3000/v1") == "http://127.0.0.1:3000/v1"


def test_unavailable_and_rate_limited_keep_apart() -> None:
    for status, cls in ((503, ServerError), (429, RateLimitedError)):
        failure, evidence = _failure(status)
        assert isinstance(to_exception(failure, evidence, model="m", base_url=""), cls)
    assert not isinstance(ModelUnavailableError("x"), ServerError)


def test_every_kind_in_the_table_has_an_exception_of_its_own() -> None:
    for row in errors.TABLE:
        assert errors.error_class(row.means.kind) is not HubmixError


@pytest.mark.parametrize("encode", [b64encode, urlsafe_b64encode])
@pytest.mark.parametrize("before", ["", "q", "qq", "Bearer ", "user:"])
@pytest.mark.parametrize("behind", ["", "z", "zz"])
def test_key_in_base64_is_taken_out(before: str, behind: str, encode: Callable[[bytes], bytes]) -> None:
    key = "sk-Ab12/+?xyz-test"
    told = encode(f"{before}{key}{behind}".encode()).decode()
    assert len(redact(told, spellings(key))) < len(told) - 15
    assert "***" in redact(f"[{told}]", spellings(key))
