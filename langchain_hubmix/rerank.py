"""HubmixRerank: the rerank models of a hub, as a document compressor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_core.documents import BaseDocumentCompressor, Document

from hubmix.plugin.document import documented
from hubmix.plugin.fields import RerankFields
from hubmix.plugin.request import plain_options
from hubmix.plugin.texts import ranking, rerank_payload
from langchain_hubmix._errors import raises_langchain_errors
from langchain_hubmix._model import HubObject

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_core.callbacks import Callbacks

    from hubmix.failover.options import CallOptions
    from hubmix.wire import RerankReply


@documented
class HubmixRerank(RerankFields, HubObject, BaseDocumentCompressor):
    """Documents in the order of their relevance, judged by a rerank model.

    The parameters are listed by `help()` and on the reference page.

    Raises:
        ConfigurationError: an unknown parameter.
        HubmixError: what a request failed with.

    Example:
        ```python
        from langchain_core.documents import Document
        from langchain_hubmix import HubmixRerank

        documents = [Document("It rained all day."), Document("The cat sat on the mat.")]
        best = HubmixRerank(model="embedded/rerank", top_n=1).compress_documents(documents, "Where did the cat sit?")
        assert best[0].page_content.startswith("The cat") and best[0].metadata["relevance_score"] > 0
        ```
    """

    @raises_langchain_errors
    def rerank(
        self, documents: Sequence[str | Document | dict[str, Any]], query: str, *, top_n: int | None = None
    ) -> list[dict[str, Any]]:
        """Positions and scores, best first.

        Args:
            documents: texts, LangChain documents, or dicts as the model takes them, such as `{"image": …}`.
            query: what they are to be relevant to.
            top_n: how many to give; default: the object's own.

        Returns:
            Dicts of `index` (the place in `documents`) and `relevance_score`. No request for no documents.
        """
        if not documents:
            return []
        payload = self._payload(documents, query, top_n)
        return _scores(self.hub.rerank(payload, self._options()), payload.get("top_n"))

    @raises_langchain_errors
    async def arerank(
        self, documents: Sequence[str | Document | dict[str, Any]], query: str, *, top_n: int | None = None
    ) -> list[dict[str, Any]]:
        """The same without blocking the event loop."""
        if not documents:
            return []
        payload = self._payload(documents, query, top_n)
        return _scores(await self.hub.arerank(payload, self._options()), payload.get("top_n"))

    def compress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks | None = None
    ) -> Sequence[Document]:
        """The best documents, best first, with `relevance_score` in their metadata.

        Args:
            documents: left as they are.
            query: what they are to be relevant to.
            callbacks: not used; part of LangChain's interface.
        """
        return _ranked(documents, self.rerank(documents, query))

    async def acompress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks | None = None
    ) -> Sequence[Document]:
        """The same without blocking the event loop."""
        return _ranked(documents, await self.arerank(documents, query))

    def _payload(self, documents: Sequence[Any], query: str, top_n: int | None) -> dict[str, Any]:
        texts = [item.page_content if isinstance(item, Document) else item for item in documents]
        return rerank_payload(self.__dict__, query, texts, top_n)

    def _options(self) -> CallOptions:
        return plain_options(self.__dict__)


def _scores(reply: RerankReply, top_n: int | None) -> list[dict[str, Any]]:
    return [{"index": index, "relevance_score": score} for index, score in ranking(reply, top_n)]


def _ranked(documents: Sequence[Document], scores: list[dict[str, Any]]) -> list[Document]:
    return [
        documents[score["index"]].model_copy(
            update={"metadata": {**documents[score["index"]].metadata, "relevance_score": score["relevance_score"]}}
        )
        for score in scores
    ]
