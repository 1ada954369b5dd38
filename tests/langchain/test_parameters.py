"""What a model's fields and a call's keyword arguments become in a request."""

from __future__ import annotations

import traceback
from typing import Any

import pytest
from langchain_core.messages import HumanMessage
from pydantic import BaseModel

from hubmix import AuthenticationError, ConfigurationError, FailoverPolicy, Hub
from hubmix._compat import http
from hubmix.embedded import EmbeddedHub
from langchain_hubmix import ChatHubmix, HubmixEmbeddings, HubmixRerank
from langchain_hubmix._model import request_of

URL = "http://127.0.0.1:9/v1"
HELLO = [HumanMessage("Hello")]
KEY = "sk-test-key-that-nobody-may-see"


def llm(**fields: Any) -> ChatHubmix:
    return ChatHubmix(**{"model": "m", "base_url": URL, "api_key": KEY, **fields})


def body(model: ChatHubmix, /, *, stop: list[str] | None = None, streamed: bool = False, **call: Any) -> dict[str, Any]:
    sent = request_of(model, HELLO, stop, call, streamed=streamed)[0]
    assert sent.pop("messages") == [{"role": "user", "content": "Hello"}]
    return sent


EVERY = {
    "temperature": 0.0,
    "max_tokens": 5,
    "top_p": 0.5,
    "frequency_penalty": 0.1,
    "presence_penalty": 0.2,
    "stop": ["x"],
    "seed": 0,
    "n": 2,
    "logprobs": False,
    "top_logprobs": 3,
    "logit_bias": {"5": 1},
    "reasoning_effort": "low",
    "response_format": {"type": "json_object"},
    "user": "u",
    "service_tier": "flex",
}


def test_only_what_is_set_is_sent() -> None:
    assert body(llm()) == {"model": "m"}
    assert body(llm(**EVERY)) == {"model": "m", **EVERY}


def test_token_ids_may_be_numbers() -> None:
    assert body(llm(logit_bias={50256: -100}))["logit_bias"] == {"50256": -100}


def test_a_call_says_it_better() -> None:
    assert body(llm(**EVERY), **{name: None for name in EVERY if name != "stop"}) == {"model": "m", "stop": ["x"]}
    assert body(llm(temperature=1, model="m"), temperature=0, model="other") == {"model": "other", "temperature": 0}
    others = {"metadata": {"a": "b"}, "modalities": ["text"], "prediction": {"type": "content", "content": "x"}}
    assert body(llm(), **others) == {"model": "m", **others}


def test_stop_sequences_have_an_order() -> None:
    model = llm(stop="field")
    assert body(model)["stop"] == "field"
    assert body(model, stop=["given"])["stop"] == ["given"]
    assert body(llm(stop_sequences=["alias"]))["stop"] == ["alias"]
    assert "stop" not in body(model, stop=[])


def test_streams_ask_for_one_choice_and_may_leave_usage_out() -> None:
    assert "n" not in body(llm(n=2), streamed=True)
    assert "stream_options" not in body(llm(), streamed=True)
    assert body(llm(stream_usage=False), streamed=True)["stream_options"] == {"include_usage": False}
    assert body(llm(), streamed=True, stream_usage=False)["stream_options"] == {"include_usage": False}


def test_empty_tools_are_never_sent() -> None:
    model = llm(parallel_tool_calls=False)
    assert body(model, tools=[], tool_choice="any") == {"model": "m"}
    tools = [{"type": "function", "function": {"name": "f", "parameters": {}}}]
    sent = body(model, tools=tools, tool_choice="any")
    assert sent == {"model": "m", "tools": tools, "tool_choice": "required", "parallel_tool_calls": False}


def test_tools_and_formats_may_be_given_raw() -> None:
    class Person(BaseModel):
        name: str

    sent = body(llm(response_format=Person), tools=[Person])
    assert sent["tools"][0]["function"]["name"] == "Person"
    assert sent["response_format"]["json_schema"]["name"] == "Person"


