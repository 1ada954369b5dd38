"""POST /v1/embeddings: words and letter n-grams hashed into a unit vector.

Texts that share words, or parts of words, come out near each other, so that retrieval works on the documents of a demo.
The same text has the same vector on every machine and in every process.
"""

from __future__ import annotations

import base64
import math
import struct
import zlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

from hubmix.embedded.models import EmbeddedModel
from hubmix.embedded.replies import PASSED_JSON_TYPE, Reply, json_reply
from hubmix.embedded.rules.text import STOPWORDS, stem, words
from hubmix.embedded.tokens import count
from hubmix.embedded.validate import RefusedError

_WORD_WEIGHT = 1.0
_PAIR_WEIGHT = 0.5
_GRAM_WEIGHT = 0.25
_STOP_WEIGHT = 0.05
MAX_DIMENSIONS = 4096


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


def answer(model: EmbeddedModel, body: Mapping[str, Any], *, strict: bool) -> tuple[Reply, Mapping[str, Any]]:
    """The reply to an embeddings request, and the usage it is charged for.

    Args:
        model: An embedding model.
        body: The request's.
        strict: Whether the hub itself refuses an empty input (New API does, one-api asks the vendor).

    Raises:
        RefusedError: no input, or an input of the wrong kind.
    """
    if model.kind != "embedding":
        raise RefusedError(f"The model `{model.id}` does not support embeddings.", by="vendor", param="model")
    texts = _inputs(body, strict)
    dimensions = _dimensions(model, body)
    as_text = body.get("encoding_format") == "base64"
    data = []
    for index, text in enumerate(texts):
        vector = embed(text, dimensions)
        value: Any = base64.b64encode(struct.pack(f"<{dimensions}f", *vector)).decode() if as_text else list(vector)
        data.append({"object": "embedding", "index": index, "embedding": value})
    tokens = sum(count(text) for text in texts)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    reply = json_reply(
        200, {"object": "list", "data": data, "model": model.id, "usage": usage}, content_type=PASSED_JSON_TYPE
    )
    return reply, usage


def _inputs(body: Mapping[str, Any], strict: bool) -> Sequence[str]:
    given = body.get("input")
    if not given:
        if strict:
            raise RefusedError("input is empty", case="invalid_embedding")
        raise RefusedError("'$.input' is invalid.", by="vendor", param="input")
    if isinstance(given, str):
        return [given]
    if not isinstance(given, list):
        raise RefusedError("'$.input' is invalid.", by="vendor", param="input")
    # Token ids, alone or in lists, never reach a vendor that is not OpenAI: they are dropped, not refused.
    return [item for item in given if isinstance(item, str)]


def _dimensions(model: EmbeddedModel, body: Mapping[str, Any]) -> int:
    wanted = body.get("dimensions") or model.dimensions
    if not isinstance(wanted, int) or not 0 < wanted <= MAX_DIMENSIONS:
        raise RefusedError(
            f"Invalid 'dimensions': expected a value between 1 and {MAX_DIMENSIONS}.", by="vendor", param="dimensions"
        )
    return wanted
