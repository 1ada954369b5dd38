"""Where a notebook begins: a hub of one's own with a key, an embedded one without."""

from __future__ import annotations

import atexit
import os
from typing import TYPE_CHECKING, Any

import pytest

from hubmix import notebook
from hubmix.embedded import EmbeddedHub
from hubmix.embedded.sample import sample_models
from hubmix.hub.hub import Hub
from langchain_hubmix import ChatHubmix
from llamaindex_hubmix import Hubmix, HubmixEmbedding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(autouse=True)
def _ended(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """End the embedded hub with the test, not with the process."""
    ends: list[Callable[[], object]] = []
    monkeypatch.setattr(atexit, "register", ends.append)
    monkeypatch.setattr(notebook, "_embedded", None)
    yield
    for end in ends:
        end()


def test_without_a_key_it_is_embedded_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    hub = notebook.start()
    said = capsys.readouterr().out
    assert "No key" in said
    assert "embedded hub" in said
    assert max(map(len, said.splitlines())) < 100
    assert hub.base_url.startswith("http://127.0.0.1:")
    # A cell that is run again changes nothing.
    assert notebook.start() is hub


@pytest.mark.parametrize(
    ("variable", "base_url"),
    [
        ("HUBMIX_API_KEY", "https://aihubmix.com/v1"),
        ("AIHUBMIX_API_KEY", "https://aihubmix.com/v1"),
        ("AIHUBAPI_API_KEY", "https://aihubapi.ai/v1"),
    ],
)
def test_with_a_key_it_is_your_own(
    variable: str, base_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(variable, "sk-test")
    hub = notebook.start()
    assert (hub.base_url, hub.key_source) == (base_url, variable)
    said = capsys.readouterr().out
    assert base_url in said
    assert variable in said
    assert "sk-test" not in said + hub._repr_html_()


def test_a_base_url_alone_is_no_hub_to_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUBMIX_BASE_URL", "https://hub.example/v1")
    assert notebook.own_hub() is None
    monkeypatch.setenv("HUBMIX_API_KEY", "sk-test")
    own = notebook.own_hub()
    assert own is not None
    assert own.base_url == "https://hub.example/v1"


def test_every_model_of_the_sample_answers() -> None:
    with EmbeddedHub("aihubmix", models=sample_models()) as server:
        hub = Hub("aihubmix", base_url=server.base_url, api_key=server.api_key)
        models = hub.models.list(kind=None)
        assert len(models) == len(list(sample_models())) == 17
        for info in models:
            assert "without intelligence" in (info.description or "")
            assert info.pricing is not None
            if info.kind == "chat":
                payload = {"model": info.id, "messages": [{"role": "user", "content": "Who sat?\n\nText:\nA cat sat."}]}
                reply = hub.chat(payload)
                assert "cat" in reply.text
                assert reply.cost is not None
                assert reply.cost.complete
            elif info.kind == "embedding":
                assert hub.embed({"model": info.id, "input": ["a"]}).vectors
            else:
                assert hub.rerank({"model": info.id, "query": "cat", "documents": ["a cat"]}).results
        hub.close()


def test_a_registry_stands_for_itself() -> None:
    with EmbeddedHub(models=sample_models()) as server:
        assert server.models.find("embedded/extract") is None
        assert server.models.find("embedded/lorem:5") is None


async def test_everything_works_inside_a_running_loop() -> None:
    """Sync verbs of both frameworks work in a notebook, one after the other."""
    hub = notebook.start()
    text = "Who sat?\n\nText:\nA cat sat."

    chat = ChatHubmix(model="gpt-4o-mini", hub=hub)
    answers = [chat.invoke(text).text, (await chat.ainvoke(text)).text, chat.invoke(text).text]
    answers.append("".join([piece.text for piece in chat.stream(text)]))
    answers.append("".join([piece.text async for piece in chat.astream(text)]))
    answers += [answer.text for answer in chat.batch([text, text])]

    llm = Hubmix(model="gpt-4o-mini", hub=hub)
    answers += [llm.complete(text).text, (await llm.acomplete(text)).text]
    answers.append("".join([piece.delta or "" for piece in llm.stream_complete(text)]))
    answers.append("".join([piece.delta or "" async for piece in await llm.astream_complete(text)]))
    answers += [reply or "" for reply in hub.map([text], model="gpt-4o-mini").texts]
    answers += [reply or "" for reply in (await hub.amap([text], model="gpt-4o-mini")).texts]
    assert answers == ["A cat sat."] * len(answers)

    embedding = HubmixEmbedding(model="text-embedding-3-small", hub=hub)
    assert embedding.get_text_embedding("a") == await embedding.aget_text_embedding("a")
    await hub.aclose()


async def test_a_llamaindex_query_works_inside_a_running_loop() -> None:
    from llama_index.core import Document, VectorStoreIndex

    hub = notebook.start()
    models: dict[str, Any] = {"embed_model": HubmixEmbedding(model="text-embedding-3-small", hub=hub)}
    index = VectorStoreIndex.from_documents([Document(text="A cat sat on the mat.")], **models)
    engine = index.as_query_engine(llm=Hubmix(model="gpt-4o-mini", hub=hub))
    assert str(engine.query("Who sat on the mat?")) == "A cat sat on the mat."
    assert str(await engine.aquery("Who sat on the mat?")) == "A cat sat on the mat."
    await hub.aclose()


def test_the_card_shows_what_is_known_and_what_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    with EmbeddedHub(models=["<b>model</b>"]) as server:
        hub = Hub(base_url=server.base_url, api_key=server.api_key)
        card = hub._repr_html_()
        assert "not asked yet" in card
        assert "good" in card
        hub.models.refresh()
        assert "15 models" in hub._repr_html_()
        server.fault("*", "model_not_found", times=None)
        with pytest.raises(Exception, match="nobody who serves"):
            hub.chat({"model": "<b>model</b>", "messages": [{"role": "user", "content": "Hello"}]})
        card = hub._repr_html_()
        assert "&lt;b&gt;model&lt;/b&gt; failing after no_channel, left alone for 60 s" in card
        assert server.api_key not in card
        hub.close()
    assert "HUBMIX_API_KEY" not in os.environ
