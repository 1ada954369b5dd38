"""Kind: Claude with thinking behind a gateway whose chat API has no signatures."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from llama_index.core.base.llms.types import ChatMessage

from langchain_hubmix import ChatHubmix
from llamaindex_hubmix import Hubmix
from tests.support.answers import body, calls, completion, tool_call

UNSIGNED = {
    "type": "invalid_request_error",
    "message": "messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found `tool_use`. When "
    "`thinking` is enabled, a final `assistant` message must start with a thinking block",
}


@pytest.mark.parametrize("make", [ChatHubmix, Hubmix])
def test_claude_on_chat_goes_on_without_thinking(serve: Any, make: Any) -> None:
    """Claude refuses the second turn with thinking, and is asked once more without it."""

    def script(request: Any) -> Any:
        if request.after_tools and "reasoning_effort" in request.body:
            return body({"error": UNSIGNED}, 400)
        return completion("done") if request.after_tools else calls(tool_call("order", "{}", id="t1"))

    gateway = serve(script)
    llm = make(model="claude", base_url=gateway.base_url, api_key="sk-test", reasoning_effort="low")
    if make is ChatHubmix:
        history = [
            HumanMessage("go"),
            AIMessage("", tool_calls=[{"name": "order", "args": {}, "id": "t1"}]),
            ToolMessage("ok", tool_call_id="t1"),
        ]
        assert llm.invoke(history).content == "done"
    else:
        call = {"id": "t1", "type": "function", "function": {"name": "order", "arguments": "{}"}}
        turns = [
            ChatMessage(role="user", content="go"),
            ChatMessage(role="assistant", content="", additional_kwargs={"tool_calls": [call]}),
            ChatMessage(role="tool", content="ok", additional_kwargs={"tool_call_id": "t1"}),
        ]
        assert llm.chat(turns).message.content == "done"
    assert ["reasoning_effort" in sent_body for sent_body in gateway.bodies] == [True, False]
