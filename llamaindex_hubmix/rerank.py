"""HubmixRerank: the rerank models of a hub, as a node postprocessor."""

from __future__ import annotations

from typing import Any

from llama_index.core.callbacks import CBEventType, EventPayload
from llama_index.core.instrumentation.events.rerank import ReRankEndEvent, ReRankStartEvent
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import MetadataMode, NodeWithScore, QueryBundle
from llama_index_instrumentation import get_dispatcher

from hubmix.errors import ConfigurationError
from hubmix.failover.options import CallOptions
from hubmix.plugin.document import documented
from hubmix.plugin.fields import RerankFields
from hubmix.plugin.request import plain_options
from hubmix.plugin.texts import ranking, rerank_payload
from hubmix.wire import RerankReply
from llamaindex_hubmix._model import HubComponent

dispatcher = get_dispatcher(__name__)


@documented
class HubmixRerank(RerankFields, HubComponent, BaseNodePostprocessor):
    """Nodes in the order of their relevance, judged by a rerank model.

    The parameters are listed by `help()` and on the reference page.

    Raises:
        ConfigurationError: an unknown parameter; a call without a query.
        HubmixError: what a request failed with.

    Example:
        ```python
        from llama_index.core.schema import NodeWithScore, TextNode
        from llamaindex_hubmix import HubmixRerank

        texts = ["It rained all day.", "The cat sat on the mat."]
        rerank = HubmixRerank(model="embedded/rerank", top_n=1)
        nodes = [NodeWithScore(node=TextNode(text=text)) for text in texts]
        best = rerank.postprocess_nodes(nodes, query_str="Where did the cat sit?")
        assert best[0].text.startswith("The cat")
        ```
    """

    @classmethod
    def class_name(cls) -> str:
        """Its name in serialised form."""
        return "HubmixRerank"

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        query = _query(query_bundle)
        if not nodes:
            return []
        self._started(nodes, query)
        with self.callback_manager.event(CBEventType.RERANKING, payload=self._event(nodes, query)) as event:
            ranked = _ranked(nodes, self.hub.rerank(self._payload(nodes, query), self._options()), self.top_n)
            event.on_end(payload={EventPayload.NODES: ranked})
        dispatcher.event(ReRankEndEvent(nodes=ranked))
        return ranked

    async def _apostprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        query = _query(query_bundle)
        if not nodes:
            return []
        self._started(nodes, query)
        with self.callback_manager.event(CBEventType.RERANKING, payload=self._event(nodes, query)) as event:
            reply = await self.hub.arerank(self._payload(nodes, query), self._options())
            ranked = _ranked(nodes, reply, self.top_n)
            event.on_end(payload={EventPayload.NODES: ranked})
        dispatcher.event(ReRankEndEvent(nodes=ranked))
        return ranked

    def _started(self, nodes: list[NodeWithScore], query: str) -> None:
        dispatcher.event(
            ReRankStartEvent(query=query, nodes=nodes, top_n=self.top_n or len(nodes), model_name=self.model)
        )

    def _event(self, nodes: list[NodeWithScore], query: str) -> dict[str, Any]:
        return {
            EventPayload.NODES: nodes,
            EventPayload.MODEL_NAME: self.model,
            EventPayload.QUERY_STR: query,
            EventPayload.TOP_K: self.top_n or len(nodes),
        }

    def _payload(self, nodes: list[NodeWithScore], query: str) -> dict[str, Any]:
        texts = [node.node.get_content(metadata_mode=MetadataMode.EMBED) for node in nodes]
        return rerank_payload(self.__dict__, query, texts, None)

    def _options(self) -> CallOptions:
        return plain_options(self.__dict__)


def _query(bundle: QueryBundle | None) -> str:
    if bundle is None:
        raise ConfigurationError("HubmixRerank orders nodes by a query: pass query_str or query_bundle.")
    return bundle.query_str


def _ranked(nodes: list[NodeWithScore], reply: RerankReply, top_n: int | None) -> list[NodeWithScore]:
    """New nodes with scores; the caller's are left as they are."""
    return [NodeWithScore(node=nodes[index].node, score=score) for index, score in ranking(reply, top_n)]
