"""The clients that are compared, without retries and with usage in streams.

Each function returns the verbs of one client on one base URL, or raises ImportError where it is not installed.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks.server import ANSWER, TEXT
from hubmix._compat import http

KEY = "sk-test"
MODEL = "bench"
QUESTION = "What is the capital of France?"

Turns = list[tuple[str, str]]  # role ("user" or "assistant") and text


@dataclass(frozen=True, slots=True)
class Client:
    """One client.

    Args:
        name: How it is called in the tables.
        call: One whole answer to a conversation; returns its text.
        stream: One streamed answer; returns its text.
        acall, astream: The same for asyncio.
        messages: The conversation in the client's own classes: making it is the caller's work, not the client's.
    """

    name: str
    call: Callable[[Any], str]
    stream: Callable[[Any], str] | None
    acall: Callable[[Any], Awaitable[str]] | None
    astream: Callable[[Any], Awaitable[str]] | None
    messages: Callable[[Turns], Any]


def question(client: Client) -> Any:
    """One short question as the client's messages."""
    return client.messages([("user", QUESTION)])


def history(turns: int) -> Turns:
    """A long conversation that ends with a question: so many turns and the question."""
    said = [("user", f"Tell me more about point {at} of the list, please.") for at in range(turns)]
    for at in range(1, turns, 2):
        said[at] = ("assistant", f"Point {at} says that the answer is in the text, and the text is long.")
    return [*said, ("user", QUESTION)]


# ------------------------------------------------------------------------------------------------------------ ours


def chat_hubmix(url: str, **settings: Any) -> Client:
    """LangChain: this project's."""
    from langchain_hubmix import ChatHubmix

    return _langchain("ChatHubmix", ChatHubmix(model=MODEL, base_url=url, api_key=KEY, **settings))


def hubmix_llm(url: str, **settings: Any) -> Client:
    """LlamaIndex: this project's."""
    from llamaindex_hubmix import Hubmix

    return _llamaindex("Hubmix", Hubmix(model=MODEL, base_url=url, api_key=KEY, **settings))


def hub_alone(url: str, **settings: Any) -> Client:
    """What both stand on, without a framework."""
    from hubmix import Hub

    hub = Hub(base_url=url, api_key=KEY, **settings)

    def payload(messages: Any) -> dict[str, Any]:
        return {"model": MODEL, "messages": messages}

    def stream(messages: Any) -> str:
        return "".join(delta.text for delta in hub.stream_chat(payload(messages)))

    async def acall(messages: Any) -> str:
        return (await hub.achat(payload(messages))).text

    async def astream(messages: Any) -> str:
        return "".join([delta.text async for delta in hub.astream_chat(payload(messages))])

    return Client("Hub (no framework)", lambda m: hub.chat(payload(m)).text, stream, acall, astream, _plain)


# ----------------------------------------------------------------------------------------------------------- peers


def raw_http(url: str) -> Client:
    """The SDK's HTTP library and json by hand: the floor of everything on HTTP."""
    client = http().Client(headers={"Authorization": f"Bearer {KEY}"})
    target = f"{url}/chat/completions"

    def call(messages: Any) -> str:
        answer = client.post(target, json={"model": MODEL, "messages": messages})
        text: str = answer.json()["choices"][0]["message"]["content"]
        return text

    def stream(messages: Any) -> str:
        body = {"model": MODEL, "messages": messages, "stream": True, "stream_options": {"include_usage": True}}
        found: list[str] = []
        with client.stream("POST", target, json=body) as answer:
            for line in answer.iter_lines():
                if line.startswith("data: {"):
                    for choice in json.loads(line[6:])["choices"]:
                        found.append(choice["delta"].get("content") or "")
        return "".join(found)

    return Client(f"{http().__name__} + json", call, stream, None, None, _plain)


def openai_sdk(url: str) -> Client:
    """The SDK with its typed models."""
    from openai import AsyncOpenAI, OpenAI

    client = OpenAI(base_url=url, api_key=KEY, max_retries=0)
    waiting = AsyncOpenAI(base_url=url, api_key=KEY, max_retries=0)
    streamed: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}

    def call(messages: Any) -> str:
        return client.chat.completions.create(model=MODEL, messages=messages).choices[0].message.content or ""

    def stream(messages: Any) -> str:
        chunks = client.chat.completions.create(model=MODEL, messages=messages, **streamed)
        return "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)

    async def acall(messages: Any) -> str:
        done = await waiting.chat.completions.create(model=MODEL, messages=messages)
        return done.choices[0].message.content or ""

    async def astream(messages: Any) -> str:
        chunks = await waiting.chat.completions.create(model=MODEL, messages=messages, **streamed)
        return "".join([c.choices[0].delta.content or "" async for c in chunks if c.choices])

    return Client("openai SDK", call, stream, acall, astream, _plain)


def chat_openai(url: str, **settings: Any) -> Client:
    """LangChain's own client for OpenAI."""
    from langchain_openai import ChatOpenAI

    llm = ChatOpenAI(model=MODEL, base_url=url, api_key=KEY, max_retries=0, stream_usage=True, **settings)
    return _langchain("ChatOpenAI", llm)


def openai_like(url: str) -> Client:
    """LlamaIndex's own client for servers like OpenAI's."""
    from llama_index.llms.openai_like import OpenAILike

    llm = OpenAILike(
        model=MODEL,
        api_base=url,
        api_key=KEY,
        max_retries=0,
        is_chat_model=True,
        additional_kwargs={},
        context_window=128_000,
    )
    return _llamaindex("OpenAILike", llm)


