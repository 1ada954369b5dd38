"""LangChain: every model of a hub as a chat model, embeddings and reranker."""

from hubmix._compat import extra

extra("langchain_core", "langchain_hubmix", "langchain")  # before the imports below need it

from langchain_hubmix.chat_models import ChatHubmix  # noqa: E402
from langchain_hubmix.embeddings import HubmixEmbeddings  # noqa: E402
from langchain_hubmix.rerank import HubmixRerank  # noqa: E402

__all__ = ["ChatHubmix", "HubmixEmbeddings", "HubmixRerank"]
