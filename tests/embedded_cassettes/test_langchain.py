"""What `ChatHubmix` and its siblings send and read, pinned in cassettes.

The sync and the async run of a test play one cassette: their requests are held to be the same, byte for byte.
"""

from __future__ import annotations

import pytest
from langchain_core.documents import Document
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage

from hubmix import AllModelsFailedError, AuthenticationError
from langchain_hubmix import ChatHubmix, HubmixEmbeddings, HubmixRerank
from tests.embedded_cassettes.questions import PARAMETERS, PIXEL, QUESTION, Person, both, get_weather
from tests.support.ways import whole_of

pytestmark = pytest.mark.vcr


@pytest.fixture
def chat(embedded_hub):
    def make(model: str = "embedded/extract", **parameters) -> ChatHubmix:
        connection = {"base_url": embedded_hub.base_url, "api_key": embedded_hub.api_key}
        return ChatHubmix(model=model, **{**connection, **parameters})

    return make


async def ask(llm, question, waits: bool) -> AIMessage:
    return llm.invoke(question) if waits else await llm.ainvoke(question)


async def stream(llm, question, waits: bool):
    chunks = list(llm.stream(question)) if waits else [chunk async for chunk in llm.astream(question)]
    return whole_of(chunks), chunks


@both
async def test_invoke(chat, waits):
    """A plain answer with its usage."""
    answer = await ask(chat(), QUESTION, waits)
    assert answer.content == "Paris is the capital of France."
    assert answer.response_metadata["finish_reason"] == "stop"
    assert answer.usage_metadata["total_tokens"] > 0


@both
async def test_stream(chat, waits):
    """The same in pieces: usage is asked for, and stands on the last chunk."""
    whole, chunks = await stream(chat(), QUESTION, waits)
    assert whole.content == "Paris is the capital of France."
    assert len([chunk for chunk in chunks if chunk.content]) > 1
    assert whole.usage_metadata == chunks[-1].usage_metadata


@both
async def test_parameters(chat, waits):
    """Every parameter is sent under its own name, zero as zero."""
    llm = chat(**PARAMETERS)
    answer = await ask(llm, [SystemMessage("Be brief."), HumanMessage(QUESTION)], waits)
    assert answer.content


@both
async def test_tools_and_second_turn(chat, waits):
    """Two calls, their results sent back, and the answer made of them."""
    llm = chat().bind_tools([get_weather])
    history = [HumanMessage("How is the weather in Paris and in Oslo?")]
    call = await ask(llm, history, waits)
    assert [(each["name"], each["args"]) for each in call.tool_calls] == [
        ("get_weather", {"city": "Paris"}),
        ("get_weather", {"city": "Oslo"}),
    ]
    results = [ToolMessage(get_weather(**each["args"]), tool_call_id=each["id"]) for each in call.tool_calls]
    answer = await ask(llm, [*history, call, *results], waits)
    assert "Sunny" in answer.content


@both
async def test_tools_streamed(chat, waits):
    """The pieces of a call add up to one that can be executed."""
    whole, _ = await stream(chat().bind_tools([get_weather], tool_choice="any"), "The weather in Paris?", waits)
    assert [(each["name"], each["args"]) for each in whole.tool_calls] == [("get_weather", {"city": "Paris"})]


@both
@pytest.mark.parametrize("method", ["json_schema", "function_calling", "json_mode"])
async def test_structured_output(chat, waits, method):
    """A schema, a forced tool, or JSON alone: three ways to ask for an object."""
    llm = chat().with_structured_output(Person, method=method)
    found = await ask(llm, "Answer in JSON with name and age. Anna is 42 years old.", waits)
    assert found == Person(name="Anna", age=42)


@both
async def test_reasoning_sent_back(chat, waits):
    """Reasoning goes back with a tool result to a model that requires it."""
    llm = chat("embedded/think-strict").bind_tools([get_weather])
    history = [HumanMessage("How is the weather in Oslo?")]
    call = await ask(llm, history, waits)
    assert call.additional_kwargs["reasoning_content"]
    result = ToolMessage("Rain in Oslo.", tool_call_id=call.tool_calls[0]["id"])
    answer = await ask(llm, [*history, call, result], waits)
    assert "Rain" in answer.content


@both
async def test_image(chat, waits):
    """A picture in LangChain's own form goes out in OpenAI's."""
    picture = {"type": "image", "base64": PIXEL, "mime_type": "image/png"}
    answer = await ask(
        chat("embedded/vision"), [HumanMessage([{"type": "text", "text": "What is it?"}, picture])], waits
    )
    assert "1 image" in answer.content


@both
async def test_fallback(chat, waits):
    """A model that nobody serves, and the next one's answer."""
    answer = await ask(chat("nobody/serves-this", fallbacks=["embedded/echo"]), "Hello", waits)
    assert answer.content == "Hello"
    assert answer.response_metadata["failover"]["served"] == "embedded/echo"


@both
async def test_all_fail(chat, waits):
    """Two models that nobody serves: one error that lists both."""
    with pytest.raises(AllModelsFailedError) as caught:
        await ask(chat("nobody/serves-this", fallbacks=["nor-this"]), "Hello", waits)
    assert [each.model for each in caught.value.attempts] == ["nobody/serves-this", "nor-this"]


@both
async def test_wrong_key(chat, waits):
    """A key that the hub does not know: no second request."""
    with pytest.raises(AuthenticationError):
        await ask(chat(api_key="sk-wrong"), "Hello", waits)


@both
async def test_embeddings(embedded_hub, waits):
    """Texts go out as text, in one request."""
    embedder = HubmixEmbeddings(
        model="embedded/embed", base_url=embedded_hub.base_url, api_key=embedded_hub.api_key, dimensions=8
    )
    texts = ["Paris is in France.", "Oslo is in Norway."]
    vectors = embedder.embed_documents(texts) if waits else await embedder.aembed_documents(texts)
    assert [len(vector) for vector in vectors] == [8, 8]


@both
async def test_rerank(embedded_hub, waits):
    """The best document first, with its score."""
    ranker = HubmixRerank(
        model="embedded/rerank", base_url=embedded_hub.base_url, api_key=embedded_hub.api_key, top_n=1
    )
    documents = [Document("Oslo is in Norway."), Document("Paris is the capital of France.")]
    rank = ranker.compress_documents if waits else ranker.acompress_documents
    found = rank(documents, "capital of France")
    [best] = found if waits else await found
    assert best.page_content == "Paris is the capital of France."
