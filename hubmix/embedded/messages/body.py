"""An answer as a message of Anthropic's API, and its errors."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hubmix.embedded.call import ModelCall
from hubmix.embedded.conversation import json_object
from hubmix.embedded.http import Response, json_response
from hubmix.embedded.messages.request import MessagesRequest, marks
from hubmix.embedded.messages.turns import REDACTED, sign
from hubmix.embedded.rules import Answer, respond

Event = dict[str, Any]
STOP_REASONS = {"stop": "end_turn", "tool_calls": "tool_use", "length": "max_tokens", "content_filter": "refusal"}
_ERROR_TYPES = {401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error"}


def refusal_response(call_id: str, status: int, body: object) -> Response:
    """Return a vendor's error in Anthropic's form, which this API hands on as it came."""
    given = body.get("error") if isinstance(body, Mapping) else None
    error = given if isinstance(given, Mapping) else {}
    kind = error.get("type") or _ERROR_TYPES.get(status)
    told = {"type": kind or ("invalid_request_error" if status < 500 else "api_error")}
    told["message"] = str(error.get("message") or body)
    return json_response(status, {"type": "error", "error": told, "request_id": f"req_{call_id}"})


def content_blocks(call: ModelCall, request: MessagesRequest, answer: Answer) -> list[Event]:
    """Return the blocks of an answer, whole."""
    blocks: list[Event] = []
    if request.thinks:
        thinking = "".join(answer.reasoning) if request.shows else ""
        blocks.append({"type": "thinking", "thinking": thinking, "signature": sign(call, thinking)})
        if "redacted_thinking" in call.model.features:
            blocks.append({"type": "redacted_thinking", "data": sign(call, REDACTED)})
    if answer.text:
        blocks.append({"type": "text", "text": "".join(answer.text)})
    for at, made in enumerate(answer.calls):
        tool_use = {"type": "tool_use", "id": f"toolu_{salt_of(call)[:22]}{at}", "name": made.name}
        blocks.append({**tool_use, "input": json_object(made.arguments)})
    return blocks


def stop_of(call: ModelCall, request: MessagesRequest, answer: Answer) -> Event:
    """Return why the answer ended, and by which stop sequence."""
    if answer.refusal or answer.finish_reason == "content_filter":
        details = {"type": "refusal", "explanation": "".join(answer.refusal) or "The answer was stopped."}
        return {"stop_reason": "refusal", "stop_sequence": None, "stop_details": details}
    said = "".join(answer.text)
    free = "".join(respond(call.model, replace(request.chat, stop=())).text) if request.chat.stop else said
    met = next((stop for stop in request.chat.stop if free[len(said) :].startswith(stop)), None)
    if met is not None:
        return {"stop_reason": "stop_sequence", "stop_sequence": met}
    return {"stop_reason": STOP_REASONS[answer.finish_reason], "stop_sequence": None}


def salt_of(call: ModelCall) -> str:
    """Return what the ids of a message are made of: the same for the same request."""
    return hashlib.sha256(json.dumps(call.body.get("messages"), sort_keys=True).encode()).hexdigest()


def cached_tokens(call: ModelCall, prompt: int) -> int:
    """Return the tokens up to the last cache mark; negative if not yet cached."""
    if not marks(dict(call.body)):
        return 0
    told = json.dumps([call.body.get("tools"), call.body.get("system"), call.body["messages"]], sort_keys=True)
    prefix = told[: told.rfind('"cache_control"')] if '"cache_control"' in told else told
    known = f"cache|{call.key}|{call.model.id}|{hashlib.sha256(prefix.encode()).hexdigest()}"
    tokens = max(1, min(prompt, len(prefix) // 4))
    read = known in call.memory
    call.memory[known] = True
    return tokens if read else -tokens


def usage_of(counts: dict[str, int], cached: int) -> Event:
    """Return the usage; `cached` is what `cached_tokens` says."""
    created, read = max(0, -cached), max(0, cached)
    return {
        "input_tokens": counts["prompt_tokens"] - created - read,
        "cache_creation_input_tokens": created,
        "cache_read_input_tokens": read,
        "cache_creation": {"ephemeral_5m_input_tokens": created, "ephemeral_1h_input_tokens": 0},
        "output_tokens": counts["completion_tokens"],
        "service_tier": "standard",
    }
