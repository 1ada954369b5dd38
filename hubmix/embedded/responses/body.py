"""An answer as the items, body and events of `/v1/responses`.

The shapes are those of the recordings: OpenAI's, which New API hands on as they came.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from typing import Any

from hubmix.embedded.call import ModelCall
from hubmix.embedded.chat.body import Envelope, logprobs
from hubmix.embedded.models import pieces
from hubmix.embedded.responses.input import seal
from hubmix.embedded.responses.request import ResponsesRequest
from hubmix.embedded.rules import Answer

Item = dict[str, Any]
Event = dict[str, Any]

SOURCE = "https://example.com/embedded"
_ECHOED: dict[str, Any] = {
    "background": False, "instructions": None, "max_output_tokens": None, "max_tool_calls": None,
    "parallel_tool_calls": True, "previous_response_id": None, "prompt_cache_key": None,
    "prompt_cache_retention": None, "safety_identifier": None, "store": True, "temperature": 1.0,
    "tool_choice": "auto", "tools": [], "top_logprobs": 0, "top_p": 1.0, "truncation": "disabled", "user": None,
    "metadata": {},
}  # fmt: skip


def salt_of(call: ModelCall) -> str:
    """Return what the ids of a response are made of: the same for the same request."""
    asked = {name: call.body.get(name) for name in ("model", "input", "previous_response_id")}
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:40]


def output_items(call: ModelCall, request: ResponsesRequest, answer: Answer) -> list[Item]:
    """Return the items of an answer, whole."""
    salt, items = salt_of(call), list[Item]()
    mark = "r" if answer.reasoning else ""
    if answer.reasoning:
        text = [{"type": "summary_text", "text": "".join(answer.reasoning)}] if request.summary else []
        items.append({"id": f"rs_{salt}", "type": "reasoning", "summary": text})
    if request.searches and not answer.calls:
        action = {"type": "search", "query": _question(request), "sources": [{"type": "url", "url": SOURCE}]}
        items.append({"id": f"ws_{salt}", "type": "web_search_call", "status": "completed", "action": action})
    status = "incomplete" if answer.finish_reason in ("length", "content_filter") else "completed"
    if answer.text or answer.refusal:
        part = _part(request, answer)
        shared = {"id": f"msg_{salt}{mark}", "type": "message", "status": status, "content": [part]}
        items.append({**shared, "role": "assistant"})
    envelope = Envelope("", 0, "", salt=salt)
    for at, made in enumerate(answer.calls):
        ended = status if at == len(answer.calls) - 1 else "completed"
        shared = {"status": ended, "call_id": envelope.call_id(made, at), "name": made.name}
        if made.name in request.custom:
            items.append({"id": f"ctc_{salt}{at}{mark}", "type": "custom_tool_call", **shared, "input": _input(made)})
        else:
            items.append({"id": f"fc_{salt}{at}{mark}", "type": "function_call", **shared, "arguments": made.arguments})
    return items


def _question(request: ResponsesRequest) -> str:
    return str(request.chat.messages[-1].get("content"))[:80]


def _input(made: Any) -> str:
    """Return the free text of a custom call; what was cut stays as it is."""
    try:
        return str(json.loads(made.arguments).get("input", ""))
    except ValueError:
        return str(made.arguments)


def _part(request: ResponsesRequest, answer: Answer) -> Item:
    if answer.refusal:
        return {"type": "refusal", "refusal": "".join(answer.refusal)}
    text = "".join(answer.text)
    cited = {"type": "url_citation", "start_index": 0, "end_index": len(text), "url": SOURCE, "title": "Embedded"}
    probable = logprobs(answer.text, request.chat.top_logprobs)["content"] if request.chat.logprobs else []
    notes = [cited] if request.searches else []
    return {"type": "output_text", "annotations": notes, "logprobs": probable, "text": text}


def response_body(call: ModelCall, answer: Answer, items: list[Item], counts: dict[str, int]) -> dict[str, Any]:
    """Return a whole response, or an incomplete one if the answer was cut."""
    reasons = {"length": "max_output_tokens", "content_filter": "content_filter"}
    reason = reasons.get(answer.finish_reason)
    reasoning_tokens = len(answer.reasoning)
    usage = {
        "input_tokens": counts["prompt_tokens"],
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": counts["completion_tokens"],
        "output_tokens_details": {"reasoning_tokens": reasoning_tokens},
        "total_tokens": counts["prompt_tokens"] + counts["completion_tokens"],
    }
    return _envelope(
        call,
        status="incomplete" if reason else "completed",
        completed_at=None if reason else call.now + 1,
        incomplete_details={"reason": reason} if reason else None,
        output=items,
        usage=usage,
    )


def begun_body(call: ModelCall, status: str = "in_progress", error: Item | None = None) -> dict[str, Any]:
    """Return a response without output: begun, queued or failed."""
    return _envelope(call, status=status, error=error)


def _envelope(call: ModelCall, **known: Any) -> dict[str, Any]:
    effort = (call.body.get("reasoning") or {}).get("effort") or "medium"
    form = (call.body.get("text") or {}).get("format") or {"type": "text"}
    echoed = {name: default if call.body.get(name) is None else call.body[name] for name, default in _ECHOED.items()}
    return {
        "id": f"resp_{salt_of(call)}", "object": "response", "created_at": call.now, "status": "completed",
        "billing": {"payer": "developer"}, "completed_at": None, "error": None, "frequency_penalty": 0.0,
        "incomplete_details": None, "model": call.model.id, "output": [], "presence_penalty": 0.0,
        "reasoning": {"effort": effort, "summary": None}, "service_tier": "default",
        "text": {"format": form, "verbosity": "medium"}, "usage": None, **echoed, **known,
    }  # fmt: skip


def sealed(call: ModelCall, items: list[Item], when: str) -> list[Item]:
    """Return the items with the reasoning encrypted; each time anew, as OpenAI does."""
    return [
        {**item, "encrypted_content": seal(call, item["id"], when)} if item["type"] == "reasoning" else item
        for item in items
    ]


def item_events(call: ModelCall, request: ResponsesRequest, items: list[Item]) -> Iterator[Event]:
    """Yield the events of the output items, without sequence numbers."""
    makers: dict[str, Callable[[Item, Event], Iterator[Event]]] = {
        "reasoning": _reasoning_events,
        "message": _message_events,
        "web_search_call": _search_events,
    }
    for index, item in enumerate(items):
        begun = {key: value for key, value in item.items() if key != "encrypted_content"}
        done = item
        if request.encrypted and item["type"] == "reasoning":
            begun, done = {**begun, "encrypted_content": "gAAAAAB"}, sealed(call, [item], "d")[0]
        empty: Event = {"content": []} if "content" in item else {"summary": []} if "summary" in item else {}
        empty |= {key: "" for key in ("arguments", "input") if key in item}
        status = {"status": "in_progress"} if "status" in item else {}
        yield {"type": "response.output_item.added", "output_index": index, "item": {**begun, **empty, **status}}
        at = {"item_id": item["id"], "output_index": index}
        yield from makers.get(item["type"], _call_events)(item, at)
        yield {"type": "response.output_item.done", "output_index": index, "item": done}


def _reasoning_events(item: Item, at: Event) -> Iterator[Event]:
    for index, part in enumerate(item["summary"]):
        where = {**at, "summary_index": index}
        name = "response.reasoning_summary"
        yield {"type": f"{name}_part.added", **where, "part": {"type": "summary_text", "text": ""}}
        for number, piece in enumerate(pieces(part["text"])):
            yield {"type": f"{name}_text.delta", **where, "delta": piece, "obfuscation": _padding(number)}
        yield {"type": f"{name}_text.done", **where, "text": part["text"]}
        yield {"type": f"{name}_part.done", **where, "part": part}


def _message_events(item: Item, at: Event) -> Iterator[Event]:
    (part,) = item["content"]
    where = {**at, "content_index": 0}
    name = "refusal" if part["type"] == "refusal" else "text"
    kind = "refusal" if name == "refusal" else "output_text"
    empty = {**part, name: "", **({"annotations": [], "logprobs": []} if name == "text" else {})}
    yield {"type": "response.content_part.added", **where, "part": empty}
    probable = part.get("logprobs") or ()
    for number, piece in enumerate(pieces(part[name])):
        more = {"logprobs": list(probable[number : number + 1]), "obfuscation": _padding(number)}
        yield {"type": f"response.{kind}.delta", **where, "delta": piece, **(more if name == "text" else {})}
    for number, note in enumerate(part.get("annotations") or ()):
        added = {"type": "response.output_text.annotation.added", **where, "annotation_index": number}
        yield {**added, "annotation": note}
    more = {"logprobs": list(probable)} if name == "text" else {}
    yield {"type": f"response.{kind}.done", **where, name: part[name], **more}
    yield {"type": "response.content_part.done", **where, "part": part}


def _call_events(item: Item, at: Event) -> Iterator[Event]:
    key = "arguments" if item["type"] == "function_call" else "input"
    name = "function_call_arguments" if key == "arguments" else "custom_tool_call_input"
    for number, piece in enumerate(pieces(item[key])):
        yield {"type": f"response.{name}.delta", **at, "delta": piece, "obfuscation": _padding(number)}
    if item["status"] == "completed":  # a call that was cut has no end of its own
        yield {"type": f"response.{name}.done", **at, key: item[key]}


def _search_events(item: Item, at: Event) -> Iterator[Event]:
    for step in ("in_progress", "searching", "completed"):
        yield {"type": f"response.web_search_call.{step}", **at}


def _padding(number: int) -> str:
    return hashlib.md5(str(number).encode(), usedforsecurity=False).hexdigest()[:16]
