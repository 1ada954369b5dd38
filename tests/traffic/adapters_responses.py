"""The two classes over the Responses API as adapters of the replay tool.

python ../shared/tools/replay_responses.py --adapter tests.traffic.adapters_responses:langchain --cut --errors
"""

from __future__ import annotations

import replay_responses as tool  # it lies with the recordings; tests/traffic/corpus.py puts it on the path

from tests.traffic.api_adapters import ApiAdapters

_adapters = ApiAdapters(tool, "responses")
langchain, langchain_async = _adapters.langchain(), _adapters.langchain_async()
llamaindex, llamaindex_async = _adapters.llamaindex(), _adapters.llamaindex_async()
