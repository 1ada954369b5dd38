"""The same inputs to both frameworks' classes give equal bodies and errors."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from llama_index.core.base.llms.types import (
    AudioBlock,
    ChatMessage,
    DocumentBlock,
    ImageBlock,
    TextBlock,
    ToolCallBlock,
    VideoBlock,
)
from llama_index.core.prompts import PromptTemplate
from llama_index.core.schema import NodeWithScore, TextNode
from pydantic import BaseModel, Field

from hubmix import HubmixError, StructuredOutputError
from hubmix._compat import http
from langchain_hubmix import ChatHubmix, HubmixEmbeddings
from langchain_hubmix import HubmixRerank as LangChainRerank
from llamaindex_hubmix import Hubmix, HubmixEmbedding, HubmixRerank
from tests.support.answers import completion, ranking, text_stream, vectors
from tests.support.scripted_hub import Request, ScriptedHub


class City(BaseModel):
    """A city."""

    name: str = Field(description="Its name.")
    people: int | None = None


class Free(BaseModel):
    facts: dict[str, str]


class Nested(BaseModel):
    """A trip."""

    start: City = Field(description="Where it begins.")
    stops: list[City] = []


SCHEMA = {"title": "City", "description": "A city.", "type": "object", "properties": {"name": {"type": "string"}}}
FORMAT = {"type": "json_schema", "json_schema": {"name": "City", "schema": SCHEMA, "strict": True}}
TOOL = {"type": "function", "function": {"name": "weather", "description": "The weather.", "parameters": SCHEMA}}
SEARCH = {"type": "web_search"}
PNG = b"\x89PNG\r\n\x1a\n"
PNG_TEXT = "iVBORw0KGgo="


@dataclass(frozen=True)
class Input:
    """What both classes are given.

    Args:
        made: parameters of the constructor.
        call: parameters of the call.
        langchain, llamaindex: the same conversation in each framework's messages; None: "hi".
        stream: whether the answer is streamed.
    """

    made: dict[str, Any] = field(default_factory=dict)
    call: dict[str, Any] = field(default_factory=dict)
    langchain: list[Any] | None = None
    llamaindex: list[Any] | None = None
    stream: bool = False


def made(**parameters: Any) -> Input:
    return Input(made=parameters)


def call(**parameters: Any) -> Input:
    return Input(call=parameters)


def said(langchain: list[Any], llamaindex: list[Any]) -> Input:
    return Input(langchain=langchain, llamaindex=llamaindex)


def user(*blocks: Any) -> list[ChatMessage]:
    return [ChatMessage(role="user", blocks=list(blocks))]


EVERY: dict[str, Any] = {
    "temperature": 0.5,
    "max_tokens": 5,
    "top_p": 0.5,
    "frequency_penalty": 0.1,
    "presence_penalty": 0.2,
    "stop": ["x"],
    "seed": 0,
    "n": 2,
    "logprobs": True,
    "top_logprobs": 3,
    "logit_bias": {5: 1},
    "reasoning_effort": "low",
    "reasoning": {"effort": "low"},
    "response_format": {"type": "json_object"},
    "user": "u",
    "service_tier": "flex",
    "verbosity": "low",
    "modalities": ["text"],
    "audio": {"voice": "alloy"},
    "prediction": {"type": "content", "content": "x"},
    "web_search_options": {},
    "store": False,
    "prompt_cache_key": "k",
    "safety_identifier": "s",
}

CONSTRUCTOR = {
    "nothing": made(),
    **{f"made {name}": made(**{name: value}) for name, value in EVERY.items()},
    "every parameter": made(**EVERY),
    "every parameter, streamed": Input(made=EVERY, stream=True),
    "max_completion_tokens": made(max_completion_tokens=9),
    "stream_usage off": Input(made={"stream_usage": False}, stream=True),
    "stream_usage None": Input(made={"stream_usage": None}, stream=True),
    "headers": made(default_headers={"X-A": "1"}, app_code="CODE", organization="org"),
    "extra_body": made(extra_body={"top_k": 5, "temperature": 1}),
    "policy as a dict": made(failover={"max_attempts": 1}),
    "timeout of an HTTP library": made(timeout=http().Timeout(5)),
    "disabled_params": made(disabled_params={"seed": None}, seed=1),
}

FOREIGN = {
    "model_kwargs": made(model_kwargs={"temperature": 1, "top_k": 4, "extra_body": {"min_p": 0.1}}),
    "additional_kwargs": made(additional_kwargs={"temperature": 1, "top_k": 4, "extra_headers": {"X-A": "1"}}),
    "stop_sequences": made(stop_sequences=["x"]),
    "audio_config": made(audio_config={"voice": "alloy"}),
    "extra_headers": made(extra_headers={"X-A": "1"}),
    "request_timeout": made(request_timeout=3),
    "stream_chunk_timeout": made(stream_chunk_timeout=3),
    "use_responses_api off": made(use_responses_api=False),
    "asks for nothing": made(openai_proxy=None, api_version="", reuse_client=False, client=None),
    "proxy": made(openai_proxy="http://127.0.0.1:1"),
    "sdk client": made(openai_client=object()),
    "api_version": made(api_version="2024-02-01"),
    "deployment": made(deployment_name="other"),
    "tools": made(tools=[TOOL]),
    "of the hub": made(rate_limit="1/s"),
    "call: model_kwargs": call(model_kwargs={"seed": 1, "top_k": 2}),
    "call: headers": call(extra_headers={"X-A": "1"}),
    "call: of the connection": call(base_url="http://127.0.0.1:1/v1"),
    "call: organization": call(organization="org"),
}

ODD = {
    "typo": made(temprature=1),
    "call: typo": call(temprature=1),
    "wrong type": made(temperature="hot"),
    "wrong type of a list": made(stop=5),
    "two names, two values": made(timeout=1, request_timeout=2),
    "two places, two values": made(temperature=0, model_kwargs={"temperature": 1}),
    "empty model": made(model=""),
    "no model": made(model=None),
    "model of another type": made(model=5),
    "hub of another type": made(hub=5, base_url=None),
    "unknown hub": made(hub="nowhere", base_url=None),
    "empty key": made(api_key=""),
    "fallbacks as a text": made(fallbacks="b"),
    "call: fallbacks as a text": call(fallbacks="b"),
    "policy with a typo": made(failover={"max_retrys": 1}),
    "call: policy with a typo": call(failover={"max_retrys": 1}),
    "call: negative timeout": call(timeout=-1),
    "call: extra_body as a list": call(extra_body=[1]),
    "call: headers as a number": call(headers=5),
    "call: NaN": call(temperature=float("nan")),
    "call: tools as a text": call(tools="x"),
    "call: a choice among no such tool": call(tools=[TOOL], tool_choice="nobody"),
    "call: a format of no object": call(response_format=int),
}

CALLS = {
    "call: wins": Input(made=EVERY, call={"temperature": 0.1, "max_tokens": 9, "seed": None}),
    "call: model": call(model="other"),
    "call: stop, empty": Input(made={"stop": ["x"]}, call={"stop": []}),
    "call: beats extra_body": Input(made={"extra_body": {"temperature": 1, "top_k": 4}}, call={"temperature": 0}),
    "call: extra_body": Input(made={"extra_body": {"a": 1, "b": 1}}, call={"extra_body": {"b": 2}}),
    "call: the other name of a limit": Input(made={"max_tokens": 1}, call={"max_completion_tokens": 2}),
    "call: metadata": call(metadata={"a": "b"}),
    "call: n in a stream": Input(call={"n": 2}, stream=True),
    "call: stream_usage": Input(call={"stream_usage": False}, stream=True),
    "call: stream_options": Input(call={"stream_options": {"include_usage": False}}, stream=True),
}

WORDS = ("auto", "none", "any", "required")
TOOLS = {
    "tools": call(tools=[TOOL]),
    "tools, empty": call(tools=[], tool_choice="any", parallel_tool_calls=False),
    "vendor's tool": call(tools=[SEARCH]),
    **{
        f"choice {choice!r}": call(tools=[TOOL], tool_choice=choice)
        for choice in (
            "auto",
            "none",
            "any",
            "required",
            True,
            False,
            None,
            "weather",
            {"type": "tool", "name": "weather"},
        )
    },
    "no parallel calls": call(tools=[TOOL], parallel_tool_calls=False),
}

FORMATS = {
    "format: JSON": call(response_format={"type": "json_object"}),
    "format: whole": call(response_format=FORMAT),
    "format: inner": call(response_format=FORMAT["json_schema"]),
    "format: bare schema": call(response_format=SCHEMA),
    "format: class": call(response_format=City),
    "format: class that is not strict": call(response_format=Free),
    "format: class of the model": made(response_format=City),
    "format: another kind": call(response_format={"type": "grammar", "grammar": "x"}),
}

ARGUMENTS = {"city": "Paris"}
MESSAGES = {
    "text": said([HumanMessage("hi")], [ChatMessage(role="user", content="hi")]),
    "system": said(
        [SystemMessage("s"), HumanMessage("hi")],
        [ChatMessage(role="system", content="s"), ChatMessage(role="user", content="hi")],
    ),
    "two texts": said(
        [HumanMessage([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}])],
        user(TextBlock(text="a"), TextBlock(text="b")),
    ),
    "picture by URL": said(
        [HumanMessage([{"type": "image", "url": "https://a.example/a.png"}])],
        user(ImageBlock(url="https://a.example/a.png")),
    ),
    "picture": said(
        [HumanMessage([{"type": "image", "base64": PNG_TEXT, "mime_type": "image/png"}])],
        user(ImageBlock(image=PNG, image_mimetype="image/png")),
    ),
    "video by URL": said(
        [HumanMessage([{"type": "video", "url": "https://a.example/a.mp4"}])],
        user(VideoBlock(url="https://a.example/a.mp4")),
    ),
    "sound": said(
        [HumanMessage([{"type": "audio", "base64": PNG_TEXT, "mime_type": "audio/wav"}])],
        user(AudioBlock(audio=PNG, format="wav")),
    ),
    "document": said(
        [HumanMessage([{"type": "file", "base64": PNG_TEXT, "mime_type": "application/pdf", "filename": "a.pdf"}])],
        user(DocumentBlock(data=PNG, document_mimetype="application/pdf", title="a.pdf")),
    ),
    "call and result": said(
        [
            HumanMessage("hi"),
            AIMessage("", tool_calls=[{"name": "weather", "args": ARGUMENTS, "id": "c1"}]),
            ToolMessage("sunny", tool_call_id="c1"),
        ],
        [
            ChatMessage(role="user", content="hi"),
            ChatMessage(
                role="assistant", blocks=[ToolCallBlock(tool_call_id="c1", tool_name="weather", tool_kwargs=ARGUMENTS)]
            ),
            ChatMessage(role="tool", content="sunny", additional_kwargs={"tool_call_id": "c1"}),
        ],
    ),
    "answer": said(
        [HumanMessage("hi"), AIMessage("yes"), HumanMessage("why")],
        [
            ChatMessage(role=role, content=text)
            for role, text in (("user", "hi"), ("assistant", "yes"), ("user", "why"))
        ],
    ),
}

INPUTS = {**CONSTRUCTOR, **FOREIGN, **ODD, **CALLS, **TOOLS, **FORMATS, **MESSAGES}

# True conventions of the frameworks, and why each is one.
CONVENTIONS: dict[str, str] = {
    "call: metadata": "LangChain's invoke has a `metadata` of its own, for tracing, and hands none on to the model"
}


def outcome(ask: Callable[[], Any], hub: ScriptedHub) -> Any:
    """What was sent, or the error without the names of the classes."""
    try:
        ask()
    except (HubmixError, TypeError) as error:
        return type(error).__name__, re.sub(r"\b(ChatHubmix|Hubmix\w*)\b", "the class", str(error)).replace(
            str(hub.base_url), "URL"
        )
    sent = hub.requests[-1]
    kept = {name: value for name, value in sent.headers.items() if name.startswith(("x-a", "app", "openai-o"))}
    return sent.body, kept


def by_langchain(given: Input, hub: ScriptedHub) -> Any:
    def ask() -> None:
        llm = ChatHubmix(**{"model": "m", "api_key": "sk-test", "base_url": hub.base_url, **given.made})
        messages = given.langchain or [HumanMessage("hi")]
        list(llm.stream(messages, **given.call)) if given.stream else llm.invoke(messages, **given.call)

    return outcome(ask, hub)


def by_llamaindex(given: Input, hub: ScriptedHub) -> Any:
    def ask() -> None:
        llm = Hubmix(**{"model": "m", "api_key": "sk-test", "base_url": hub.base_url, **given.made})
        messages = given.llamaindex or [ChatMessage(role="user", content="hi")]
        list(llm.stream_chat(messages, **given.call)) if given.stream else llm.chat(messages, **given.call)

    return outcome(ask, hub)


@pytest.fixture(scope="module")
def hub() -> Iterator[ScriptedHub]:
    def script(request: Request) -> Any:
        if request.path.endswith("embeddings"):
            return vectors(request.body["input"])
        if request.path.endswith("rerank"):
            return ranking(*(1 / (place + 1) for place in range(len(request.body["documents"]))))
        if request.stream:
            return text_stream("hello")
        return completion("hello")

    with ScriptedHub(script) as made_hub:
        yield made_hub


@pytest.mark.parametrize("name", INPUTS)
def test_both_frameworks_send_and_refuse_the_same(name: str, hub: ScriptedHub) -> None:
    langchain, llamaindex = by_langchain(INPUTS[name], hub), by_llamaindex(INPUTS[name], hub)
    assert (langchain == llamaindex) is (name not in CONVENTIONS), f"{langchain}\n{llamaindex}"


# --------------------------------------------------------------------------------------- schemas, vectors, ranks

STRUCTURED_CONVENTIONS = {
    "json_mode": "the schema in words: LangChain puts it into the system message, LlamaIndex into the user's, as core"
}


@pytest.mark.parametrize("schema", [City, Free, Nested], ids=lambda schema: schema.__name__)
@pytest.mark.parametrize("method", ["json_schema", "function_calling", "json_mode"])
def test_schemas_are_asked_for_alike(method: Any, schema: type[BaseModel], hub: ScriptedHub) -> None:
    settings: dict[str, Any] = {"model": "m", "api_key": "sk-test", "base_url": hub.base_url}
    with pytest.raises(StructuredOutputError):
        ChatHubmix(**settings).with_structured_output(schema, method=method).invoke("hi")
    langchain = hub.bodies[-1]
    llm = Hubmix(**settings, structured_output_method=method)
    with pytest.raises(StructuredOutputError):
        llm.structured_predict(schema, PromptTemplate("hi"))
    llamaindex = hub.bodies[-1]
    if method in STRUCTURED_CONVENTIONS:
        assert langchain.pop("messages") != llamaindex.pop("messages")
    assert langchain == llamaindex


EMBEDDINGS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "dimensions": {"dimensions": 3, "encoding_format": "float", "user": "u"},
    "extra_body": {"extra_body": {"input_type": "query"}},
    "model_kwargs": {"model_kwargs": {"dimensions": 3, "input_type": "query"}},
    "headers": {"extra_headers": {"X-A": "1"}, "organization": "org"},
    "max_chars": {"max_chars": 1},
    "wrong type": {"dimensions": "many"},
    "too small": {"dimensions": 0},
    "typo": {"dimension": 3},
    "fallbacks": {"fallbacks": ["b"]},
    "api_version": {"api_version": "1"},
    "policy with a typo": {"failover": {"max_retrys": 1}},
}


@pytest.mark.parametrize("name", EMBEDDINGS)
def test_embeddings_are_asked_for_alike(name: str, hub: ScriptedHub) -> None:
    settings: dict[str, Any] = {"model": "m", "api_key": "sk-test", "base_url": hub.base_url, **EMBEDDINGS[name]}
    texts = ["a", "b"]
    assert outcome(lambda: HubmixEmbeddings(**settings, max_concurrency=1).embed_documents(texts), hub) == outcome(
        lambda: HubmixEmbedding(**settings).get_text_embedding_batch(texts), hub
    )
    assert outcome(lambda: HubmixEmbeddings(**settings).embed_documents(["a", ""]), hub) == outcome(
        lambda: HubmixEmbedding(**settings).get_text_embedding_batch(["a", ""]), hub
    )


RERANK: dict[str, dict[str, Any]] = {
    "nothing": {},
    "top_n": {"top_n": 1},
    "top_n beyond": {"top_n": 9},
    "extra_body": {"extra_body": {"return_documents": True}},
    "no top_n": {"top_n": 0},
    "typo": {"top_k": 3},
    "fallbacks": {"fallbacks": ["b"]},
}


@pytest.mark.parametrize("name", RERANK)
def test_ranks_are_asked_for_alike(name: str, hub: ScriptedHub) -> None:
    settings: dict[str, Any] = {"model": "m", "api_key": "sk-test", "base_url": hub.base_url, **RERANK[name]}
    nodes = [NodeWithScore(node=TextNode(text=text)) for text in ("a", "b")]
    assert outcome(lambda: LangChainRerank(**settings).rerank(["a", "b"], "q"), hub) == outcome(
        lambda: HubmixRerank(**settings).postprocess_nodes(nodes, query_str="q"), hub
    )


def test_there_are_enough_inputs_and_no_idle_exceptions() -> None:
    assert len(INPUTS) >= 60
    assert CONVENTIONS.keys() <= INPUTS.keys()
