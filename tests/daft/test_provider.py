"""A hub inside Daft: prompts, objects, vectors, errors, and pickled providers."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from hubmix import CallOptions, ConfigurationError, FailoverPolicy, Hub
from hubmix.embedded import EmbeddedHub

daft = pytest.importorskip("daft", reason="needs the extra daft")

from daft.functions import embed_text, prompt  # noqa: E402 - after the skip

from hubmix.daft import HubmixProvider, attach  # noqa: E402

ECHO = "embedded/echo"


@pytest.fixture(scope="module")
def serving() -> Iterator[EmbeddedHub]:
    with EmbeddedHub() as running:
        yield running


@pytest.fixture
def server(serving: EmbeddedHub, monkeypatch: pytest.MonkeyPatch) -> EmbeddedHub:
    """The embedded hub, attached to the session under the name "hubmix"."""
    serving.clear()
    monkeypatch.setenv("HUBMIX_BASE_URL", serving.base_url)
    monkeypatch.setenv("HUBMIX_API_KEY", serving.api_key)
    attach()
    return serving


def sent(server: EmbeddedHub, path: str = "/chat/completions") -> list[dict[str, Any]]:
    return [one.json for one in server.requests if one.path.endswith(path)]


def column(frame: Any, name: str) -> list[Any]:
    found: list[Any] = frame.to_pydict()[name]
    return found


def texts(*values: str | None) -> Any:
    return daft.from_pydict({"text": list(values)})


# ---- prompt


def test_a_prompt_for_each_row(server: EmbeddedHub) -> None:
    frame = texts(*(f"row {n}" for n in range(20)))
    frame = frame.with_column("answer", prompt(daft.col("text"), provider="hubmix", model=ECHO, temperature=0))
    assert column(frame, "answer") == [f"row {n}" for n in range(20)]
    assert {body["temperature"] for body in sent(server)} == {0}
    assert {type(body["messages"][0]["content"]) for body in sent(server)} == {str}


def test_system_message_fallbacks_and_several_columns(server: EmbeddedHub) -> None:
    frame = daft.from_pydict({"a": ["one"], "b": ["two"]})
    asked = prompt(
        [daft.col("a"), daft.col("b")],
        provider="hubmix",
        model="no-such-model",
        fallbacks=[ECHO],
        system_message="Be brief.",
    )
    assert column(frame.with_column("answer", asked), "answer")[0].split() == ["one", "two"]
    system, user = sent(server)[-1]["messages"]
    assert system == {"role": "system", "content": "Be brief."}
    assert [part["text"] for part in user["content"]] == ["one", "two"]


def test_null_is_not_asked(server: EmbeddedHub) -> None:
    frame = texts("a", None)
    frame = frame.with_column("answer", prompt(daft.col("text"), provider="hubmix", model=ECHO))
    assert column(frame, "answer") == ["a", None]
    assert len(sent(server)) == 1


def test_bytes_and_files_become_parts(server: EmbeddedHub, tmp_path: Path) -> None:
    note = tmp_path / "note.txt"
    note.write_text("The kettle holds 1.7 litres.")
    frame = daft.from_pydict({"image": [b"\x89PNG\r\n\x1a\n"], "path": [str(note)]})
    frame = frame.with_column("file", daft.functions.file(daft.col("path")))
    asked = prompt(
        [daft.lit("What is there?"), daft.col("image"), daft.col("file")], provider="hubmix", model="embedded/vision"
    )
    assert column(frame.with_column("answer", asked), "answer")[0]
    parts = sent(server)[0]["messages"][0]["content"]
    assert [part["type"] for part in parts] == ["text", "image_url", "text"]
    assert "1.7 litres" in parts[2]["text"]


class Appliance(BaseModel):
    name: str
    litres: float


def test_a_class_gives_a_column_of_fields(server: EmbeddedHub) -> None:
    frame = texts('The appliance "kettle" holds 1.7 litres.')
    asked = prompt(daft.col("text"), return_format=Appliance, provider="hubmix", model="embedded/extract")
    frame = frame.with_column("found", asked).select(daft.functions.unnest(daft.col("found")))
    assert column(frame, "litres") == [1.7]
    form = sent(server)[0]["response_format"]["json_schema"]
    assert (form["name"], form["strict"]) == ("Appliance", True)


def test_an_error_is_raised_or_null_as_daft_is_told(server: EmbeddedHub) -> None:
    server.fault(ECHO, "400", times=None)
    options: dict[str, Any] = {"provider": "hubmix", "model": ECHO, "policy": FailoverPolicy(max_retries=0)}
    with pytest.raises(Exception, match="400"):
        texts("a").with_column("answer", prompt(daft.col("text"), **options)).collect()
    assert len(sent(server)) == 1  # Daft does not retry on top of the failover policy
    frame = texts("a").with_column("answer", prompt(daft.col("text"), **options, on_error="ignore"))
    assert column(frame, "answer") == [None]


@pytest.mark.parametrize("wrong", [{"temprature": 1}, {"model": None}])
def test_a_mistake_shows_before_the_query_runs(server: EmbeddedHub, wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        prompt(daft.col("text"), **{"provider": "hubmix", "model": ECHO, **wrong})


def test_without_a_key_the_query_is_not_even_planned(server: EmbeddedHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HUBMIX_API_KEY")
    with pytest.raises(ConfigurationError, match="HUBMIX_API_KEY"):
        prompt(daft.col("text"), provider=HubmixProvider(), model=ECHO)


# ---- embed_text


def test_a_vector_for_each_row(server: EmbeddedHub) -> None:
    frame = texts("a cat", None, "an invoice")
    frame = frame.with_column("vector", embed_text(daft.col("text"), provider="hubmix", model="embedded/embed"))
    assert frame.schema()["vector"].dtype == daft.DataType.embedding(daft.DataType.float32(), 256)
    first, none, last = column(frame, "vector")
    expected = Hub().embed({"model": "embedded/embed", "input": ["a cat", "an invoice"]}).vectors
    assert list(first) == pytest.approx(expected[0], abs=1e-6)
    assert list(last) == pytest.approx(expected[1], abs=1e-6)
    assert none is None


def test_named_dimensions_are_asked_for_and_need_no_look(server: EmbeddedHub) -> None:
    asked = embed_text(daft.col("text"), provider="hubmix", model="embedded/embed", dimensions=8)
    assert sent(server, "/embeddings") == []
    (vector,) = column(texts("a").with_column("vector", asked), "vector")
    assert len(vector) == 8
    assert sent(server, "/embeddings")[0]["dimensions"] == 8


def test_many_texts_are_sent_in_batches(server: EmbeddedHub) -> None:
    frame = texts(*(f"text {n}" for n in range(150)))
    asked = embed_text(daft.col("text"), provider="hubmix", model="embedded/embed", dimensions=4)
    assert len(column(frame.with_column("vector", asked), "vector")) == 150
    sizes = sorted(len(body["input"]) for body in sent(server, "/embeddings"))
    assert sum(sizes) == 150
    assert max(sizes) <= 64


# ---- what travels


def test_a_key_of_the_environment_stays_there(server: EmbeddedHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUBMIX_API_KEY", "sk-test-of-the-driver")
    provider = HubmixProvider()
    made = [provider.get_prompter(ECHO, fallbacks=["a"]), provider.get_text_embedder("embedded/embed", 4)]
    packed = pickle.dumps(made)
    assert b"sk-test-of-the-driver" not in packed
    monkeypatch.setenv("HUBMIX_API_KEY", server.api_key)
    prompter, embedder = pickle.loads(packed)
    assert prompter.hub.key_source == "HUBMIX_API_KEY"
    assert prompter.get_options() == {"fallbacks": ("a",)}
    assert embedder.get_dimensions().size == 4


async def test_a_prompter_works_where_it_was_unpacked(server: EmbeddedHub) -> None:
    prompter = pickle.loads(pickle.dumps(HubmixProvider().get_prompter(ECHO))).instantiate()
    assert await prompter.prompt(("Hello",)) == "Hello"


def test_attaching_twice_takes_the_last(server: EmbeddedHub) -> None:
    other = attach(Hub(base_url="http://127.0.0.1:1/v1", api_key="sk-test"))
    assert daft.current_session().get_provider("hubmix") is other
    attach(name="another")
    assert daft.current_session().has_provider("another")


# ---- the frameworks' own objects in a function of the user's


def test_chathubmix_in_a_function(server: EmbeddedHub) -> None:
    pytest.importorskip("langchain_core")
    from langchain_hubmix import ChatHubmix

    llm = ChatHubmix(model="no-such-model", fallbacks=[ECHO])

    @daft.func
    async def ask(text: str) -> str:
        return str((await llm.ainvoke(text)).content)

    frame = texts("a", "b", "c").with_column("answer", ask(daft.col("text")))
    assert column(frame, "answer") == ["a", "b", "c"]


def test_llamaindex_in_a_function(server: EmbeddedHub) -> None:
    pytest.importorskip("llama_index.core")
    from llamaindex_hubmix import Hubmix

    llm = Hubmix(model=ECHO)

    @daft.func
    def ask(text: str) -> str:
        return llm.complete(text).text

    frame = texts("a", "b").with_column("answer", ask(daft.col("text")))
    assert column(frame, "answer") == ["a", "b"]


def test_a_hub_in_a_function_over_batches(server: EmbeddedHub) -> None:
    hub = Hub()

    @daft.func.batch(return_dtype=daft.DataType.string())
    def ask(text: daft.Series) -> list[str | None]:
        return hub.map(text.to_pylist(), model=ECHO, concurrency=4, options=CallOptions(timeout=30)).texts

    frame = texts("a", "b").with_column("answer", ask(daft.col("text")))
    assert column(frame, "answer") == ["a", "b"]
