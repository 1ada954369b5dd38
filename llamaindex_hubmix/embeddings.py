"""HubmixEmbedding: the embedding models of a hub."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from llama_index.core.base.embeddings.base import BaseEmbedding, Embedding
from llama_index.core.callbacks.schema import CBEventType, EventPayload
from llama_index.core.instrumentation.events.embedding import EmbeddingEndEvent, EmbeddingStartEvent
from llama_index.core.utils import get_tqdm_iterable
from llama_index_instrumentation import get_dispatcher
from pydantic import Field

from hubmix.failover.options import CallOptions
from hubmix.plugin.document import documented
from hubmix.plugin.fields import EmbeddingFields
from hubmix.plugin.request import plain_options
from hubmix.plugin.texts import batches, checked, embedding_payload
from llamaindex_hubmix._model import HubComponent

dispatcher = get_dispatcher(__name__)


@documented
class HubmixEmbedding(EmbeddingFields, HubComponent, BaseEmbedding):
    """Vectors from an embedding model of an OpenAI-compatible hub.

    A failed request is tried again, but never with another model: the vector spaces of two models have nothing to do
    with each other.

    The parameters are listed by `help()` and on the reference page.

    Raises:
        ConfigurationError: an unknown parameter, or an empty text; hubs refuse a whole request for one empty text, so
            it is found before anything is sent.
        HubmixError: what a request failed with.

    Example:
        ```python
        from llamaindex_hubmix import HubmixEmbedding

        embedding = HubmixEmbedding(model="embedded/embed")
        vectors = embedding.get_text_embedding_batch(["A cat sat.", "It rained."])
        assert len(vectors) == 2 and len(vectors[0]) == len(embedding.get_query_embedding("cat"))
        ```
    """

    model_name: str = Field(
        alias="model", kw_only=False, min_length=1, description="ID of the model, exactly as the hub lists it."
    )
    embed_batch_size: int = Field(
        default=100,
        gt=0,
        le=2048,
        description="Most texts in one request. A vendor that takes fewer is asked in parts.",
    )
    num_workers: int | None = Field(
        default=8, ge=1, description="Most requests at once in the async verbs. None: no limit."
    )

    @classmethod
    def class_name(cls) -> str:
        """Its name in serialised form."""
        return "HubmixEmbedding"

    @property
    def model(self) -> str:
        """The same as `model_name`."""
        return self.model_name

    def to_payload(self) -> dict[str, Any]:
        """What events and callbacks say of this model: nothing secret is among it."""
        return {
            "class_name": self.class_name(),
            "model_name": self.model_name,
            "model": self.model_name,
            "embed_batch_size": self.embed_batch_size,
            "dimensions": self.dimensions,
        }

    # ------------------------------------------------------------------------------------- one request each

    def _get_text_embeddings(self, texts: list[str]) -> list[Embedding]:
        replies = [self.hub.embed(payload, self._options()) for payload in self._requests(texts)]
        return [vector for reply in replies for vector in reply.vectors]

    async def _aget_text_embeddings(self, texts: list[str]) -> list[Embedding]:
        replies = [await self.hub.aembed(payload, self._options()) for payload in self._requests(texts)]
        return [vector for reply in replies for vector in reply.vectors]

    def _get_text_embedding(self, text: str) -> Embedding:
        return self._get_text_embeddings([text])[0]

    async def _aget_text_embedding(self, text: str) -> Embedding:
        return (await self._aget_text_embeddings([text]))[0]

    def _get_query_embedding(self, query: str) -> Embedding:
        return self._get_text_embedding(query)

    async def _aget_query_embedding(self, query: str) -> Embedding:
        return await self._aget_text_embedding(query)

    def _requests(self, texts: Sequence[str]) -> list[dict[str, Any]]:
        parts = batches(checked(texts), most=self.embed_batch_size, max_chars=self.max_chars)
        return [embedding_payload(self.__dict__, self.model_name, part) for part in parts]

    def _options(self) -> CallOptions:
        return plain_options(self.__dict__)

    # -------------------------------------------------------------------------------------- many, in batches

    @dispatcher.span
    async def aget_text_embedding_batch(
        self, texts: list[str], show_progress: bool = False, **kwargs: Any
    ) -> list[Embedding]:
        """The vectors of many texts, in order, with at most `num_workers` at once.

        Core's own has no bound below two workers, and leaves the other requests running when one has failed.

        Args:
            texts: none of them empty.
            show_progress: show a progress bar (tqdm) over the requests.
        """
        size = self.embed_batch_size
        parts = [texts[start : start + size] for start in range(0, len(texts), size)]
        free = asyncio.Semaphore(self.num_workers or max(len(parts), 1))

        async def embed(batch: list[str]) -> list[Embedding]:
            async with free:
                return await self._embed_batch(batch)

        tasks = [asyncio.ensure_future(embed(batch)) for batch in parts]
        try:
            # As they end, not as they began: the first failure must not wait for a request that is never answered.
            done = asyncio.as_completed(tasks)
            for ended in get_tqdm_iterable(done, show_progress, "Generating embeddings", total=len(tasks)):
                await ended
        finally:
            await _stop(tasks)
        return [vector for task in tasks for vector in task.result()]

    async def _embed_batch(self, batch: list[str]) -> list[Embedding]:
        """One batch, with the events that core sends for each."""
        payload = self.to_payload()
        dispatcher.event(EmbeddingStartEvent(model_dict=payload))
        event_id = self.callback_manager.on_event_start(
            CBEventType.EMBEDDING, payload={EventPayload.SERIALIZED: payload}
        )
        found: dict[str, Any] = {EventPayload.CHUNKS: batch}
        try:
            if self.rate_limiter is not None:
                await self.rate_limiter.async_acquire()
            look_up = self._aget_text_embeddings if self.embeddings_cache is None else self._aget_text_embeddings_cached
            found[EventPayload.EMBEDDINGS] = vectors = await look_up(batch)
        except BaseException as error:
            found = {EventPayload.EXCEPTION: error}
            raise
        finally:
            self.callback_manager.on_event_end(CBEventType.EMBEDDING, payload=found, event_id=event_id)
        dispatcher.event(EmbeddingEndEvent(chunks=batch, embeddings=vectors))
        return vectors


async def _stop(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Cancel what still runs and wait for its end, leaving no request behind."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
