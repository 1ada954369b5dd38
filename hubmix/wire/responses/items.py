"""The messages of a chat payload as input items. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from hubmix.wire.expressible import ITEM_PARTS

Item = dict[str, Any]
Own = Callable[[Mapping[str, Any]], bool]

CALLS = {"function_call": "arguments", "custom_tool_call": "input"}
_RESULTS = ("function_call_output", "custom_tool_call_output")
# The items that a server takes without the reasoning they came with.
_PLAIN = frozenset({"message", *CALLS})


def input_items(messages: Sequence[Mapping[str, Any]], own: Own, *, stored: bool) -> list[Item]:
    """Translate the messages of a chat payload into input items.

    Args:
        messages: the chat payload's messages.
        own: takes what a message says of its origin; true if this route made it, so that its items mean something here.
        stored: whether the server keeps answers, so that reasoning may go back by its id alone.
    """
    items: list[Item] = []
    custom: set[Any] = set()  # ids of custom calls, whose results have a type of their own
    for message in messages:
        role = message.get("role")
        if role == "assistant":
            made = assistant_items(message, own, stored=stored)
            custom.update(item.get("call_id") for item in made if item.get("type") == "custom_tool_call")
            items += made
        elif role in ("tool", "function"):
            items.append(_result(message, custom))
        else:
            items += _given(role, message.get("content"))
    return _with_each_id_once(items)


def _with_each_id_once(items: list[Item]) -> list[Item]:
    """Keep a repeated id on its last item: xAI gives several thoughts one id."""
    seen: set[Any] = set()
    for position in range(len(items) - 1, -1, -1):
        item_id = items[position].get("id")
        if item_id in seen:
            items[position] = {key: value for key, value in items[position].items() if key != "id"}
        elif item_id:
            seen.add(item_id)
    return items


def assistant_items(message: Mapping[str, Any], own: Own, *, stored: bool) -> list[Item]:
    """Return an earlier answer as items; another route's as text and calls."""
    origin = message.get("hubmix_reasoning")
    if isinstance(origin, Mapping) and origin.get("items") and own(origin):
        kept = _unchanged(origin["items"], message)
        if kept is not None:
            return sendable(kept, stored=stored)
    return [*_spoken(message), *_called(message)]


def sendable(items: Sequence[Item], *, stored: bool) -> list[Item]:
    """Leave out the reasoning that a server refuses, and then what is bound to it.

    Reasoning needs its encrypted content (or its text) and the item it came with directly behind it: "Item 'rs_…' of
    type 'reasoning' was provided without its required following item." Without it, ids and hosted items go as well.
    """
    kept: list[Item] = []
    lost = False
    for item in reversed(items):
        if item.get("type") == "reasoning" and not (kept and _carried(item, stored=stored)):
            lost = True
            continue
        kept.append(_completed(item))
    kept.reverse()
    return _unbound(kept) if lost else kept


def _completed(item: Item) -> Item:
    """Fill in what one-hub leaves out: roles, summaries, empty texts."""
    if item.get("type") == "reasoning":
        return item if isinstance(item.get("summary"), list) else {**item, "summary": []}
    if item.get("type") != "message":
        return item
    content = item.get("content")
    if isinstance(content, list) and any(_type(p) == "output_text" and "text" not in p for p in content):
        content = [{"text": "", **part} if _type(part) == "output_text" else part for part in content]
    return {"role": "assistant", **item, "content": content}


def bound_marks(items: Any) -> str:
    """Return marks of the items that one account alone can read, for `without_bound`."""
    return " ".join(mark for item in _dicts(items) if (mark := _mark(item)))


def without_bound(items: Any, marks: str) -> Any:
    """Take reasoning, ids and hosted items off the answers that hold a marked item.

    Args:
        items: the `input` of a body.
        marks: what `bound_marks` returned for a body that was refused.

    Returns:
        New items, or the same object if no item is marked.
    """
    known = set(marks.split())
    if not known or not any(_mark(item) in known for item in _dicts(items)):
        return items
    kept: list[Any] = []
    answer: list[Item] = []
    for item in [*items, None]:
        if item is not None and _is_of_answer(item):
            answer.append(item)
            continue
        refused = any(_mark(one) in known for one in answer)
        kept += _unbound(answer) if refused else answer
        answer = []
        kept += [item] if item is not None else []
    return kept


def _dicts(items: Any) -> Iterator[Item]:
    return (item for item in (items if isinstance(items, list) else ()) if isinstance(item, dict))


def _mark(item: Mapping[str, Any]) -> str:
    held = item.get("encrypted_content") or item.get("id")
    return hashlib.sha256(held.encode(errors="replace")).hexdigest()[:16] if isinstance(held, str) else ""


def _is_of_answer(item: Any) -> bool:
    given = item.get("role") in ("user", "system", "developer") or item.get("type") in _RESULTS
    return isinstance(item, dict) and not given


def _carried(item: Item, *, stored: bool) -> bool:
    content = item.get("content")
    worded = isinstance(content, list) and any(_type(part) == "reasoning_text" for part in content)
    return bool(item.get("encrypted_content") or worded or (stored and item.get("id")))


