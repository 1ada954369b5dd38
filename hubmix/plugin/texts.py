"""Requests of embeddings and rerankers: texts, batches, ranking. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hubmix.errors import ConfigurationError
from hubmix.wire.parameters import EmbeddingParameters

if TYPE_CHECKING:
    from hubmix.wire import RerankReply


def checked(texts: Any) -> list[str]:
    """Return the texts as a list, all of them texts and none of them empty.

    Raises:
        ConfigurationError: one is empty or no text. A hub refuses the whole request for one empty text.
    """
    if isinstance(texts, str):
        raise ConfigurationError("Documents are a list of texts, not one text: use embed_query for that.")
    found = list(texts)
    for position, text in enumerate(found):
        if not isinstance(text, str):  # a number would be taken for a token ID
            raise ConfigurationError(f"Text {position} of {len(found)} is a {type(text).__name__}, not a string.")
        if not text:
            raise ConfigurationError(
                f"Text {position} of {len(found)} is empty. A hub refuses the whole request for one empty text: "
                "leave it out, or embed a placeholder such as ' '."
            )
    return found


def batches(texts: Sequence[str], *, most: int, max_chars: int) -> list[list[str]]:
    """Return the texts in requests of at most `most` texts and `max_chars` characters.

    A longer text goes alone.
    """
    made: list[list[str]] = []
    size = 0
    for text in texts:
        if not made or len(made[-1]) >= most or size + len(text) > max_chars:
            made.append([])
            size = 0
        made[-1].append(text)
        size += len(text)
    return made


def embedding_payload(own: Mapping[str, Any], model: str, texts: Sequence[str]) -> dict[str, Any]:
    """Return the body of one embeddings request.

    Texts go as strings, never as token IDs: gateways turn those into empty input for every vendor but OpenAI.
    """
    payload = {"model": model, "input": list(texts)}
    settings = {name: own[name] for name in EmbeddingParameters.model_fields}
    return payload | {name: value for name, value in settings.items() if value is not None}


def rerank_payload(own: Mapping[str, Any], query: str, documents: Sequence[Any], top_n: int | None) -> dict[str, Any]:
    """Return the body of one rerank request.

    Args:
        own: the reranker's fields.
        query: what the documents are to be relevant to.
        documents: texts, or dicts as the model takes them.
        top_n: how many to keep in this call; None: the reranker's own number.
    """
    payload = {"model": own["model"], "query": query, "documents": list(documents)}
    wanted = own["top_n"] if top_n is None else top_n
    if wanted is not None and wanted < 1:
        raise ConfigurationError(f"top_n is how many documents to keep, 1 or more, not {wanted}.")
    # Always sent: some endpoints require it, and to every other one the number of documents is the default.
    return {**payload, "top_n": len(documents) if wanted is None else min(wanted, len(documents))}


def ranking(reply: RerankReply, top_n: int | None) -> list[tuple[int, float]]:
    """Return position and score of the best documents; some vendors ignore `top_n`."""
    return [(result.index, result.score) for result in reply.results[:top_n]]