def test_names_of_other_classes_are_understood() -> None:
    model = ChatHubmix(
        model_name="m", openai_api_base=URL, openai_api_key=KEY, request_timeout=7, max_completion_tokens=9
    )
    assert (model.model, model.base_url, model.timeout, model.max_completion_tokens) == ("m", URL, 7, 9)
    assert model.model_name == "m"
    assert body(model, model_name="other") == {"model": "other", "max_completion_tokens": 9}


def test_the_limit_is_sent_under_the_name_that_was_used() -> None:
    named = {"max_completion_tokens": 9}
    for model in (llm(**named), llm(model_kwargs=named), llm(extra_body=named)):
        sent, options = request_of(model, HELLO, None, {})
        assert {**sent, **(options.extra_body or {})}.items() >= named.items()
        assert "max_tokens" not in sent
        sent, options = request_of(model, HELLO, None, {"max_tokens": 3})
        assert (sent["max_tokens"], "max_completion_tokens" in {**sent, **(options.extra_body or {})}) == (3, False)
    assert body(llm(max_tokens=3), **named) == {"model": "m", **named}


def test_two_values_for_one_parameter_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="same parameter"):
        ChatHubmix(model="a", model_name="b", base_url=URL, api_key=KEY)


def test_parameters_of_the_sdk_are_sent_where_the_sdk_puts_them() -> None:
    given = {"extra_body": {"top_k": 3}, "min_p": 0.1, "extra_headers": {"X-A": "1"}, "timeout": 7}
    model = ChatHubmix(model="m", base_url=URL, api_key=KEY, model_kwargs=given)
    assert model.extra_body == {"min_p": 0.1, "top_k": 3}
    assert (model.default_headers, model.timeout) == ({"X-A": "1"}, 7)


def test_model_kwargs_go_where_they_belong() -> None:
    given = {"temperature": 1, "max_completion_tokens": 9, "top_k": 4, "metadata": {"a": "b"}, "verbosity": "low"}
    model = llm(model_kwargs=given, extra_body={"top_k": 5, "min_p": 0.1})
    assert (model.temperature, model.max_completion_tokens, model.metadata.get("a")) == (1, 9, None)
    assert model.verbosity == "low"
    assert model.extra_body == {"top_k": 5, "metadata": {"a": "b"}, "min_p": 0.1}
    assert body(model, temperature=0)["temperature"] == 0
    assert llm(model_kwargs=None).extra_body is llm(model_kwargs={}).extra_body is None
    sdk = llm(model_kwargs={"extra_headers": {"X-A": "1"}, "timeout": 3, "extra_body": {"top_k": 1}})
    assert (sdk.default_headers, sdk.timeout, sdk.extra_body) == ({"X-A": "1"}, 3, {"top_k": 1})
    with pytest.raises(ConfigurationError, match=r"'temperature' has one value .* another in model_kwargs"):
        llm(temperature=0, model_kwargs={"temperature": 1})
    with pytest.raises(ConfigurationError, match="model_kwargs is a dict"):
        llm(model_kwargs="temperature")
    assert HubmixEmbeddings(model="m", base_url=URL, api_key=KEY, model_kwargs={"dimensions": 3}).dimensions == 3
    sent, options = request_of(llm(), HELLO, None, {"model_kwargs": {"seed": 1, "top_k": 2}})
    assert (sent["seed"], options.extra_body) == (1, {"top_k": 2})


def test_what_a_call_says_beats_the_extra_body_of_the_model() -> None:
    model = llm(extra_body={"temperature": 1, "max_completion_tokens": 9, "top_k": 4, "tools": [], "stop": ["x"]})
    tool = {"type": "function", "function": {"name": "f", "parameters": {}}}
    options = request_of(model, HELLO, ["y"], {"temperature": 0, "max_tokens": 5, "tools": [tool]})[1]
    assert options.extra_body == {"top_k": 4}
    assert request_of(model, HELLO, None, {})[1].extra_body == model.extra_body
    assert request_of(model, HELLO, None, {"extra_body": {"top_k": 5}})[1].extra_body["top_k"] == 5


