"""Rerank endpoints in other forms: required `top_n`, bare lists (cases 120, 121)."""

from __future__ import annotations

from typing import Any

import pytest
from llama_index.core.schema import NodeWithScore, TextNode

from hubmix import MalformedAnswerError
from langchain_hubmix import HubmixRerank as LangChainRerank
from llamaindex_hubmix import HubmixRerank
from tests.support.answers import body
from tests.support.scripted_hub import Request, ScriptedHub

TEXTS = ["paris", "cheese", "london"]
RESULTS = [{"index": 2, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.2}, {"index": 1, "score": 0.1}]
RANKING = [("london", 0.9), ("paris", 0.2), ("cheese", 0.1)]


def langchain(hub: ScriptedHub, **settings: Any) -> list[tuple[str, float]]:
    rerank = LangChainRerank(model="r", api_key="sk-test", base_url=hub.base_url, max_retries=0, **settings)
    return [(TEXTS[found["index"]], found["relevance_score"]) for found in rerank.rerank(TEXTS, "capital?")]


def llamaindex(hub: ScriptedHub, **settings: Any) -> list[tuple[str, float]]:
    rerank = HubmixRerank(model="r", api_key="sk-test", base_url=hub.base_url, max_retries=0, **settings)
    nodes = [NodeWithScore(node=TextNode(text=text)) for text in TEXTS]
    return [(found.text, found.score or 0.0) for found in rerank.postprocess_nodes(nodes, query_str="capital?")]


BOTH = pytest.mark.parametrize("ranked", [langchain, llamaindex])


@BOTH
@pytest.mark.parametrize(("top_n", "sent"), [(None, 3), (2, 2), (9, 3)])
def test_top_n_is_always_sent(ranked: Any, top_n: int | None, sent: int) -> None:
    def script(request: Request) -> Any:
        return body({"results": RESULTS[: request.body["top_n"]]})

    with ScriptedHub(script) as hub:
        assert ranked(hub, top_n=top_n) == RANKING[:sent]
        assert hub.bodies[0]["top_n"] == sent


@BOTH
@pytest.mark.parametrize("form", [RESULTS, {"results": RESULTS}, {"data": RESULTS}], ids=["list", "results", "data"])
def test_every_form_of_a_ranking_is_read(ranked: Any, form: Any) -> None:
    with ScriptedHub(body(form)) as hub:
        assert ranked(hub) == RANKING


@BOTH
@pytest.mark.parametrize("form", [[{"index": 7, "score": 1.0}], [3], "x", {"rows": []}], ids=str)
def test_what_is_no_ranking_is_an_error(ranked: Any, form: Any) -> None:
    with ScriptedHub(body(form)) as hub, pytest.raises(MalformedAnswerError):
        ranked(hub)
