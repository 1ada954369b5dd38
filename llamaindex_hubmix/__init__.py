"""Every model of an OpenAI-compatible hub for LlamaIndex: an LLM, embeddings and a reranker.

```python
from llama_index.core import Settings
from llamaindex_hubmix import Hubmix, HubmixEmbedding

Settings.llm = Hubmix(model="gpt-4o-mini", fallbacks=["deepseek-chat"])
Settings.embed_model = HubmixEmbedding(model="text-embedding-3-small")
```
"""

from llamaindex_hubmix._callbacks import HubmixFailoverEvent
from llamaindex_hubmix.embeddings import HubmixEmbedding
from llamaindex_hubmix.llms import Hubmix
from llamaindex_hubmix.rerank import HubmixRerank

__all__ = ["Hubmix", "HubmixEmbedding", "HubmixFailoverEvent", "HubmixRerank"]
