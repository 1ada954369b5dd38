"""The two classes over the Messages API as adapters of the replay tool.

python ../shared/tools/replay_messages.py --adapter tests.traffic.adapters_messages:langchain --cut --errors
"""

from __future__ import annotations

import replay_messages as tool  # it lies with the recordings; tests/traffic/corpus.py puts it on the path

from tests.traffic.api_adapters import ApiAdapters

_adapters = ApiAdapters(tool, "messages")
langchain, langchain_async = _adapters.langchain(), _adapters.langchain_async()
llamaindex, llamaindex_async = _adapters.llamaindex(), _adapters.llamaindex_async()
