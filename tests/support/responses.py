"""Answers of the Responses API, and a server that refuses what OpenAI's refuses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tests.support.answers import Answer, body, error, events
from tests.support.scripted_hub import Request

Item = dict[str, Any]

_BODY = frozenset(
    """
    model input instructions stream store include tools tool_choice parallel_tool_calls text reasoning metadata user
    max_output_tokens max_tool_calls temperature top_p top_logprobs truncation safety_identifier prompt_cache_key
    previous_response_id conversation background service_tier prompt stream_options context_management
    """.split()  # noqa: SIM905  (a list of as many lines says less)
)
_PARTS = {
    "user": {"input_text", "input_image", "input_file"},
    "system": {"input_text"},
    "developer": {"input_text"},
    "assistant": {"output_text", "refusal"},
}
_CALLS = {"function_call": "arguments", "custom_tool_call": "input"}
_RESULTS = ("function_call_output", "custom_tool_call_output")
SEALED = "sealed for "


# --------------------------------------------------------------------------------------------------------------- items


def message(text: str, number: int = 1, **more: Any) -> Item:
    """Return a message item."""
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    return {
        "type": "message", "id": f"msg_{number}", "status": "completed", "role": "assistant", "content": [part], **more
    }  # fmt: skip


def thought(number: int = 1, summary: str = "", model: str = "m", **more: Any) -> Item:
    """Return a reasoning item whose encrypted content the strict server recognises."""
    parts = [{"type": "summary_text", "text": summary}] if summary else []
    sealed = f"{SEALED}{model}, {number}"
    return {"type": "reasoning", "id": f"rs_{number}", "summary": parts, "encrypted_content": sealed, **more}


def call(name: str, arguments: str, number: int = 1, **more: Any) -> Item:
    """Return a function call item."""
    ids = {"id": f"fc_{number}", "call_id": f"call_{number}", "status": "completed"}
    return {"type": "function_call", **ids, "name": name, "arguments": arguments, **more}


def search(number: int = 1, query: str = "sky") -> Item:
    """Return the item of a hosted web search."""
    action = {"type": "search", "query": query}
    return {"type": "web_search_call", "id": f"ws_{number}", "status": "completed", "action": action}


# ------------------------------------------------------------------------------------------------------------- answers


def response_body(*items: Item, **more: Any) -> dict[str, Any]:
    """Return the body of a whole answer."""
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1_760_000_000,
        "status": "completed",
        "model": "m",
        "output": list(items),
        "usage": {"input_tokens": 5, "output_tokens": 3, "total_tokens": 8},
        **more,
    }


def response(*items: Item, **more: Any) -> Answer:
    """Return a whole answer."""
    return body(response_body(*items, **more))


def response_events(*items: Item, **more: Any) -> list[dict[str, Any]]:
    """Return the events of a streamed answer, in OpenAI's order."""
    begun = {**response_body(), "status": "in_progress", "usage": None}
    found = [{"type": f"response.{kind}", "response": begun} for kind in ("created", "in_progress")]
    for index, item in enumerate(items):
        found += _item_events(index, item)
    whole = response_body(*items, **more)
    found.append({"type": f"response.{whole['status']}", "response": whole})
    return [{**event, "sequence_number": number} for number, event in enumerate(found)]


def response_stream(*pieces: Any) -> Answer:
    """Return events as a stream, each with its `event:` line and without `[DONE]`."""
    lines = [piece if isinstance(piece, (bytes, str)) else _line(piece) for piece in pieces]
    return events(*lines, done=False)


def _line(event: dict[str, Any]) -> bytes:
    return b"event: " + str(event["type"]).encode() + b"\n" + bytes(_data(event))


def _data(event: dict[str, Any]) -> bytes:
    sent = events(event, done=False).body
    assert isinstance(sent, bytes)
    return sent


def whole_or_response(*items: Item, stream: bool, **more: Any) -> Answer:
    """Return the answer in the form that was asked for."""
    return response_stream(*response_events(*items, **more)) if stream else response(*items, **more)


def _item_events(index: int, item: Item) -> Iterator[dict[str, Any]]:
    kind = item["type"]
    empty: dict[str, Any] = {"content": []} if kind == "message" else {_CALLS[kind]: ""} if kind in _CALLS else {}
    yield {"type": "response.output_item.added", "output_index": index, "item": {**item, **empty}}
    at = {"output_index": index, "item_id": item.get("id")}
    if kind == "message":
        for place, part in enumerate(item["content"]):
            yield from _part_events({**at, "content_index": place}, part)
    elif kind == "reasoning":
        for place, part in enumerate(item["summary"]):
            name = {"type": "response.reasoning_summary_text.delta", "summary_index": place}
            yield from ({**at, **name, "delta": word} for word in _words(part["text"]))
    elif kind in _CALLS:
        event = "function_call_arguments" if kind == "function_call" else "custom_tool_call_input"
        text = item[_CALLS[kind]]
        yield from ({**at, "type": f"response.{event}.delta", "delta": piece} for piece in _words(text))
        yield {**at, "type": f"response.{event}.done", _CALLS[kind]: text}
    else:
        yield {**at, "type": f"response.{kind}.in_progress"}
        yield {**at, "type": f"response.{kind}.completed"}
    yield {"type": "response.output_item.done", "output_index": index, "item": item}


