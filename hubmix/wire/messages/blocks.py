"""Content blocks of the Messages API, made from parts of a chat payload. Pure."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hubmix.wire.fields import kept_blocks
from hubmix.wire.json_text import loads

Block = dict[str, Any]

MARK = "cache_control"


def content_blocks(content: Any) -> list[Block]:
    """Translate the content of a chat message.

    Blank texts are left out: Anthropic answers 400 to them.

    Blocks in Anthropic's own form pass unchanged.
    """
    parts = content if isinstance(content, list) else [content]
    return [block for part in parts if (block := _block(part)) is not None]


def tool_result(message: Mapping[str, Any]) -> Block:
    """Translate a tool message.

    A cache mark in its content is moved to the result, where alone it is allowed."""
    content = message.get("content")
    result: Block = {"type": "tool_result", "tool_use_id": message.get("tool_call_id")}
    mark = message.get(MARK)
    if isinstance(content, list):
        blocks = content_blocks(content)
        mark = mark or next((block[MARK] for block in reversed(blocks) if block.get(MARK)), None)
        result["content"] = [{key: value for key, value in block.items() if key != MARK} for block in blocks]
    elif content:
        result["content"] = content
    if message.get("status") == "error" or message.get("is_error"):
        result["is_error"] = True
    return {**result, MARK: mark} if mark else result


def assistant_blocks(message: Mapping[str, Any], own: bool) -> list[Block]:
    """Translate an assistant message.

    Its blocks go back as they came if this route made them; otherwise its text and calls do.

    Args:
        message: the message of a chat payload.
        own: whether the route made it; signatures mean nothing to another model or hub.
    """
    origin = message.get("hubmix_reasoning")
    kept = kept_blocks(origin.get("details")) if own and isinstance(origin, Mapping) else None
    if kept is not None and _still_says(kept, message):
        return marked([block for block in kept if not _is_blank(block)], message.get(MARK))
    said = [block for block in content_blocks(message.get("content")) if block["type"] not in _THINKING]
    if message.get("refusal") and not said:
        said = [{"type": "text", "text": message["refusal"]}]
    return marked([*said, *_calls(message)], message.get(MARK))


def marked(blocks: list[Block], mark: Any) -> list[Block]:
    """The blocks with a cache mark on the last one that may carry it."""
    if mark:
        for position in range(len(blocks) - 1, -1, -1):
            if blocks[position]["type"] not in _THINKING:
                blocks[position] = {**blocks[position], MARK: mark}
                break
    return blocks


_THINKING = frozenset({"thinking", "redacted_thinking"})


def _block(part: Any) -> Block | None:
    if part is None or isinstance(part, str):
        return {"type": "text", "text": part} if part and part.strip() else None
    kind = part.get("type")
    if kind == "text":
        return None if _is_blank(part) else dict(part)
    if kind == "refusal":
        return _block(part.get("refusal"))
    writer = _WRITERS.get(kind)
    if writer is None:
        return dict(part)
    block = writer(part)
    return {**block, MARK: part[MARK]} if part.get(MARK) else block


def _is_blank(block: Mapping[str, Any]) -> bool:
    return block.get("type") == "text" and not str(block.get("text") or "").strip()


def _image(part: Mapping[str, Any]) -> Block:
    image = part.get("image_url")
    url = image.get("url") if isinstance(image, Mapping) else image
    return {"type": "image", "source": _source(str(url or ""))}


def _document(part: Mapping[str, Any]) -> Block:
    file = part.get("file") or {}
    if file.get("file_id"):
        source: Block = {"type": "file", "file_id": file["file_id"]}
    else:
        source = _source(str(file.get("file_data") or ""), "application/pdf")
    block: Block = {"type": "document", "source": source}
    if title := part.get("title") or file.get("filename"):
        block["title"] = title
    return {**block, **{name: part[name] for name in ("context", "citations") if part.get(name) is not None}}


def _source(url: str, media_type: str = "image/png") -> Block:
    """Return the source of a block from a data URL, bare Base64 or a web address."""
    if url.startswith("data:"):
        head, _, data = url[5:].partition(",")
        media_type = head.split(";")[0] or media_type
        if media_type.startswith("text/") and head.endswith("base64"):
            text = _decoded(data)
            if text is not None:
                return {"type": "text", "media_type": "text/plain", "data": text}
        return {"type": "base64", "media_type": media_type, "data": data}
    if url.startswith(("http://", "https://")):
        return {"type": "url", "url": url}
    return {"type": "base64", "media_type": media_type, "data": url}


def _decoded(data: str) -> str | None:
    try:
        return base64.b64decode(data).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        return None


_WRITERS = {"image_url": _image, "file": _document}


def _calls(message: Mapping[str, Any]) -> Iterator[Block]:
    for call in message.get("tool_calls") or ():
        function = call.get("function") or {}
        yield {
            "type": "tool_use",
            "id": call.get("id"),
            "name": function.get("name") or "",
            "input": _input(function.get("arguments")),
        }


def _input(arguments: Any) -> dict[str, Any]:
    """Return arguments as an object; broken JSON becomes the one field `arguments`."""
    if isinstance(arguments, Mapping):
        return dict(arguments)
    try:
        value = loads(arguments or "{}", strict=False)
    except ValueError:
        return {"arguments": arguments}
    return value if isinstance(value, dict) else {"arguments": value} if value is not None else {}


def _still_says(blocks: Sequence[Block], message: Mapping[str, Any]) -> bool:
    """Whether the message still has the text and calls of its blocks."""
    said = "".join(block.get("text") or "" for block in blocks if block.get("type") == "text")
    content = message.get("content")
    if isinstance(content, list):
        content = "".join(part if isinstance(part, str) else str(part.get("text") or "") for part in content)
    called = [call.get("id") for call in message.get("tool_calls") or ()]
    made = [block.get("id") for block in blocks if block.get("type") == "tool_use"]
    return said == (content or "") and called == made
