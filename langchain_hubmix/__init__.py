"""LangChain: every model of an OpenAI-compatible hub as a chat model, embeddings and reranker."""

from langchain_hubmix.chat_models import ChatHubmix
from langchain_hubmix.embeddings import HubmixEmbeddings
from langchain_hubmix.rerank import HubmixRerank

__all__ = ["ChatHubmix", "HubmixEmbeddings", "HubmixRerank"]
