"""Every refusal of a gateway, read and classified without a client.

This is how the recordings are used whose requests our classes cannot make (`wire` in the table says why); the others
are played to the classes too, in `test_gateway.py`.
"""

from __future__ import annotations

import json

import pytest

from hubmix._compat import http
from hubmix.failover.classify import classify
from hubmix.failover.evidence import Evidence
from hubmix.failover.report import to_exception
from hubmix.transport.answer import Answer, UnreadableBodyError, decode
from hubmix.transport.evidence import status_evidence
from hubmix.wire import AnswerError, read_reply
from tests.cassettes.format import Interaction, load
from tests.gateway.table import KINDS, Case, Expected, table

CASES = list(table().values())


def interactions(case: Case) -> list[tuple[Expected, Interaction]]:
    """The steps of a case with what was recorded, redirects left out."""
    recorded = [each for each in load(case.path.read_text("utf-8"), case.id).interactions if each.status != 301]
    return list(zip(case.steps, recorded, strict=True))


def response(interaction: Interaction):
    headers = [(name, value) for name, values in interaction.response_headers.items() for value in values]
    return http().Response(interaction.status, headers=headers, content=interaction.response_body)


def evidence_of(interaction: Interaction) -> Evidence | None:
    """What the transport would say of this answer, or None where it is a good one."""
    came = response(interaction)
    if interaction.status >= 400:
        return status_evidence(came)
    answer = Answer.of(came)
    try:
        read_reply(decode(answer, interaction.response_body))
    except UnreadableBodyError as error:
        return answer.evidence(error.cause, "body", error.message)
    except AnswerError as error:
        if error.cause == "error_body":
            return answer.error_evidence(error.body, "body")
        return answer.evidence(error.cause, "body", error.message)
    return None


REFUSED = [case for case in CASES if any(each.status >= 400 for _, each in interactions(case))]
WIRE_ONLY = [case for case in CASES if case.wire]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.id)
def test_every_error_status_is_classified_as_expected(case):
    for step, interaction in interactions(case):
        if interaction.status < 400:
            continue
        evidence = evidence_of(interaction)
        failure = classify(evidence)
        kind = KINDS[step.fails]
        assert (failure.kind, failure.scope.value) == (step.fails, kind.scope)
        error = to_exception(failure, evidence, model="gpt-4o-mini", base_url="http://127.0.0.1:3002/v1")
        assert type(error).__name__.startswith(kind.exception)
        assert error.status == interaction.status
        assert error.request_id == (interaction.response_headers.get("x-oneapi-request-id") or [None])[0]
        assert step.says in (error.hub_message or "")


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
        failure = classify(evidence)
        assert (failure.kind, failure.scope.value) == (step.fails, KINDS[step.fails].scope)
    else:
        assert step.says in interaction.response_body.decode()
