"""The eight verbs on the embedded hub: sync and async agree."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from llama_index.core.base.llms.types import (
    AudioBlock,
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    DocumentBlock,
    ImageBlock,
    MessageRole,
    TextBlock,
    ThinkingBlock,
    VideoBlock,
)
from llama_index.core.callbacks import CallbackManager, CBEventType, LlamaDebugHandler, TokenCountingHandler
from llama_index.core.llms import LLMMetadata
from llama_index.core.prompts import PromptTemplate
from llama_index.core.rate_limiter import TokenBucketRateLimiter
from llama_index.core.schema import NodeWithScore, TextNode
from pydantic import BaseModel

from hubmix import FailoverPolicy, Hub
from hubmix.embedded import EmbeddedHub, Fault
from hubmix.errors import (
    AllModelsFailedError,
    ConfigurationError,
    ModelUnavailableError,
    ServerError,
    StreamInterruptedError,
)
from llamaindex_hubmix import Hubmix, HubmixEmbedding, HubmixRerank
from tests.llamaindex.conftest import chats, until

QUESTION = "What is the capital of France? Context: Paris is the capital of France."
ANSWER = "Paris is the capital of France."
MESSAGES = [ChatMessage(role="system", content="Be short."), ChatMessage(role="user", content=QUESTION)]

Make = Callable[..., Hubmix]


async def every_way(llm: Hubmix, messages: list[ChatMessage] | str, **kwargs: Any) -> AsyncIterator[tuple[str, Any]]:
    """The last response of each verb that takes such input."""
    if isinstance(messages, str):
        yield "complete", llm.complete(messages, **kwargs)
        yield "stream_complete", list(llm.stream_complete(messages, **kwargs))[-1]
        yield "acomplete", await llm.acomplete(messages, **kwargs)
        yield "astream_complete", [r async for r in await llm.astream_complete(messages, **kwargs)][-1]
    else:
        yield "chat", llm.chat(messages, **kwargs)
        yield "stream_chat", list(llm.stream_chat(messages, **kwargs))[-1]
        yield "achat", await llm.achat(messages, **kwargs)
        yield "astream_chat", [r async for r in await llm.astream_chat(messages, **kwargs)][-1]


def comparable(response: ChatResponse | CompletionResponse) -> dict[str, Any]:
    """A response without what differs from call to call."""
    found = response.model_dump(exclude={"raw", "delta"})
    for name in ("request_id", "failover", "id"):
        found["additional_kwargs"].pop(name, None)
    return found


# ---------------------------------------------------------------------------------------------- answers and parity


@pytest.mark.parametrize("model", ["extract", "think"])
@pytest.mark.parametrize("given", [MESSAGES, QUESTION], ids=["messages", "prompt"])
async def test_every_verb_gives_the_same_answer(make: Make, server: EmbeddedHub, model: str, given: Any) -> None:
    found = {name: comparable(r) async for name, r in every_way(make(model), given)}
    first = next(iter(found.values()))
    assert ANSWER in str(first)
    assert all(one == first for one in found.values())
    bodies = [{k: v for k, v in body.items() if k not in ("stream", "stream_options")} for body in chats(server)]
    assert len(bodies) == 4
    assert all(body == bodies[0] for body in bodies)


def test_a_stream_adds_up(llm: Hubmix) -> None:
    responses = list(llm.stream_chat(MESSAGES))
    assert "".join(r.delta or "" for r in responses) == responses[-1].message.content
    lengths = [len(r.message.content or "") for r in responses]
    assert lengths == sorted(lengths)
    assert len(responses) > 3


def test_a_stream_makes_its_request_when_it_is_read(llm: Hubmix, server: EmbeddedHub) -> None:
    responses = llm.stream_chat(MESSAGES)
    assert isinstance(responses, Iterator)
    assert chats(server) == []
    next(responses)
    assert len(chats(server)) == 1
    responses.close()


def test_a_plain_prompt_is_one_user_message(llm: Hubmix, server: EmbeddedHub) -> None:
    llm.complete("Hello")
    assert chats(server)[0] == {"model": "embedded/extract", "messages": [{"role": "user", "content": "Hello"}]}


def test_completion_to_prompt_is_applied_unless_prompt_is_final(make: Make, server: EmbeddedHub) -> None:
    llm = make(completion_to_prompt=lambda prompt: f"<{prompt}>")
    llm.complete("a")
    llm.complete("a", formatted=True)
    assert [body["messages"][0]["content"] for body in chats(server)] == ["<a>", "a"]


def test_reasoning_streams_and_is_kept(make: Make) -> None:
    responses = list(make("think").stream_chat(MESSAGES))
    thoughts = "".join(r.additional_kwargs.get("thinking_delta", "") for r in responses)
    block = responses[-1].message.blocks[0]
    assert isinstance(block, ThinkingBlock)
    assert thoughts
    assert block.content == thoughts
    assert (block.num_tokens or 0) > 0


def test_a_refusal_is_told(make: Make) -> None:
    assert make("refuse").chat(MESSAGES).additional_kwargs["refusal"]


def test_logprobs(make: Make) -> None:
    response = make(logprobs=True, top_logprobs=2).chat(MESSAGES)
    assert response.logprobs
    assert len(response.logprobs[0]) == 2


def test_predict_and_stream_keep_the_system_prompt(make: Make, server: EmbeddedHub) -> None:
    llm = make(system_prompt="Be kind.")
    prompt = PromptTemplate("{question}")
    assert ANSWER in llm.predict(prompt, question=QUESTION)
    assert ANSWER in "".join(llm.stream(prompt, question=QUESTION))
    assert all(body["messages"][0] == {"role": "system", "content": "Be kind."} for body in chats(server))


async def test_apredict_and_astream_keep_it_too(make: Make, server: EmbeddedHub) -> None:
    llm = make(system_prompt="Be kind.")
    prompt = PromptTemplate("{question}")
    assert ANSWER in await llm.apredict(prompt, question=QUESTION)
    assert ANSWER in "".join([token async for token in await llm.astream(prompt, question=QUESTION)])
    assert all(body["messages"][0] == {"role": "system", "content": "Be kind."} for body in chats(server))


# ------------------------------------------------------------------------------------------------------ parameters


PARAMETERS: dict[str, Any] = {
    "temperature": 0.0,
    "max_tokens": 50,
    "top_p": 0.5,
    "frequency_penalty": 0.1,
    "presence_penalty": 0.2,
    "stop": ["END"],
    "seed": 0,
    "logit_bias": {"50256": -100},
    "reasoning_effort": "low",
    "user": "u1",
    "service_tier": "flex",
}


def test_parameters_are_sent_under_their_own_names(make: Make, server: EmbeddedHub) -> None:
    make(**PARAMETERS).chat(MESSAGES)
    assert chats(server)[0].items() >= PARAMETERS.items()


def test_what_is_not_set_is_not_sent(llm: Hubmix, server: EmbeddedHub) -> None:
    llm.chat(MESSAGES)
    assert chats(server)[0].keys() == {"model", "messages"}
    list(llm.stream_chat(MESSAGES))
    assert chats(server)[1].keys() == {"model", "messages", "stream", "stream_options"}


async def test_the_parameters_of_a_call_win(make: Make, server: EmbeddedHub) -> None:
    llm = make(temperature=0.9, max_tokens=5, fallbacks=["embedded/think"])
    async for _ in every_way(llm, MESSAGES, model="embedded/echo", temperature=0.1, max_tokens=None, fallbacks=[]):
        pass
    for body in chats(server):
        assert (body["model"], body["temperature"]) == ("embedded/echo", 0.1)
        assert "max_tokens" not in body


def test_extra_body_is_merged_last_and_the_calls_wins(make: Make, server: EmbeddedHub) -> None:
    make(extra_body={"top_k": 5, "min_p": 0.1}).chat(MESSAGES, extra_body={"top_k": 7})
    assert chats(server)[0].items() >= {"top_k": 7, "min_p": 0.1}.items()


def test_headers_of_the_model_and_of_a_call(make: Make, server: EmbeddedHub) -> None:
    for own, of_call in (("default_headers", "extra_headers"), ("extra_headers", "default_headers")):
        make(**{own: {"X-Team": "a"}}, app_code="CODE").chat(MESSAGES, **{of_call: {"X-Trace": "b"}})
        headers = server.requests[-1].headers
        assert (headers["x-team"], headers["x-trace"], headers["app-code"]) == ("a", "b", "CODE")


def test_no_discount_code_is_sent_unasked(llm: Hubmix, server: EmbeddedHub) -> None:
    llm.chat(MESSAGES)
    assert "app-code" not in server.requests[-1].headers


def test_names_of_other_classes_are_understood(server: EmbeddedHub) -> None:
    llm = Hubmix(
        model_name="embedded/extract",
        api_base=server.base_url,
        api_key=server.api_key,
        request_timeout=5,
        additional_kwargs={"top_k": 1},
    )
    llm.chat(MESSAGES)
    assert (llm.model, llm.base_url, llm.timeout) == ("embedded/extract", server.base_url, 5)
    assert chats(server)[0]["top_k"] == 1


# As LlamaIndex's OpenAI classes take them: they hand them on to the SDK's `create`.
FOR_THE_SDK: dict[str, Any] = {
    "extra_body": {"top_k": 3},
    "min_p": 0.1,
    "extra_headers": {"X-Trace": "b"},
    "timeout": 7,
}


def test_parameters_of_the_sdk_are_sent_where_the_sdk_puts_them(make: Make, server: EmbeddedHub) -> None:
    llm = make(additional_kwargs=FOR_THE_SDK)
    llm.chat(MESSAGES)
    make().chat(MESSAGES, additional_kwargs=FOR_THE_SDK)
    for request in server.requests:
        assert request.json == {
            "model": "embedded/extract",
            "messages": request.json["messages"],
            "min_p": 0.1,
            "top_k": 3,
        }
        assert request.headers["x-trace"] == "b"
    assert llm.timeout == 7


def test_an_embedding_and_a_rerank_put_it_there_too(server: EmbeddedHub) -> None:
    HubmixEmbedding("embedded/embed", additional_kwargs=FOR_THE_SDK).get_text_embedding("a")
    rerank = HubmixRerank("embedded/rerank", additional_kwargs=FOR_THE_SDK)
    rerank.postprocess_nodes([NodeWithScore(node=TextNode(text="a"))], query_str="b")
    for request in server.requests:
        assert request.json.items() >= {"min_p": 0.1, "top_k": 3}.items()
        assert request.json.keys().isdisjoint(FOR_THE_SDK.keys() - {"min_p"})
        assert request.headers["x-trace"] == "b"


def test_a_query_in_the_url_is_the_models_and_no_calls(llm: Hubmix) -> None:
    for given in ({"additional_kwargs": {"extra_query": {"a": 1}}}, {"extra_query": {"a": 1}}):
        assert Hubmix(model="m", **given).default_query == {"a": 1}
        with pytest.raises(ConfigurationError, match="extra_query"):
            llm.chat(MESSAGES, **given)


def test_an_extra_body_that_is_no_dict_is_refused(llm: Hubmix) -> None:
    with pytest.raises(ConfigurationError, match="extra_body in additional_kwargs must be a dict"):
        Hubmix(model="m", additional_kwargs={"extra_body": "x"})
    with pytest.raises(ConfigurationError, match="extra_body"):
        llm.chat(MESSAGES, additional_kwargs={"extra_body": "x"})
    with pytest.raises(ConfigurationError, match="extra_body is a dict of fields"):
        llm.chat(MESSAGES, extra_body="x")


def test_a_policy_may_be_a_dict_in_a_call_as_in_the_model(make: Make, server: EmbeddedHub) -> None:
    server.fault("*", Fault.answer(500), times=None)
    with pytest.raises(ServerError):
        make(max_retries=2).chat(MESSAGES, failover={"max_attempts": 1}, max_retries=None)
    assert len(chats(server)) == 1


def test_audio_may_be_asked_for_under_the_name_of_llama_index(llm: Hubmix, server: EmbeddedHub) -> None:
    llm.chat(MESSAGES, modalities=["text", "audio"], audio_config={"voice": "alloy", "format": "wav"})
    Hubmix("embedded/extract", modalities=["text", "audio"], audio_config={"voice": "alloy"}).chat(MESSAGES)
    assert [body["audio"]["voice"] for body in chats(server)] == ["alloy", "alloy"]
    assert chats(server)[1]["modalities"] == ["text", "audio"]


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        ({"temprature": 1}, "Did you mean 'temperature'"),
        ({"fallback": ["m"]}, "Did you mean 'fallbacks'"),
        ({"openai_client": object()}, "http_client"),
        ({"async_openai_client": object()}, "http_async_client"),
        ({"api_version": "1"}, "leave it out"),
        ({"deployment_name": "n"}, "as model"),
    ],
)
def test_an_unknown_parameter_says_what_to_do(server: EmbeddedHub, wrong: dict[str, Any], hint: str) -> None:
    with pytest.raises(ConfigurationError, match=hint):
        Hubmix(model="m", **wrong)


@pytest.mark.parametrize("kind", [HubmixEmbedding, HubmixRerank])
@pytest.mark.parametrize("name", ["api_version", "deployment_name", "openai_client"])
def test_so_do_embeddings_and_rerank(kind: Any, name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{kind.__name__} has no parameter '{name}': "):
        kind("m", **{name: "x"})


def test_a_switch_of_openailike_chooses_the_method() -> None:
    assert Hubmix("m", should_use_structured_outputs=True).structured_output_method == "json_schema"


def test_an_unknown_parameter_of_a_call_names_the_near_one(llm: Hubmix, server: EmbeddedHub) -> None:
    with pytest.raises(ConfigurationError, match=r"max_tokens"):
        llm.chat(MESSAGES, max_token=5)
    with pytest.raises(ConfigurationError, match=r"max_tokens"):
        llm.stream_chat(MESSAGES, max_token=5)  # at once, not when the stream is read
    assert chats(server) == []


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"headers": 5}, "headers must be a dict of names and values, not int"),
        ({"headers": {"X-A": None}}, "the value of 'X-A'"),
        ({"fallbacks": 5}, "fallbacks must be a list of model IDs or 'auto', not 5"),
        ({"fallbacks": [5]}, "5 is no model ID"),
        ({"max_retries": "x"}, "max_retries must be a whole number, not 'x'"),
        ({"failover": 5}, "failover must be a FailoverPolicy"),
        ({"failover": {"max_retrys": 0}}, "no parameter 'max_retrys'; it has max_retries"),
        ({"tools": "x"}, "tools must be a list of tools, not str"),
        ({"tools": 5}, "tools must be a list of tools, not int"),
        ({"tools": [len]}, "is no tool: .*FunctionTool"),
        ({"response_format": int}, "a dict or a pydantic class, not int"),
    ],
    ids=str,
)
def test_value_of_wrong_type_raises_before_anything_is_sent(
    llm: Hubmix, server: EmbeddedHub, wrong: dict[str, Any], told: str
) -> None:
    with pytest.raises(ConfigurationError, match=told):
        llm.chat(MESSAGES, **wrong)
    assert chats(server) == []


@pytest.mark.parametrize("kind", [Hubmix, HubmixEmbedding, HubmixRerank])
@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "needs a model: pass the ID of one"),
        ({"model": ""}, "needs a model"),
        ({"model": "m", "hub": 5}, "hub must be a Hub or the name of one, not int"),
        ({"model": "m", "failover": {"max_retrys": 0}}, "no parameter 'max_retrys'"),
    ],
    ids=str,
)
def test_a_model_that_cannot_be_made_says_what_to_do(kind: Any, given: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        kind(**given)


def test_two_names_for_one_thing_must_agree() -> None:
    with pytest.raises(ConfigurationError, match="'model_name' and 'model' are the same parameter"):
        Hubmix(model="a", model_name="b")
    with pytest.raises(ConfigurationError, match="'base_url' and 'api_base' are the same parameter"):
        Hubmix(model="a", api_base="http://127.0.0.1:1/v1", base_url="http://127.0.0.1:2/v1")


def test_fields_of_the_body_may_stand_under_both_names(llm: Hubmix, server: EmbeddedHub) -> None:
    both = {"additional_kwargs": {"extra_body": {"a": 1, "c": 3}}, "extra_body": {"b": 2, "c": 3}}
    assert Hubmix(model="m", **both).extra_body == {"a": 1, "b": 2, "c": 3}
    llm.chat(MESSAGES, **both)
    assert chats(server)[0].items() >= {"a": 1, "b": 2, "c": 3}.items()
    # As the SDK merges them: extra_body goes over the arguments of `create`.
    assert Hubmix(model="m", additional_kwargs={"a": 1}, extra_body={"a": 2}).extra_body == {"a": 2}


@pytest.mark.parametrize("names", [("api_base", "base_url"), ("base_url", "api_base")])
def test_a_name_without_a_value_contradicts_nothing(names: tuple[str, str], server: EmbeddedHub) -> None:
    empty, set_ = names
    assert Hubmix(**{"model": "m", empty: None, set_: server.base_url}).base_url == server.base_url
    assert Hubmix(**{"model": "m", set_: server.base_url, empty: None}).base_url == server.base_url


def test_the_hub_may_be_given(server: EmbeddedHub) -> None:
    hub = Hub(base_url=server.base_url, api_key=server.api_key)
    llm = Hubmix("embedded/extract", hub=hub)
    assert llm.hub is hub
    assert ANSWER in str(llm.chat(MESSAGES))
    with pytest.raises(ConfigurationError, match="base_url"):
        Hubmix("embedded/extract", hub=hub, base_url=server.base_url)


def test_several_choices_are_in_raw_and_never_streamed(make: Make, server: EmbeddedHub) -> None:
    llm = make(n=2)
    response = llm.chat(MESSAGES)
    assert len(response.raw["choices"]) == 2
    assert response.message.content == response.raw["choices"][0]["message"]["content"]
    list(llm.stream_chat(MESSAGES))
    assert [body.get("n") for body in chats(server)] == [2, None]


def test_a_class_is_a_response_format(make: Make, server: EmbeddedHub) -> None:
    class Fact(BaseModel):
        text: str

    make(response_format=Fact).chat(MESSAGES)
    make().chat(MESSAGES, response_format=Fact)
    assert [body["response_format"]["json_schema"]["name"] for body in chats(server)] == ["Fact", "Fact"]


def test_stream_usage_may_be_switched_off(make: Make, server: EmbeddedHub) -> None:
    list(make(stream_usage=False).stream_chat(MESSAGES))
    assert chats(server)[0].get("stream_options") in (None, {"include_usage": False})


# -------------------------------------------------------------------------------------------------------- metadata


def test_unknown_model_is_a_chat_model_with_tools(server: EmbeddedHub) -> None:
    assert Hubmix(model="never-heard-of").metadata == LLMMetadata(
        context_window=128_000,
        num_output=-1,
        is_chat_model=True,
        is_function_calling_model=True,
        model_name="never-heard-of",
    )
    assert server.requests == []


def test_metadata_follows_the_catalog(server: EmbeddedHub) -> None:
    facts = {"context_window": 8_000, "tools": False}
    hub = Hub(base_url=server.base_url, api_key=server.api_key, model_overrides={"m": facts})
    metadata = Hubmix("m", hub=hub).metadata
    assert (metadata.context_window, metadata.is_function_calling_model) == (8_000, False)
    assert server.requests == []


def test_metadata_may_be_overridden(make: Make) -> None:
    llm = make(context_window=4_096, num_output=99, is_function_calling_model=False)
    metadata = llm.metadata
    assert (metadata.context_window, metadata.num_output, metadata.is_function_calling_model) == (4_096, 99, False)
    assert make(max_tokens=77).metadata.num_output == 77


# --------------------------------------------------------------------------------------- callbacks, events, counting


async def test_callbacks_and_events_come_once_a_call(make: Make, events: list[Any]) -> None:
    debug = LlamaDebugHandler(print_trace_on_end=False)
    llm = make(callback_manager=CallbackManager([debug]))
    async for _ in every_way(llm, MESSAGES):
        pass
    async for _ in every_way(llm, QUESTION):
        pass
    assert len(debug.get_event_pairs(CBEventType.LLM)) == 8
    names = [event.class_name() for event in events]
    assert names.count("LLMChatStartEvent") == names.count("LLMChatEndEvent") == 4
    assert names.count("LLMCompletionStartEvent") == names.count("LLMCompletionEndEvent") == 4


async def test_token_counting_is_exact(make: Make) -> None:
    def no_guessing(text: str) -> list[int]:
        raise AssertionError(f"estimated the tokens of {text!r}")

    handler = TokenCountingHandler(tokenizer=no_guessing)
    llm = make(callback_manager=CallbackManager([handler]))
    used = []
    for given in (MESSAGES, QUESTION):
        async for _, response in every_way(llm, given):
            used.append(response.raw["usage"])
    assert len(handler.llm_token_counts) == 8
    counted = [(event.prompt_token_count, event.completion_token_count) for event in handler.llm_token_counts]
    assert counted == [(usage["prompt_tokens"], usage["completion_tokens"]) for usage in used]


def test_the_payload_of_events_names_model_and_temperature(make: Make) -> None:
    payload = make(temperature=0.3).to_payload()
    assert (payload["model"], payload["temperature"], payload["class_name"]) == ("embedded/extract", 0.3, "Hubmix")


def test_a_switch_of_model_is_an_event(make: Make, server: EmbeddedHub, events: list[Any]) -> None:
    server.fault("embedded/extract", Fault.error("model_not_found"))
    make(fallbacks=["embedded/echo"]).chat(MESSAGES)
    switched = [event for event in events if event.class_name() == "HubmixFailoverEvent"]
    assert [(e.requested, e.model, e.outcome, e.status) for e in switched] == [
        ("embedded/extract", "embedded/extract", "error", 503)
    ]
    chat_started = next(event for event in events if event.class_name() == "LLMChatStartEvent")
    assert switched[0].span_id == chat_started.span_id


async def test_the_rate_limiter_is_asked_once_a_call(make: Make) -> None:
    limiter = TokenBucketRateLimiter(requests_per_minute=1_000)
    asked = []
    object.__setattr__(limiter, "acquire", lambda *_: asked.append("sync"))

    async def acquire(*_: Any) -> None:
        asked.append("async")

    object.__setattr__(limiter, "async_acquire", acquire)
    async for _ in every_way(make(rate_limiter=limiter), MESSAGES):
        pass
    assert sorted(asked) == ["async", "async", "sync", "sync"]


# ------------------------------------------------------------------------------------------------ failures and switches


async def test_the_next_model_answers_where_the_first_cannot(make: Make, server: EmbeddedHub) -> None:
    server.fault("embedded/extract", Fault.error("model_not_found"), times=None)
    llm = make(fallbacks=["embedded/echo"], failover=FailoverPolicy(max_retries=0))
    async for name, response in every_way(llm, MESSAGES):
        trace = response.additional_kwargs["failover"]
        assert (trace["requested"], trace["served"]) == ("embedded/extract", "embedded/echo"), name
        assert response.additional_kwargs["model"] == "embedded/echo"
        assert response.message.content == QUESTION


async def test_one_model_raises_its_own_error(make: Make, server: EmbeddedHub) -> None:
    server.fault("embedded/extract", Fault.error("model_not_found"), times=None)
    with pytest.raises(ModelUnavailableError, match=r"embedded/extract"):
        make().chat(MESSAGES)
    make().hub.reset_health()
    with pytest.raises(ModelUnavailableError, match=r"embedded/extract"):
        await make().achat(MESSAGES)
    make().hub.reset_health()
    with pytest.raises(ModelUnavailableError):
        list(make().stream_chat(MESSAGES))


def test_several_models_raise_all_their_errors(make: Make, server: EmbeddedHub) -> None:
    server.fault("*", Fault.answer(500), times=None)
    with pytest.raises(AllModelsFailedError) as caught:
        make(fallbacks=["embedded/echo"], max_retries=0).chat(MESSAGES)
    assert len(caught.value.exceptions) == 2
    assert all(isinstance(error, ServerError) for error in caught.value.exceptions)


def test_retries_are_made_by_one_layer_only(make: Make, server: EmbeddedHub) -> None:
    server.fault("*", Fault.answer(500), times=None)
    with pytest.raises(ServerError):
        make(max_retries=0).chat(MESSAGES)
    assert len(chats(server)) == 1


def test_a_cut_stream_says_that_its_end_is_missing(make: Make, server: EmbeddedHub) -> None:
    server.fault("*", Fault.cut(4))
    last = list(make().stream_chat(MESSAGES))[-1]
    assert last.additional_kwargs["incomplete"] is True
    assert last.message.content


def test_a_stream_that_breaks_off_raises_with_what_had_arrived(make: Make, server: EmbeddedHub) -> None:
    server.fault("*", Fault.error_event(4, body={"message": "gone", "type": "server_error"}))
    seen = []
    with pytest.raises(StreamInterruptedError) as caught:
        seen.extend(response.delta for response in make().stream_chat(MESSAGES))
    assert caught.value.partial.text == "".join(seen) != ""


@pytest.mark.parametrize("fault", ["empty_stream", "only_done", "only_usage"])
def test_an_empty_stream_is_an_error_and_never_an_empty_answer(make: Make, server: EmbeddedHub, fault: str) -> None:
    server.fault("*", fault, times=None)
    with pytest.raises(Exception, match="embedded/extract"):
        list(make(max_retries=0).stream_chat(MESSAGES))


@pytest.mark.parametrize("choices", [[], None], ids=["none", "null"])
def test_an_answer_without_choices_is_an_error_of_ours(make: Make, server: EmbeddedHub, choices: Any) -> None:
    server.fault("*", Fault.answer(200, {"id": "x", "choices": choices}), times=None)
    with pytest.raises(Exception, match="embedded/extract") as caught:
        make(max_retries=0).chat(MESSAGES)
    assert type(caught.value).__module__.startswith("hubmix") or hasattr(caught.value, "request_id")


async def test_cancelling_a_call_ends_it(make: Make, server: EmbeddedHub) -> None:
    server.fault("*", Fault.stall(), times=None)
    task = asyncio.ensure_future(make().achat(MESSAGES))
    await until(lambda: bool(chats(server)))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


# ------------------------------------------------------------------------------------------------------ good manners


async def test_the_callers_messages_are_left_alone(llm: Hubmix) -> None:
    messages = [ChatMessage(role=MessageRole.USER, blocks=[TextBlock(text="a"), TextBlock(text="b")])]
    async for _ in every_way(llm, messages):
        pass
    assert messages == [ChatMessage(role=MessageRole.USER, blocks=[TextBlock(text="a"), TextBlock(text="b")])]


def test_a_missing_key_is_told_before_anything_is_sent(server: EmbeddedHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HUBMIX_API_KEY")
    llm = Hubmix(model="embedded/extract")
    with pytest.raises(ConfigurationError, match="HUBMIX_API_KEY"):
        llm.chat(MESSAGES)
    assert server.requests == []


def test_nothing_is_sent_before_the_first_call(server: EmbeddedHub) -> None:
    llm = Hubmix(model="embedded/extract")
    repr(llm), llm.metadata, llm.to_dict(), llm.to_payload(), llm.model_info
    assert server.requests == []


def test_the_candidates_of_a_call(make: Make) -> None:
    llm = make(fallbacks=["embedded/echo"])
    assert llm.candidates() == ["embedded/extract", "embedded/echo"]
    assert llm.candidates(model="x", fallbacks=[]) == ["x"]


# ----------------------------------------------------------------------------------------------------------- media


MEDIA = [
    TextBlock(text="What is this?"),
    ImageBlock(url="https://pictures.example/a.png"),
    ImageBlock(image=b"\x89PNG\r\n\x1a\n", image_mimetype="image/png"),
    AudioBlock(audio=b"RIFF....WAVE", format="wav"),
    DocumentBlock(data=b"%PDF-1.4", document_mimetype="application/pdf"),
    VideoBlock(url="https://films.example/a.mp4"),
]


async def test_media_reach_the_model(make: Make) -> None:
    async for _, response in every_way(make("vision"), [ChatMessage(role="user", blocks=MEDIA)]):
        assert "2 images, 1 audio, 1 file, 1 video" in str(response)


async def test_what_must_be_fetched_is_fetched_outside_the_event_loop(make: Make, server: EmbeddedHub) -> None:
    block = AudioBlock(url=f"{server.root_url}/sound.wav", format="wav")
    async for _, response in every_way(make("vision"), [ChatMessage(role="user", blocks=[block])]):
        assert "1 audio" in str(response)
    assert [request.path for request in server.requests if request.method == "GET"] == ["/sound.wav"] * 4


@pytest.mark.parametrize("made", [Hubmix, HubmixEmbedding, HubmixRerank])
def test_the_catalog_is_that_of_the_hub(made: Any, server: EmbeddedHub) -> None:
    with Hub(base_url=server.base_url, api_key=server.api_key) as hub:
        assert made(model="embedded/extract", hub=hub).catalog is hub.models
    assert not server.requests


@pytest.mark.parametrize("name", ["rate_limit", "aliases", "model_overrides", "catalog_refresh"])
def test_what_is_the_hubs_is_said_to_be(make: Make, name: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"hub=Hub\({name}="):
        make(**{name: "180/min"})
