"""Kind: words of an empty account, an overflow and throttling are told apart."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.exceptions import ContextOverflowError, ModelRateLimitError

import hubmix
from tests.cases.ways import SYNC, Way, chat_hubmix
from tests.failover.test_error_bodies import BODIES
from tests.support.answers import body, chunk, events, whole_or_stream
from tests.support.scripted_hub import Request, ScriptedHub

Serve = Callable[..., ScriptedHub]

EMPTY = [line for line in BODIES if line["kind"] in ("quota", "channel_quota") and line["body"]]
OVERFLOW = [line for line in BODIES if line["kind"] == "context"]
THROTTLED = [line for line in BODIES if line["kind"] == "rate_model" and isinstance(line["body"], dict)]


def name(line: dict[str, Any]) -> str:
    return f"{line['status']}-{line.get('note') or json.dumps(line['body'])[:40]}"


@pytest.mark.parametrize("line", EMPTY, ids=name)
def test_empty_account_is_asked_once(line: dict[str, Any], serve: Serve) -> None:
    hub = serve(body(line["body"], line["status"]))
    with pytest.raises(hubmix.HubmixError) as caught:
        chat_hubmix(hub, max_retries=2).invoke("x")
    assert caught.value.kind in ("quota", "channel_quota")
    assert len(hub.requests) == 1


@pytest.mark.parametrize("line", OVERFLOW, ids=name)
def test_overflow_is_langchains_overflow(line: dict[str, Any], serve: Serve) -> None:
    hub = serve(body(line["body"], line["status"]))
    with pytest.raises(ContextOverflowError):
        chat_hubmix(hub, max_retries=2).invoke("x")
    assert len(hub.requests) == 1


@pytest.mark.parametrize("line", THROTTLED, ids=name)
def test_throttling_is_no_overflow_whole_or_streamed(line: dict[str, Any], serve: Serve) -> None:
    def script(request: Request) -> Any:
        if not request.stream:
            return body(line["body"], line["status"])
        said = line["body"] if "error" in line["body"] else {"error": line["body"]}
        return events(chunk(role="assistant", content=""), said)

    for ask in (chat_hubmix(serve(script)).invoke, lambda text: list(chat_hubmix(serve(script)).stream(text))):
        with pytest.raises(ModelRateLimitError):
            ask("x")


@pytest.mark.parametrize("way", SYNC, ids=str)
def test_larger_window_is_asked_after_an_overflow(way: Way, serve: Serve) -> None:
    def script(request: Request) -> Any:
        if request.model == "b":
            return whole_or_stream("hello", stream=request.stream)
        return body({"code": 20015, "message": "length of prompt_tokens (9) must be less than max_seq_len (8)."}, 400)

    assert way.ask(serve(script), fallbacks=["b"]).text == "hello"