def _part_events(at: dict[str, Any], part: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if part["type"] == "refusal":
        yield from ({**at, "type": "response.refusal.delta", "delta": word} for word in _words(part["refusal"]))
        return
    yield {**at, "type": "response.content_part.added", "part": {**part, "text": ""}}
    yield from ({**at, "type": "response.output_text.delta", "delta": word} for word in _words(part["text"]))
    for number, note in enumerate(part.get("annotations") or ()):
        name = {"type": "response.output_text.annotation.added", "annotation_index": number}
        yield {**at, **name, "annotation": note}
    yield {**at, "type": "response.output_text.done", "text": part["text"]}
    yield {**at, "type": "response.content_part.done", "part": part}


def _words(text: str) -> list[str]:
    return text.split(" ")[:1] + [" " + word for word in text.split(" ")[1:]]


# --------------------------------------------------------------------------------------------------- the strict server


def strict(script: Callable[[Request], Sequence[Item] | Answer]) -> Callable[[Request], Answer]:
    """Return a script that refuses what OpenAI refuses, and else answers with items."""

    def answered(request: Request) -> Answer:
        for refusal in refusals(request.body):
            return refusal
        made = script(request)
        return made if isinstance(made, Answer) else whole_or_response(*made, stream=request.stream)

    return answered


def refusals(sent: dict[str, Any]) -> Iterator[Answer]:
    """Say what OpenAI would refuse in a body, the first thing first."""
    for name in sent.keys() - _BODY:
        yield _refused(f"Unknown parameter: '{name}'.", param=name)
    for at, tool in enumerate(sent.get("tools") or ()):
        yield from _refused_tools(at, tool)
    given = sent.get("input")
    items = given if isinstance(given, list) else [] if given else [{}]
    for at, item in enumerate(items):
        yield from _refused_items(at, item, items[at + 1] if at + 1 < len(items) else {}, sent)
    yield from _refused_calls(items, sent)
    ids = [item["id"] for item in items if item.get("id")]
    for item_id in {item_id for item_id in ids if ids.count(item_id) > 1}:
        yield _refused(f"Duplicate item found with id {item_id}.", param="input")


def _refused_tools(at: int, tool: dict[str, Any]) -> Iterator[Answer]:
    if tool["type"] != "function":
        return
    if "name" not in tool:
        yield _refused(f"Missing required parameter: 'tools[{at}].name'.", param=f"tools[{at}].name")
    schema = tool.get("parameters") or {}
    if tool.get("strict", True) and set(schema.get("properties") or ()) != set(schema.get("required") or ()):
        yield _refused(f"Invalid schema for function '{tool.get('name')}': 'required' is required to be supplied")


def _refused_items(at: int, item: Item, following: Item, sent: dict[str, Any]) -> Iterator[Answer]:
    kind = item.get("type", "message")
    if kind == "message":
        allowed, content = _PARTS.get(str(item.get("role"))), item.get("content")
        if allowed is None:
            yield _refused(f"Invalid value: '{item.get('role')}'.", param=f"input[{at}].role")
        elif content is None or (isinstance(content, list) and {part["type"] for part in content} - allowed):
            yield _refused(f"Invalid value in input[{at}].content.", param=f"input[{at}].content")
        unknown = item.keys() - {"type", "role", "content", "id", "status", "phase"}
        for name in unknown:
            yield _refused(f"Unknown parameter: 'input[{at}].{name}'.", param=f"input[{at}].{name}")
    elif kind == "reasoning":
        yield from _refused_reasoning(item, following, sent)
    elif kind not in (*_CALLS, *_RESULTS) and not item.get("id"):
        yield _refused(f"Missing required parameter: 'input[{at}].id'.", param=f"input[{at}].id")


def _refused_reasoning(item: Item, following: Item, sent: dict[str, Any]) -> Iterator[Answer]:
    next_kind = following.get("type") or ("message" if following else "")
    follows = next_kind == "reasoning" or next_kind.endswith("_call") or following.get("role") == "assistant"
    if not follows:
        yield _refused(
            f"Item '{item.get('id')}' of type 'reasoning' was provided without its required following item.",
            param="input",
        )
    sealed = item.get("encrypted_content")
    if not sealed and not sent.get("store", True):
        words = f"Item with id '{item.get('id')}' not found. Items are not persisted when `store` is set to false."
        yield error(404, words, type="invalid_request_error", param="input", code=None)
    if sealed and not sealed.startswith(f"{SEALED}{sent['model']},"):
        words = "The encrypted content could not be verified."
        yield error(400, words, type="invalid_request_error", param=None, code="invalid_encrypted_content")
    if "summary" not in item:
        yield _refused("Missing required parameter: 'summary'.", param="input")


def _refused_calls(items: Sequence[Item], sent: dict[str, Any]) -> Iterator[Answer]:
    called = [item.get("call_id") for item in items if item.get("type") in _CALLS]
    answered = [item.get("call_id") for item in items if item.get("type") in _RESULTS]
    for call_id in called:
        if call_id not in answered:
            yield _refused(f"No tool output found for function call {call_id}.", param="input")
    for call_id in answered:
        if call_id not in called and not sent.get("previous_response_id"):
            yield _refused(f"No tool call found for function call output with call_id {call_id}.", param="input")


def _refused(words: str, **more: Any) -> Answer:
    return error(400, words, **{"type": "invalid_request_error", "param": None, "code": None, **more})
