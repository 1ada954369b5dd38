"""Calls and streams on the embedded hub: sync and async do the same."""

from __future__ import annotations

import asyncio
import threading
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import BaseCallbackHandler, UsageMetadataCallbackHandler
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, message_chunk_to_message
from langchain_core.rate_limiters import InMemoryRateLimiter
from langchain_core.runnables import ConfigurableField

from hubmix import AllModelsFailedError, ConfigurationError, StreamInterruptedError
from hubmix.embedded import EmbeddedHub, Fault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from langchain_hubmix import ChatHubmix

    Chat = Callable[..., ChatHubmix]

SKY = "Context: The sky is blue because air scatters blue light. Grass is green.\n\nQuestion: Why is the sky blue?"
ADD = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "Add two numbers.",
        "parameters": {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}},
    },
}


def comparable(message: AIMessage) -> dict[str, Any]:
    """A message without what differs from one request to the next."""
    found = message_chunk_to_message(message).model_dump()
    found.pop("id")
    found["tool_calls"] = [{**call, "id": None} for call in found["tool_calls"]]
    found["response_metadata"] = {
        key: value
        for key, value in found["response_metadata"].items()
        if key not in ("id", "request_id", "created", "failover")
    }
    return found


def merge(pieces: Iterable[AIMessageChunk]) -> AIMessageChunk:
    return reduce(add, pieces)


def sent(server: EmbeddedHub) -> list[Any]:
    bodies = [(request.path, request.json, request.headers.get("accept-language")) for request in server.requests]
    server.clear()
    return bodies


CALLS: list[dict[str, Any]] = [
    {},
    {"temperature": 0.5, "max_tokens": 12, "seed": 1, "stop": ["zzz"]},
    {"tools": [ADD], "tool_choice": "any"},
    {"model": "embedded/think"},
    {"response_format": {"type": "json_object"}},
    {"logprobs": True, "top_logprobs": 2},
]


@pytest.mark.parametrize("call", CALLS, ids=lambda call: ",".join(call) or "plain")
async def test_sync_and_async_are_the_same(server: EmbeddedHub, chat: Chat, call: dict[str, Any]) -> None:
    llm = chat()
    question = [HumanMessage("Give JSON: what is 3 plus 4? " + SKY)]
    whole = llm.invoke(question, **call)
    first = sent(server)
    assert comparable(await llm.ainvoke(question, **call)) == comparable(whole)
    assert sent(server) == first
    pieces = list(llm.stream(question, **call))
    streamed = sent(server)
    apieces = [piece async for piece in llm.astream(question, **call)]
    assert sent(server) == streamed
    assert [comparable(piece) for piece in pieces] == [comparable(piece) for piece in apieces]
    merged = merge(pieces)
    assert (merged.text, merged.content_blocks) == (whole.text, merged.content_blocks)
    assert [one["args"] for one in merged.tool_calls] == [one["args"] for one in whole.tool_calls]
    assert merged.usage_metadata == whole.usage_metadata


def test_what_an_answer_says_of_itself(server: EmbeddedHub, chat: Chat) -> None:
    found = chat(fallbacks=["embedded/think"]).invoke(SKY).response_metadata
    assert (found["model_name"], found["model_provider"], found["finish_reason"]) == (
        "embedded/extract",
        "hubmix",
        "stop",
    )
    assert found["id"]
    assert found["request_id"]
    assert found["token_usage"]["prompt_tokens"] > 0
    assert found["failover"]["served"] == "embedded/extract"
    assert [attempt["outcome"] for attempt in found["failover"]["attempts"]] == ["ok"]


def test_a_stream_says_it_once(server: EmbeddedHub, chat: Chat) -> None:
    pieces = list(chat(model="embedded/think").stream(SKY))
    assert sum("failover" in piece.response_metadata for piece in pieces) == 1
    assert sum(piece.usage_metadata is not None for piece in pieces) == 1
    merged = merge(pieces)
    assert merged.response_metadata["finish_reason"] == "stop"
    assert merged.response_metadata["model_name"] == "embedded/think"
    assert merged.content_blocks[0]["type"] == "reasoning"
    assert merged.additional_kwargs["reasoning_content"]


