"""Several turns over the Responses API; the server refuses what OpenAI's refuses."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from langchain_core.load import dumps, load
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from llama_index.core.base.llms.types import ChatMessage

from tests.cases.ways import SYNC, WAYS, Way, chat_hubmix, hubmix, order_tool, run_agent
from tests.support.answers import Answer, completion, error, whole_or_stream
from tests.support.responses import call, message, search, strict, thought
from tests.support.scripted_hub import Request, ScriptedHub

Serve = Callable[..., ScriptedHub]
CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"
RESULTS = "function_call_output"


def results(request: Request) -> int:
    items = request.body["input"]
    return sum(item.get("type") == RESULTS for item in items) if isinstance(items, list) else 0


def three_steps(request: Request) -> Sequence[dict[str, Any]]:
    """Two thoughts and a commentary around three calls, then the answer."""
    step, model = results(request) + 1, request.model
    if step > 3:
        return [thought(9, "Done.", model), message("All ordered.", 9, phase="final_answer")]
    made = [thought(step, f"Step {step}.", model), call("order", json.dumps({"item": f"i{step}"}), step)]
    return [thought(7, "First.", model), message("I order.", 8, phase="commentary"), *made] if step == 1 else made


def items(request: Request, kind: str) -> list[dict[str, Any]]:
    return [item for item in request.body["input"] if item.get("type", "message") == kind]


@pytest.mark.parametrize("framework", ["langchain", "llamaindex"])
def test_three_step_agent_gives_every_item_back_exactly(framework: str, serve: Serve) -> None:
    hub = serve(strict(three_steps))
    order, ran = order_tool()
    assert run_agent(framework, hub, order, api="responses") == "All ordered."
    assert ran == ["i1", "i2", "i3"]
    last = hub.requests[-1]
    sent = [item for item in last.body["input"] if item.get("role") not in ("user", "system")]
    expected: list[dict[str, Any]] = []
    for step in (1, 2, 3):
        given = three_steps(Request("", {}, {"model": "m", "input": [{"type": RESULTS}] * (step - 1)}, 0))
        expected += [*given, {"type": RESULTS, "call_id": f"call_{step}", "output": f"ordered i{step}"}]
    assert sent == expected
    assert {request.body["store"] for request in hub.requests} == {False}
    assert {tuple(request.body["include"]) for request in hub.requests} == {("reasoning.encrypted_content",)}


def history(way: Way, first: Any, *, question: str = "and now?") -> Any:
    """A user's word, an answer with its calls answered, and another word."""
    if way.framework == "langchain":
        done = [ToolMessage("ok", tool_call_id=each["id"]) for each in first.message.tool_calls]
        return [HumanMessage("go"), first.message, *done, HumanMessage(question)]
    done = [ChatMessage(role="tool", content="ok", additional_kwargs={"tool_call_id": one}) for one in first.call_ids]
    return [ChatMessage(role="user", content="go"), first.message, *done, ChatMessage(role="user", content=question)]


def first_step(request: Request) -> Sequence[dict[str, Any]]:
    if results(request):
        return [message("Fine.", 5)]
    return [thought(1, "Hm.", request.model), search(1), message("I order.", 2), call("order", '{"item": "a"}', 3)]


def order(item: str) -> str:
    """Order one item."""
    return item


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_answer_of_every_form_goes_back_exactly(way: Way, serve: Serve) -> None:
    hub = serve(strict(first_step))
    first = way.ask(hub, tools=[order], api="responses")
    assert (first.text, first.reasoning, first.calls) == ("I order.", "Hm.", [("order", {"item": "a"})])
    assert way.ask(hub, history(way, first), tools=[order], api="responses").text == "Fine."
    given = list(first_step(hub.requests[0]))
    assert hub.bodies[1]["input"][1 : 1 + len(given)] == given


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_another_model_gets_the_words_alone(way: Way, serve: Serve) -> None:
    def script(request: Request) -> Sequence[dict[str, Any]] | Answer:
        if request.model == "m" and results(request):
            return error(503, "No available channel", code="model_not_found", type="new_api_error")
        return first_step(request)

    hub = serve(strict(script))
    first = way.ask(hub, tools=[order], api="responses")
    said = way.ask(hub, history(way, first), tools=[order], api="responses", fallbacks=["b"])
    assert (said.text, said.model) == ("Fine.", "b")
    sent = hub.requests[-1]
    assert [item.get("type") for item in sent.body["input"]] == [
        "message",
        "message",
        "function_call",
        RESULTS,
        "message",
    ]
    assert not any("id" in item for item in sent.body["input"])


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_chat_gets_text_calls_and_results(way: Way, serve: Serve) -> None:
    def script(request: Request) -> Answer:
        if request.path == CHAT:
            return whole_or_stream("Fine.", stream=request.stream)
        return strict(first_step)(request)

    hub = serve(script)
    first = way.ask(hub, tools=[order], api="responses")
    assert way.ask(hub, history(way, first), tools=[order], api="chat").text == "Fine."
    sent = hub.bodies[-1]["messages"]
    assert sent[1]["tool_calls"][0]["id"] == "call_3"
    assert sent[1].keys() <= {"role", "content", "tool_calls", "reasoning_content"}
    assert [entry["role"] for entry in sent] == ["user", "assistant", "tool", "user"]
    assert "encrypted" not in json.dumps(hub.bodies[-1])


