"""A model serialized, pickled, copied, traced; its key stays where it is."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import traceback
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.load import dumpd, dumps, load
from langchain_core.rate_limiters import InMemoryRateLimiter

from hubmix import FailoverPolicy, Hub, HubmixError
from hubmix._compat import http
from hubmix.embedded import EmbeddedHub, Fault
from langchain_hubmix import ChatHubmix, HubmixEmbeddings, HubmixRerank

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = "sk-test-key-that-nobody-may-see"
HEADER = "a-header-that-nobody-may-see"
URL = "http://127.0.0.1:9/v1"
ALL = [ChatHubmix, HubmixEmbeddings, HubmixRerank]


def revived(llm: ChatHubmix) -> ChatHubmix:
    return load(
        json.loads(dumps(llm)),
        allowed_objects=[ChatHubmix],
        valid_namespaces=["langchain_hubmix"],
        secrets_from_env=True,
    )


@pytest.mark.filterwarnings("ignore:The function `load` is in beta")
@pytest.mark.parametrize(
    "fields",
    [
        {"base_url": URL, "api_key": KEY},
        {"base_url": URL},
        {"hub": "aihubapi", "api_key": KEY},
        {"hub": Hub(base_url=URL, api_key=KEY)},
        {
            "base_url": URL,
            "api_key": KEY,
            "failover": FailoverPolicy(max_attempts=3),
            "fallbacks": ["b"],
            "stop": ["x"],
        },
    ],
    ids=["key", "environment", "preset", "hub", "policy"],
)
def test_a_model_comes_back_from_json(monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any]) -> None:
    monkeypatch.setenv("HUBMIX_API_KEY", KEY)
    llm = ChatHubmix(model="m", temperature=0.5, **fields)
    assert KEY not in dumps(llm)
    again = revived(llm)
    assert again.hub.base_url == llm.hub.base_url
    assert again.hub.key_id == llm.hub.key_id
    for name in ("model", "temperature", "failover", "fallbacks", "stop", "metadata"):
        assert getattr(again, name) == getattr(llm, name)


def test_what_json_holds() -> None:
    held = dumpd(ChatHubmix(model="m", base_url=URL, api_key=KEY))
    assert held["id"] == ["langchain_hubmix", "chat_models", "ChatHubmix"]
    assert held["kwargs"]["api_key"] == {"lc": 1, "type": "secret", "id": ["HUBMIX_API_KEY"]}
    assert "hub_source" not in held["kwargs"]


@pytest.mark.parametrize("make", ALL)
def test_pickles_and_copies_work_and_share_no_connection(server: EmbeddedHub, make: Any) -> None:
    client = http().Client()
    made = make(model="embedded/extract", base_url=server.base_url, api_key=server.api_key, http_client=client)
    if make is ChatHubmix:
        made.invoke("Hello")
    again = pickle.loads(pickle.dumps(made))
    assert (again.model, again.hub.base_url, again.hub.key_id) == (made.model, made.hub.base_url, made.hub.key_id)
    assert again.http_client is None
    twin = copy.deepcopy(made)
    assert twin.http_client is client
    assert copy.copy(made).hub is made.hub
    if make is ChatHubmix:
        assert again.invoke("Hello").text == twin.invoke("Hello").text == made.invoke("Hello").text
    client.close()


def test_a_copy_obeys_the_same_limit_and_uses_the_same_cache(chat: Callable[..., ChatHubmix]) -> None:
    llm = chat(rate_limiter=InMemoryRateLimiter(), cache=InMemoryCache())
    copied = copy.deepcopy(llm)
    assert copied.rate_limiter is llm.rate_limiter
    assert copied.cache is llm.cache


def test_a_key_from_the_environment_is_in_no_pickle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUBMIX_API_KEY", KEY)
    for make in ALL:
        made = make(model="m", base_url=URL)
        made.hub.key_id  # noqa: B018  # as after a call: the key has been read
        data = pickle.dumps(made)
        assert KEY.encode() not in data
        assert pickle.loads(data).hub.key_id == made.hub.key_id


class Everything(BaseCallbackHandler):
    """Keeps whatever a tracer would be given."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def on_chat_model_start(self, *args: Any, **kwargs: Any) -> None:
        self.seen.append(repr((args, kwargs)))

    def on_llm_end(self, *args: Any, **kwargs: Any) -> None:
        self.seen.append(repr((args, kwargs)))

    def on_llm_error(self, *args: Any, **kwargs: Any) -> None:
        self.seen.append(repr((args, kwargs)))


