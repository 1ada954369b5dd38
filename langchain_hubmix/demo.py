"""The LangChain part of `python -m hubmix.demo`: a chain that streams an answer, and an agent that calls a tool."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate

from langchain_hubmix.chat_models import ChatHubmix

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hubmix.hub.hub import Hub

QUESTION = "When does a stream change its model?"
TASK = "What is 17 times 23?"


def chain(hub: Hub, model: str, documents: Sequence[tuple[str, str]], write: Callable[[str], Any]) -> None:
    """Stream the answer to a question about documents, and name those it was given.

    Args:
        hub: where the model is.
        model: a chat model.
        documents: names and texts.
        write: takes text as it comes.
    """
    found = _nearest(QUESTION, documents, count=2)
    prompt = ChatPromptTemplate.from_messages(
        [
            ("system", "Answer in one or two sentences, from the context alone.\n\nContext:\n{context}"),
            ("human", "{question}"),
        ]
    )
    answer = prompt | ChatHubmix(model=model, hub=hub) | StrOutputParser()
    write(f"Q: {QUESTION}\nA: ")
    context = "\n\n".join(text for _, text in found)
    for piece in answer.stream({"context": context, "question": QUESTION}):
        write(piece)
    write(f"\nSources: {', '.join(name for name, _ in found)}\n")


def agent(hub: Hub, model: str, write: Callable[[str], Any]) -> None:
    """Let an agent answer with a tool, and show each step.

    Args:
        hub: where the model is.
        model: a chat model that can call tools.
        write: takes text as it comes.
    """
    from langchain.agents import create_agent

    def multiply(a: int, b: int) -> int:
        """Multiply two whole numbers.

        Args:
            a: The first number.
            b: The second number.
        """
        return a * b

    worker: Any = create_agent(ChatHubmix(model=model, hub=hub), [multiply])
    write(f"Q: {TASK}\n")
    for step in worker.stream({"messages": [("user", TASK)]}, stream_mode="updates"):
        for update in step.values():
            for message in update["messages"]:
                for call in getattr(message, "tool_calls", ()):
                    arguments = ", ".join(f"{name}={value}" for name, value in call["args"].items())
                    write(f"calls {call['name']}({arguments})\n")
                if message.text:
                    write(f"{'gets' if message.type == 'tool' else 'A:'} {message.text}\n")


def _nearest(question: str, documents: Sequence[tuple[str, str]], count: int) -> list[tuple[str, str]]:
    """The documents that share most words with a question; a vector store is what the next part shows."""

    def words(text: str) -> set[str]:
        return {word[:5] for word in re.findall(r"\w{4,}", text.lower())}

    wanted = words(question)
    return sorted(documents, key=lambda document: -len(wanted & words(document[1])))[:count]
