"""The ways to ask, behind one verb: frameworks, sync, async, streamed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from llama_index.core.base.llms.types import ChatMessage

from hubmix import Hub
from langchain_hubmix import ChatHubmix
from llamaindex_hubmix import Hubmix
from tests.support import ways

FIRST, SECOND, THIRD = "embedded/extract", "embedded/echo", "embedded/lorem"
QUESTION = "The sky is blue because of Rayleigh scattering. Why is the sky blue?"


@dataclass(slots=True)
class Said:
    """What came out: text, trace, and whether the stream lacked its end."""

    text: str = ""
    trace: dict[str, Any] = field(default_factory=dict)
    incomplete: bool = False

    @property
    def asked(self) -> list[tuple[str, str | None]]:
        return [(attempt["model"], attempt["kind"]) for attempt in self.trace["attempts"]]


class Way(ways.Way):
    """One way to ask. `pieces` holds what a stream gave before it broke."""

    __slots__ = ()

    async def ask(self, hub: Hub, *models: str, pieces: list[str] | None = None, **options: Any) -> Said:
        options = {"model": models[0], "fallbacks": list(models[1:]), "hub": hub, **options}
        pieces = [] if pieces is None else pieces
        if self.framework == "langchain":
            return await self._langchain(ChatHubmix(**options), pieces)
        return await self._llamaindex(Hubmix(**options), pieces)

    async def _langchain(self, llm: ChatHubmix, pieces: list[str]) -> Said:
        if not self.stream:
            message = llm.invoke(QUESTION) if self.waits else await llm.ainvoke(QUESTION)
            return self._of_langchain(message)
        whole = None
        if self.waits:
            for chunk in llm.stream(QUESTION):
                pieces.append(str(chunk.content))
                whole = chunk if whole is None else whole + chunk
        else:
            async for chunk in llm.astream(QUESTION):
                pieces.append(str(chunk.content))
                whole = chunk if whole is None else whole + chunk
        return self._of_langchain(whole)

    def _of_langchain(self, message: Any) -> Said:
        about = message.response_metadata
        return Said(str(message.content), about["failover"], about.get("incomplete", False))

    async def _llamaindex(self, llm: Hubmix, pieces: list[str]) -> Said:
        question = [ChatMessage(role="user", content=QUESTION)]
        if not self.stream:
            return self._of_llamaindex(llm.chat(question) if self.waits else await llm.achat(question))
        last = None
        if self.waits:
            for last in llm.stream_chat(question):
                pieces.append(last.delta or "")
        else:
            async for last in await llm.astream_chat(question):
                pieces.append(last.delta or "")
        return self._of_llamaindex(last)

    def _of_llamaindex(self, response: Any) -> Said:
        about = response.additional_kwargs
        return Said(response.message.content or "", about["failover"], about.get("incomplete", False))


EVERY: list[Way] = sorted(Way.every(), key=lambda way: way.stream)
WHOLE = [way for way in EVERY if not way.stream]
STREAMS = [way for way in EVERY if way.stream]