def test_the_key_is_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with EmbeddedHub(keys=[KEY]) as server:
        given = {"base_url": server.base_url, "api_key": KEY, "default_headers": {"X-Secret-Too": HEADER}}
        llm = ChatHubmix(model="embedded/extract", cache=InMemoryCache(), **given)
        embeddings, rerank = (
            HubmixEmbeddings(model="embedded/embed", **given),
            HubmixRerank(model="embedded/rerank", **given),
        )
        everything = Everything()
        answer = llm.invoke("Hello", config={"callbacks": [everything]}, extra_headers={"X-Secret": HEADER})
        pieces = list(llm.stream("Hello", config={"callbacks": [everything]}))
        server.fault(
            "*", Fault.answer(400, {"error": {"message": f"your key {KEY} is odd", "code": "invalid_request"}})
        )
        with pytest.raises(HubmixError) as caught:
            llm.invoke("Hello again", config={"callbacks": [everything]})
    error = caught.value
    texts = {
        "repr": "".join(map(repr, (llm, embeddings, rerank, llm.hub))),
        "str": "".join(map(str, (llm, embeddings, rerank, llm.hub))),
        "dump": repr([model.model_dump() for model in (llm, embeddings, rerank)]),
        "json": "".join(
            model.model_dump_json(exclude={"cache", "callbacks", "custom_get_token_ids"})
            for model in (llm, embeddings, rerank)
        ),
        "dumps": dumps(llm),
        "parameters": repr((llm._identifying_params, llm._get_invocation_params(), llm._get_ls_params())),
        "cache": repr(llm.cache._cache),
        "answer": answer.model_dump_json() + repr(answer) + "".join(piece.model_dump_json() for piece in pieces),
        "callbacks": "".join(everything.seen),
        "error": repr(error) + str(error) + repr(error.__dict__) + "".join(traceback.format_exception(error)),
        "error pickle": repr(pickle.dumps(error)),
        "answer pickle": repr(pickle.dumps(answer)),
        "log": caplog.text,
    }
    assert [place for place, text in texts.items() if KEY in text] == []
    texts.pop("log")  # the SDK writes the headers of a request to its log at DEBUG, all but the key
    assert [place for place, text in texts.items() if HEADER in text] == []
    assert len(everything.seen) == 6


def test_headers_of_a_call_are_in_no_trace() -> None:
    llm = ChatHubmix(model="m", base_url=URL, api_key=KEY, default_headers={"X-Secret": "hush"})
    assert "hush" not in repr(llm)
    for name in ("extra_headers", "default_headers", "default_header"):
        assert "hush" not in repr(llm._get_invocation_params(**{name: {"X-Secret": "hush"}}))
        assert "hush" not in llm._get_llm_string(**{name: {"X-Secret": "hush"}})
    inside = {"model_kwargs": {"extra_headers": {"X-Secret": "hush"}}}
    assert "hush" not in repr(llm._get_invocation_params(**inside)) + llm._get_llm_string(**inside)


@pytest.mark.filterwarnings("ignore:The function `load` is in beta")
def test_headers_of_a_model_come_back_as_its_key_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUBMIX_API_KEY", KEY)
    llm = ChatHubmix(model="m", base_url=URL, default_headers={"X-Secret": HEADER})
    held = dumpd(llm)["kwargs"]["default_headers"]
    assert held == {"lc": 1, "type": "secret", "id": ["HUBMIX_DEFAULT_HEADERS"]}
    monkeypatch.setenv("HUBMIX_DEFAULT_HEADERS", json.dumps({"X-Secret": HEADER}))
    assert revived(llm).default_headers == {"X-Secret": HEADER}
    assert "default_headers" not in dumpd(ChatHubmix(model="m", base_url=URL))["kwargs"]


def test_a_cache_tells_apart_what_is_sent_elsewhere_or_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    def entry(**given: Any) -> str:
        return ChatHubmix(model="m", **{"base_url": URL, "api_key": KEY, **given})._get_llm_string()

    shared = {"base_url": None, "api_key": None}
    entries = [
        entry(),
        entry(extra_body={"top_k": 1}),
        entry(extra_body={"top_k": 2}),
        entry(default_headers={"X-Region": "eu"}),
        entry(default_headers={"X-Region": "us"}),
        entry(**shared, hub=Hub(base_url=URL, api_key=KEY, default_headers={"X-Region": "cn"})),
    ]
    for number in (7, 8):
        monkeypatch.setenv("HUBMIX_BASE_URL", f"http://127.0.0.1:{number}/v1")
        entries.append(entry(base_url=None))
    assert len(set(entries)) == len(entries)
    assert entry(default_headers={"X-Region": "eu"}) == entries[3]


def test_traces_name_the_model_that_was_asked(chat: Callable[..., ChatHubmix]) -> None:
    llm = chat(model="m", temperature=0.5, max_tokens=3)
    assert llm._get_ls_params(stop=["x"]) == {
        "ls_provider": "hubmix",
        "ls_model_type": "chat",
        "ls_model_name": "m",
        "ls_temperature": 0.5,
        "ls_max_tokens": 3,
        "ls_stop": ["x"],
    }
    assert llm._get_ls_params(model="other")["ls_model_name"] == "other"


@pytest.mark.parametrize("stop", ["x", ["x"]])
def test_traces_show_the_stop_sequences_of_the_model_too(chat: Callable[..., ChatHubmix], stop: Any) -> None:
    llm = chat(stop=stop)
    assert llm._get_ls_params()["ls_stop"] == llm._get_invocation_params()["stop"] == ["x"]
    assert llm._get_ls_params(stop=["y"])["ls_stop"] == llm._get_invocation_params(stop=["y"])["stop"] == ["y"]


def test_traces_tell_versions(chat: Callable[..., ChatHubmix]) -> None:
    llm = chat()
    assert set(llm.metadata["lc_versions"]) >= {"langchain-core", "hubmix"}
