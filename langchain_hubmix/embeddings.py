"""HubmixEmbeddings: the embedding models of a hub."""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import TYPE_CHECKING, Any

from langchain_core.embeddings import Embeddings
from langchain_core.runnables.config import ContextThreadPoolExecutor
from pydantic import Field

from hubmix.plugin.document import documented
from hubmix.plugin.fields import EmbeddingFields, ModelField
from hubmix.plugin.request import plain_options
from hubmix.plugin.texts import batches, checked, embedding_payload
from langchain_hubmix._errors import raises_langchain_errors
from langchain_hubmix._model import HubObject

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hubmix.failover.options import CallOptions


@documented
class HubmixEmbeddings(ModelField, EmbeddingFields, HubObject, Embeddings):
    """Vectors from an embedding model of an OpenAI-compatible hub.

    Long lists are cut into requests by count and by size, several of which run at once; the vectors come back in the
    order of the texts. A failed request is tried again, but never with another model: the vector spaces of two models
    have nothing to do with each other.

    The parameters are listed by `help()` and on the reference page.

    Raises:
        ConfigurationError: an unknown parameter, or an empty text; hubs refuse a whole request for one empty text, so
            it is found before anything is sent.
        HubmixError: what a request failed with.

    Example:
        ```python
        from langchain_hubmix import HubmixEmbeddings

        embeddings = HubmixEmbeddings(model="embedded/embed")
        vectors = embeddings.embed_documents(["A cat sat.", "It rained."])
        assert len(vectors) == 2 and len(vectors[0]) == len(embeddings.embed_query("cat"))
        ```
    """

    chunk_size: int = Field(
        default=100, ge=1, description="Most texts in one request. A vendor that takes fewer is asked in parts."
    )
    max_concurrency: int = Field(default=4, ge=1, description="Most requests at once, in threads or in the event loop.")
    show_progress: bool = Field(default=False, description="Whether to show a progress bar (tqdm) over the texts.")

    @raises_langchain_errors
    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """One vector a text, in their order; no request for no texts.

        Args:
            texts: none of them empty.
        """
        found = self._batches(texts)
        total = sum(map(len, found))
        if len(found) <= 1 or self.max_concurrency == 1:
            return self._joined((self._embed(batch) for batch in found), total)
        with ContextThreadPoolExecutor(max_workers=min(self.max_concurrency, len(found))) as pool:
            return self._joined(pool.map(self._embed, found), total)

    @raises_langchain_errors
    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """The same without blocking the event loop; cancelling it cancels its requests."""
        found = self._batches(texts)
        free = asyncio.Semaphore(self.max_concurrency)
        progress = self._progress(sum(map(len, found)))

        async def embed(batch: list[str]) -> list[list[float]]:
            async with free:
                vectors = (await self.hub.aembed(self._payload(batch), self._options())).vectors
            progress.update(len(batch))
            return vectors

        tasks = [asyncio.ensure_future(embed(batch)) for batch in found]
        try:
            return [vector for vectors in await asyncio.gather(*tasks) for vector in vectors]
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)  # none of them outlives the call
            progress.close()

    @raises_langchain_errors
    def embed_query(self, text: str) -> list[float]:
        """The vector of one text.

        Args:
            text: not empty.
        """
        return self._embed(checked([text]))[0]

    @raises_langchain_errors
    async def aembed_query(self, text: str) -> list[float]:
        """The same without blocking the event loop."""
        return (await self.hub.aembed(self._payload(checked([text])), self._options())).vectors[0]

    def _embed(self, batch: list[str]) -> list[list[float]]:
        return self.hub.embed(self._payload(batch), self._options()).vectors

    def _payload(self, batch: list[str]) -> dict[str, Any]:
        return embedding_payload(self.__dict__, self.model, batch)

    def _options(self) -> CallOptions:
        return plain_options(self.__dict__)

    def _batches(self, texts: Iterable[str]) -> list[list[str]]:
        return batches(checked(texts), most=self.chunk_size, max_chars=self.max_chars)

    def _joined(self, answers: Iterable[list[list[float]]], total: int) -> list[list[float]]:
        vectors: list[list[float]] = []
        with self._progress(total) as progress:
            for answer in answers:
                vectors += answer
                progress.update(len(answer))
        return vectors

    def _progress(self, total: int) -> Any:
        tqdm = import_module("tqdm.auto").tqdm  # the SDK depends on it; importing it takes a while
        return tqdm(total=total, unit=" texts", disable=not self.show_progress)
