"""Output items of the Responses API as LangChain's standard content blocks. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from langchain_core.messages.content import KNOWN_BLOCK_TYPES

from hubmix.wire.json_text import loads

Block = dict[str, Any]
Item = Mapping[str, Any]
Annotate = Callable[[Any], Block]

OUTPUT_ITEMS = "output_items"
"""Key of `AIMessage.additional_kwargs`: the items of an answer as they came, for the way back."""

# LangChain's name of the server's tool, the fields that are its arguments, and the field that is its result.
_SERVER_TOOLS: Mapping[str, tuple[str, tuple[str, ...], str]] = {
    "web_search_call": ("web_search", (), "results"),
    "file_search_call": ("file_search", ("queries",), "results"),
    "code_interpreter_call": ("code_interpreter", ("code",), "outputs"),
    "mcp_call": ("remote_mcp", (), "output"),
    "mcp_list_tools": ("mcp_list_tools", (), "tools"),
    "x_search_call": ("x_search", (), "results"),
}
_STATUSES = {"failed": "error", "incomplete": "error"}


def item_blocks(items: Sequence[Item], calls: Mapping[str, Block], annotate: Annotate) -> Iterator[Block]:
    """Yield the blocks of an answer in the order of its items.

    Args:
        items: the items of the answer.
        calls: the blocks of the calls that the caller may run, by id; a call of no id here is the server's own.
        annotate: makes the annotation of a text block from one of the API.
    """
    for item in items:
        kind = item.get("type")
        if kind == "message":
            yield from _message(item, annotate)
        elif kind == "reasoning":
            yield _reasoning(item)
        elif kind in ("function_call", "custom_tool_call") and item.get("call_id") in calls:
            yield calls[item["call_id"]]
        elif kind == "image_generation_call" and item.get("result"):
            yield _image(item)
        else:
            yield from server_blocks(item)


def server_blocks(item: Item) -> Iterator[Block]:
    """Yield the call and result of a server's tool, or a non-standard block."""
    kind, item_id = str(item.get("type")), item.get("id") or item.get("call_id")
    if kind == "custom_tool_call" and item_id:
        name, arguments, result = str(item.get("name")), {"input": item.get("input")}, None
    elif kind in _SERVER_TOOLS and item_id:
        name, fields, held = _SERVER_TOOLS[kind]
        arguments, result = _arguments(item, fields), _result(item, held)
    else:
        if kind not in ("function_call", "message", "reasoning"):  # a call that must not run is in invalid_tool_calls
            yield {"type": "non_standard", "value": dict(item)}
        return
    known = {"type", "id", "action", "arguments", "status", "error", *_SERVER_TOOLS.get(kind, ("", (), ""))[1]}
    extras = {
        key: value for key, value in item.items() if key not in known and value is not None and value is not result
    }
    call: Block = {"type": "server_tool_call", "id": item_id, "name": name, "args": arguments}
    yield {**call, "extras": extras} if extras else call
    answer: Block = {"type": "server_tool_result", "tool_call_id": item_id, "status": _status(item)}
    if result is not None:
        answer["output"] = result
    if item.get("error"):
        answer["extras"] = {"error": item["error"]}
    yield answer


def _arguments(item: Item, fields: tuple[str, ...]) -> dict[str, Any]:
    action, text = item.get("action"), item.get("arguments")
    if isinstance(action, Mapping):
        return {key: value for key, value in action.items() if key != "sources"}
    if isinstance(text, str) and text:
        try:
            parsed = loads(text)
        except ValueError:
            return {"arguments": text}
        return parsed if isinstance(parsed, dict) else {"arguments": parsed}
    return {field: item[field] for field in fields if item.get(field) is not None}


def _result(item: Item, field: str) -> Any:
    action = item.get("action")
    if isinstance(action, Mapping) and action.get("sources"):
        return {"sources": action["sources"]}
    return item.get(field)


def _status(item: Item) -> str:
    return "error" if item.get("error") else _STATUSES.get(str(item.get("status")), "success")


def _message(item: Item, annotate: Annotate) -> Iterator[Block]:
    content = item.get("content")
    for part in content if isinstance(content, list) else ():
        block: Block = {"type": "text", "text": part.get("text") or ""}
        if isinstance(part.get("refusal"), str):
            block = refusal_block(part["refusal"])
        elif part.get("annotations"):
            block["annotations"] = [annotate(note) for note in part["annotations"]]
        if item.get("id"):
            block["id"] = item["id"]
        if item.get("phase"):
            block["extras"] = {"phase": item["phase"]}
        yield block


def refusal_block(text: str) -> Block:
    """Return a refusal as a standard block: one since langchain-core 1.8.

    Before, `content_blocks` takes no type that it does not know.
    """
    block = {"type": "refusal", "refusal": text}
    return block if "refusal" in KNOWN_BLOCK_TYPES else {"type": "non_standard", "value": block}


def _reasoning(item: Item) -> Block:
    parts = [part for field in ("summary", "content") for part in item.get(field) or () if isinstance(part, Mapping)]
    texts = list(dict.fromkeys(part["text"] for part in parts if part.get("text")))
    block: Block = {"type": "reasoning", "reasoning": "\n\n".join(texts)}
    if item.get("id"):
        block["id"] = item["id"]
    if item.get("encrypted_content"):
        block["extras"] = {"encrypted_content": item["encrypted_content"]}
    return block


def _image(item: Item) -> Block:
    block: Block = {
        "type": "image",
        "base64": item["result"],
        "mime_type": f"image/{item.get('output_format') or 'png'}",
    }
    if item.get("id"):
        block["id"] = item["id"]
    names = ("revised_prompt", "size", "quality", "background", "status")
    extras = {name: item[name] for name in names if item.get(name)}
    return {**block, "extras": extras} if extras else block
