"""A message's standard content blocks, for answers of this provider.

LangChain's own translators lose something each: the one for OpenAI the reasoning, the fallback the refusal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from langchain_core.messages import AIMessageChunk
from langchain_core.messages.block_translators import register_translator
from langchain_core.messages.content import KNOWN_BLOCK_TYPES

from hubmix.wire.responses.items import output_texts
from hubmix.wire.responses.reply import SEPARATOR, reasoning_parts
from langchain_hubmix._messages import PROVIDER
from langchain_hubmix._output_items import OUTPUT_ITEMS, item_blocks, refusal_block, server_blocks

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from langchain_core.messages import AIMessage
    from langchain_core.messages.content import ContentBlock

Block = dict[str, Any]


def translate_content(message: AIMessage) -> list[ContentBlock]:
    """Reasoning, text with citations, media, refusal, then the valid tool calls.

    Args:
        message: An answer of this provider, whole.

    Returns:
        LangChain's standard blocks. Tool calls that must not be executed stay in `invalid_tool_calls`, where LangChain
        keeps them.
    """
    blocks = _spoken(message)
    return cast("list[ContentBlock]", blocks + _missing_calls(message, blocks))


def translate_chunk(chunk: AIMessageChunk) -> list[ContentBlock]:
    """The same for a piece of a stream, or for pieces already merged.

    Each block names its place in the message (`index`), so that pieces of one block find each other when merged, and
    two pictures, which come with the last chunk, do not.
    """
    blocks = _spoken(chunk)
    counts: dict[str, int] = {}
    for block in blocks:
        kind = block["type"]
        counts[kind] = number = counts.get(kind, -1) + 1
        block.setdefault("index", f"lc_{kind}_{number}" if number else f"lc_{kind}")
    whole = chunk.chunk_position == "last"
    if whole:
        blocks += [call for call in _missing_calls(chunk, blocks) if call["id"]]
    for piece in chunk.tool_call_chunks:
        if not whole or not piece.get("id"):
            block = {"type": "tool_call_chunk", "id": piece["id"], "name": piece["name"], "args": piece["args"]}
            if piece.get("index") is not None:
                block["index"] = piece["index"]
            blocks.append(block)
    return cast("list[ContentBlock]", blocks)


def _missing_calls(message: AIMessage, blocks: Sequence[Block]) -> list[Block]:
    """The valid tool calls without a block; Responses places its own."""
    known = {block["id"] for block in blocks if block["type"] == "tool_call"}
    return [block for call_id, block in _call_blocks(message).items() if call_id not in known]


def _call_blocks(message: AIMessage) -> dict[Any, Block]:
    return {
        call.get("id"): {"type": "tool_call", "id": call.get("id"), "name": call["name"], "args": call["args"]}
        for call in message.tool_calls
    }


def _is_whole(message: AIMessage, items: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the message holds all its items; a stream's last chunk does not."""
    said = message.content if isinstance(message.content, str) else str(message.text)
    thoughts = SEPARATOR.join(part for item in items for part in reasoning_parts(item))
    whole = "".join(text for item in items for text in output_texts(item))
    return said == whole and message.additional_kwargs.get("reasoning_content", "") == thoughts


def _spoken(message: AIMessage) -> list[Block]:
    extras = message.additional_kwargs
    content = message.content
    items = extras.get(OUTPUT_ITEMS) or ()
    if items and not (content or extras.get("reasoning_content") or message.tool_calls):
        return list(_closing(items, message))
    if items and _is_whole(message, items):
        return list(item_blocks(items, _call_blocks(message), _annotation))
    blocks = list(_text(content, message))
    called = {call.get("call_id") for call in items if call.get("type") == "function_call"}
    blocks += [block for item in items if item.get("call_id") not in called for block in server_blocks(item)]
    reasoning = extras.get("reasoning_content")
    if reasoning and not any(block["type"] == "reasoning" for block in blocks):
        blocks.insert(0, {"type": "reasoning", "reasoning": reasoning})
    for picture in _listed(extras.get("images")):
        blocks.append(_picture(picture))
    if audio := extras.get("audio"):
        blocks.append(_sound(audio))
    if refusal := extras.get("refusal"):
        blocks.append(refusal_block(refusal))
    return blocks


