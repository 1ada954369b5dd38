"""Split lists of texts that are longer than a vendor takes in one request.

The limit is learned from the vendor's refusal.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from dataclasses import replace

from hubmix.errors import HubmixError
from hubmix.failover.amendments import batch_limit
from hubmix.wire.api import Payload
from hubmix.wire.values import Cost, EmbeddingReply, Usage

logger = logging.getLogger(__name__)

Limits = MutableMapping[str, int]
"""The texts that each model takes in one request, as far as that was learned."""


def embed(ask: Callable[[Payload], EmbeddingReply], payload: Payload, limits: Limits) -> EmbeddingReply:
    """Ask for the vectors of a list of texts, in as many requests as the vendor needs.

    Args:
        ask: asks for the vectors of one request.
        payload: the call's payload.
        limits: what is known of the models; more may be learned.
    """
    if not _is_too_long(payload, limits):
        try:
            return ask(payload)
        except HubmixError as error:
            if not _learn(error, payload, limits):
                raise
    return _joined([ask(part) for part in _parts(payload, limits)])


async def aembed(
    ask: Callable[[Payload], Awaitable[EmbeddingReply]], payload: Payload, limits: Limits
) -> EmbeddingReply:
    """`embed`, for asyncio."""
    if not _is_too_long(payload, limits):
        try:
            return await ask(payload)
        except HubmixError as error:
            if not _learn(error, payload, limits):
                raise
    return _joined([await ask(part) for part in _parts(payload, limits)])


def _count(payload: Payload) -> int:
    texts = payload.get("input")
    return len(texts) if isinstance(texts, list) else 1


def _is_too_long(payload: Payload, limits: Limits) -> bool:
    return _count(payload) > limits.get(payload.get("model", ""), _count(payload))


def _learn(error: HubmixError, payload: Payload, limits: Limits) -> bool:
    limit = batch_limit(error.hub_message or "", _count(payload))
    if limit is None:
        return False
    model = payload["model"]
    limits[model] = limit
    logger.info("The model %r takes %d texts in one request; longer lists are split from now on.", model, limit)
    return True


def _parts(payload: Payload, limits: Limits) -> list[Payload]:
    texts, limit = payload["input"], limits[payload["model"]]
    return [{**payload, "input": texts[start : start + limit]} for start in range(0, len(texts), limit)]


def _joined(replies: Sequence[EmbeddingReply]) -> EmbeddingReply:
    vectors = [vector for reply in replies for vector in reply.vectors]
    counts = [reply.usage for reply in replies if reply.usage is not None]
    usage = None
    if len(counts) == len(replies):
        usage = Usage(
            sum(count.input_tokens for count in counts),
            sum(count.output_tokens for count in counts),
            sum(count.total_tokens for count in counts),
        )
    return replace(replies[-1], vectors=vectors, usage=usage, cost=_sum([reply.cost for reply in replies]))


def _sum(costs: Sequence[Cost | None]) -> Cost | None:
    known = [cost for cost in costs if cost is not None]
    if len(known) < len(costs):
        return None
    whole = known[-1]
    for cost in known[:-1]:
        whole += cost
    return whole
