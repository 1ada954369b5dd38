"""One call over two hubs; nothing of the one reaches the other."""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from langchain_core.load import dumps
from langchain_core.runnables import ConfigurableField

from hubmix import AllModelsFailedError, CallOptions, ConfigurationError, Hub, QuotaExceededError, Trace
from hubmix.failover.breakers import REGISTRY
from hubmix.hub.model import HubModel
from hubmix.presets import AIHUBAPI
from langchain_hubmix import ChatHubmix, HubmixEmbeddings
from langchain_hubmix import HubmixRerank as LangChainRerank
from llamaindex_hubmix import Hubmix, HubmixEmbedding, HubmixRerank
from tests.cases.ways import WAYS, Way
from tests.support.answers import Answer, error, ranking, vectors, whole_or_stream
from tests.support.forked import exit_code_of_child
from tests.support.responses import message, whole_or_response
from tests.support.scripted_hub import Request, ScriptedHub

EMPTY = error(403, "no money", type="new_api_error", code="insufficient_user_quota")
FIRST_KEY, SPARE_KEY = "sk-first-0000000000", "sk-spare-1111111111"


def ok(request: Request) -> Answer:
    return whole_or_stream("from the spare", stream=request.stream)


class Pair:
    """Two hubs: the first answers what a test says, the spare is well."""

    def __init__(self, first: Any, spare: Any = ok) -> None:
        self.first, self.spare = ScriptedHub(first), ScriptedHub(spare)
        headers = {"X-Own": "secret of the first"}
        self.main = Hub(base_url=self.first.base_url, api_key=FIRST_KEY, app_code="CODE1", default_headers=headers)
        self.other = Hub(base_url=self.spare.base_url, api_key=SPARE_KEY)

    def close(self) -> None:
        self.main.close()
        self.other.close()
        self.first.close()
        self.spare.close()


@pytest.fixture
def pair() -> Iterator[Pair]:
    REGISTRY.reset()
    made = Pair(EMPTY)
    yield made
    made.close()


def check_nothing_leaks(pair: Pair) -> None:
    for request in pair.spare.requests:
        assert request.headers["authorization"] == f"Bearer {SPARE_KEY}"
        sent = json.dumps([dict(request.headers), request.body])
        for secret in (FIRST_KEY, "CODE1", "secret of the first", "secret of the call", pair.first.base_url):
            assert secret not in sent


def ask(way: Way, pair: Pair, *fallbacks: Any, **settings: Any) -> Any:
    """Ask through the first hub as the way does it."""
    own = {"api_key": FIRST_KEY, "app_code": "CODE1", "default_headers": {"X-Own": "secret of the first"}}
    return way.ask(pair.first, fallbacks=list(fallbacks), **own, **settings)


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_an_empty_wallet_goes_on_at_the_other_hub(way: Way, pair: Pair) -> None:
    answer = ask(way, pair, "another model", pair.other.model("b"), pair.other)
    assert answer.text == "from the spare"
    assert (pair.first.models, pair.spare.models) == (["m"], ["b"])
    attempts = [(one["model"], one["outcome"], one["hub"]) for one in answer.trace["attempts"]]
    first, spare = (hub.base_url.split("/")[2] for hub in (pair.first, pair.spare))
    assert attempts[0] == ("m", "error", first)
    assert attempts[-1] == ("b", "ok", spare)
    check_nothing_leaks(pair)


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_a_hub_stands_for_the_same_model_there(way: Way, pair: Pair) -> None:
    answer = ask(way, pair, pair.other)
    assert answer.text == "from the spare"
    assert pair.spare.models == ["m"]
    assert Trace.from_dict(answer.trace).switched
    assert "at 127.0.0.1" in Trace.from_dict(answer.trace)._repr_html_()


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_the_error_names_both_hubs_and_the_empty_wallet(way: Way, pair: Pair) -> None:
    pair.spare.script = error(401, "Invalid token", type="new_api_error")
    with pytest.raises(AllModelsFailedError) as caught:
        ask(way, pair, pair.other)
    first, spare = (hub.base_url.split("/")[2] for hub in (pair.first, pair.spare))
    text = str(caught.value)
    assert f"'m' at {first}: The fault is with your key or account at the hub. Top up" in text
    assert f"\n{spare}:\n  2. 'm': auth" in text
    assert FIRST_KEY not in text
    assert SPARE_KEY not in text
    assert pickle.loads(pickle.dumps(caught.value)).attempts[-1].hub == spare


