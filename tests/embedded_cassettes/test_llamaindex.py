"""What `Hubmix` and its siblings send and read, pinned in cassettes.

The sync and the async run of a test play one cassette: their requests are held to be the same, byte for byte.
"""

from __future__ import annotations

import base64

import pytest
from llama_index.core.base.llms.types import ChatMessage, ImageBlock, MessageRole, TextBlock, ThinkingBlock
from llama_index.core.prompts import PromptTemplate
from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.core.tools import FunctionTool

from hubmix import AllModelsFailedError, AuthenticationError
from llamaindex_hubmix import Hubmix, HubmixEmbedding, HubmixRerank
from tests.embedded_cassettes.questions import PARAMETERS, PIXEL, QUESTION, Person, both, get_weather

pytestmark = pytest.mark.vcr


WEATHER = FunctionTool.from_defaults(get_weather)


def user(text: str) -> list[ChatMessage]:
    return [ChatMessage(role=MessageRole.USER, content=text)]


@pytest.fixture
def model(embedded_hub):
    def make(model: str = "embedded/extract", **parameters) -> Hubmix:
        connection = {"base_url": embedded_hub.base_url, "api_key": embedded_hub.api_key}
        return Hubmix(model=model, **{**connection, **parameters})

    return make


async def ask(llm, messages, waits: bool):
    return llm.chat(messages) if waits else await llm.achat(messages)


@both
async def test_chat(model, waits):
    """A plain answer with its usage."""
    response = await ask(model(), user(QUESTION), waits)
    assert response.message.content == "Paris is the capital of France."
    assert response.additional_kwargs["total_tokens"] > 0


@both
async def test_complete(model, waits):
    """A prompt goes out as one user message."""
    llm = model()
    response = llm.complete(QUESTION) if waits else await llm.acomplete(QUESTION)
    assert response.text == "Paris is the capital of France."


@both
async def test_stream_chat(model, waits):
    """Pieces that add up, and usage with the last of them."""
    llm = model()
    if waits:
        responses = list(llm.stream_chat(user(QUESTION)))
    else:
        responses = [each async for each in await llm.astream_chat(user(QUESTION))]
    assert "".join(each.delta for each in responses) == "Paris is the capital of France."
    assert responses[-1].message.content == "Paris is the capital of France."
    assert responses[-1].raw["usage"]["total_tokens"] > 0


@both
async def test_parameters(model, waits):
    """Every parameter is sent under its own name, zero as zero."""
    llm = model(**PARAMETERS)
    messages = [ChatMessage(role=MessageRole.SYSTEM, content="Be brief."), *user(QUESTION)]
    assert (await ask(llm, messages, waits)).message.content


@both
async def test_tools_and_second_turn(model, waits):
    """Two calls, their results sent back, and the answer made of them."""
    llm, history = model(), user("How is the weather in Paris and in Oslo?")
    with_tools = llm.chat_with_tools if waits else llm.achat_with_tools
    asked = with_tools([WEATHER], chat_history=history, allow_parallel_tool_calls=True)
    response = asked if waits else await asked
    calls = llm.get_tool_calls_from_response(response)
    assert [(call.tool_name, call.tool_kwargs) for call in calls] == [
        ("get_weather", {"city": "Paris"}),
        ("get_weather", {"city": "Oslo"}),
    ]
    results = [
        ChatMessage(
            role=MessageRole.TOOL,
            content=get_weather(**call.tool_kwargs),
            additional_kwargs={"tool_call_id": call.tool_id},
        )
        for call in calls
    ]
    answer = with_tools([WEATHER], chat_history=[*history, response.message, *results])
    assert "Sunny" in (answer if waits else await answer).message.content


@both
async def test_tools_streamed(model, waits):
    """The fragments of two calls make two whole calls."""
    llm, history = model(), user("How is the weather in Paris and in Oslo?")
    asked = {"tools": [WEATHER], "chat_history": history, "allow_parallel_tool_calls": True}
    if waits:
        responses = list(llm.stream_chat_with_tools(**asked))
    else:
        responses = [each async for each in await llm.astream_chat_with_tools(**asked)]
    read = [llm.get_tool_calls_from_response(each, error_on_no_tool_call=False) for each in responses]
    assert [call.tool_kwargs for call in read[-1]] == [{"city": "Paris"}, {"city": "Oslo"}]
    assert len({call.tool_id for call in read[-1]}) == 2
    assert [len(calls) for calls in read] == sorted(len(calls) for calls in read)
    assert [call["function"]["name"] for call in responses[-1].message.additional_kwargs["tool_calls"]] == [
        "get_weather"
    ] * 2
    assert responses[-1].raw["usage"]["total_tokens"] > 0


