"""Embeddings that retrieve, and rerank."""

from __future__ import annotations

import base64
import math
import struct
from typing import Any

import pytest

from hubmix.embedded import EmbeddedHub
from hubmix.embedded.vectors import embed, scores
from tests.embedded.client import Response, send

DOCUMENTS = [
    "Failover walks a list of model ids when the first model fails.",
    "The catalog is cached for 300 seconds; prices are in USD per million tokens.",
    "Paris is the capital of France and has two million inhabitants.",
    "Oslo is the capital of Norway, and its winters are cold.",
]


def _embed(hub: EmbeddedHub, given: Any, model: str = "embedded/embed", **extra: Any) -> Response:
    return send(hub, "POST", "/v1/embeddings", {"model": model, "input": given, **extra})


def _near(query: str, dimensions: int = 256) -> int:
    asked = embed(query, dimensions)
    products = [sum(a * b for a, b in zip(asked, embed(text, dimensions), strict=True)) for text in DOCUMENTS]
    return products.index(max(products))


@pytest.mark.parametrize(
    ("query", "document"),
    [
        ("What happens when a model fails?", 0),
        ("How long is the catalog cached?", 1),
        ("price per token", 1),
        ("What is the capital of France?", 2),
        ("How cold is winter in Oslo?", 3),
        ("Norway's capital", 3),
    ],
)
def test_a_question_is_nearest_to_its_answer(query: str, document: int) -> None:
    assert _near(query) == document
    assert scores(query, DOCUMENTS).index(max(scores(query, DOCUMENTS))) == document


@pytest.mark.parametrize("text", ["", " ", "the", "one two", "你好", "!?"])
def test_vectors_are_units(text: str) -> None:
    assert math.isclose(math.hypot(*embed(text, 256)), 1.0, abs_tol=1e-6)


def test_a_vector_is_the_same_in_every_process() -> None:
    pinned = (-0.13867505, -0.5547002, 0.0, -0.13867505, -0.41602515, -0.69337525)
    assert embed("Oslo winters", 6) == pytest.approx(pinned)


def test_vectors_come_in_order_and_in_the_asked_size(hub: EmbeddedHub) -> None:
    answer = _embed(hub, DOCUMENTS, dimensions=32).json
    assert [entry["index"] for entry in answer["data"]] == [0, 1, 2, 3]
    assert [tuple(entry["embedding"]) for entry in answer["data"]] == [embed(text, 32) for text in DOCUMENTS]
    assert answer["usage"]["prompt_tokens"] == answer["usage"]["total_tokens"] > 0
    assert len(_embed(hub, "a").json["data"][0]["embedding"]) == 256
    assert len(_embed(hub, "a", model="embedded/embed-small").json["data"][0]["embedding"]) == 64


def test_base64_is_the_same_vector(hub: EmbeddedHub) -> None:
    text = _embed(hub, "one two", encoding_format="base64").json["data"][0]["embedding"]
    assert struct.unpack("<256f", base64.b64decode(text)) == pytest.approx(embed("one two", 256), abs=1e-6)


def test_token_ids_become_nothing(hub: EmbeddedHub) -> None:
    assert _embed(hub, [[1, 2], [3]]).json["data"] == []
    assert _embed(hub, [1, 2]).json["data"] == []


@pytest.mark.parametrize("given", [None, "", []])
def test_an_empty_input_is_refused(hub: EmbeddedHub, given: Any) -> None:
    answer = _embed(hub, given)
    assert (answer.status, answer.error["code"]) == (500, "invalid_request")


def test_a_chat_model_does_not_embed(hub: EmbeddedHub) -> None:
    assert _embed(hub, "a", model="embedded/extract").status == 400
    assert _embed(hub, "a", dimensions=0.5).status == 400


def test_rerank_orders_and_cuts(hub: EmbeddedHub) -> None:
    body = {"model": "embedded/rerank", "query": "capital of Norway", "documents": DOCUMENTS, "top_n": 2}
    answer = send(hub, "POST", "/v1/rerank", {**body, "return_documents": True}).json
    assert [result["index"] for result in answer["results"]] == [3, 2]
    assert answer["results"][0]["document"] == {"text": DOCUMENTS[3]}
    assert 1 > answer["results"][0]["relevance_score"] > answer["results"][1]["relevance_score"] > 0
    assert set(answer) == {"results", "usage"}
    assert "document" not in send(hub, "POST", "/v1/rerank", body).json["results"][0]


def test_rerank_of_the_other_hubs(one_api: EmbeddedHub, aihubmix: EmbeddedHub) -> None:
    body = {"model": "embedded/rerank", "query": "capital", "documents": [{"text": DOCUMENTS[3]}]}
    assert send(one_api, "POST", "/v1/rerank", body).status == 404
    answer = send(aihubmix, "POST", "/v1/rerank", body).json
    assert (answer["model"], set(answer["usage"])) == ("embedded/rerank", {"total_tokens"})


def test_nothing_in_common_scores_nothing() -> None:
    assert scores("whales", DOCUMENTS) == [0.0] * 4
    assert scores("a", ["", "b"]) == [0.0, 0.0]
