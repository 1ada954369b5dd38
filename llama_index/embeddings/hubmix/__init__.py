"""`HubmixEmbedding` under LlamaIndex's own path for embeddings."""

from llamaindex_hubmix import HubmixEmbedding

__all__ = ["HubmixEmbedding"]