def test_an_unknown_parameter_names_the_near_one() -> None:
    with pytest.raises(ConfigurationError, match=r"temprature.*'temperature'"):
        llm(temprature=1)
    with pytest.raises(ConfigurationError, match=r"temprature.*'temperature'"):
        body(llm(), temprature=1)
    with pytest.raises(ConfigurationError, match=r"dimension.*'dimensions'"):
        HubmixEmbeddings(model="m", base_url=URL, api_key=KEY, dimension=3)
    with pytest.raises(ConfigurationError, match=r"top_k.*'top_n'"):
        HubmixRerank(model="m", base_url=URL, api_key=KEY, top_k=3)


def test_names_of_the_openai_classes_say_what_to_do_instead() -> None:
    for make, name, what in (
        (ChatHubmix, "openai_proxy", "HTTPS_PROXY"),
        (ChatHubmix, "use_previous_response_id", "store=True"),
        (ChatHubmix, "tools", "bind_tools"),
        (HubmixEmbeddings, "skip_empty", "leave such texts out"),
    ):
        with pytest.raises(ConfigurationError, match=f"{make.__name__} has no parameter '{name}': .*{what}"):
            make(**{"model": "m", "base_url": URL, "api_key": KEY, name: "x"})
    for name, what in (("organization", "another model object"), ("base_url", "another model object")):
        with pytest.raises(ConfigurationError, match=f"A call of ChatHubmix has no parameter '{name}': .*{what}"):
            body(llm(), **{name: "x"})


@pytest.mark.parametrize("kind", [ChatHubmix, HubmixEmbeddings, HubmixRerank])
@pytest.mark.parametrize("given", [{}, {"model": ""}, {"model": None}, {"model_name": ""}], ids=str)
def test_a_model_must_be_named(kind: Any, given: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="needs a model: pass the ID of one"):
        kind(api_key=KEY, **given)


def test_the_query_that_stands_in_for_default_query(server: EmbeddedHub) -> None:
    with http().Client(params={"tenant": "a"}) as client:
        model = llm(model="embedded/extract", base_url=server.base_url, api_key=server.api_key, http_client=client)
        model.invoke("Hello")
    assert server.requests[-1].query == "tenant=a"


def test_forms_that_chatopenai_takes_beside(server: EmbeddedHub) -> None:
    assert "stream_options" not in body(llm(stream_usage=None), streamed=True, stream_usage=None)
    with pytest.raises(ConfigurationError, match="headers must be a dict of names and values, not int"):
        llm().invoke("Hello", extra_headers=5)

    def changing(request: Any) -> Any:
        request.headers["Authorization"] = f"Bearer {server.api_key}"
        return request

    with http().Client(auth=changing) as client:  # what the message says of a key that changes
        model = llm(model="embedded/extract", base_url=server.base_url, api_key="sk-test-old", http_client=client)
        assert model.invoke("Hello").text
    with pytest.raises(AuthenticationError):
        llm(model="embedded/extract", base_url=server.base_url, api_key="sk-test-old").invoke("Hello")


def test_a_wrong_type_is_told_without_showing_what_was_given() -> None:
    with pytest.raises(ConfigurationError, match="ChatHubmix: temperature should be a valid number, not str") as caught:
        llm(temperature="hot")
    assert KEY not in "".join(traceback.format_exception(caught.value))
    with pytest.raises(ConfigurationError) as missing:
        ChatHubmix(base_url=URL, api_key=KEY)
    assert KEY not in repr(missing.value)