def test_failover_inside_one_call(server: EmbeddedHub, chat: Chat) -> None:
    llm = chat(model="embedded/absent", fallbacks=["embedded/extract"])
    for message in (llm.invoke(SKY), merge(llm.stream(SKY))):
        trace = message.response_metadata["failover"]
        assert message.response_metadata["model_name"] == "embedded/extract"
        assert [attempt["outcome"] for attempt in trace["attempts"]] in (["error", "ok"], ["skipped", "ok"])
    llm.hub.reset_health()
    with pytest.raises(AllModelsFailedError) as caught:
        llm.invoke(SKY, fallbacks=["embedded/absent-too"])
    assert len(caught.value.attempts) >= 2
    llm.hub.reset_health()


def test_retries_reach_the_callbacks(server: EmbeddedHub, chat: Chat) -> None:
    class Seen(BaseCallbackHandler):
        def __init__(self) -> None:
            self.states: list[Any] = []

        def on_retry(self, retry_state: Any, **kwargs: Any) -> None:
            self.states.append(retry_state)

    llm, seen = chat(model="embedded/absent", fallbacks=["embedded/extract"]), Seen()
    llm.invoke(SKY, config={"callbacks": [seen]})
    asyncio.run(llm.ainvoke(SKY, config={"callbacks": [seen]}))
    llm.hub.reset_health()
    assert [state.attempt_number for state in seen.states] == [1, 1]
    assert "embedded/absent" in str(seen.states[0].outcome.exception())


def test_an_interrupted_stream_raises_with_what_came(server: EmbeddedHub, chat: Chat) -> None:
    server.fault("embedded/extract", Fault.error_event(3))
    llm, pieces = chat(), []
    with pytest.raises(StreamInterruptedError) as caught:
        pieces += llm.stream(SKY)
    llm.hub.reset_health()
    assert caught.value.partial.text


def test_a_stream_that_just_ends_says_that_it_is_incomplete(server: EmbeddedHub, chat: Chat) -> None:
    server.fault("embedded/extract", Fault.cut(3))
    llm = chat()
    pieces = list(llm.stream(SKY))
    llm.hub.reset_health()
    assert merge(pieces).response_metadata["incomplete"] is True


def test_arguments_cut_at_max_tokens_are_no_call(server: EmbeddedHub, chat: Chat) -> None:
    llm = chat().bind_tools([ADD], tool_choice="any")
    question = "What is 3333 plus 4444?"
    for length in range(1, 6):
        for message in (llm.invoke(question, max_tokens=length), merge(llm.stream(question, max_tokens=length))):
            if message.response_metadata["finish_reason"] == "length":
                assert all(call["args"] == {} for call in message.tool_calls), message
    assert llm.invoke(question).tool_calls[0]["args"] == {"a": 3333, "b": 4444}


def test_several_choices(server: EmbeddedHub, chat: Chat) -> None:
    result = chat(n=2).generate([[HumanMessage(SKY)]])
    assert len(result.generations[0]) == 2
    assert result.generations[0][0].text != result.generations[0][1].text


def test_token_counts_of_a_batch_add_up(server: EmbeddedHub, chat: Chat) -> None:
    llm = chat()
    result = llm.generate([[HumanMessage(SKY)], [HumanMessage("Hello")]])
    usage = [generations[0].message.usage_metadata["total_tokens"] for generations in result.generations]
    assert result.llm_output["token_usage"]["total_tokens"] == sum(usage)
    handler = UsageMetadataCallbackHandler()
    llm.batch([SKY, "Hello"], config={"callbacks": [handler]})
    assert handler.usage_metadata["embedded/extract"]["total_tokens"] == sum(usage)
    assert sorted(index for index, _ in llm.batch_as_completed([SKY, "Hello"])) == [0, 1]


