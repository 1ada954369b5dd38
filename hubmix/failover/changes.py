"""How amendments change the body of a request. Pure.

Each change returns the same object if there is nothing to change, and shares with the old body what stays as it was.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from hubmix.wire.messages.thinking import is_kind, unforced, without_thinking
from hubmix.wire.responses.body import ENCRYPTED
from hubmix.wire.responses.items import bound_marks, without_bound

Body = Mapping[str, Any]


def without_fields(*names: str) -> Callable[[Body, str], Body]:
    def change(body: Body, said: str) -> Body:
        return _leave_out(body, names)

    return change


def _leave_out(body: Body, names: Iterable[str]) -> Body:
    found = [name for name in names if name in body]
    return {name: value for name, value in body.items() if name not in found} if found else body


def renamed(old: str, new: str) -> Callable[[Body, str], Body]:
    def change(body: Body, said: str) -> Body:
        if old not in body or new in body:
            return body
        return {new if name == old else name: value for name, value in body.items()}

    return change


def without_strict(body: Body, said: str) -> Body:
    if "input" in body:
        return _unstrict(body)
    return _without_key(body, ("tools", "response_format", "text"), "strict")


def _unstrict(body: Body) -> Body:
    """Set `strict` to false: the Responses API takes a missing one for true."""
    tools = [{**tool, "strict": False} if tool.get("strict") else tool for tool in body.get("tools") or ()]
    text = body.get("text") or {}
    described = text.get("format") or {}
    changed: dict[str, Any] = {}
    if any(new is not old for new, old in zip(tools, body.get("tools") or (), strict=True)):
        changed["tools"] = tools
    if described.get("strict"):
        changed["text"] = {**text, "format": {**described, "strict": False}}
    return {**body, **changed} if changed else body


def _without_key(body: Body, fields: tuple[str, ...], key: str) -> Body:
    changed = {name: _pruned(body[name], key) for name in fields if body.get(name)}
    if all(changed[name] is body[name] for name in changed):
        return body
    return {**body, **changed}


def _pruned(value: Any, key: str, depth: int = 3) -> Any:
    """Return `value` without a key of its outer objects.

    A schema deeper down may have a property of that name.
    """
    if depth == 0:
        return value
    if isinstance(value, list):
        items = [_pruned(item, key, depth) for item in value]
        return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
    if not isinstance(value, dict):
        return value
    pruned = {name: _pruned(item, key, depth - 1) for name, item in value.items() if name != key}
    same = len(pruned) == len(value) and all(pruned[name] is value[name] for name in value)
    return value if same else pruned


def in_messages(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[Body, str], Body]:
    """Return the change of a body that applies `change` to each message."""

    def changed(body: Body, said: str) -> Body:
        messages = body.get("messages")
        if not isinstance(messages, list):
            return body
        shaped = [change(message) if isinstance(message, dict) else message for message in messages]
        same = all(new is old for new, old in zip(shaped, messages, strict=True))
        return body if same else {**body, "messages": shaped}

    return changed


_REASONING = ("reasoning_content", "reasoning_details", "reasoning", "thinking_blocks")


def without_reasoning(message: dict[str, Any]) -> dict[str, Any]:
    return dict(_leave_out(message, _REASONING)) if any(name in message for name in _REASONING) else message


def reasoning_as_effort(body: Body, said: str) -> Body:
    """Send the effort under its other name, and leave the other settings out."""
    reasoning = body.get("reasoning")
    if not isinstance(reasoning, Mapping) or "input" in body:
        return body
    effort = reasoning.get("effort")
    return {**_leave_out(body, ("reasoning",)), **({"reasoning_effort": effort} if effort else {})}


def joined_text(message: dict[str, Any]) -> dict[str, Any]:
    parts = message.get("content")
    if not isinstance(parts, list) or not all(isinstance(part, dict) and part.get("type") == "text" for part in parts):
        return message
    return {**message, "content": "\n".join(str(part.get("text", "")) for part in parts)}


def system_role(message: dict[str, Any]) -> dict[str, Any]:
    return {**message, "role": "system"} if message.get("role") == "developer" else message


def free_choice(body: Body, said: str) -> Body:
    choice = body.get("tool_choice")
    kind = choice.get("type") if isinstance(choice, Mapping) else choice
    if kind in (None, "auto", "none"):
        return body
    free = unforced(choice)
    return {**body, "tool_choice": "auto" if free is choice else free}


def mapped_ids(fits: re.Pattern[str], make: Callable[[str], str]) -> Callable[[Body, str], Body]:
    def rename(given: str) -> str:
        return given if fits.fullmatch(given) else make(given)

    return lambda body, said: _with_ids(body, rename, rename)


def digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def unique_ids(body: Body, said: str) -> Body:
    """Number repeated ids; each result follows the call that it answers."""
    seen: dict[str, int] = defaultdict(int)
    waiting: dict[str, deque[str]] = defaultdict(deque)

    def of_call(given: str) -> str:
        seen[given] += 1
        new = given if seen[given] == 1 else f"{given}-{seen[given]}"
        waiting[given].append(new)
        return new

    def of_result(given: str) -> str:
        return waiting[given].popleft() if waiting[given] else given

    return _with_ids(body, of_call, of_result)


def _with_ids(body: Body, of_call: Callable[[str], str], of_result: Callable[[str], str]) -> Body:
    """Return a body in which calls and their results have other ids."""

    def of_message(message: dict[str, Any]) -> dict[str, Any]:
        calls = message.get("tool_calls")
        if isinstance(calls, list):
            renamed = [_with_id(call, "id", of_call) for call in calls]
            if any(new is not old for new, old in zip(renamed, calls, strict=True)):
                message = {**message, "tool_calls": renamed}
        message = _with_id(message, "tool_call_id", of_result)
        return message

    changed = in_messages(of_message)(body, "")
    items = changed.get("input")
    if not isinstance(items, list):
        return changed
    shaped = [_with_id(item, "call_id", of_result if _is_result(item) else of_call) for item in items]
    same = all(new is old for new, old in zip(shaped, items, strict=True))
    return changed if same else {**changed, "input": shaped}


def _is_result(item: Any) -> bool:
    return isinstance(item, dict) and str(item.get("type", "")).endswith("_output")


def _with_id(holder: Any, name: str, rename: Callable[[str], str]) -> Any:
    given = holder.get(name) if isinstance(holder, dict) else None
    if not isinstance(given, str) or (new := rename(given)) == given:
        return holder
    return {**holder, name: new}


def without_encrypted(body: Body, said: str) -> Body:
    include = body.get("include")
    if not isinstance(include, list) or ENCRYPTED not in include:
        return body
    rest = [name for name in include if name != ENCRYPTED]
    return {**body, "include": rest} if rest else _leave_out(body, ("include",))


def bound_marks_of(body: Body) -> str:
    return bound_marks(body.get("input"))


def without_bound_items(body: Body, marks: str) -> Body:
    items = body.get("input")
    unbound = without_bound(items, marks)
    return body if unbound is items else {**body, "input": unbound}


SAMPLING = ("temperature", "top_p", "top_k", "presence_penalty", "frequency_penalty", "seed")


def without_named_sampling(body: Body, said: str) -> Body:
    """Leave out the sampling parameters that the refusal names.

    Of two that exclude each other, the second goes.
    """
    named = [name for name in SAMPLING if name in body and re.search(rf"\b{name}\b", said)]
    return _leave_out(body, named[-1:] if _BOTH.search(said) else named)


_BOTH = re.compile(r"\b(both|together|only one)\b", re.IGNORECASE)


def thinking_as(kind: str, change_it: Callable[[Body], Body]) -> Callable[[Body, str], Body]:
    def change(body: Body, said: str) -> Body:
        return change_it(body) if is_kind(body, kind) else body

    return change


_THINKING = ("reasoning_effort", "reasoning", "thinking", "enable_thinking")


def without_unsigned_thinking(body: Body, said: str) -> Body:
    """Ask for no thinking if calls of the history have no signed thoughts.

    Claude requires the signatures.
    """
    if not any(name in body for name in _THINKING):
        return body
    unsigned = [message for message in body.get("messages") or () if _is_unsigned_call(message)]
    if not unsigned:
        return body
    return _leave_out(without_thinking(body), _THINKING)


def _is_unsigned_call(message: Any) -> bool:
    if not isinstance(message, Mapping) or message.get("role") != "assistant":
        return False
    content = message.get("content")
    kinds = [block.get("type") for block in content if isinstance(block, Mapping)] if isinstance(content, list) else []
    called = bool(message.get("tool_calls")) or "tool_use" in kinds
    signed = message.get("reasoning_details") or message.get("thinking_blocks")
    return called and not signed and "thinking" not in kinds
