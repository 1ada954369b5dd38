"""A short round through a real hub; cassettes/live/README.md has its cost.

The models are those that the known hubs serve; change them here for another hub.
"""

from __future__ import annotations

import pytest
from langchain_core.messages import HumanMessage, ToolMessage
from llama_index.core.base.llms.types import ChatMessage

from hubmix import AuthenticationError, Hub, HubmixError
from langchain_hubmix import ChatHubmix, HubmixEmbeddings, HubmixRerank
from llamaindex_hubmix import Hubmix

pytestmark = pytest.mark.vcr

CHAT = "gpt-4o-mini"
REASONS = "deepseek-r1"
EMBEDS = "text-embedding-3-small"
RANKS = "jina-reranker-v3"
LIMIT = 64  # tokens of an answer


def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"Sunny in {city}."


def test_chat(hub):
    """One whole answer, with its usage and the hub's request id."""
    answer = ChatHubmix(model=CHAT, hub=hub, max_tokens=LIMIT).invoke("Say hello in one word.")
    assert answer.content
    assert answer.usage_metadata["total_tokens"] > 0
    assert answer.response_metadata["finish_reason"] == "stop"


def test_stream(hub):
    """The same in pieces, in LlamaIndex."""
    llm = Hubmix(model=CHAT, hub=hub, max_tokens=LIMIT)
    responses = list(llm.stream_chat([ChatMessage("Count from one to five in words.")]))
    assert "five" in responses[-1].message.content.lower()
    assert responses[-1].raw["usage"]["total_tokens"] > 0


def test_tools(hub):
    """A call, its result sent back, and the answer made of it."""
    llm = ChatHubmix(model=CHAT, hub=hub, max_tokens=LIMIT).bind_tools([get_weather])
    history = [HumanMessage("How is the weather in Oslo? Use the tool.")]
    call = llm.invoke(history)
    [asked] = call.tool_calls
    assert asked["name"] == "get_weather"
    answer = llm.invoke([*history, call, ToolMessage(get_weather(**asked["args"]), tool_call_id=asked["id"])])
    assert "sunny" in answer.content.lower()


def test_reasoning(hub):
    """Reasoning that comes apart from the answer."""
    answer = ChatHubmix(model=REASONS, hub=hub, max_tokens=1024).invoke("Is 91 prime? Answer with yes or no.")
    assert answer.additional_kwargs["reasoning_content"]
    assert answer.content


def test_embeddings(hub):
    """Two texts, two vectors."""
    vectors = HubmixEmbeddings(model=EMBEDS, hub=hub, dimensions=8).embed_documents(["one", "two"])
    assert [len(vector) for vector in vectors] == [8, 8]


def test_rerank(hub):
    """The best document first."""
    documents = ["Oslo is in Norway.", "Paris is the capital of France."]
    found = HubmixRerank(model=RANKS, hub=hub, top_n=1).rerank(documents, "What is the capital of France?")
    assert found[0]["index"] == 1


def test_wrong_key(hub):
    """A key that nobody has."""
    with pytest.raises(AuthenticationError):
        ChatHubmix(model=CHAT, base_url=hub.base_url, api_key="sk-wrong", max_tokens=LIMIT).invoke("Hello")


def test_unknown_model(hub):
    """A model that nobody serves: what the hub says, whatever its status."""
    with pytest.raises(HubmixError) as caught:
        ChatHubmix(model="no-such-model-anywhere", hub=hub, max_retries=0).invoke("Hello")
    assert caught.value.kind in ("no_channel", "not_found", "permission")


def test_one_model_of_the_list(hub: Hub):
    """What AIHubMix says of one model; hubs without this page answer 404."""
    page = hub.get(f"//api/v1/models?model={CHAT}", authorized=False)
    assert page.status in (200, 404)
