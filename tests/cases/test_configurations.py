"""What starts the plain clients starts ours: cases 063, 150, 408, 419."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from langchain_core.runnables import ConfigurableField

from hubmix import ConfigurationError
from hubmix._compat import http
from langchain_hubmix import ChatHubmix, HubmixEmbeddings
from llamaindex_hubmix import Hubmix, HubmixEmbedding
from tests.cases.ways import SYNC, Way, chat_hubmix, hubmix
from tests.support.answers import chunk, completion, events
from tests.support.scripted_hub import ScriptedHub

# Every parameter of the four classes at langchain-openai 1.7.4 and llama-index-llms-openai-like 0.8.1.
# Parameters of the four classes (langchain-openai 1.7.4, llama-index-llms-openai-like 0.8.1) with values that ask for
# nothing, or for what is done anyway.
INERT: dict[str, list[tuple[str, Any]]] = json.loads(
    (Path(__file__).parents[1] / "data" / "inert_parameters.json").read_text("utf-8")
)


def inert(peer: str) -> list[Any]:
    return [pytest.param({name: value}, id=f"{name}={value}") for name, value in INERT[peer]]


@pytest.mark.parametrize("given", inert("ChatOpenAI"))
def test_what_asks_for_nothing_changes_nothing(given: dict[str, Any]) -> None:
    with ScriptedHub(completion("ok")) as hub:
        assert chat_hubmix(hub, **given).invoke("x").text == "ok"
        assert set(hub.bodies[0]) == {"messages", "model"}


@pytest.mark.parametrize("given", inert("OpenAILike"))
def test_so_it_is_in_llamaindex(given: dict[str, Any]) -> None:
    with ScriptedHub(completion("ok")) as hub:
        assert str(hubmix(hub, **given).complete("x")) == "ok"
        assert set(hub.bodies[0]) == {"messages", "model"}


@pytest.mark.parametrize("given", inert("OpenAIEmbeddings"))
def test_so_it_is_for_embeddings_of_langchain(given: dict[str, Any]) -> None:
    assert HubmixEmbeddings(model="m", api_key="sk-test", **given).hub
    assert HubmixEmbeddings(model="m", api_key="sk-test", deployment="m").hub


@pytest.mark.parametrize("given", inert("OpenAIEmbedding"))
def test_so_it_is_for_embeddings_of_llamaindex(given: dict[str, Any]) -> None:
    assert HubmixEmbedding(model="m", api_key="sk-test", **given).hub


@pytest.mark.parametrize(
    ("name", "value", "advice"),
    [
        ("openai_proxy", "http://proxy:1", "HTTPS_PROXY"),
        ("http_socket_options", [(1, 2, 3)], "http_client"),
        ("root_client", object(), "http_client"),
        ("use_previous_response_id", True, "previous_response_id"),
        ("include_response_headers", True, "request_id"),
        ("api_version", "2024-02-01", "leave it out"),
        ("deployment_name", "other", "name its model"),
    ],
)
def test_what_cannot_be_honoured_is_refused_with_advice(name: str, value: Any, advice: str) -> None:
    for kind in (ChatHubmix, Hubmix, HubmixEmbeddings, HubmixEmbedding):
        with pytest.raises(ConfigurationError, match=f"{kind.__name__} has no parameter '{name}': .*{advice}"):
            kind(model="m", api_key="sk-test", **{name: value})


def test_a_typo_that_asks_for_nothing_stays_a_typo() -> None:
    with pytest.raises(ConfigurationError, match="Did you mean 'temperature'"):
        ChatHubmix(model="m", api_key="sk-test", temprature=None)


# ------------------------------------------------------------------------------------------- what is honoured


@pytest.mark.parametrize("way", SYNC, ids=str)
def test_organization_and_query_are_sent(way: Way) -> None:
    with ScriptedHub(completion("ok")) as hub:
        way.ask(hub, openai_organization="org-1", default_query={"tenant": "a"}, model="m")
        assert hub.requests[0].headers["openai-organization"] == "org-1"
        assert hub.requests[0].path.endswith("?tenant=a")


def test_a_header_of_your_own_beats_the_organization() -> None:
    with ScriptedHub(completion("ok")) as hub:
        chat_hubmix(hub, organization="a", default_headers={"OpenAI-Organization": "b"}).invoke("x")
        assert hub.requests[0].headers["openai-organization"] == "b"


def test_a_key_may_be_a_function() -> None:
    given = iter(f"sk-test-{number}" for number in range(9))

    def keys(hub: ScriptedHub) -> list[str]:
        return [request.headers["authorization"] for request in hub.requests]

    with ScriptedHub(completion("ok")) as hub:
        llm = ChatHubmix(model="m", base_url=hub.base_url, api_key=lambda: next(given))
        llm.invoke("x")
        llm.invoke("x")
        assert len(set(keys(hub))) == 2
        assert "sk-test" not in repr(llm) + repr(llm.hub)


async def test_a_key_may_be_an_async_function() -> None:
    async def key() -> str:
        return "sk-test-async"

    with ScriptedHub(completion("ok")) as hub:
        for kind in (ChatHubmix, Hubmix):
            llm = kind(model="m", base_url=hub.base_url, api_key=key)
            await (llm.ainvoke("x") if isinstance(llm, ChatHubmix) else llm.acomplete("x"))
        assert {request.headers["authorization"] for request in hub.requests} == {"Bearer sk-test-async"}
        with pytest.raises(ConfigurationError, match="a sync call needs a plain one"):
            ChatHubmix(model="m", base_url=hub.base_url, api_key=key).invoke("x")


def test_two_functions_are_two_keys() -> None:
    one, other = (ChatHubmix(model="m", api_key=lambda name=name: name) for name in ("sk-test-a", "sk-test-b"))
    assert one.hub is not other.hub
    assert one.hub.key_id != other.hub.key_id


@pytest.mark.parametrize("given", [(1, 5), (1, 5, 2, 2), http().Timeout(5, connect=1)], ids=repr)
def test_timeouts_of_http_libraries(given: Any) -> None:
    for kind in (ChatHubmix, Hubmix):
        assert kind(model="m", api_key="sk-test", request_timeout=given).timeout == 5
    with pytest.raises(ConfigurationError, match="timeout as a tuple"):
        ChatHubmix(model="m", api_key="sk-test", timeout=(5,))


def test_stream_chunk_timeout_is_the_idle_timeout() -> None:
    llm = ChatHubmix(model="m", api_key="sk-test", stream_chunk_timeout=7, failover={"max_attempts": 2})
    assert (llm.failover.idle_timeout, llm.failover.max_attempts) == (7, 2)


def test_disabled_parameters_are_never_sent() -> None:
    disabled = {"parallel_tool_calls": None, "seed": [1], "temperature": [0]}
    with ScriptedHub(completion("ok")) as hub:
        llm = chat_hubmix(hub, disabled_params=disabled, seed=1, temperature=0.5)
        llm.bind_tools([{"name": "f", "input_schema": {"type": "object"}}], parallel_tool_calls=False).invoke("x")
        assert {"parallel_tool_calls", "seed"}.isdisjoint(hub.bodies[0])
        assert hub.bodies[0]["temperature"] == 0.5


@pytest.mark.parametrize(("given", "api"), [(True, "responses"), (False, "chat"), (None, "auto")])
def test_the_switch_between_apis_reads_back(given: bool | None, api: str) -> None:
    for kind in (ChatHubmix, Hubmix):
        llm = kind(model="m", api_key="sk-test", use_responses_api=given)
        assert (llm.api, llm.use_responses_api) == (api, given)


def test_zero_switches_the_chunk_timeout_off() -> None:
    assert ChatHubmix(model="m", api_key="sk-test", stream_chunk_timeout=0).failover.idle_timeout is None


def test_limits_are_told_to_the_frameworks_under_either_name() -> None:
    assert Hubmix("m", api_key="sk-test", max_completion_tokens=9).metadata.num_output == 9
    assert ChatHubmix("m", api_key="sk-test", max_completion_tokens=9)._get_ls_params()["ls_max_tokens"] == 9


def test_other_names_read_back() -> None:
    given = {"model_name": "m", "openai_api_base": "http://127.0.0.1:9/v1", "request_timeout": 3, "top_p": 0.5}
    for kind in (ChatHubmix, Hubmix):
        llm = kind(api_key="sk-test", model_kwargs={"top_k": 1}, **given)
        assert {name: getattr(llm, name) for name in given} == given
        assert (llm.model_kwargs, llm.additional_kwargs) == ({"top_k": 1}, {"top_k": 1})
        assert llm.openai_api_key.get_secret_value() == "sk-test"
        with pytest.raises(AttributeError, match="nonsense"):
            llm.nonsense  # noqa: B018


def test_fields_are_configurable_under_other_names() -> None:
    with ScriptedHub(completion("ok")) as hub:
        llm = chat_hubmix(hub).configurable_fields(
            model_name=ConfigurableField(id="model"), temperature=ConfigurableField(id="heat")
        )
        llm.with_config(configurable={"model": "other", "heat": 0.5}).invoke("x")
        assert (hub.bodies[0]["model"], hub.bodies[0]["temperature"]) == ("other", 0.5)


# ---------------------------------------------------------------------------------------------- mistakes, extras


@pytest.mark.parametrize("kind", [ChatHubmix, Hubmix])
def test_mistakes_have_a_sentence(kind: Any) -> None:
    for given, told in (
        ({"fallbacks": "deepseek-chat"}, r"fallbacks=\['deepseek-chat'\]"),
        ({"fallbacks": [kind(model="b", api_key="sk-test")]}, "fallbacks must be a list of model IDs"),
        ({"temperature": "hot"}, "temperature should be a valid number, not str"),
        ({"stop": 5}, "stop should be a valid string or a valid list, not int"),
        ({"model": 5}, "model is the ID of a model, not int"),
    ):
        with pytest.raises(ConfigurationError, match=told):
            kind(**{"model": "m", "api_key": "sk-test", **given})
    assert kind("m", api_key="sk-test").model == "m"
    with pytest.raises(ConfigurationError, match="its only positional argument"):
        kind("m", "sk-test")


@pytest.mark.parametrize(
    ("package", "hidden", "extra"),
    [
        ("llamaindex_hubmix", ("llama_index", "llama_index_instrumentation"), "llamaindex"),
        ("langchain_hubmix", ("langchain_core",), "langchain"),
    ],
)
def test_a_missing_extra_is_named(package: str, hidden: tuple[str, ...], extra: str) -> None:
    hide = "; ".join(f"sys.modules[{name!r}] = None" for name in hidden)
    code = f"import sys; {hide}\ntry:\n    import {package}\nexcept ImportError as error:\n    print(error)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert f"hubmix[{extra}]" in ran.stdout, ran.stderr


@pytest.mark.parametrize("way", SYNC, ids=str)
def test_stream_without_usage_names_no_stream_options(way: Way) -> None:
    with ScriptedHub(events(chunk("stop", content="ok"))) as hub:
        assert Way(way.framework, way.waits, True).ask(hub, stream_usage=False).text == "ok"
        assert "stream_options" not in hub.bodies[0]


def test_strict_of_llamaindex_asks_for_the_strict_method() -> None:
    assert Hubmix(model="m", api_key="sk-test", strict=True).structured_output_method == "json_schema"
    assert Hubmix(model="m", api_key="sk-test", strict=False).structured_output_method != "json_schema"


def test_no_tools_among_the_vendors_parameters_are_not_sent() -> None:
    with ScriptedHub(completion("ok")) as hub:
        chat_hubmix(hub, model_kwargs={"tools": [], "tool_choice": None}).invoke("x")
        assert set(hub.bodies[0]) == {"messages", "model"}


def test_silence_allowed_in_a_stream_reads_back() -> None:
    for kind in (ChatHubmix, Hubmix):
        assert kind(model="m", api_key="sk-test", stream_chunk_timeout=7).stream_chunk_timeout == 7
        assert kind(model="m", api_key="sk-test").stream_chunk_timeout == 120
        for off in (None, 0):
            assert kind(model="m", api_key="sk-test", stream_chunk_timeout=off).stream_chunk_timeout is None