@pytest.mark.parametrize("way", SYNC, ids=str)
def test_chat_history_goes_over_responses(way: Way, serve: Serve) -> None:
    def script(request: Request) -> Answer:
        if request.path == RESPONSES:
            return strict(lambda _: [message("Fine.")])(request)
        asked = {"id": "call_1", "type": "function", "function": {"name": "order", "arguments": '{"item":"a"}'}}
        return completion(None, "tool_calls", reasoning_content="Hm.", tool_calls=[asked])

    hub = serve(script)
    whole = Way(way.framework, waits=True, stream=False)
    first = whole.ask(hub, tools=[order])
    assert way.ask(hub, history(way, first), tools=[order], api="responses").text == "Fine."
    assert [item.get("type") for item in hub.bodies[-1]["input"]] == ["message", "function_call", RESULTS, "message"]


def test_stored_langchain_history_goes_back_exactly(serve: Serve) -> None:
    hub = serve(strict(first_step))
    llm = chat_hubmix(hub, api="responses").bind_tools([order])
    first = load(json.loads(dumps(llm.invoke("go"))), allowed_objects="core")
    assert llm.invoke([HumanMessage("go"), first, ToolMessage("ok", tool_call_id="call_3")]).text == "Fine."
    assert hub.bodies[1]["input"][1:5] == first_step(hub.requests[0])


def test_stored_llamaindex_history_goes_back_exactly(serve: Serve) -> None:
    hub = serve(strict(first_step))
    llm = hubmix(hub, api="responses")
    said = llm.chat([ChatMessage(role="user", content="go")]).message
    first = ChatMessage.model_validate_json(said.model_dump_json())
    done = ChatMessage(role="tool", content="ok", additional_kwargs={"tool_call_id": "call_3"})
    assert llm.chat([ChatMessage(role="user", content="go"), first, done]).message.content == "Fine."
    assert hub.bodies[1]["input"][1:5] == first_step(hub.requests[0])


def test_v1_content_goes_back_exactly(serve: Serve) -> None:
    hub = serve(strict(first_step))
    llm = chat_hubmix(hub, api="responses", output_version="v1").bind_tools([order])
    first = llm.invoke("go")
    kinds = [block["type"] for block in first.content if isinstance(block, dict)]
    assert kinds == ["reasoning", "server_tool_call", "server_tool_result", "text", "tool_call"]
    assert llm.invoke([HumanMessage("go"), first, ToolMessage("ok", tool_call_id="call_3")]).text == "Fine."
    assert hub.bodies[1]["input"][1:5] == first_step(hub.requests[0])


def test_trimmed_history_sends_no_thought_without_its_follower(serve: Serve) -> None:
    """Reasoning is left out with the calls that followed it."""
    hub = serve(strict(lambda request: first_step(request) if request.number == 0 else [message("Fine.", 5)]))
    llm = chat_hubmix(hub, api="responses")
    first = llm.invoke("go")
    cut = first.model_copy(update={"tool_calls": []})
    assert llm.invoke([HumanMessage("go"), cut, HumanMessage("and now?")]).text == "Fine."
    assert [item["type"] for item in hub.bodies[1]["input"]] == [
        "message",
        "reasoning",
        "web_search_call",
        "message",
        "message",
    ]


# ------------------------------------------------------------------------------------------------ learned amendments


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_model_that_does_not_think_is_asked_once_more(way: Way, serve: Serve) -> None:
    def script(request: Request) -> Answer:
        if request.body.get("include"):
            refused = {"type": "invalid_request_error", "param": "include", "code": None}
            return error(400, "Encrypted content is not supported with this model.", **refused)
        return strict(lambda _: [message("Hi")])(request)

    hub = serve(script)
    said = way.ask(hub, api="responses")
    assert (said.text, len(hub.requests)) == ("Hi", 2)
    assert [attempt["outcome"] for attempt in said.trace["attempts"]] == ["error", "ok"]


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_thoughts_that_nobody_can_read_are_left_out(way: Way, serve: Serve) -> None:
    """A hub has many accounts, and only the one that encrypted can read."""

    def script(request: Request) -> Sequence[dict[str, Any]]:
        if results(request):
            return [message("Fine.", 5)]
        return [thought(1, "Hm.", "another account"), search(1), call("order", '{"item": "a"}', 3)]

    hub = serve(strict(script))
    first = way.ask(hub, tools=[order], api="responses")
    assert way.ask(hub, history(way, first), tools=[order], api="responses").text == "Fine."
    refused, sent = hub.bodies[-2]["input"], hub.bodies[-1]["input"]
    assert [item["type"] for item in refused[1:4]] == ["reasoning", "web_search_call", "function_call"]
    assert [item["type"] for item in sent] == ["message", "function_call", RESULTS, "message"]
    assert not any("id" in item for item in sent)


