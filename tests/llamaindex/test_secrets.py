"""The key is nowhere but in the request."""

from __future__ import annotations

import logging
import pickle
import traceback
from collections.abc import Callable
from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.callbacks import CallbackManager, LlamaDebugHandler

from hubmix.embedded import EmbeddedHub, Fault
from hubmix.errors import ConfigurationError, HubmixError
from llamaindex_hubmix import Hubmix, HubmixEmbedding, HubmixRerank

KEY = "sk-test-not-to-be-seen"
HEADER = "header-not-to-be-seen"
MESSAGES = [ChatMessage(role="user", content="hi")]

Component = Callable[..., Any]
components = pytest.mark.parametrize("component", [Hubmix, HubmixEmbedding, HubmixRerank])


@pytest.fixture
def server() -> Any:
    with EmbeddedHub(keys=[KEY]) as hub:
        yield hub


def secret_free(text: str) -> bool:
    return "not-to-be-seen" not in text


def build(component: Component, server: EmbeddedHub, **kwargs: Any) -> Any:
    headers = {"X-Secret": HEADER}
    return component("embedded/extract", base_url=server.base_url, api_key=KEY, default_headers=headers, **kwargs)


@components
def test_in_no_printed_or_stored_form(component: Component, server: EmbeddedHub) -> None:
    one = build(component, server)
    forms = [repr(one), str(one), str(one.to_dict()), one.to_json(), str(one.model_dump()), one.model_dump_json()]
    forms += [repr(one.hub), str(one.model_copy()), str(dict(one)).replace(repr(dict(one)["default_headers"]), "")]
    if hasattr(one, "to_payload"):
        forms.append(str(one.to_payload()))
    assert all(map(secret_free, forms))


@components
def test_in_no_error_of_a_wrong_parameter(component: Component, server: EmbeddedHub) -> None:
    with pytest.raises(ConfigurationError, match="timeout should be a valid number, not str") as caught:
        build(component, server, timeout="soon")
    assert secret_free("".join(traceback.format_exception(caught.value)))


def test_in_no_event_callback_or_log(server: EmbeddedHub, events: list[Any], caplog: pytest.LogCaptureFixture) -> None:
    debug = LlamaDebugHandler(print_trace_on_end=False)
    llm = build(Hubmix, server, callback_manager=CallbackManager([debug]))
    with caplog.at_level(logging.DEBUG):
        llm.chat(MESSAGES)
        list(llm.stream_complete("hi"))
    assert events
    assert all(secret_free(str(event.model_dump())) for event in events)
    assert all(secret_free(str(event.payload)) for event in debug.get_events())
    assert secret_free(caplog.text)
    assert any(record.name.startswith(("openai", "httpcore", "httpx")) for record in caplog.records)


@pytest.mark.parametrize("fault", [Fault.answer(500), Fault.error("vendor_401"), Fault.html(), Fault.reset()])
def test_in_no_error(server: EmbeddedHub, fault: Fault) -> None:
    server.fault("*", fault, times=None)
    with pytest.raises(HubmixError) as caught:
        build(Hubmix, server, max_retries=0).chat(MESSAGES)
    forms = [repr(caught.value), str(vars(caught.value)), "".join(traceback.format_exception(caught.value))]
    assert all(map(secret_free, forms))
    assert b"not-to-be-seen" not in pickle.dumps(caught.value)


def test_a_refused_key_is_not_repeated(server: EmbeddedHub) -> None:
    with pytest.raises(HubmixError) as caught:
        Hubmix("embedded/extract", base_url=server.base_url, api_key="sk-wrong-not-to-be-seen").chat(MESSAGES)
    assert secret_free(str(caught.value))


def test_in_no_response(server: EmbeddedHub) -> None:
    response = build(Hubmix, server).chat(MESSAGES)
    assert b"not-to-be-seen" not in pickle.dumps(response)


def test_pickle_holds_the_key_only_if_it_was_given_in_code(
    server: EmbeddedHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUBMIX_API_KEY", KEY)
    monkeypatch.setenv("HUBMIX_BASE_URL", server.base_url)
    for component in (Hubmix, HubmixEmbedding, HubmixRerank):
        from_environment = component(model="embedded/extract")
        assert KEY.encode() not in pickle.dumps(from_environment)
        assert KEY.encode() in pickle.dumps(component(model="embedded/extract", api_key=KEY))
    twin = pickle.loads(pickle.dumps(Hubmix("embedded/extract")))
    assert twin.chat(MESSAGES).message.content