def _closing(items: Sequence[Mapping[str, Any]], message: AIMessage) -> Iterable[Block]:
    """Return the blocks of a stream's last chunk, whose words have been told before.

    Reasoning and text get ids, phase, encrypted content and citations. Where several of a kind have words, those were
    streamed as one block, which gets the citations alone. Custom calls are left out: only the merged message tells one
    of the caller from one that the server has run.
    """
    blocks = list(item_blocks([item for item in items if item.get("type") != "custom_tool_call"], {}, _annotation))
    for kind in ("reasoning", "text"):
        found = [block for block in blocks if block["type"] == kind]
        if len(found) == 1 or not any(block[kind] for block in found):
            yield from ({**block, kind: ""} for block in found)
        elif kind == "text":
            yield from _text("", message)
    yield from (block for block in blocks if block["type"] not in ("reasoning", "text"))


def _text(content: str | list[Any], message: AIMessage) -> Iterable[Block]:
    notes = _citations(message)
    if isinstance(content, str):
        if content or notes:
            yield {"type": "text", "text": content, **({"annotations": notes} if notes else {})}
        return
    for block in content:
        if isinstance(block, str):
            yield {"type": "text", "text": block}
        elif block.get("type") in KNOWN_BLOCK_TYPES:
            if block["type"] not in ("tool_call", "tool_call_chunk", "invalid_tool_call"):
                yield dict(block)
        else:
            yield {"type": "non_standard", "value": block}


def _citations(message: AIMessage) -> list[Block]:
    """Citations of every form that hubs pass on, each address once."""
    found = message.response_metadata
    notes: list[Block] = []
    seen: set[str] = set()
    for note in _listed(found.get("annotations")):
        notes.append(_annotation(note))
        seen.add(notes[-1].get("url", ""))
    for key in ("search_results", "citations"):
        for entry in _listed(found.get(key)):
            source = entry if isinstance(entry, dict) else {"url": entry}
            url = source.get("url") or source.get("link")
            if isinstance(url, str) and url not in seen:
                seen.add(url)
                notes.append({"type": "citation", "url": url, **_chosen(source, title="title")})
    return notes


def _listed(value: Any) -> list[Any]:
    """Return a list, whatever a hub put there; the metadata keeps the rest."""
    return value if isinstance(value, list) else []


def _annotation(note: Any) -> Block:
    cited = note.get("url_citation") if isinstance(note, dict) else None
    if isinstance(note, dict) and note.get("type") == "url_citation":
        source = cited if isinstance(cited, dict) else note
        names = _chosen(source, url="url", title="title", start_index="start_index", end_index="end_index")
        return {"type": "citation", **names, **_chosen(source, cited_text="content")}
    if isinstance(note, dict) and note.get("type") == "file_citation":
        return {"type": "citation", **_chosen(note, title="filename"), "extras": _chosen(note, file_id="file_id")}
    return {"type": "non_standard_annotation", "value": note if isinstance(note, dict) else {"annotation": note}}


def _chosen(source: dict[str, Any], **names: str) -> Block:
    """Return the fields of the right type: whole numbers for places, text else."""
    found = ((name, source.get(key), int if name.endswith("_index") else str) for name, key in names.items())
    return {name: value for name, value, kind in found if isinstance(value, kind)}


def _picture(picture: Any) -> Block:
    url = picture.get("image_url") if isinstance(picture, dict) else picture
    if isinstance(url, dict):
        url = url.get("url")
    if not isinstance(url, str):
        return {"type": "non_standard", "value": picture if isinstance(picture, dict) else {"image": picture}}
    if url.startswith("data:") and ";base64," in url:
        head, _, data = url.partition(";base64,")
        return {"type": "image", "base64": data, "mime_type": head[len("data:") :]}
    return {"type": "image", "url": url}


def _sound(audio: dict[str, Any]) -> Block:
    block: Block = {"type": "audio"}
    if audio.get("id"):
        block["id"] = audio["id"]
    if audio.get("data"):
        block["base64"] = audio["data"]
    if audio.get("transcript"):
        block["extras"] = {"transcript": audio["transcript"]}
    return block


def register_blocks() -> None:
    """Register this translator with LangChain for its `model_provider`. Idempotent."""
    register_translator(PROVIDER, translate_content, cast("Any", translate_chunk))
