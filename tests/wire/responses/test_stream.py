"""Streams of the Responses API, event by event."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest

from hubmix.wire import AnswerError, Delta, Reply
from hubmix.wire.responses.stream import StreamReader

Event = dict[str, Any]


def event(kind: str, **more: Any) -> Event:
    return {"type": f"response.{kind}", **more}


def ended(*output: Event, kind: str = "completed", **more: Any) -> Event:
    return event(kind, response={"id": "resp_1", "status": kind, "output": list(output), **more})


def said(words: str, index: int = 0, **more: Any) -> Event:
    return event("output_text.delta", output_index=index, content_index=0, delta=words, **more)


def added(item: Event, index: int | None = 0) -> Event:
    return event("output_item.added", item=item, **({} if index is None else {"output_index": index}))


def done(item: Event, index: int = 0) -> Event:
    return event("output_item.done", item=item, output_index=index)


def message(words: str, **more: Any) -> Event:
    return {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": words}], **more}


CALL = {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f"}


def play(events: Iterable[Any], tools: Any = None) -> tuple[list[Delta], Reply]:
    reader = StreamReader(tools)
    found = [delta for one in events if (delta := reader.feed(one)) is not None]
    return found, reader.finish()


def joined(deltas: list[Delta], name: str = "text") -> str:
    return "".join(getattr(delta, name) for delta in deltas)


def arguments(deltas: list[Delta]) -> list[tuple[int, str | None, str | None, str]]:
    return [(p.index, p.id, p.name, p.arguments) for delta in deltas for p in delta.tool_calls]


def test_text_comes_piece_by_piece_and_whole() -> None:
    deltas, reply = play([added(message("")), said("Hel"), said(""), said("lo"), ended(message("Hello"))])
    assert [delta.text for delta in deltas] == ["Hel", "lo"]
    assert (reply.text, reply.finish_reason, reply.incomplete) == ("Hello", "stop", False)


def test_call_comes_with_its_name_first() -> None:
    piece = event("function_call_arguments.delta", output_index=0)
    whole = {**CALL, "arguments": '{"a": 1}'}
    deltas, reply = play(
        [
            added({**CALL, "arguments": ""}),
            {**piece, "delta": '{"a"'},
            {**piece, "delta": ": 1}"},
            done(whole),
            ended(whole),
        ]
    )
    assert arguments(deltas) == [(0, "c1", "f", ""), (0, None, None, '{"a"'), (0, None, None, ": 1}")]
    assert (reply.tool_calls[0].args, reply.finish_reason) == ({"a": 1}, "tool_calls")


def test_custom_call_is_streamed_as_json() -> None:
    item = {"type": "custom_tool_call", "call_id": "c1", "name": "sql", "input": ""}
    piece = event("custom_tool_call_input.delta", output_index=0)
    whole = {**item, "input": 'select "x"\n'}
    events = [added(item), {**piece, "delta": 'select "'}, {**piece, "delta": 'x"\n'}, done(whole), ended(whole)]
    deltas, reply = play(events)
    assert json.loads("".join(p[3] for p in arguments(deltas))) == {"__arg1": 'select "x"\n'}
    assert reply.tool_calls[0].args == {"__arg1": 'select "x"\n'}


@pytest.mark.parametrize("tools", [[{"type": "x_search"}], None])
def test_search_of_the_vendor_is_no_call(tools: Any) -> None:
    item = {"type": "custom_tool_call", "call_id": "xs_call_1", "name": "x_keyword_search", "input": "{}"}
    created = event("created", response={"tools": [{"type": "x_search"}]})
    deltas, reply = play([created, added(item), done(item), ended(item)], tools)
    assert (deltas, reply.tool_calls, reply.extra["output"]) == ([], [], [item])


def test_what_no_delta_brought_comes_when_the_item_is_done() -> None:
    thought = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm."}]}
    call = {**CALL, "arguments": '{"a": 1}'}
    refused = {"type": "message", "content": [{"type": "refusal", "refusal": "No."}]}
    events = [
        added({**CALL, "arguments": ""}, 2),
        done(thought, 0),
        done(message("Hi"), 1),
        done(call, 2),
        done(refused, 3),
    ]
    deltas, reply = play([*events, ended(thought, message("Hi"), call, refused)])
    assert (joined(deltas), joined(deltas, "reasoning"), joined(deltas, "refusal")) == ("Hi", "Hm.", "No.")
    assert arguments(deltas) == [(0, "c1", "f", ""), (0, None, None, '{"a": 1}')]
    assert (reply.text, reply.reasoning, reply.refusal) == ("Hi", "Hm.", "No.")


def test_what_only_the_end_brought_is_passed_on() -> None:
    deltas, reply = play(
        [event("created", response={"id": "resp_1"}), ended(message("Hi"), {**CALL, "arguments": "{}"})]
    )
    assert (reply.text, reply.tool_calls[0].id) == ("Hi", "c1")
    assert (joined(deltas), [p[1] for p in arguments(deltas)][:1]) == ("Hi", ["c1"])


def test_end_without_output_is_filled_from_the_items() -> None:
    thought = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "sealed"}
    _, reply = play([done(message("Hi"), 1), done(thought, 0), ended()])
    assert (reply.text, reply.items) == ("Hi", [thought, message("Hi")])


def test_last_encryption_wins_and_nothing_is_joined() -> None:
    thought = {"type": "reasoning", "id": "rs_1", "summary": []}
    stages = [{**thought, "encrypted_content": sealed} for sealed in ("stub", "first", "second")]
    _, reply = play([added(stages[0]), done(stages[1]), ended(stages[2], message("Hi"))])
    assert reply.reasoning_details == [stages[2]]


def test_end_with_an_empty_message_keeps_what_was_streamed() -> None:
    _, reply = play([added(message("")), said("Hi"), ended({"type": "message", "content": [{"type": "output_text"}]})])
    assert reply.text == "Hi"


def test_items_overlap_and_change_their_ids() -> None:
    first, second = {**CALL, "call_id": "a"}, {**CALL, "call_id": "b"}
    piece = event("function_call_arguments.delta")
    events = [
        added({**first, "id": "1", "arguments": ""}, 0),
        added({**second, "id": "2", "arguments": ""}, 1),
        {**piece, "item_id": "3", "output_index": 1, "delta": '{"b":'},
        {**piece, "item_id": "4", "output_index": 0, "delta": "{}"},
        {**piece, "item_id": "5", "output_index": 1, "delta": "1}"},
    ]
    finished = [{**first, "arguments": "{}"}, {**second, "arguments": '{"b":1}'}]
    _, reply = play([*events, ended(*finished)])
    assert [(c.id, c.args) for c in reply.tool_calls] == [("a", {}), ("b", {"b": 1})]


def test_items_begin_without_an_index() -> None:
    thought = {"type": "reasoning", "id": "rs_1"}
    events = [
        added({"type": "message", "id": "m_1", "content": []}, None),
        added(thought, None),
        event("reasoning_summary_text.delta", output_index=1, item_id="rs_1", delta="Hm."),
        added({"type": "message", "id": "m_2", "content": []}, None),
        said("Hi", 2),
    ]
    deltas, reply = play(events)
    assert (joined(deltas), reply.reasoning, reply.incomplete) == ("Hi", "Hm.", True)


def test_parts_of_the_thinking_are_kept_apart() -> None:
    piece = event("reasoning_summary_text.delta")
    thoughts = [
        {"type": "reasoning", "summary": [{"text": "One."}, {"text": "Two."}]},
        {"type": "reasoning", "summary": [{"text": "Three."}]},
    ]
    events = [
        {**piece, "output_index": 0, "summary_index": 0, "delta": "One."},
        {**piece, "output_index": 0, "summary_index": 1, "delta": "Two."},
        done(thoughts[0], 0),
        {**piece, "output_index": 1, "summary_index": 0, "delta": "Three."},
        done(thoughts[1], 1),
    ]
    deltas, reply = play([*events, ended(*thoughts, message("Hi"))])
    assert joined(deltas, "reasoning") == reply.reasoning == "One.\n\nTwo.\n\nThree."


def test_thoughts_told_twice_are_passed_on_once() -> None:
    thought = {
        "type": "reasoning",
        "summary": [{"text": "Hm."}],
        "content": [{"type": "reasoning_text", "text": "Hm."}],
    }
    pieces = [event(f"reasoning_{kind}.delta", output_index=0, delta="Hm.") for kind in ("text", "summary_text")]
    deltas, reply = play([*pieces, done(thought), ended(thought, message("Hi"))])
    assert joined(deltas, "reasoning") == reply.reasoning == "Hm."


def test_logprobs_come_with_their_words() -> None:
    token = {"token": "Hi", "logprob": -0.5}
    deltas, reply = play([said("Hi", logprobs=[token]), ended(message(""))])
    assert deltas[0].logprobs == reply.logprobs == {"content": [token]}


@pytest.mark.parametrize(
    "kind", ["web_search_call.searching", "code_interpreter_call_code.delta", "image_generation_call.partial_image"]
)
def test_progress_of_a_hosted_tool_is_a_sign_of_life(kind: str) -> None:
    delta = StreamReader().feed(event(kind, output_index=0))
    assert delta is not None
    assert not delta.has_content


@pytest.mark.parametrize(
    "unknown",
    [{"type": "keepalive"}, {"type": "response.telepathy.delta", "delta": "x"}, {"type": 7}, {}, None, {"object": "x"}],
)
def test_event_of_no_content_is_passed_over(unknown: Any) -> None:
    deltas, reply = play([said("Hi"), unknown, ended(message("Hi"))])
    assert ([delta.text for delta in deltas], reply.text) == (["Hi"], "Hi")


# ----------------------------------------------------------------------------------------------------------- ends


def test_only_the_terminal_event_is_the_end() -> None:
    reader = StreamReader()
    for one in (added(message("")), said("Hi"), done(message("Hi"))):
        reader.feed(one)
    assert not reader.ended
    reply = reader.finish()
    assert (reply.text, reply.incomplete, reply.finish_reason) == ("Hi", True, None)


def test_nothing_behind_the_end_counts() -> None:
    _, reply = play([said("Hi"), ended(message("Hi")), {"error": {"message": "unexpected EOF"}}])
    assert (reply.text, reply.incomplete) == ("Hi", False)


def test_cut_inside_arguments_leaves_no_call_to_run() -> None:
    reader = StreamReader()
    reader.feed(added({**CALL, "arguments": ""}))
    reader.feed(event("function_call_arguments.delta", output_index=0, delta='{"a'))
    reply = reader.finish()
    assert (reply.incomplete, reply.tool_calls[0].args) == (True, None)


@pytest.mark.parametrize("events", [[], [event("created", response={"id": "r"}), event("in_progress", response={})]])
def test_stream_without_a_word_is_an_error(events: list[Event]) -> None:
    with pytest.raises(AnswerError, match="without a single word"):
        play(events)


def test_end_without_a_reason_is_no_end() -> None:
    """one-hub ends a cut stream with `response.completed` and an empty status."""
    _, reply = play([said("Hi"), event("completed", response={"status": "", "output": [message("Hi")]})])
    assert (reply.text, reply.incomplete) == ("Hi", True)


@pytest.mark.parametrize(("reason", "finish"), [("max_output_tokens", "length"), ("content_filter", "content_filter")])
def test_early_end_says_why(reason: str, finish: str) -> None:
    _, reply = play([said("Hi"), ended(message("Hi"), kind="incomplete", incomplete_details={"reason": reason})])
    assert (reply.finish_reason, reply.incomplete) == (finish, False)


ERRORS: list[Event] = [
    {"type": "error", "code": "server_error", "message": "Busy", "param": None},
    {"type": "error", "error": {"type": "server_error", "code": "server_error", "message": "Busy"}},
    {"error": {"code": "server_error", "message": "Busy"}},
    {"error": {"type": "error", "code": "server_error", "message": "Busy"}},
    ended(kind="failed", error={"code": "server_error", "message": "Busy"}),
    ended(kind="completed", error={"code": "server_error", "message": "Busy"}),
]


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("before", [[], [said("Hi")]])
def test_error_raises_with_the_code_and_words_of_the_server(error: Event, before: list[Event]) -> None:
    reader = StreamReader()
    for one in before:
        reader.feed(one)
    with pytest.raises(AnswerError) as caught:
        reader.feed(error)
    said_so = caught.value.body["error"]
    assert (caught.value.cause, said_so["code"], said_so["message"]) == ("error_body", "server_error", "Busy")
    assert said_so.get("type") != "error"
    assert reader.partial().text == ("Hi" if before else "")


def test_failure_without_a_reason_says_that() -> None:
    with pytest.raises(AnswerError) as caught:
        StreamReader().feed(event("failed", response={"status": "failed"}))
    assert "did not say why" in caught.value.body["error"]["message"]
