"""`Hubmix` under LlamaIndex's own path for LLMs."""

from llamaindex_hubmix import Hubmix

__all__ = ["Hubmix"]