def test_retry_and_fallback_runnables(server: EmbeddedHub, chat: Chat) -> None:
    server.fault(
        "embedded/extract", Fault.answer(400, {"error": {"message": "bad", "type": "x", "code": "invalid_request"}})
    )
    assert chat().with_retry(stop_after_attempt=2, wait_exponential_jitter=False).invoke(SKY).text
    server.fault(
        "embedded/extract", Fault.answer(400, {"error": {"message": "bad", "type": "x", "code": "invalid_request"}})
    )
    other = chat().with_fallbacks([chat(model="embedded/echo")])
    assert other.invoke("Hello").response_metadata["model_name"] == "embedded/echo"
    tooled = chat().with_fallbacks([chat(model="embedded/think")]).bind_tools([ADD], tool_choice="any")
    assert tooled.invoke("What is 3 plus 4?").tool_calls


def test_configurable_fields(server: EmbeddedHub, chat: Chat) -> None:
    llm = chat().configurable_fields(model=ConfigurableField(id="model"), max_tokens=ConfigurableField(id="limit"))
    llm.invoke("Hello", config={"configurable": {"model": "embedded/echo", "limit": 7}})
    assert (server.requests[-1].model, server.requests[-1].json["max_tokens"]) == ("embedded/echo", 7)
    llm.invoke("Hello")
    assert server.requests[-1].model == "embedded/extract"


def test_bound_parameters_and_per_call_models(server: EmbeddedHub, chat: Chat) -> None:
    llm = chat(fallbacks=["embedded/think"])
    assert llm.bind(model="embedded/echo", fallbacks=[]).invoke("Hello").text == "Hello"
    llm.invoke("Hello", extra_headers={"X-Mine": "1"}, extra_body={"top_k": 3})
    assert server.requests[-1].headers["x-mine"] == "1"
    assert server.requests[-1].json["top_k"] == 3
    with pytest.raises(ConfigurationError, match="'temperature'"):
        llm.bind(temprature=0).invoke("Hello")
    with pytest.raises(ConfigurationError, match="list of model IDs"):
        llm.invoke("Hello", fallbacks="embedded/echo")


def test_cache(server: EmbeddedHub, chat: Chat) -> None:
    llm = chat(cache=InMemoryCache())
    first, second = llm.invoke(SKY), llm.invoke(SKY)
    assert first.text == second.text
    assert len(server.requests) == 1
    llm.invoke(SKY, temperature=1)
    assert len(server.requests) == 2


def test_rate_limiter_is_asked_once_a_call(server: EmbeddedHub, chat: Chat) -> None:
    class Counting(InMemoryRateLimiter):
        count = 0

        def acquire(self, *, blocking: bool = True) -> bool:
            Counting.count += 1
            return True

    llm = chat(model="embedded/absent", fallbacks=["embedded/extract"], rate_limiter=Counting(requests_per_second=1))
    llm.invoke(SKY)
    list(llm.stream(SKY))
    llm.hub.reset_health()
    assert Counting.count == 2


@pytest.mark.parametrize(("disabled", "streams"), [(False, 2), ("tool_calling", 1), (True, 0)])
def test_disable_streaming(server: EmbeddedHub, chat: Chat, disabled: Any, streams: int) -> None:
    llm = chat(disable_streaming=disabled)
    list(llm.stream("Hello"))
    list(llm.stream("Hello", tools=[ADD]))
    assert sum(request.stream for request in server.requests) == streams


def test_streaming_answers_of_invoke(server: EmbeddedHub, chat: Chat) -> None:
    message = chat(streaming=True).invoke(SKY)
    assert type(message) is AIMessage
    assert server.requests[-1].stream
    assert chat(streaming=True).invoke(SKY, stream=False).text == message.text
    assert not server.requests[-1].stream


@pytest.mark.parametrize("version", ["v0", "v1"])
def test_output_versions(server: EmbeddedHub, chat: Chat, version: str) -> None:
    llm = chat(model="embedded/think", output_version=version)
    whole = llm.invoke(SKY)
    pieces = list(llm.stream(SKY))
    merged = merge(pieces)
    assert isinstance(whole.content, str if version == "v0" else list)
    for message in (whole, merged):
        assert [block["type"] for block in message.content_blocks] == ["reasoning", "text"]
        assert message.text == whole.text


