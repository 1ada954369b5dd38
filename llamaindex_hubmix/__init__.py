"""Every model of a hub for LlamaIndex: an LLM, embeddings and a reranker.

```python
from llama_index.core import Settings
from llamaindex_hubmix import Hubmix, HubmixEmbedding

Settings.llm = Hubmix(model="gpt-4o-mini", fallbacks=["deepseek-chat"])
Settings.embed_model = HubmixEmbedding(model="text-embedding-3-small")
```
"""

from hubmix._compat import extra

extra("llama_index.core", "llamaindex_hubmix", "llamaindex")  # before the imports below need it

from llamaindex_hubmix._callbacks import HubmixFailoverEvent  # noqa: E402
from llamaindex_hubmix.embeddings import HubmixEmbedding  # noqa: E402
from llamaindex_hubmix.llms import Hubmix  # noqa: E402
from llamaindex_hubmix.rerank import HubmixRerank  # noqa: E402

__all__ = ["Hubmix", "HubmixEmbedding", "HubmixFailoverEvent", "HubmixRerank"]
