"""Answers of ``/embeddings`` and ``/rerank``."""

from __future__ import annotations

import base64
import binascii
import sys
from array import array
from dataclasses import replace
from math import isfinite
from typing import Any, TypeGuard

from hubmix.wire.error_body import holds_error
from hubmix.wire.fields import read_usage
from hubmix.wire.values import AnswerError, EmbeddingReply, RankedDocument, RerankReply, Usage


def read_embeddings(data: Any, count: int) -> EmbeddingReply:
    """Read an embeddings answer into vectors in the order of the inputs.

    Args:
        data: The decoded JSON.
        count: How many texts were sent.

    Returns:
        One vector for each input; base64 is decoded (little-endian float32, as OpenAI's API has it).

    Raises:
        AnswerError: If it is an error, or a vector is missing: a short list would shift every vector after it.
    """
    items = _items(data, "data")
    if len(items) != count:
        raise AnswerError("no_choices", f"{count} texts were sent and {len(items)} vectors came back.", data)
    vectors: list[list[float] | None] = [None] * count
    for position, item in enumerate(items):
        index = item.get("index") if isinstance(item, dict) else None
        place = index if isinstance(index, int) and 0 <= index < count and vectors[index] is None else position
        vectors[place] = _vector(item.get("embedding") if isinstance(item, dict) else item)
    ordered = [v for v in vectors if v is not None]
    if len(ordered) != count:
        raise AnswerError("no_choices", "Two vectors of the answer carry the same index.", data)
    return EmbeddingReply(ordered, usage=_read_usage(data.get("usage")), model=_model(data), raw=data)


def _vector(value: Any) -> list[float]:
    if isinstance(value, list) and value:
        try:
            vector = [float(x) for x in value]
        except (TypeError, ValueError, OverflowError) as error:
            raise AnswerError("undecodable", f"A vector holds something that is no number: {error}") from error
    elif isinstance(value, str) and value:
        vector = _from_base64(value)
    else:
        raise AnswerError("no_choices", "A vector of the answer is empty.")
    # A store that is given one NaN finds nothing by that vector, or everything, and says so to nobody.
    if not isfinite(sum(vector)):
        raise AnswerError("undecodable", "A vector holds NaN or infinity.")
    return vector


def _from_base64(text: str) -> list[float]:
    try:
        numbers = array("f", base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError) as error:
        raise AnswerError("undecodable", f"A vector is not base64 of 32-bit floats: {error}") from error
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tolist()


def read_rerank(data: Any, count: int) -> RerankReply:
    """Read a rerank answer.

    Reads the forms of Jina and Cohere, with or without model, id, documents and usage, TEI's bare list and DashScope's
    `output.results`.

    Args:
        data: the decoded JSON.
        count: how many documents were sent.

    Returns:
        The results, best first.

    Raises:
        AnswerError: it is an error, or a result points to no document.
    """
    if isinstance(data, list):
        data = {"results": data}
    elif isinstance(data, dict) and isinstance(data.get("output"), dict) and "results" not in data:
        data = {**data, **data["output"]}
    ranked: list[RankedDocument] = []
    for item in _items(data, "results"):
        item = item if isinstance(item, dict) else {}
        index = _first(item, "index", "corpus_id", "document_index")
        score = _first(item, "relevance_score", "score", "similarity")
        if not isinstance(index, int) or not 0 <= index < count or not _is_score(score):
            raise AnswerError("undecodable", "A rerank result has no valid index or no score.", data)
        ranked.append(RankedDocument(index, float(score), _first(item, "document", "text")))
    ranked.sort(key=lambda r: -r.score)
    meta = data.get("meta")
    usage = data.get("usage") or (meta.get("tokens") if isinstance(meta, dict) else None)
    return RerankReply(ranked, usage=_read_usage(usage), model=_model(data), raw=data)


def _first(item: dict[str, Any], *names: str) -> Any:
    return next((item[name] for name in names if item.get(name) is not None), None)


def _is_score(value: Any) -> TypeGuard[float]:
    # NaN would leave the order to chance.
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e300


def _model(data: dict[str, Any]) -> str | None:
    model = data.get("model")
    return model if isinstance(model, str) else None


def _read_usage(raw: Any) -> Usage | None:
    """A bare `total_tokens` (AIHubMix's rerank answers) is the input, priced as such."""
    usage = read_usage(raw)
    if usage is None or usage.input_tokens:
        return usage
    return replace(usage, input_tokens=usage.total_tokens, output_tokens=0)


def _items(data: Any, key: str) -> list[Any]:
    if not isinstance(data, dict):
        raise AnswerError("undecodable", f"The answer is a JSON {type(data).__name__}, not an object.", data)
    if data.get("error") or (not data.get(key) and not data.get("data") and holds_error(data)):
        raise AnswerError("error_body", "The hub answered with an error under status 200.", data)
    items = data.get(key) if data.get(key) is not None else data.get("data")
    if not isinstance(items, list):
        raise AnswerError("no_choices", f"The answer has no {key!r}.", data)
    return items
