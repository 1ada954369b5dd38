"""Claude over `/v1/messages`: tool loops, histories across APIs, the hub's list."""

from __future__ import annotations

from typing import Any

import pytest

from hubmix import ConfigurationError, Hub, StreamInterruptedError
from hubmix.embedded import EmbeddedHub, Fault
from langchain_hubmix import ChatHubmix
from tests.support.claude import CLAUDE, RESOLD, sent


@pytest.mark.parametrize(("model", "path"), [(CLAUDE, "messages"), (RESOLD, "chat/completions")])
def test_choice_follows_the_hubs_list(hub: Hub, server: EmbeddedHub, model: str, path: str) -> None:
    hub.chat({"model": model, "messages": [{"role": "user", "content": "Hello"}]})
    assert [where for where, _ in sent(server)] == [path]


def test_what_messages_cannot_say_is_named_before_a_request(hub: Hub, server: EmbeddedHub) -> None:
    with pytest.raises(ConfigurationError, match="The Messages API cannot say n"):
        ChatHubmix(model=CLAUDE, hub=hub, api="messages", n=2).invoke("Hello")
    assert sent(server) == []
    assert ChatHubmix(model=CLAUDE, hub=hub, logprobs=True).invoke("Hello").response_metadata["api"] == "chat"


def test_cut_stream_is_noticed(hub: Hub, server: EmbeddedHub) -> None:
    server.fault(CLAUDE, Fault.cut(after=6), times=None)
    seen: list[Any] = []
    with pytest.raises(StreamInterruptedError):
        seen.extend(hub.stream_chat({"model": CLAUDE, "messages": [{"role": "user", "content": "Hello"}]}))
    assert seen


@pytest.mark.parametrize(
    ("model", "asked", "kinds"),
    [
        ("claude-old", {"reasoning_effort": "low"}, ["adaptive", "enabled", "enabled"]),
        (
            "claude-new",
            {"extra_body": {"thinking": {"type": "enabled", "budget_tokens": 2000}}, "max_tokens": 4000},
            ["enabled", "adaptive", "adaptive"],
        ),
    ],
)
def test_refused_kind_of_thinking_is_remembered(
    hub: Hub, server: EmbeddedHub, model: str, asked: dict[str, Any], kinds: list[str]
) -> None:
    for _ in range(2):
        answer = ChatHubmix(model=model, hub=hub, **asked).invoke("What is 2 + 2?")
        assert answer.response_metadata["api"] == "messages"
    assert [body["thinking"]["type"] for _, body in sent(server)] == kinds
    (measured,) = [row for row in hub.stats() if row.model == model]
    assert (measured.calls, measured.failures) == (2, 0)  # the refusal was amended and answered