@both
async def test_structured_predict(model, waits):
    """An object by the schema of a class."""
    llm, prompt = model(), PromptTemplate("{text}")
    if waits:
        found = llm.structured_predict(Person, prompt, text="Anna is 42 years old.")
    else:
        found = await llm.astructured_predict(Person, prompt, text="Anna is 42 years old.")
    assert found == Person(name="Anna", age=42)


@both
async def test_reasoning_sent_back(model, waits):
    """Reasoning goes back with a tool result to a model that requires it."""
    llm, history = model("embedded/think-strict"), user("How is the weather in Oslo?")
    with_tools = llm.chat_with_tools if waits else llm.achat_with_tools
    asked = with_tools([WEATHER], chat_history=history)
    response = asked if waits else await asked
    assert any(isinstance(block, ThinkingBlock) and block.content for block in response.message.blocks)
    [call] = llm.get_tool_calls_from_response(response)
    result = ChatMessage(
        role=MessageRole.TOOL, content="Rain in Oslo.", additional_kwargs={"tool_call_id": call.tool_id}
    )
    answer = with_tools([WEATHER], chat_history=[*history, response.message, result])
    assert "Rain" in (answer if waits else await answer).message.content


@both
async def test_image(model, waits):
    """A picture in LlamaIndex's own form goes out in OpenAI's."""
    blocks = [TextBlock(text="What is it?"), ImageBlock(image=base64.b64decode(PIXEL), image_mimetype="image/png")]
    response = await ask(model("embedded/vision"), [ChatMessage(role=MessageRole.USER, blocks=blocks)], waits)
    assert "1 image" in response.message.content


@both
async def test_fallback(model, waits):
    """A model that nobody serves, and the next one's answer."""
    response = await ask(model("nobody/serves-this", fallbacks=["embedded/echo"]), user("Hello"), waits)
    assert response.message.content == "Hello"
    assert response.additional_kwargs["failover"]["served"] == "embedded/echo"


@both
async def test_all_fail(model, waits):
    """Two models that nobody serves: one error that lists both."""
    with pytest.raises(AllModelsFailedError) as caught:
        await ask(model("nobody/serves-this", fallbacks=["nor-this"]), user("Hello"), waits)
    assert [each.model for each in caught.value.attempts] == ["nobody/serves-this", "nor-this"]


@both
async def test_wrong_key(model, waits):
    """A key that the hub does not know: no second request."""
    with pytest.raises(AuthenticationError):
        await ask(model(api_key="sk-wrong"), user("Hello"), waits)


@both
async def test_embeddings(embedded_hub, waits):
    """Texts go out as text, in one request."""
    embedder = HubmixEmbedding(
        model="embedded/embed", base_url=embedded_hub.base_url, api_key=embedded_hub.api_key, dimensions=8
    )
    texts = ["Paris is in France.", "Oslo is in Norway."]
    embed = embedder.get_text_embedding_batch if waits else embedder.aget_text_embedding_batch
    found = embed(texts)
    assert [len(vector) for vector in (found if waits else await found)] == [8, 8]


@both
async def test_rerank(embedded_hub, waits):
    """The best node first, with its score."""
    ranker = HubmixRerank(
        model="embedded/rerank", base_url=embedded_hub.base_url, api_key=embedded_hub.api_key, top_n=1
    )
    nodes = [
        NodeWithScore(node=TextNode(text=text)) for text in ("Oslo is in Norway.", "Paris is the capital of France.")
    ]
    if waits:
        [best] = ranker.postprocess_nodes(nodes, query_str="capital of France")
    else:
        [best] = await ranker.apostprocess_nodes(nodes, query_str="capital of France")
    assert best.node.get_content() == "Paris is the capital of France."
