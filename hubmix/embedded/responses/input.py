"""The input items of `/v1/responses`: their checks, and chat messages."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from hubmix.embedded.call import ModelCall
from hubmix.embedded.checks import RefusedError, refused

Item = Mapping[str, Any]
Message = Mapping[str, Any]

CALLS = {"function_call": "arguments", "custom_tool_call": "input"}
RESULTS = {"function_call_output": "function_call", "custom_tool_call_output": "custom_tool_call"}
_PARTS = {
    "input_text": "text", "output_text": "text", "refusal": "refusal", "input_image": "image_url",
    "input_file": "file", "input_audio": "input_audio",
}  # fmt: skip
_INPUT = {"input_text", "input_image", "input_file", "input_audio"}
_ALLOWED = {"user": _INPUT, "system": _INPUT, "developer": _INPUT, "assistant": {"output_text", "refusal"}}
_FROM_REASONING = re.compile(r"(?:fc|msg|ctc)_([0-9a-f]{40})\w*r")  # an item that came with a reasoning item
_SEAL = "gAAAAAB"


def seal(call: ModelCall, item_id: str, when: str) -> str:
    """Return the encrypted content of a reasoning item; `when` varies it."""
    return f"{_SEAL}{when}{_digest(call, item_id)}"


def _digest(call: ModelCall, item_id: str) -> str:
    return hashlib.sha256(f"{call.model.id}|{call.key}|{item_id}".encode()).hexdigest()


def messages_of(call: ModelCall, earlier: Sequence[Message] = ()) -> list[Message]:
    """Return the messages of a request, after those of an earlier response.

    Raises:
        RefusedError: an item is none, stands alone, or was made by another model or key.
    """
    given = call.body.get("input") or ()
    items = [{"role": "user", "content": given}] if isinstance(given, str) else list(given)
    messages: list[Message] = list(earlier)
    for at, item in enumerate(items):
        if not isinstance(item, dict):
            raise _refused(f"Invalid type for 'input[{at}]': expected an object.", f"input[{at}]", "invalid_type")
        kind = item.get("type") or "message"
        if kind == "message":
            messages.append(_message(at, item))
        elif kind == "reasoning":
            _check_reasoning(call, item, items[at + 1] if at + 1 < len(items) else {})
        elif kind in CALLS:
            _add_call(messages, item, joins=bool(at) and items[at - 1].get("type") in CALLS)
        elif kind in RESULTS:
            content = _content(at, item.get("output"), _INPUT)
            messages.append({"role": "tool", "tool_call_id": item.get("call_id"), "content": content})
    _check_ids(items)
    _check_calls(messages)
    return messages


def _refused(message: str, param: str = "input", code: str | None = None, status: int = 400) -> RefusedError:
    return refused(message, param, code, status)


def _message(at: int, item: Item) -> Message:
    role = item.get("role")
    if role not in _ALLOWED:
        supported = ", ".join(f"'{name}'" for name in ("assistant", "system", "developer", "user"))
        words = f"Invalid value: '{role}'. Supported values are: {supported}."
        raise _refused(words, f"input[{at}].role", "invalid_value")
    for name in item.keys() - {"type", "role", "content", "id", "status", "phase"}:
        where = f"input[{at}].{name}"
        raise _refused(f"Unknown parameter: '{where}'.", where, "unknown_parameter")
    return {"role": role, "content": _content(at, item.get("content"), _ALLOWED[role])}


def _content(at: int, content: Any, allowed: set[str]) -> str | list[dict[str, Any]]:
    if isinstance(content, str):
        return content
    where = f"input[{at}].content"
    if not isinstance(content, list):
        raise _refused(f"Invalid type for '{where}': expected a string or an array.", where, "invalid_type")
    parts: list[dict[str, Any]] = []
    for position, part in enumerate(content):
        kind = part.get("type") if isinstance(part, dict) else None
        if kind not in allowed:
            supported = " and ".join(f"'{name}'" for name in sorted(allowed))
            words = f"Invalid value: '{kind}'. Supported values are: {supported}."
            raise _refused(words, f"{where}[{position}]", "invalid_value")
        name = _PARTS[kind]
        value = part.get("refusal" if kind == "refusal" else "text", "")
        is_text = kind in ("input_text", "output_text", "refusal")
        parts.append({"type": name, name: value if is_text else {"url": str(part.get("image_url") or "")}})
    return parts


def _add_call(messages: list[Message], item: Item, *, joins: bool) -> None:
    """Add a call, to the message of the call in front of it if there is one."""
    arguments = item.get("arguments")
    if item.get("type") == "custom_tool_call":
        arguments = json.dumps({"input": item.get("input")})
    call = {
        "id": item.get("call_id"),
        "type": "function",
        "function": {"name": item.get("name"), "arguments": arguments},
    }
    if joins:
        call_before = messages.pop()
        messages.append({**call_before, "tool_calls": [*call_before["tool_calls"], call]})
    else:
        messages.append({"role": "assistant", "content": None, "tool_calls": [call]})


def _check_reasoning(call: ModelCall, item: Item, following: Item) -> None:
    item_id, kind = str(item.get("id")), str(following.get("type") or ("message" if following else ""))
    follows = kind == "reasoning" or kind.endswith("_call") or following.get("role") == "assistant"
    if not follows:
        words = "was provided without its required following item."
        raise _refused(f"Item '{item_id}' of type 'reasoning' {words}")
    if not isinstance(item.get("summary"), list):
        raise _refused("Missing required parameter: 'input[].summary'.", code="missing_required_parameter")
    sealed = item.get("encrypted_content")
    if sealed and not str(sealed).endswith(_digest(call, item_id)):
        words = f"The encrypted content for item {item_id} could not be verified."
        raise refused(words, code="invalid_encrypted_content")
    if not sealed and (call.body.get("store") is False or item_id not in call.memory):
        why = " Items are not persisted when `store` is set to false." if call.body.get("store") is False else ""
        raise _refused(f"Item with id '{item_id}' not found.{why}", status=404)


def _check_ids(items: Sequence[Item]) -> None:
    ids = [str(item["id"]) for item in items if item.get("id")]
    for item_id in ids:
        if ids.count(item_id) > 1:
            raise _refused(f"Duplicate item found with id {item_id}. Remove duplicate items from your input.")
        match = _FROM_REASONING.fullmatch(item_id)
        if match and f"rs_{match[1]}" not in ids:
            kind = {"fc": "function_call", "msg": "message"}.get(item_id.partition("_")[0], "custom_tool_call")
            words = f"was provided without its required 'reasoning' item: 'rs_{match[1]}'."
            raise _refused(f"Item '{item_id}' of type '{kind}' {words}")


def _check_calls(messages: Sequence[Message]) -> None:
    called = [call["id"] for message in messages for call in message.get("tool_calls") or ()]
    answered = [message["tool_call_id"] for message in messages if message["role"] == "tool"]
    for call_id in answered:
        if call_id not in called:
            raise _refused(f"No tool call found for function call output with call_id {call_id}.")
    for call_id in called:
        if call_id not in answered:
            raise _refused(f"No tool output found for function call {call_id}.")