async def test_stream_events(server: EmbeddedHub, chat: Chat) -> None:
    llm = chat(model="embedded/think").bind_tools([ADD], tool_choice="any")
    kinds = [event["event"] async for event in llm.astream_events("What is 3 plus 4?", version="v2")]
    assert kinds[0] == "on_chat_model_start"
    assert kinds[-1] == "on_chat_model_end"
    assert "on_chat_model_stream" in kinds
    stream = llm.stream_events("What is 3 plus 4?", version="v3")
    for _ in stream:
        pass
    message = stream.output
    assert message.tool_calls[0]["args"] == {"a": 3, "b": 4}
    assert [block["type"] for block in message.content_blocks] == ["reasoning", "tool_call"]


def test_estimated_tokens_need_no_network(server: EmbeddedHub, chat: Chat) -> None:
    llm = chat(model="some/unknown-model")
    assert 1 <= llm.get_num_tokens("Hello world") <= 8
    few = llm.get_num_tokens_from_messages([HumanMessage("Hello")])
    assert few < llm.get_num_tokens_from_messages([HumanMessage("Hello")], tools=[ADD])
    exact = chat(custom_get_token_ids=lambda text: [ord(letter) for letter in text])
    assert (exact.get_num_tokens("Hello"), exact.get_num_tokens_from_messages([HumanMessage("Hi")])) == (5, 9)
    assert server.requests == []


def test_profile_comes_from_a_catalog_that_is_at_hand(server: EmbeddedHub, chat: Chat) -> None:
    with EmbeddedHub("aihubmix") as rich:
        from hubmix import Hub
        from langchain_hubmix import ChatHubmix

        hub = Hub("aihubmix", base_url=rich.base_url, api_key=rich.api_key)
        assert not ChatHubmix(model="embedded/extract", hub=hub).profile
        assert rich.requests == []
        hub.models.list()
        profile = ChatHubmix(model="embedded/extract", hub=hub).profile
        assert profile["max_input_tokens"] == 131_072
        assert profile["tool_calling"] is True
        assert profile["structured_output"] is True
        assert ChatHubmix(model="embedded/extract", hub=hub, profile={"max_input_tokens": 5}).profile == {
            "max_input_tokens": 5
        }


def test_a_hundred_event_loops_in_a_row(server: EmbeddedHub, chat: Chat) -> None:
    llm = chat(model="embedded/echo")
    for number in range(100):
        assert asyncio.run(llm.ainvoke(str(number))).text == str(number)


def test_event_loops_in_threads(server: EmbeddedHub, chat: Chat) -> None:
    llm, answers = chat(model="embedded/echo"), []

    async def ask(name: str) -> None:
        answers.extend(message.text for message in await llm.abatch([name, name]))
        answers.append("".join([piece.text async for piece in llm.astream(name)]))

    threads = [threading.Thread(target=lambda n=str(n): asyncio.run(ask(n))) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(answers) == sorted([str(n) for n in range(4)] * 3)


async def test_cancelling_ends_a_stream_at_once(chat: Chat) -> None:
    with EmbeddedHub(pace=30) as slow:
        from langchain_hubmix import ChatHubmix

        llm = ChatHubmix(model="embedded/lorem:50", base_url=slow.base_url, api_key=slow.api_key)
        arrived = asyncio.Event()

        async def read() -> None:
            async for _ in llm.astream("Hello"):
                arrived.set()

        task = asyncio.create_task(read())
        await asyncio.wait_for(arrived.wait(), 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 2)


def test_closing_a_stream_ends_it(server: EmbeddedHub, chat: Chat) -> None:
    stream = chat(model="embedded/lorem:500").stream("Hello")
    assert next(stream).text
    stream.close()
    assert chat(model="embedded/echo").invoke("still there").text == "still there"
