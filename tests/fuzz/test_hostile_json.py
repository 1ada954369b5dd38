"""JSON of any shape: an answer that can be kept and sent on, or an error of ours."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain_core.load import dumps
from llama_index.core.llms import ChatMessage
from llama_index.core.schema import NodeWithScore, TextNode

from hubmix import Hub, HubmixError
from hubmix._compat import http
from hubmix.failover.breakers import REGISTRY
from langchain_hubmix import ChatHubmix, HubmixEmbeddings
from llamaindex_hubmix import Hubmix, HubmixRerank
from tests.fuzz import hostile
from tests.support.answers import EVENTS, JSON

APIS = ("chat", "responses", "messages")
FEW = settings(max_examples=15, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
MANY = settings(FEW, max_examples=300)
STATUSES = st.sampled_from([200, 200, 200, 400, 401, 404, 429, 500, 503])
WAYS = pytest.mark.parametrize("framework", ["langchain", "llamaindex"])


class Server:
    """A transport that answers everything with what it was told."""

    def __init__(self) -> None:
        self.answer: Any = None
        client = http().Client(transport=http().MockTransport(lambda _: self.answer))
        self.where: dict[str, Any] = {"base_url": "https://hub.invalid/v1", "api_key": "sk-test", "http_client": client}
        self.settings: dict[str, Any] = {**self.where, "model": "m", "max_retries": 0}

    def says(self, value: Any, status: int = 200) -> None:
        """Answer with one JSON document."""
        REGISTRY.reset()
        self.answer = http().Response(status, headers={"content-type": JSON}, content=json.dumps(value).encode())

    def streams(self, values: list[Any]) -> None:
        """Answer with one event for each value."""
        REGISTRY.reset()
        body = b"".join(b"data: " + json.dumps(value).encode() + b"\n\n" for value in values)
        self.answer = http().Response(200, headers={"content-type": EVENTS}, content=body + b"data: [DONE]\n\n")


SERVER = Server()


def check_langchain(message: Any) -> None:
    dumps(message)
    assert pickle.loads(pickle.dumps(message)).id == message.id
    assert isinstance(message.content_blocks, list)
    assert json.loads(message.model_dump_json())
    assert repr(message)


def check_llamaindex(response: Any) -> None:
    assert json.loads(response.model_dump_json())
    assert repr(pickle.loads(pickle.dumps(response)).message) == repr(response.message)  # a NaN equals nothing
    assert repr(response)


def check_error(error: HubmixError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), repr(again.body)) == (str(error), repr(error.body))
    assert "\x1b" not in str(error)
    assert json.dumps(error.body) is not None


def answered(ask: Callable[[], Any], check: Callable[[Any], None]) -> None:
    """Check what a call gives; any error but ours goes through."""
    try:
        found = ask()
    except HubmixError as error:
        check_error(error)
    else:
        check(found)


def ask_whole(framework: str, api: str) -> None:
    if framework == "langchain":
        answered(lambda: ChatHubmix(**SERVER.settings, api=api).invoke("x"), check_langchain)
    else:
        answered(lambda: Hubmix(**SERVER.settings, api=api).chat([ChatMessage("x")]), check_llamaindex)


def ask_stream(framework: str, api: str) -> None:
    def langchain() -> Any:
        chunks = list(ChatHubmix(**SERVER.settings, api=api).stream("x"))
        whole = chunks[0]
        for chunk in chunks[1:]:
            check_langchain(chunk)
            whole = whole + chunk
        return whole

    def llamaindex() -> Any:
        return list(Hubmix(**SERVER.settings, api=api).stream_chat([ChatMessage("x")]))[-1]

    answered(*((langchain, check_langchain) if framework == "langchain" else (llamaindex, check_llamaindex)))


def whole_of(api: str, framework: str, how: settings) -> None:
    @how
    @given(hostile.WHOLES[api] | hostile.ERRORS | hostile.VALUES, STATUSES)
    def run(value: Any, status: int) -> None:
        SERVER.says(value, status)
        ask_whole(framework, api)

    run()


def stream_of(api: str, framework: str, how: settings) -> None:
    @how
    @given(st.lists(hostile.EVENTS[api] | hostile.EVENTS[api] | hostile.VALUES, max_size=5))
    def run(values: list[Any]) -> None:
        SERVER.streams(values)
        ask_stream(framework, api)

    run()


@WAYS
@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("of", [whole_of, stream_of])
def test_answer_of_any_shape_is_kept_or_refused(of: Any, api: str, framework: str) -> None:
    of(api, framework, FEW)


@pytest.mark.slow
@WAYS
@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("of", [whole_of, stream_of])
def test_many_answers_of_any_shape_are_kept_or_refused(of: Any, api: str, framework: str) -> None:
    of(api, framework, MANY)


@FEW
@given(hostile.VECTORS | hostile.ERRORS | hostile.VALUES, STATUSES)
def test_vectors_of_any_shape_are_vectors_or_an_error(value: Any, status: int) -> None:
    SERVER.says(value, status)
    embeddings = HubmixEmbeddings(**SERVER.settings)
    answered(lambda: embeddings.embed_query("x"), check_numbers)


def check_numbers(found: list[float]) -> None:
    assert all(type(number) is float for number in found)


@FEW
@given(hostile.RANKING | hostile.ERRORS | hostile.VALUES, STATUSES)
def test_ranking_of_any_shape_is_a_ranking_or_an_error(value: Any, status: int) -> None:
    SERVER.says(value, status)
    reranker = HubmixRerank(**SERVER.settings)
    nodes = [NodeWithScore(node=TextNode(text=text)) for text in "abc"]
    answered(lambda: reranker.postprocess_nodes(nodes, query_str="x"), check_nodes)


def check_nodes(nodes: list[NodeWithScore]) -> None:
    assert all(node.text in "abc" for node in nodes)


@FEW
@given(hostile.MODELS | hostile.ERRORS | hostile.VALUES, STATUSES)
def test_pages_of_any_shape_are_read_or_an_error(value: Any, status: int) -> None:
    SERVER.says(value, status)
    hub = Hub(**SERVER.where)
    answered(hub.balance, pickle.dumps)
    answered(hub.models.list, check_models)


def check_models(models: Any) -> None:
    assert repr(models)
    assert "\x1b" not in str(models)
    assert pickle.loads(pickle.dumps(models)).ids == models.ids
