"""`HubmixRerank` under LlamaIndex's own path for postprocessors."""

from llamaindex_hubmix import HubmixRerank

__all__ = ["HubmixRerank"]