def _unbound(items: Sequence[Item]) -> list[Item]:
    return [{key: value for key, value in item.items() if key != "id"} for item in items if item.get("type") in _PLAIN]


def _unchanged(items: Sequence[Item], message: Mapping[str, Any]) -> list[Item] | None:
    """The items that the message still stands for; None if its text was changed since.

    A caller may have taken calls out of the message (their items go too), or put another text in.
    """
    said = "".join(text for item in items for text in output_texts(item))
    if said != _text(message.get("content")):
        return None
    called = {call.get("id") for call in message.get("tool_calls") or () if isinstance(call, Mapping)}
    kept = [item for item in items if item.get("type") not in CALLS or item.get("call_id") in called]
    if called - {item.get("call_id") for item in kept}:
        return None
    return kept


def output_texts(item: Mapping[str, Any]) -> Iterator[str]:
    """The texts of a message item; nothing for any other."""
    content = item.get("content") if item.get("type") == "message" else None
    for part in content if isinstance(content, list) else ():
        if isinstance(part, Mapping) and isinstance(part.get("text"), str):
            yield part["text"]


def _text(content: Any) -> str:
    if isinstance(content, list):
        return "".join(part if isinstance(part, str) else str(part.get("text") or "") for part in content)
    return content or ""


def _spoken(message: Mapping[str, Any]) -> list[Item]:
    content, refusal = message.get("content"), message.get("refusal")
    given = content if isinstance(content, list) else [content] if content else []
    parts: list[Item] = []
    for part in given:
        text = part if isinstance(part, str) else part.get("text")
        if text:
            parts.append({"type": "output_text", "text": text, "annotations": []})
        elif not isinstance(part, str) and part.get("refusal"):
            parts.append({"type": "refusal", "refusal": part["refusal"]})
    if refusal:
        parts.append({"type": "refusal", "refusal": refusal})
    return [{"type": "message", "role": "assistant", "content": parts}] if parts else []


def _called(message: Mapping[str, Any]) -> Iterator[Item]:
    for call in message.get("tool_calls") or ():
        custom = call.get("custom")
        if isinstance(custom, Mapping):
            yield _call_item("custom_tool_call", call.get("id"), custom, "input")
        else:
            yield _call_item("function_call", call.get("id"), call.get("function") or {}, "arguments")
    legacy = message.get("function_call")
    if isinstance(legacy, Mapping):
        yield _call_item("function_call", _legacy_id(legacy.get("name")), legacy, "arguments")


def _call_item(kind: str, call_id: Any, call: Mapping[str, Any], field: str) -> Item:
    return {"type": kind, "call_id": call_id, "name": call.get("name") or "", field: call.get(field) or ""}


def _legacy_id(name: Any) -> str:
    """An id for the old `function_call` form, of which one is open at a time."""
    return f"call_{name}"


def _result(message: Mapping[str, Any], custom: set[Any]) -> Item:
    call_id = message.get("tool_call_id") if message.get("role") == "tool" else _legacy_id(message.get("name"))
    kind = "custom_tool_call_output" if call_id in custom else "function_call_output"
    return {"type": kind, "call_id": call_id, "output": _input_content(message.get("content"))}


def _given(role: Any, content: Any) -> list[Item]:
    """Return a message, behind the items that LangChain carries among its content."""
    lifted = [part for part in content if _type(part) in ITEM_PARTS] if isinstance(content, list) else []
    if lifted and not (content := [part for part in content if _type(part) not in ITEM_PARTS]):
        return lifted
    return [*lifted, {"type": "message", "role": role, "content": _input_content(content)}]


def _input_content(content: Any) -> Any:
    if isinstance(content, list):
        return [_input_part(part) for part in content]
    return content or ""


def _input_part(part: Any) -> Any:
    if isinstance(part, str):
        return {"type": "input_text", "text": part}
    writer = _PARTS.get(_type(part))
    if writer is None:
        return part
    # A cache marker is a hint for Anthropic's wire, and an unknown parameter here.
    rest = {key: value for key, value in part.items() if key not in ("type", "image_url", "file", "cache_control")}
    return {**rest, **writer(part)}


def _input_image(part: Mapping[str, Any]) -> Item:
    image = part.get("image_url")
    if not isinstance(image, Mapping):
        return {"type": "input_image", "image_url": image}
    detail = image.get("detail")
    return {"type": "input_image", "image_url": image.get("url"), **({"detail": detail} if detail else {})}


def _input_file(part: Mapping[str, Any]) -> Item:
    file = dict(part.get("file") or {})
    data = file.get("file_data")
    if isinstance(data, str) and data.startswith(("http://", "https://")):
        return {"type": "input_file", "file_url": data}
    return {"type": "input_file", **file}


_PARTS = {
    "text": lambda part: {"type": "input_text", "text": part.get("text") or ""},
    "image_url": _input_image,
    "file": _input_file,
}


def _type(part: Any) -> Any:
    return part.get("type") if isinstance(part, Mapping) else None
