"""The troubleshooting page quotes what hubmix says, and nothing else."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from llama_index.core.prompts import PromptTemplate
from pydantic import BaseModel

from hubmix import Hub, HubmixError
from hubmix.embedded import EmbeddedHub, Fault, refused_url
from hubmix.failover import failures
from hubmix.failover.evidence import Evidence, Failure
from hubmix.failover.report import error_class, to_exception
from hubmix.transport.rate_limit import Rate, too_many
from langchain_hubmix import ChatHubmix, HubmixEmbeddings
from llamaindex_hubmix import Hubmix
from tests.support.snippets import ROOT

KINDS = {name: value for name, value in vars(failures).items() if isinstance(value, Failure)}
# No error: the answer comes back as it is, and the page has the line of the log.
RETURNED = {"LENGTH"}


class Person(BaseModel):
    """Somebody."""

    name: str
    age: int


def sections() -> dict[str, str]:
    """Return the sections of the page by heading, each text on one line."""
    page = (ROOT / "docs" / "troubleshooting.md").read_text("utf-8")
    found = re.findall(r"^### (.+)\n([^#]*(?:\n(?!##)[^\n]*)*)", page, re.MULTILINE)
    return dict(found)


def one_line(text: str) -> str:
    return " ".join(text.split())


def quotes(section: str) -> list[str]:
    found = re.findall(r"(?:^> .+\n)+", section, re.MULTILINE)
    return [one_line(re.sub(r"^> ", "", quote, flags=re.MULTILINE)) for quote in found]


def prose(section: str) -> str:
    return one_line(re.sub(r"^> .*$", "", section, flags=re.MULTILINE))


def begins(message: str, quote: str) -> bool:
    return one_line(message).startswith(quote.removesuffix("."))


def message_of(failure: Failure) -> str:
    evidence = Evidence("status", "body")
    return str(to_exception(failure, evidence, model="gpt-4o-mini", base_url="https://hub.example/v1"))


@pytest.mark.parametrize("name", sorted(KINDS.keys() - RETURNED))
def test_every_kind_of_failure_is_explained(name: str) -> None:
    failure = KINDS[name]
    message = message_of(failure)
    explained = [text for text in sections().values() if any(begins(message, quote) for quote in quotes(text))]
    assert len(explained) == 1, f"{len(explained)} sections are about: {message}"
    assert failure.hint.removesuffix(".").lower() in prose(explained[0]).lower()
    assert f"ind `{failure.kind}`" in explained[0]
    if not failure.keeps_answer:
        assert f"`{error_class(failure.kind).__name__}`" in explained[0]


# ---- what hubmix says that is not in the failure table: the section, and how it comes to be said


def chat(hub: EmbeddedHub, model: str = "gpt-4o-mini", **more: Any) -> ChatHubmix:
    return ChatHubmix(model=model, base_url=hub.base_url, api_key=hub.api_key, **more)


def all_failed(hub: EmbeddedHub) -> None:
    hub.fault("*", Fault.answer(504), times=None)
    chat(hub, fallbacks=["embedded/echo"]).invoke("Hello")


def own_rate_limit(hub: EmbeddedHub) -> None:
    raise too_many(hub.base_url, (Rate(1, 60),), wait=30, timeout=1)


def breaker(hub: EmbeddedHub) -> None:
    hub.fault("gpt-4o-mini", "model_unknown")
    chat(hub, fallbacks=["embedded/echo"]).invoke("Hello")


def no_finish_reason(hub: EmbeddedHub) -> None:
    hub.fault("gpt-4o-mini", Fault.cut(3))
    list(chat(hub).stream("The sky is blue. What colour is the sky?"))


def used_up(hub: EmbeddedHub) -> None:
    body = {"choices": [{"index": 0, "message": {"role": "assistant", "content": ""}, "finish_reason": "length"}]}
    hub.fault("gpt-4o-mini", Fault.answer(200, {"model": "gpt-4o-mini", **body}))
    chat(hub).invoke("Hello")


def no_key(_: EmbeddedHub) -> None:
    ChatHubmix(model="gpt-4o-mini")


SAID: dict[str, list[Callable[[EmbeddedHub], object]]] = {
    "Your own rate limit": [own_rate_limit],
    "The catalog lists no such model": [lambda hub: chat(hub).catalog.get("gpt-99")],
    "The name fits several models": [lambda hub: chat(hub).catalog.get("gpt-4o")],
    "Every model failed": [all_failed],
    "`max_tokens` used up": [used_up],
    "No key": [no_key],
    "An unknown parameter": [lambda hub: chat(hub, temprature=1)],
    "Two names for one parameter": [lambda hub: chat(hub, timeout=1, request_timeout=2)],
    "Not encrypted": [lambda _: Hub(base_url="http://hub.example")],
    "`hub=` and a setting of the hub": [lambda hub: ChatHubmix(model="a", hub=Hub(), api_key=hub.api_key)],
    "An unknown hub": [lambda _: Hub("aihubmx")],
    "An empty text among the texts": [
        lambda hub: HubmixEmbeddings(
            model="embedded/embed", base_url=hub.base_url, api_key=hub.api_key
        ).embed_documents(["a", ""])
    ],
    "A request that cannot be sent": [lambda hub: chat(hub).invoke("\ud800")],
    "No structured output with that method": [lambda hub: chat(hub).with_structured_output(Person, method="regex")],
    "The model gave no structured output": [
        lambda hub: (
            chat(hub, "embedded/no-schema").with_structured_output(Person, method="json_schema").invoke("Anna is 42.")
        ),
        lambda hub: Hubmix(
            "embedded/no-schema", base_url=hub.base_url, api_key=hub.api_key, structured_output_method="json_schema"
        ).structured_predict(Person, PromptTemplate("Anna is 42.")),
    ],
    "The model refused": [
        lambda hub: chat(hub, "embedded/refuse").with_structured_output(Person, method="json_schema").invoke("Anna")
    ],
    "The models are not known": [lambda _: Hub(base_url=refused_url(), api_key="sk-test").models.list()],
    "A circuit breaker opened": [breaker],
    "The stream ended without a finish reason": [no_finish_reason],
}


@pytest.fixture
def hub() -> Iterator[EmbeddedHub]:
    with EmbeddedHub(models=["gpt-4o-mini", "openai/gpt-4o", "azure/gpt-4o"]) as server:
        yield server


@pytest.mark.parametrize("title", SAID)
def test_the_other_messages_are_said(title: str, hub: EmbeddedHub, caplog: pytest.LogCaptureFixture) -> None:
    quoted = quotes(sections()[title])
    assert len(quoted) == len(SAID[title])
    for make, quote in zip(SAID[title], quoted, strict=True):
        caplog.clear()
        said: list[str] = []
        with caplog.at_level(logging.INFO, "hubmix"):
            try:
                make(hub)
            except HubmixError as error:
                said.append(str(error))
        said += [record.getMessage() for record in caplog.records]
        said = [re.sub(r"http://127\.0\.0\.1:\d+/v1", "https://aihubmix.com/v1", text) for text in said]
        assert any(begins(text, quote) for text in said), said


def test_every_section_quotes_something_that_is_said() -> None:
    said = [message_of(failure) for failure in KINDS.values()]
    unknown = [
        title
        for title, text in sections().items()
        if title not in SAID and not (quotes(text) and all(any(begins(m, q) for m in said) for q in quotes(text)))
    ]
    assert unknown == []
