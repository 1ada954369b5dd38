"""POST /v1/rerank: documents ordered by the words they share with the query."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from hubmix.embedded.bodies import counted_usage
from hubmix.embedded.dialects import Dialect
from hubmix.embedded.models import EmbeddedModel
from hubmix.embedded.replies import PASSED_JSON_TYPE, Reply, json_reply
from hubmix.embedded.rules.text import key_words
from hubmix.embedded.tokens import count
from hubmix.embedded.validate import RefusedError

_K1, _B = 1.2, 0.75  # the usual constants of BM25


def scores(query: str, documents: Sequence[str]) -> list[float]:
    """A score between 0 and 1 for each document: BM25 over stems, squeezed; 0 shares no word with the query."""
    wanted = set(key_words(query))
    tokens = [key_words(document) for document in documents]
    mean = sum(map(len, tokens)) / max(1, len(tokens)) or 1.0
    frequency = Counter(word for found in tokens for word in set(found))
    values = []
    for found in tokens:
        counts = Counter(found)
        value = 0.0
        for word in wanted & set(counts):
            rarity = math.log(1 + (len(tokens) - frequency[word] + 0.5) / (frequency[word] + 0.5))
            value += rarity * counts[word] * (_K1 + 1) / (counts[word] + _K1 * (1 - _B + _B * len(found) / mean))
        values.append(round(value / (1.0 + value), 6))
    return values


def answer(dialect: Dialect, model: EmbeddedModel, body: Mapping[str, Any]) -> tuple[Reply, Mapping[str, Any]]:
    """The reply to a rerank request, and the usage it is charged for.

    Raises:
        RefusedError: no query, no documents, or a model of another kind.
    """
    query, documents = body.get("query"), body.get("documents")
    if not query or not isinstance(query, str):
        raise RefusedError("query is empty", case="invalid_query")
    if not documents or not isinstance(documents, list):
        raise RefusedError("documents is empty", case="invalid_documents")
    if model.kind != "rerank":
        raise RefusedError(f"The model `{model.id}` does not support rerank.", by="vendor", param="model")
    texts = [str(document.get("text", "")) if isinstance(document, dict) else str(document) for document in documents]
    ranked = sorted(enumerate(scores(query, texts)), key=lambda item: (-item[1], item[0]))
    top = body.get("top_n")
    results: list[dict[str, Any]] = []
    for index, value in ranked[: top if isinstance(top, int) and top > 0 else len(ranked)]:
        with_text = {"document": {"text": texts[index]}} if body.get("return_documents") else {}
        results.append({**with_text, "index": index, "relevance_score": value})
    tokens = count(query) * len(texts) + sum(map(count, texts))
    usage: dict[str, Any] = counted_usage(tokens, 0)
    if dialect.name == "aihubmix":
        body_out: dict[str, Any] = {"model": model.id, "results": results, "usage": {"total_tokens": tokens}}
    else:
        body_out = {"results": results, "usage": usage}
    return json_reply(200, body_out, content_type=PASSED_JSON_TYPE), usage
