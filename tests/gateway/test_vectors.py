"""Embeddings and rerank as three gateways gave them, played to both frameworks."""

from __future__ import annotations

import json

import pytest

import hubmix
from hubmix import HubmixError
from hubmix.failover.options import CallOptions
from hubmix.wire import read_embeddings
from langchain_hubmix import HubmixEmbeddings
from llamaindex_hubmix import HubmixEmbedding
from tests.cassettes.playback import play
from tests.gateway.pages import hub_for, recorded, request_id, scope_of
from tests.gateway.players import ONCE
from tests.gateway.table import KINDS, Case, Usage, table

TABLE = table().values()
EMBEDDINGS = [case for case in TABLE if recorded(case)[0].uri.endswith("/embeddings")]
RERANKS = [case for case in TABLE if recorded(case)[0].uri.endswith("/rerank")]
TEXTS = ["one text", "another text"]


def by_id(case: Case) -> str:
    return case.id


async def langchain(hub, model, texts, waits):
    embedder = HubmixEmbeddings(model=model, hub=hub, failover=ONCE)
    return embedder.embed_documents(texts) if waits else await embedder.aembed_documents(texts)


async def llamaindex(hub, model, texts, waits):
    embedder = HubmixEmbedding(model=model, hub=hub, failover=ONCE)
    return embedder.get_text_embedding_batch(texts) if waits else await embedder.aget_text_embedding_batch(texts)


def counts(found) -> Usage:
    details = (found.cache_read, found.cache_creation, found.reasoning)
    return Usage(found.input_tokens, found.output_tokens, found.total_tokens, *(each or 0 for each in details))


def check_failure(error: HubmixError, case: Case) -> None:
    step, came = case.steps[0], recorded(case)[0]
    kind = KINDS[step.fails]
    assert isinstance(error, getattr(hubmix, kind.exception))
    assert (error.kind, scope_of(error)) == (step.fails, kind.scope)
    assert error.request_id == request_id(came)
    assert step.says in (error.hub_message or "")


@pytest.mark.parametrize("waits", [True, False], ids=["sync", "async"])
@pytest.mark.parametrize("embed", [langchain, llamaindex])
@pytest.mark.parametrize("case", EMBEDDINGS, ids=by_id)
async def test_vectors_come_in_the_order_of_the_texts(case, embed, waits):
    hub, [step] = hub_for(case), case.steps
    model = {"embeddings_unknown": "embed-99"}.get(case.name, "text-embedding-3-small")
    with play(case.path):
        if step.fails:
            with pytest.raises(HubmixError) as caught:
                await embed(hub, model, TEXTS, waits)
            check_failure(caught.value, case)
        else:
            vectors = await embed(hub, model, TEXTS, waits)
            assert [pytest.approx(vector) for vector in step.vectors] == vectors


@pytest.mark.parametrize("case", [each for each in EMBEDDINGS if each.steps[0].vectors], ids=by_id)
def test_embeddings_say_what_they_used(case):
    [step], [came] = case.steps, recorded(case)
    assert counts(read_embeddings(json.loads(came.response_body), len(TEXTS)).usage) == step.usage


@pytest.mark.parametrize("waits", [True, False], ids=["sync", "async"])
@pytest.mark.parametrize("case", RERANKS, ids=by_id)
async def test_documents_come_best_first(case, waits):
    hub, [step] = hub_for(case), case.steps
    model = {"rerank_unserved": "rerank-99"}.get(case.name, "jina-reranker-v2-base-multilingual")
    payload = {"model": model, "query": "capital of France", "documents": ["Paris is in France.", "Oslo is in Norway."]}
    options = CallOptions(policy=ONCE)
    with play(case.path):
        if step.fails:
            with pytest.raises(HubmixError) as caught:
                hub.rerank(payload, options) if waits else await hub.arerank(payload, options)
            check_failure(caught.value, case)
        else:
            reply = hub.rerank(payload, options) if waits else await hub.arerank(payload, options)
            assert [[each.index, each.score] for each in reply.results] == step.ranked
            assert counts(reply.usage) == step.usage