def test_thoughts_of_later_answers_still_go_back(serve: Serve) -> None:
    def script(request: Request) -> Sequence[dict[str, Any]]:
        step = results(request) + 1
        sealed_by = "another account" if step == 1 else "m"
        return [thought(step, "", sealed_by), call("order", '{"item": "a"}', step)] if step < 4 else [message("Fine.")]

    hub = serve(strict(script))
    assert run_agent("langchain", hub, order, api="responses") == "Fine."
    assert [item.get("id") for item in hub.bodies[-1]["input"] if item.get("type") == "reasoning"] == ["rs_2", "rs_3"]
    assert len(hub.requests) == 5


# ---------------------------------------------------------------------------------- histories that ChatOpenAI made

ABOUT = {"model_provider": "openai", "id": "resp_1", "model_name": "m"}
SEALED = thought(1, "Hm.")["encrypted_content"]
NOTE = {"type": "url_citation", "url": "https://x", "title": "X", "start_index": 0, "end_index": 2}
CALLS = [{"name": "order", "args": {"item": "a"}, "id": "call_3", "type": "tool_call"}]
BEFORE_1_0 = AIMessage(
    content=[{"type": "text", "text": "I order.", "annotations": [NOTE]}],
    id="msg_2",
    additional_kwargs={
        "reasoning": thought(1, "Hm."),
        "tool_outputs": [search(1)],
        "__openai_function_call_ids__": {"call_3": "fc_3"},
    },
    response_metadata=ABOUT,
    tool_calls=CALLS,
)
RESPONSES_V1 = AIMessage(
    content=[
        thought(1, "Hm."),
        {**search(1), "index": 1},
        {"type": "text", "text": "I order.", "annotations": [NOTE], "id": "msg_2", "phase": "commentary"},
        {"type": "function_call", "name": "order", "arguments": '{"item": "a"}', "call_id": "call_3", "id": "fc_3"},
    ],
    response_metadata=ABOUT,
    tool_calls=CALLS,
)
V1 = AIMessage(
    content=[
        {"type": "reasoning", "id": "rs_1", "reasoning": "Hm.", "encrypted_content": SEALED},
        {"type": "server_tool_call", "name": "web_search", "id": "ws_1", "args": search(1)["action"]},
        {"type": "server_tool_result", "tool_call_id": "ws_1", "status": "success"},
        {"type": "text", "text": "I order.", "id": "msg_2", "annotations": [{"type": "citation", "url": "https://x"}]},
        {"type": "tool_call", **CALLS[0], "extras": {"item_id": "fc_3"}},
    ],
    response_metadata={**ABOUT, "output_version": "v1"},
    tool_calls=CALLS,
)


@pytest.mark.parametrize("made", [BEFORE_1_0, RESPONSES_V1, V1], ids=["before-1.0", "responses/v1", "v1"])
def test_history_of_chat_openai_is_accepted(made: AIMessage, serve: Serve) -> None:
    hub = serve(strict(lambda request: [message("Fine.", 5)]))
    done = [HumanMessage("go"), made, ToolMessage("ok", tool_call_id="call_3")]
    assert chat_hubmix(hub, api="responses").bind_tools([order]).invoke(done).text == "Fine."
    sent = hub.bodies[0]["input"][1:-1]
    assert [item["type"] for item in sent] == ["reasoning", "web_search_call", "message", "function_call"]
    assert sent[0] == thought(1, "Hm.")
    assert sent[1] == search(1)
    assert sent[3]["call_id"] == "call_3"


@pytest.mark.parametrize("made", [BEFORE_1_0, RESPONSES_V1, V1], ids=["before-1.0", "responses/v1", "v1"])
def test_history_of_chat_openai_goes_over_chat(made: AIMessage, serve: Serve) -> None:
    hub = serve(completion("Fine."))
    done = [HumanMessage("go"), made, ToolMessage("ok", tool_call_id="call_3")]
    assert chat_hubmix(hub, api="chat").invoke(done).text == "Fine."
    sent = hub.bodies[0]["messages"][1]
    assert (sent["content"], sent["tool_calls"][0]["id"]) == ("I order.", "call_3")
    assert SEALED not in json.dumps(hub.bodies[0])


def test_plain_history_of_chat_openai_needs_no_items(serve: Serve) -> None:
    hub = serve(strict(lambda request: [message("Fine.", 5)]))
    made = AIMessage(content="Hi", response_metadata=ABOUT, id="msg_2")
    assert chat_hubmix(hub, api="responses").invoke([HumanMessage("go"), made, HumanMessage("on")]).text == "Fine."