def test_headers_of_a_call_go_to_its_own_hub_alone(pair: Pair) -> None:
    options = CallOptions(fallbacks=(pair.other,), headers={"X-Call": "secret of the call"})
    payload = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    assert pair.main.chat(payload, options).text == "from the spare"
    assert asyncio.run(pair.main.achat(payload, options)).text == "from the spare"
    assert pair.first.requests[0].headers["x-call"] == "secret of the call"
    check_nothing_leaks(pair)


KEPT_BY_AN_ACCOUNT: list[tuple[str, dict[str, Any]]] = [
    ("file", {"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "file-1"}}]}]}),
    ("file", {"messages": [{"role": "user", "content": [{"type": "input_file", "file_id": "file-1"}]}]}),
    ("audio", {"messages": [{"role": "assistant", "audio": {"id": "audio_1"}}, {"role": "user", "content": "go"}]}),
    ("vector store", {"tools": [{"type": "file_search", "vector_store_ids": ["vs_1"]}]}),
    ("container", {"tools": [{"type": "code_interpreter", "container": "cntr_1"}]}),
    ("stored prompt", {"prompt": {"id": "pmpt_1"}}),
]


@pytest.mark.parametrize("prefer", ["order", "price"])
@pytest.mark.parametrize(
    ("what", "more"), KEPT_BY_AN_ACCOUNT, ids=[f"{what}-{n}" for n, (what, _) in enumerate(KEPT_BY_AN_ACCOUNT)]
)
def test_what_one_account_keeps_is_named_to_no_other(what: str, more: dict[str, Any], prefer: Any, pair: Pair) -> None:
    payload = {"model": "m", "messages": [{"role": "user", "content": "hi"}], **more}
    for options in (CallOptions(fallbacks=(pair.other,), prefer=prefer), CallOptions(fallbacks=("x", pair.other))):
        pair.main.reset_health()
        with pytest.raises(QuotaExceededError, match=f"The request names .*{what}.*, which no other account has"):
            pair.main.chat(payload, options)
    assert pair.spare.requests == []
    pair.first.script = whole_or_response(message("fine"), stream=False) if "messages" not in more else ok
    assert pair.main.chat(payload, CallOptions(fallbacks=(pair.other,), prefer=prefer)).hub == pair.main.host


def test_what_a_call_cost_is_counted_where_it_was_made(pair: Pair) -> None:
    payload = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    with pair.main.spending() as main, pair.other.spending() as other:
        pair.main.chat(payload, CallOptions(fallbacks=(pair.other.model("b"),)))
    assert (main.calls, other.calls) == (0, 1)
    assert [state.target for state in pair.main.health()] == ["account"]
    assert pair.other.health() == []


def test_equal_routes_collapse(pair: Pair) -> None:
    pair.spare.script = EMPTY
    again = Hub(base_url=pair.spare.base_url, api_key=SPARE_KEY)
    payload = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    with pytest.raises(AllModelsFailedError):
        pair.main.chat(payload, CallOptions(fallbacks=(pair.other, again, pair.main, again.model("m"), "m")))
    assert (pair.first.models, pair.spare.models) == (["m"], ["m"])


def test_a_spare_hub_without_a_key_is_an_error_at_once(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HUBMIX_API_KEY", "AIHUBMIX_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    keyless = Hub(base_url="https://spare.example/v1")
    payload = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    with pytest.raises(ConfigurationError, match="key"):
        pair.main.chat(payload, CallOptions(fallbacks=(keyless,)))
    assert pair.first.requests == []


# -- ways to name them, processes and loops ---------------------------------------------------------------------------


def test_call_bind_and_configurable_fields_take_hubs(pair: Pair) -> None:
    llm = ChatHubmix(model="m", hub=pair.main)
    fields = llm.configurable_fields(fallbacks=ConfigurableField(id="others"))
    for way in (
        lambda given: llm.invoke("go", fallbacks=given),
        lambda given: llm.bind(fallbacks=given).invoke("go"),
        lambda given: fields.with_config(configurable={"others": given}).invoke("go"),
        lambda given: asyncio.run(llm.bind(fallbacks=given).ainvoke("go")),
    ):
        pair.main.reset_health()
        assert way(["x", pair.other.model("b")]).response_metadata["hub"] == pair.other.host
    assert pair.spare.models == ["b"] * 4
    check_nothing_leaks(pair)


def test_call_takes_hubs_in_llamaindex(pair: Pair) -> None:
    llm = Hubmix(model="m", hub=pair.main)
    assert llm.complete("go", fallbacks=[pair.other]).text == "from the spare"
    assert asyncio.run(llm.acomplete("go", fallbacks=[pair.other.model("b")])).text == "from the spare"
    assert pair.spare.models == ["m", "b"]


@pytest.mark.parametrize("cls", [ChatHubmix, Hubmix])
def test_forked_child_has_both_hubs_too(cls: Any, pair: Pair) -> None:
    llm = cls(model="m", hub=pair.main, fallbacks=[pair.other])
    ask = (lambda: llm.invoke("go").text) if cls is ChatHubmix else (lambda: llm.complete("go").text)
    assert ask() == "from the spare"

    def work() -> None:
        assert ask() == "from the spare"

    assert exit_code_of_child(work, seconds=60) == 0
    assert ask() == "from the spare"


def test_threads_with_loops_of_their_own_share_both_hubs(pair: Pair) -> None:
    llm = ChatHubmix(model="m", hub=pair.main, fallbacks=[pair.other])

    async def several() -> list[str]:
        return [answer.text for answer in await asyncio.gather(*(llm.ainvoke("go") for _ in range(4)))]

    with ThreadPoolExecutor(4) as threads:
        begun = [threads.submit(asyncio.run, several()) for _ in range(4)] + [threads.submit(llm.invoke, "go")]
        ended = [future.result(60) for future in begun]
    assert ended[:4] == [["from the spare"] * 4] * 4
    assert ended[4].text == "from the spare"
    assert asyncio.run(several()) == ["from the spare"] * 4
    check_nothing_leaks(pair)


# -- vectors and rankings ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", [HubmixEmbeddings, HubmixEmbedding])
def test_vectors_come_from_the_same_model_at_another_hub(cls: Any, pair: Pair) -> None:
    pair.spare.script = lambda request: vectors(request.body["input"])
    made = cls(model="e", hub=pair.main, fallbacks=[pair.other])
    embed = made.embed_documents if cls is HubmixEmbeddings else made.get_text_embedding_batch
    assert len(embed(["a", "b"])) == 2
    assert pair.spare.models == ["e"]
    check_nothing_leaks(pair)


@pytest.mark.parametrize("cls", [HubmixEmbeddings, HubmixEmbedding])
def test_vectors_of_another_model_are_refused(cls: Any, pair: Pair) -> None:
    for other in ("f", pair.other.model("f")):
        with pytest.raises(ConfigurationError, match="two models"):
            cls(model="e", hub=pair.main, fallbacks=[other])
    assert cls(model="e", hub=pair.main, fallbacks=[pair.other.model("e")]).fallbacks


@pytest.mark.parametrize("cls", [LangChainRerank, HubmixRerank])
def test_a_ranking_comes_from_another_hub(cls: Any, pair: Pair) -> None:
    pair.spare.script = ranking(0.1, 0.9)
    made = cls(model="r", hub=pair.main, fallbacks=[pair.other])
    found = (
        made.rerank(["a", "b"], "which?")
        if cls is LangChainRerank
        else made.hub.rerank({"model": "r", "query": "which?", "documents": ["a", "b"]}, made._options())
    )
    assert found
    assert pair.spare.models == ["r"]


# -- what is kept of it -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", [ChatHubmix, Hubmix])
def test_copies_and_dumps_keep_the_hubs_and_no_key(cls: Any, pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUBMIX_API_KEY", SPARE_KEY)
    spare = Hub(base_url=pair.spare.base_url)  # its key comes from the environment
    llm = cls(model="m", hub=pair.main, fallbacks=["x", spare.model("b"), spare])
    url = pair.spare.base_url
    plain = ["x", {"hub": url, "model": "b"}, {"hub": url}]
    for text in (repr(llm), str(llm), json.dumps(llm.model_dump(mode="json", include={"fallbacks"}))):
        assert SPARE_KEY not in text
        assert FIRST_KEY not in text
    assert llm.model_dump(include={"fallbacks"})["fallbacks"] == plain
    for twin in (copy.deepcopy(llm), llm.model_copy(), pickle.loads(pickle.dumps(llm))):
        kinds = [type(one) for one in twin.fallbacks]
        assert kinds == [str, HubModel, Hub]
        assert twin.fallbacks[2].base_url == url
    assert SPARE_KEY.encode() not in pickle.dumps(cls(model="m", fallbacks=[spare]))
    again = cls(model="m", hub=pair.main, fallbacks=plain)
    assert [type(one) for one in again.fallbacks] == [str, HubModel, Hub]
    assert again.fallbacks[1].hub.key_source == "HUBMIX_API_KEY"


def test_langchain_dumps_hold_no_key(pair: Pair) -> None:
    text = dumps(ChatHubmix(model="m", base_url=pair.first.base_url, api_key=FIRST_KEY, fallbacks=[pair.other]))
    assert SPARE_KEY not in text
    assert FIRST_KEY not in text


@pytest.mark.parametrize("cls", [ChatHubmix, Hubmix])
def test_dump_names_the_variable_of_a_key_and_reads_it_again(
    cls: Any, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`HUBMIX_API_KEY` is the first hub's key by then; it is not sent to the spare."""
    monkeypatch.setattr("hubmix.plugin.fallbacks.preset_for", lambda url: AIHUBAPI)
    monkeypatch.setattr("hubmix.transport.endpoint.preset_for", lambda url: AIHUBAPI)
    monkeypatch.setenv("AIHUBAPI_API_KEY", SPARE_KEY)
    llm = cls(model="m", hub=pair.main, fallbacks=[Hub(base_url=pair.spare.base_url)])
    kept = llm.model_dump(include={"fallbacks"})["fallbacks"]
    assert kept == [{"hub": pair.spare.base_url, "key_from": "AIHUBAPI_API_KEY"}]
    monkeypatch.setenv("HUBMIX_API_KEY", FIRST_KEY)
    again = cls(model="m", hub=pair.main, fallbacks=kept)
    assert again.fallbacks[0].key_id == llm.fallbacks[0].key_id
    monkeypatch.delenv("AIHUBAPI_API_KEY")
    with pytest.raises(ConfigurationError, match="AIHUBAPI_API_KEY"):
        cls(model="m", hub=pair.main, fallbacks=kept)


@pytest.mark.parametrize("cls", [ChatHubmix, Hubmix])
def test_dump_of_a_key_given_in_the_code_takes_no_other_key(
    cls: Any, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUBMIX_API_KEY", FIRST_KEY)
    kept = cls(model="m", hub=pair.main, fallbacks=[pair.other.model("b")]).model_dump(include={"fallbacks"})
    assert kept["fallbacks"] == [{"hub": pair.spare.base_url, "key_from": "argument", "model": "b"}]
    with pytest.raises(ConfigurationError, match="had its key in the code"):
        cls(model="m", hub=pair.main, fallbacks=kept["fallbacks"])


@pytest.mark.parametrize("cls", [ChatHubmix, Hubmix])
@pytest.mark.parametrize("wrong", ["deepseek-chat", {"hub": "x"}, [5], 5, "HUB", "MODEL"])
def test_what_is_no_list_of_fallbacks_is_refused_in_words(cls: Any, wrong: Any, pair: Pair) -> None:
    given = {"HUB": pair.other, "MODEL": [cls(model="b", hub=pair.other)]}.get(str(wrong), wrong)
    with pytest.raises(ConfigurationError, match="fallbacks must be a list of model IDs"):
        cls(model="m", hub=pair.main, fallbacks=given)
