"""POST /v1/embeddings and POST /v1/rerank.

An embedding hashes words and letter n-grams into a unit vector: texts that share words, or parts of words, come out
near each other, and the same text has the same vector on every machine. A rerank score is BM25 over stems.
"""

from __future__ import annotations

import base64
import math
import struct
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

from hubmix.embedded.call import Answered, ModelCall
from hubmix.embedded.chat.body import counted_usage
from hubmix.embedded.checks import RefusedError, refused
from hubmix.embedded.http import PASSED_JSON_TYPE, Response, json_response
from hubmix.embedded.models import EmbeddedModel, count
from hubmix.embedded.streams import on_the_wire
from hubmix.embedded.words import STOPWORDS, key_words, stem, words

_WORD_WEIGHT = 1.0
_PAIR_WEIGHT = 0.5
_GRAM_WEIGHT = 0.25
_STOP_WEIGHT = 0.05
MAX_DIMENSIONS = 4096
_K1, _B = 1.2, 0.75  # the usual constants of BM25


@lru_cache(maxsize=4096)
def embed(text: str, dimensions: int) -> tuple[float, ...]:
    """The unit vector of a text. The empty text is the first axis."""
    vector = [0.0] * dimensions
    found = words(text)
    stems = [stem(word) for word in found]
    for word, root in zip(found, stems, strict=True):
        _add(vector, f"w:{root}", _STOP_WEIGHT if word in STOPWORDS else _WORD_WEIGHT)
        if word not in STOPWORDS:
            padded = f"<{root}>"
            for i in range(len(padded) - 2):
                _add(vector, f"g:{padded[i : i + 3]}", _GRAM_WEIGHT)
    for first, second in pairwise(stems):
        _add(vector, f"p:{first} {second}", _PAIR_WEIGHT)
    norm = math.sqrt(sum(value * value for value in vector))
    if norm == 0:
        return (1.0, *vector[1:])
    return tuple(round(value / norm, 8) for value in vector)


def _add(vector: list[float], feature: str, weight: float) -> None:
    hashed = zlib.crc32(feature.encode())
    vector[hashed % len(vector)] += weight if hashed & 0x80000000 else -weight


def answer_embeddings(call: ModelCall) -> Answered:
    """Return the response to an embeddings request, and the usage it is charged for.

    New API itself refuses an empty input; one-api asks the vendor.

    Raises:
        RefusedError: no input, or an input of the wrong kind.
    """
    model, body = call.model, call.body
    if model.kind != "embedding":
        raise refused(f"The model `{model.id}` does not support embeddings.", param="model")
    texts = _inputs(body, strict=call.dialect.name == "new-api")
    dimensions = _dimensions(model, body)
    as_text = body.get("encoding_format") == "base64"
    data = []
    for index, text in enumerate(texts):
        vector = embed(text, dimensions)
        value: Any = base64.b64encode(struct.pack(f"<{dimensions}f", *vector)).decode() if as_text else list(vector)
        data.append({"object": "embedding", "index": index, "embedding": value})
    tokens = sum(count(text) for text in texts)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    response = json_response(
        200, {"object": "list", "data": data, "model": model.id, "usage": usage}, content_type=PASSED_JSON_TYPE
    )
    return _with_fault(response, call), usage


def _inputs(body: Mapping[str, Any], *, strict: bool) -> Sequence[str]:
    given = body.get("input")
    if not given:
        if strict:
            raise RefusedError("input is empty", case="invalid_embedding")
        raise refused("'$.input' is invalid.", param="input")
    if isinstance(given, str):
        return [given]
    if not isinstance(given, list):
        raise refused("'$.input' is invalid.", param="input")
    # Token ids, alone or in lists, never reach a vendor that is not OpenAI: they are dropped, not refused.
    return [item for item in given if isinstance(item, str)]


def _dimensions(model: EmbeddedModel, body: Mapping[str, Any]) -> int:
    wanted = body.get("dimensions") or model.dimensions
    if not isinstance(wanted, int) or not 0 < wanted <= MAX_DIMENSIONS:
        raise refused(f"Invalid 'dimensions': expected a value between 1 and {MAX_DIMENSIONS}.", param="dimensions")
    return wanted


def scores(query: str, documents: Sequence[str]) -> list[float]:
    """Return a score from 0 to 1 for each document: BM25 over stems."""
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


def answer_rerank(call: ModelCall) -> Answered:
    """Return the response to a rerank request, and the usage it is charged for.

    Raises:
        RefusedError: no query, no documents, or a model of another kind.
    """
    model, body = call.model, call.body
    query, documents = body.get("query"), body.get("documents")
    if not query or not isinstance(query, str):
        raise RefusedError("query is empty", case="invalid_query")
    if not documents or not isinstance(documents, list):
        raise RefusedError("documents is empty", case="invalid_documents")
    if model.kind != "rerank":
        raise refused(f"The model `{model.id}` does not support rerank.", param="model")
    texts = [str(document.get("text", "")) if isinstance(document, dict) else str(document) for document in documents]
    ranked = sorted(enumerate(scores(query, texts)), key=lambda item: (-item[1], item[0]))
    top = body.get("top_n")
    results: list[dict[str, Any]] = []
    for index, value in ranked[: top if isinstance(top, int) and top > 0 else len(ranked)]:
        with_text = {"document": {"text": texts[index]}} if body.get("return_documents") else {}
        results.append({**with_text, "index": index, "relevance_score": value})
    tokens = count(query) * len(texts) + sum(map(count, texts))
    usage: dict[str, Any] = counted_usage(tokens, 0)
    if call.dialect.name == "aihubmix":
        body_out: dict[str, Any] = {"model": model.id, "results": results, "usage": {"total_tokens": tokens}}
    else:
        body_out = {"results": results, "usage": usage}
    return _with_fault(json_response(200, body_out, content_type=PASSED_JSON_TYPE), call), usage


def _with_fault(response: Response, call: ModelCall) -> Response:
    return response if call.fault is None else on_the_wire(response, call.fault)
