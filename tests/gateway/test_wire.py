"""Every recorded error of a gateway, read and classified without a client.

This is how the recordings are used whose requests our classes cannot make (`wire` in the table says why); the others
are played to the classes too, in `test_gateway.py`.
"""

from __future__ import annotations

import json

import pytest

from hubmix import HubmixError
from hubmix._compat import http
from hubmix.failover.classify import classify
from hubmix.failover.evidence import Evidence, Failure
from hubmix.failover.over_api import over_route
from hubmix.failover.report import to_exception
from hubmix.failover.route import Route
from hubmix.transport.answer import Answer, UnreadableBodyError, decode
from hubmix.wire import AnswerError, read_reply
from hubmix.wire.apis import CHAT, RESPONSES
from tests.cassettes.format import Interaction
from tests.gateway.pages import errors_in, recorded, request_id, scope_of
from tests.gateway.table import KINDS, Case, Expected, table

CASES = list(table().values())
# With what no message may repeat.
BASE_URL = "http://me:secret@127.0.0.1:3000/v1?key=x"


def interactions(case: Case) -> list[tuple[Expected, Interaction]]:
    """The steps of a case with what was recorded, redirects left out."""
    asked = [each for each in recorded(case) if each.status != 301]
    return list(zip(case.steps, asked, strict=True))


def response(interaction: Interaction):
    headers = [(name, value) for name, values in interaction.response_headers.items() for value in values]
    return http().Response(interaction.status, headers=headers, content=interaction.response_body)


class Asked:
    """A hub of which nothing is known."""

    free_limit = False

    def has_answered(self, api: str) -> bool:
        return False


def failure_of(evidence: Evidence, interaction: Interaction) -> Failure:
    """What the failure means over the API that was asked."""
    api = RESPONSES if interaction.uri.endswith("/v1/responses") else CHAT
    return over_route(classify(evidence), evidence, Route("m", Asked(), api), {})


def evidence_of(interaction: Interaction) -> Evidence | None:
    """What the transport would say of this answer, or None where it is a good one."""
    if interaction.status >= 400:
        return errors_in(interaction)[0]
    answer = Answer.of(response(interaction))
    try:
        read_reply(decode(answer, interaction.response_body))
    except UnreadableBodyError as error:
        return answer.evidence(error.cause, "body", error.message)
    except AnswerError as error:
        if error.cause == "error_body":
            return answer.error_evidence(error.body, "body")
        return answer.evidence(error.cause, "body", error.message)
    return None


FAILED = [case for case in CASES if any(errors_in(each) for _, each in interactions(case))]
WIRE_ONLY = [case for case in CASES if case.wire]
# What the hub said where it broke an answer off, or wrote an error behind a whole one; "server" for the others.
SAID_IN_ANSWER = {"claude_stream_overloaded": "rate_model", "stream_error_event": "rate_model"}


def expected_kind(case: Case, step: Expected) -> str:
    broken_off = step.fails in ("interrupted", None)
    return SAID_IN_ANSWER.get(case.name, "server") if broken_off else step.fails


@pytest.mark.parametrize("case", FAILED, ids=lambda case: case.id)
def test_recorded_error_is_classified_as_the_table_says(case):
    for step, interaction in interactions(case):
        for evidence in errors_in(interaction):
            failure = failure_of(evidence, interaction)
            name = expected_kind(case, step)
            assert (failure.kind, scope_of(failure)) == (name, KINDS[name].scope)
            error = to_exception(failure, evidence, model="gpt-4o", base_url=BASE_URL)
            assert type(error).__name__.startswith(KINDS[name].exception)
            assert error.status == interaction.status
            assert error.request_id == request_id(interaction)
            assert step.fails != name or step.says in (error.hub_message or "")
            check_wording(error, failure)


def check_wording(error: HubmixError, failure: Failure) -> None:
    """Check that the message says what to do, in English, without a secret."""
    text = str(error)
    assert all(words in text for words in ("gpt-4o", "fault is", failure.hint, error.request_id or ""))
    assert not any("\u4e00" <= letter <= "\u9fff" for letter in text)
    told = text + repr(error.__dict__)
    assert not any(secret in told for secret in ("secret", "sk-Og7", "127.0.0.1:9"))


@pytest.mark.parametrize("case", WIRE_ONLY, ids=lambda case: case.id)
def test_what_our_classes_never_ask_for_is_read_all_the_same(case):
    [(step, interaction)] = interactions(case)
    evidence = evidence_of(interaction)
    if step.text is not None:
        assert evidence is None
        reply = read_reply(json.loads(interaction.response_body))
        assert reply.text == step.text
        assert (reply.usage.input_tokens, reply.usage.output_tokens, reply.usage.total_tokens) == step.usage[:3]
    elif step.fails:
        failure = failure_of(evidence, interaction)
        assert (failure.kind, scope_of(failure)) == (step.fails, KINDS[step.fails].scope)
    else:
        assert step.says in interaction.response_body.decode()