def langchain_floor(url: str) -> Client:
    """LangChain around a model that does nothing: the floor of its chat models."""
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessage, AIMessageChunk
    from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

    from benchmarks.server import CHUNKS, PIECE

    class Nothing(BaseChatModel):
        @property
        def _llm_type(self) -> str:
            return "nothing"

        def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> ChatResult:
            return ChatResult(generations=[ChatGeneration(message=AIMessage(content=ANSWER))])

        def _stream(
            self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
        ) -> Iterator[ChatGenerationChunk]:
            for _ in range(CHUNKS):
                yield ChatGenerationChunk(message=AIMessageChunk(content=PIECE))

        async def _astream(
            self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
        ) -> AsyncIterator[ChatGenerationChunk]:
            for _ in range(CHUNKS):
                yield ChatGenerationChunk(message=AIMessageChunk(content=PIECE))

    return _langchain("LangChain alone", Nothing())


def llamaindex_floor(url: str) -> Client:
    """LlamaIndex around a model that does nothing."""
    from llama_index.core.base.llms.types import ChatMessage, ChatResponse, LLMMetadata, MessageRole
    from llama_index.core.llms import CustomLLM
    from llama_index.core.llms.callbacks import llm_chat_callback

    from benchmarks.server import CHUNKS, PIECE

    def response(text: str, delta: str | None = None) -> ChatResponse:
        return ChatResponse(message=ChatMessage(role=MessageRole.ASSISTANT, content=text), delta=delta)

    class Nothing(CustomLLM):
        @property
        def metadata(self) -> LLMMetadata:
            return LLMMetadata()

        def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Any:
            raise NotImplementedError

        def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Any:
            raise NotImplementedError

        @llm_chat_callback()
        def chat(self, messages: Any, **kwargs: Any) -> ChatResponse:
            return response(ANSWER)

        @llm_chat_callback()
        def stream_chat(self, messages: Any, **kwargs: Any) -> Any:
            def pieces() -> Iterator[ChatResponse]:
                text = ""
                for _ in range(CHUNKS):
                    text += PIECE
                    yield response(text, PIECE)

            return pieces()

        @llm_chat_callback()
        async def achat(self, messages: Any, **kwargs: Any) -> ChatResponse:
            return response(ANSWER)

        @llm_chat_callback()
        async def astream_chat(self, messages: Any, **kwargs: Any) -> Any:
            async def pieces() -> AsyncIterator[ChatResponse]:
                text = ""
                for _ in range(CHUNKS):
                    text += PIECE
                    yield response(text, PIECE)

            return pieces()

    return _llamaindex("LlamaIndex alone", Nothing())


EVERYONE: dict[str, Callable[[str], Client]] = {
    "httpx and json": raw_http,
    "the openai SDK": openai_sdk,
    "Hub": hub_alone,
    "LangChain alone": langchain_floor,
    "ChatOpenAI": chat_openai,
    "ChatHubmix": chat_hubmix,
    "LlamaIndex alone": llamaindex_floor,
    "OpenAILike": openai_like,
    "Hubmix": hubmix_llm,
}


def installed(url: str) -> tuple[list[Client], list[str]]:
    """The clients that can be compared here, and a line for each that cannot."""
    found: list[Client] = []
    missing: list[str] = []
    for name, make in EVERYONE.items():
        try:
            found.append(make(url))
        except ImportError as error:
            missing.append(f"{name}: not measured, since {error.name or 'a package'} is not installed")
    return found, missing


def check(client: Client) -> Client:
    """The client, once it has been seen to read what the server sends.

    Raises:
        RuntimeError: it read something else; timing it would say nothing.
    """
    said = client.call(question(client))
    streamed = client.stream(question(client)) if client.stream is not None else TEXT
    if said != ANSWER or streamed != TEXT:
        raise RuntimeError(f"{client.name} read {said!r} and a stream of {len(streamed)} characters")
    return client


# ------------------------------------------------------------------------------------------------------- frameworks


def _plain(turns: Turns) -> Any:
    return [{"role": role, "content": text} for role, text in turns]


def _langchain(name: str, llm: Any) -> Client:
    from langchain_core.messages import AIMessage, HumanMessage

    async def acall(messages: Any) -> str:
        text: str = (await llm.ainvoke(messages)).text
        return text

    async def astream(messages: Any) -> str:
        return "".join([chunk.text async for chunk in llm.astream(messages)])

    return Client(
        name,
        lambda messages: llm.invoke(messages).text,
        lambda messages: "".join(chunk.text for chunk in llm.stream(messages)),
        acall,
        astream,
        lambda turns: [HumanMessage(text) if role == "user" else AIMessage(text) for role, text in turns],
    )


def _llamaindex(name: str, llm: Any) -> Client:
    from llama_index.core.base.llms.types import ChatMessage

    async def acall(messages: Any) -> str:
        text: str = (await llm.achat(messages)).message.content
        return text

    async def astream(messages: Any) -> str:
        return "".join([response.delta or "" async for response in await llm.astream_chat(messages)])

    return Client(
        name,
        lambda messages: llm.chat(messages).message.content,
        lambda messages: "".join(response.delta or "" for response in llm.stream_chat(messages)),
        acall,
        astream,
        lambda turns: [ChatMessage(role=role, content=text) for role, text in turns],
    )