def test_options_of_a_call() -> None:
    policy = FailoverPolicy(max_attempts=4)
    model = llm(fallbacks=["b"], timeout=3, total_timeout=9, max_retries=0, failover=policy, extra_body={"a": 1})
    options = request_of(model, HELLO, None, {})[1]
    assert options.fallbacks == ("b",)
    assert (options.timeout, options.total_timeout) == (3, 9)
    assert (options.policy.max_attempts, options.policy.max_retries) == (4, 0)
    assert options.extra_body == {"a": 1}
    call = {
        "fallbacks": [],
        "timeout": 1,
        "total_timeout": None,
        "max_retries": 5,
        "failover": FailoverPolicy(max_attempts=2),
        "extra_body": {"b": 2},
        "extra_headers": {"x-a": "1"},
    }
    options = request_of(model, HELLO, None, call)[1]
    assert options.fallbacks == ()
    assert (options.timeout, options.total_timeout) == (1, None)
    assert (options.policy.max_attempts, options.policy.max_retries) == (2, 5)
    assert options.extra_body == {"a": 1, "b": 2}
    assert options.headers == {"x-a": "1"}
    assert request_of(llm(fallbacks="auto"), HELLO, None, {})[1].fallbacks == "auto"


def test_options_of_the_wrong_kind_are_refused() -> None:
    for wrong, what in (
        ({"fallbacks": "gpt-4o"}, r"fallbacks=\['gpt-4o'\]"),
        ({"timeout": -1}, "timeout must be more than 0 seconds.*not -1"),
        ({"timeout": (1, -2)}, "timeout must be more than 0 seconds"),
        ({"total_timeout": 0}, "total_timeout must be more than 0"),
        ({"extra_body": [1]}, "extra_body is a dict of fields, not a list"),
        ({"fallbacks": 5}, "fallbacks must be a list of model IDs or 'auto', not 5"),
        ({"failover": {"max_retrys": 0}}, "no parameter 'max_retrys'"),
    ):
        with pytest.raises(ConfigurationError, match=what):
            request_of(llm(), HELLO, None, wrong)
    for make in (ChatHubmix, HubmixEmbeddings, HubmixRerank):
        with pytest.raises(ConfigurationError, match="no parameter 'max_retrys'"):
            make(model="m", base_url=URL, api_key=KEY, failover={"max_retrys": 0})
    policy = request_of(llm(), HELLO, None, {"failover": {"max_attempts": 2}})[1].policy
    assert policy == FailoverPolicy(max_attempts=2)


def test_where_the_hub_comes_from(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = Hub(base_url=URL, api_key=KEY)
    assert ChatHubmix(model="m", hub=hub).hub is hub
    assert llm().hub is llm().hub
    assert llm(base_url="http://127.0.0.1:8/v1").hub is not llm().hub
    assert ChatHubmix(model="m", hub="aihubapi", api_key=KEY).hub.name == "aihubapi"
    monkeypatch.setenv("HUBMIX_API_KEY", KEY)
    monkeypatch.setenv("HUBMIX_BASE_URL", URL)
    assert ChatHubmix(model="m").hub.base_url == URL


def test_a_setting_that_changes_changes_the_hub() -> None:
    model = llm()
    copy = model.model_copy(update={"base_url": "http://127.0.0.1:8/v1"})
    assert copy.hub.base_url == "http://127.0.0.1:8/v1"
    assert model.hub.base_url == URL


@pytest.mark.parametrize("make", [ChatHubmix, HubmixEmbeddings, HubmixRerank])
def test_without_a_key_nothing_is_made(make: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"HUBMIX_API_KEY.*AIHUBMIX_API_KEY"):
        make(model="m")
    with pytest.raises(ConfigurationError, match="Unknown hub 'aihubmx'"):
        make(model="m", hub="aihubmx", api_key=KEY)


def test_candidates_of_a_call() -> None:
    model = llm(fallbacks=["b", "c"])
    assert model.candidates() == ["m", "b", "c"]
    assert model.candidates(model="x", fallbacks=[]) == ["x"]
