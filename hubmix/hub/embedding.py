"""Split lists of texts that are longer than a vendor takes in one request.

The limit is learned from the vendor's refusal.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from dataclasses import replace

from hubmix.errors import HubmixError
from hubmix.failover.amendments import batch_limit, is_too_much
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
    limit = limits.get(payload.get("model", ""))
    if limit is None or _count(payload) <= limit:
        try:
            return ask(payload)
        except HubmixError as error:
            if (limit := _limit_of(error, payload, limits)) is None:
                raise
    return _joined([embed(ask, part, limits) for part in _parts(payload, limit)])


async def aembed(
    ask: Callable[[Payload], Awaitable[EmbeddingReply]], payload: Payload, limits: Limits
) -> EmbeddingReply:
    """`embed`, for asyncio."""
    limit = limits.get(payload.get("model", ""))
    if limit is None or _count(payload) <= limit:
        try:
            return await ask(payload)
        except HubmixError as error:
            if (limit := _limit_of(error, payload, limits)) is None:
                raise
    return _joined([await aembed(ask, part, limits) for part in _parts(payload, limit)])


def _count(payload: Payload) -> int:
    texts = payload.get("input")
    return len(texts) if isinstance(texts, list) else 1


def _limit_of(error: HubmixError, payload: Payload, limits: Limits) -> int | None:
    """Return how many texts to send instead; None if fewer would be refused alike.

    A limit that the vendor names is remembered. Half of a list that is too large is a guess for this list alone.
    """
    said, count = error.hub_message or "", _count(payload)
    limit = batch_limit(said, count)
    if limit is None:
        return count // 2 or None if is_too_much(said) else None
    model = payload["model"]
    limits[model] = limit
    logger.info("The model %r takes %d texts in one request; longer lists are split from now on.", model, limit)
    return limit


def _parts(payload: Payload, limit: int) -> list[Payload]:
    texts = payload["input"]
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
