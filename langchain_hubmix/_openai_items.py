"""Histories that `ChatOpenAI` made over the Responses API, as items. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

Item = dict[str, Any]

_IDS_OF_CALLS = "__openai_function_call_ids__"
_ADDED_BY_LANGCHAIN = ("index", "extras")
_RAW = frozenset({"mcp_list_tools", "mcp_approval_request", "compaction", "program", "program_output"})


def items_of_openai(message: Any) -> list[Item] | None:
    """Return the items of an answer of `ChatOpenAI`, in any output version.

    Args:
        message: an `AIMessage` of another class than this package's.

    Returns:
        None if the answer did not come over the Responses API, or if its items cannot be put together again.
    """
    about, extras = message.response_metadata, message.additional_kwargs
    provider = about.get("model_provider")  # which ChatOpenAI before 1.0 did not name
    if provider != "openai" and (provider is not None or not str(about.get("id") or "").startswith("resp_")):
        return None
    blocks = [block for block in message.content if isinstance(block, Mapping)] if _is_list(message.content) else []
    ids: Mapping[str, str] = extras.get(_IDS_OF_CALLS) or {}
    items: list[Item] = []
    if isinstance(extras.get("reasoning"), Mapping):  # ChatOpenAI before 1.0
        items.append({"type": "reasoning", **extras["reasoning"]})
    items += [dict(item) for item in extras.get("tool_outputs") or () if isinstance(item, Mapping)]
    for block in blocks:
        if not _add(items, block):
            return None
    known = {item.get("call_id") for item in items}
    items += [_call(call, ids.get(call["id"])) for call in message.tool_calls if call["id"] not in known]
    return items if any(item.get("type") not in ("message", "function_call") for item in items) else None


def is_item(kind: Any) -> bool:
    """Return True for the type of an item that only the Responses API has."""
    return isinstance(kind, str) and (kind.endswith(("_call", "_output")) or kind in _RAW)


def _is_list(content: Any) -> bool:
    return isinstance(content, Sequence) and not isinstance(content, str)


def _add(items: list[Item], block: Mapping[str, Any]) -> bool:
    """Add a content block as an item or to the last one; False if it is unknown."""
    kind = str(block.get("type"))
    if kind == "non_standard" and isinstance(block.get("value"), Mapping):
        return _add(items, block["value"])
    if kind == "reasoning":
        _add_reasoning(items, block)
    elif kind in ("text", "output_text", "refusal"):
        _add_part(items, block)
    elif kind in ("tool_call", "server_tool_call"):
        return _add_call(items, block)
    elif kind == "server_tool_result":
        return _add_result(items, block)
    elif kind == "image" and block.get("base64") and block.get("id"):
        image = {"id": block["id"], "status": "completed", "result": block["base64"]}
        items.append({"type": "image_generation_call", **image})
    elif is_item(kind):
        items.append({key: value for key, value in block.items() if key not in _ADDED_BY_LANGCHAIN})
    else:
        return False
    return True


def _add_reasoning(items: list[Item], block: Mapping[str, Any]) -> None:
    """Add a reasoning item; the standard form has one block for each summary part."""
    if "summary" in block:
        items.append({key: value for key, value in block.items() if key not in _ADDED_BY_LANGCHAIN})
        return
    parts = [{"type": "summary_text", "text": block["reasoning"]}] if block.get("reasoning") else []
    last = items[-1] if items else {}
    if last.get("type") == "reasoning" and block.get("id") and last.get("id") == block["id"]:
        last["summary"] += parts
        return
    sealed = block.get("encrypted_content") or (block.get("extras") or {}).get("encrypted_content")
    item: Item = {"type": "reasoning", "id": block.get("id"), "summary": parts, "encrypted_content": sealed}
    items.append({key: value for key, value in item.items() if value is not None})


def _add_part(items: list[Item], block: Mapping[str, Any]) -> None:
    if block.get("type") == "refusal":
        part: Item = {"type": "refusal", "refusal": block.get("refusal") or ""}
    else:
        part = {"type": "output_text", "text": block.get("text") or "", "annotations": []}
    last = items[-1] if items else {}
    if last.get("type") == "message" and last.get("id") == block.get("id"):
        last["content"].append(part)
        return
    phase = block.get("phase") or (block.get("extras") or {}).get("phase")
    item: Item = {"type": "message", "role": "assistant", "content": [part], "id": block.get("id"), "phase": phase}
    items.append({key: value for key, value in item.items() if value is not None})


def _add_call(items: list[Item], block: Mapping[str, Any]) -> bool:
    extras = block.get("extras") or {}
    if block.get("type") == "tool_call":
        items.append(_call(block, extras.get("item_id")))
        return True
    name, arguments = block.get("name"), block.get("args") or {}
    item: Item = {"type": f"{name}_call", "id": block.get("id"), "status": "completed"}
    if name == "web_search":
        item["action"] = dict(arguments)
    elif name in ("file_search", "code_interpreter"):
        item |= {**extras, **arguments}
    else:
        return False
    items.append(item)
    return True


def _add_result(items: list[Item], block: Mapping[str, Any]) -> bool:
    call = next((item for item in reversed(items) if item.get("id") == block.get("tool_call_id")), None)
    if call is None:
        return False
    output = block.get("output")
    if call["type"] == "code_interpreter_call":
        call["outputs"] = output
    elif call["type"] == "file_search_call":
        call["results"] = output
    elif isinstance(output, Mapping) and output.get("sources"):
        call["action"] = {**call["action"], "sources": output["sources"]}
    return True


def _call(call: Mapping[str, Any], item_id: str | None) -> Item:
    arguments = json.dumps(call["args"], ensure_ascii=False)
    item = {"type": "function_call", "call_id": call["id"], "name": call["name"], "arguments": arguments}
    return {**item, "id": item_id} if item_id else item
