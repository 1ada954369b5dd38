"""HubmixRerank: the rerank models of a hub, as a node postprocessor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from llama_index.core.callbacks import CBEventType, EventPayload
from llama_index.core.instrumentation.events.rerank import ReRankEndEvent, ReRankStartEvent
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import MetadataMode, NodeWithScore, QueryBundle
from llama_index_instrumentation import get_dispatcher
from pydantic import Field, field_serializer

from hubmix.errors import ConfigurationError
from hubmix.failover.options import CallOptions
from hubmix.failover.policy import FailoverPolicy
from hubmix.wire import RerankReply
from llamaindex_hubmix._model import OPENAI_ONLY, HubConnection
from llamaindex_hubmix._request import NAMES, policy_of, policy_to_dict

dispatcher = get_dispatcher(__name__)


class HubmixRerank(HubConnection, BaseNodePostprocessor):
    """Nodes in the order of their relevance to a query, judged by a rerank model of a hub.

    Args:
        model: ID of the model, exactly as the hub lists it.
        top_n: how many of the best to keep. Default: all of them.
        hub, base_url, api_key, app_code, default_headers, http_client, http_async_client: as in `Hubmix`.
        timeout, total_timeout: seconds for one attempt, and for the call with its retries.
        max_retries: further attempts at a failed request. Default: 2. No other model is ever asked.
        failover: a `FailoverPolicy` for everything else about retries.
        extra_body: fields merged into every request's body: a vendor's own parameters.
        callback_manager: LlamaIndex's own.

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

    model: str = Field(description="ID of the model, as the hub lists it.")
    top_n: int | None = Field(default=None, ge=1, description="How many of the best to keep.")
    extra_body: dict[str, Any] | None = Field(default=None, description="Fields merged into every body last.")
    timeout: float | None = Field(default=None, description="Seconds for one attempt.")
    total_timeout: float | None = Field(default=None, description="Seconds for the call with its retries.")
    max_retries: int | None = Field(default=None, description="Further attempts at a failed request.")
    failover: FailoverPolicy | None = Field(default=None, description="The rest about retries.")

    names: ClassVar[Mapping[str, str]] = NAMES
    elsewhere: ClassVar[Mapping[str, str]] = {
        **OPENAI_ONLY,
        "fallbacks": "scores of two models cannot be compared; leave it out",
    }

    def __init__(self, model: str | None = None, **kwargs: Any) -> None:
        if model is not None:
            kwargs["model"] = model
        super().__init__(**kwargs)

    @classmethod
    def class_name(cls) -> str:
        """Its name in serialised form."""
        return "HubmixRerank"

    @field_serializer("failover")
    def _policy_to_dict(self, policy: FailoverPolicy | None) -> dict[str, Any] | None:
        return policy_to_dict(policy)

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
        payload: dict[str, Any] = {"model": self.model, "query": query, "documents": texts}
        return payload if self.top_n is None else {**payload, "top_n": min(self.top_n, len(texts))}

    def _options(self) -> CallOptions:
        return CallOptions(
            policy=policy_of(self.failover, self.max_retries),
            timeout=self.timeout,
            total_timeout=self.total_timeout,
            extra_body=self.extra_body,
        )


def _query(bundle: QueryBundle | None) -> str:
    if bundle is None:
        raise ConfigurationError("HubmixRerank orders nodes by a query: pass query_str or query_bundle.")
    return bundle.query_str


def _ranked(nodes: list[NodeWithScore], reply: RerankReply, top_n: int | None) -> list[NodeWithScore]:
    """New nodes with scores, the caller's left as they are; a hub that ignores `top_n` is cut here."""
    return [NodeWithScore(node=nodes[found.index].node, score=found.score) for found in reply.results[:top_n]]
