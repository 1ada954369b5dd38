"""ChatMessage to the wire: pure, linear, without copies of the caller's data.

A message is a plain string on the wire wherever all its blocks are text: many OpenAI-compatible vendors take nothing
else for the roles system, assistant and tool. The other direction is `_replies.py`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from mimetypes import guess_type
from typing import Any

from llama_index.core.base.llms.types import (
    AudioBlock,
    CachePoint,
    ChatMessage,
    CitableBlock,
    CitationBlock,
    DocumentBlock,
    ImageBlock,
    MessageRole,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
    VideoBlock,
)

from hubmix.errors import ConfigurationError
from hubmix.wire.fields import CITABLE
from hubmix.wire.media import kind_of

Part = dict[str, Any]

INVALID_CALLS = "invalid_tool_calls"
"""Key of `ChatMessage.additional_kwargs`: the tool calls that must not be executed, each with its `error`."""

OUTPUT_ITEMS = "output_items"
"""Key of `ChatMessage.additional_kwargs`: the items of an answer over the Responses API as they came."""

ORIGIN = "origin"
"""Key of `ChatMessage.additional_kwargs`: the model, hub and API that answered."""

REASONING_DETAILS = "reasoning_details"
REASONING_MODEL = "model"
"""Keys of `ThinkingBlock.additional_information`: what the hub sent with the text, and the model that wrote it."""

_ROLES = {
    MessageRole.SYSTEM: "system",
    MessageRole.DEVELOPER: "developer",
    MessageRole.USER: "user",
    MessageRole.ASSISTANT: "assistant",
    MessageRole.FUNCTION: "function",
    MessageRole.TOOL: "tool",
    MessageRole.CHATBOT: "assistant",
    MessageRole.MODEL: "assistant",
}
_ROLE_OF_VALUE = {role.value: name for role, name in _ROLES.items()}

# Fields of a message that hubs take besides those made from blocks (DeepSeek's `prefix`, Kimi's `partial`). All else in
# `additional_kwargs` is LlamaIndex's own book-keeping: an agent's `return_direct` puts a `tool_call_id` into a message
# of the assistant, and vendors refuse that.
_PASSED = ("name", "prefix", "partial")


class RemoteContent(Exception):  # noqa: N818  (not an error: the caller is asked to come again from a thread)
    """Converting these messages means a download, which must not block an event loop."""


def to_wire(messages: Sequence[ChatMessage], *, download: bool = True) -> list[dict[str, Any]]:
    """The `messages` of a chat.completions body.

    Args:
        messages: The conversation; left as it is.
        download: Whether audio and documents given by an http(s) URL may be fetched here: the wire has no field for
            their URL. Images and videos go as URLs and are never fetched.

    Returns:
        One dict a message. An assistant message that carries reasoning has the private key ``hubmix_reasoning``, which
        the hub's shaping turns into what the candidate takes back.

    Raises:
        RemoteContent: `download` is false and something would have to be fetched.
        ConfigurationError: a block that has no content or no place on the wire.
    """
    wire: list[dict[str, Any]] = []
    for number, message in enumerate(messages):
        blocks = message.blocks
        # The plain case first: a history of a thousand turns is nearly all of it.
        if len(blocks) == 1 and type(blocks[0]) is TextBlock and not message.additional_kwargs:
            wire.append({"role": _ROLE_OF_VALUE[message.role._value_], "content": blocks[0].text})
        else:
            unanswered = (
                _unanswered(message, messages[number + 1 :]) if INVALID_CALLS in message.additional_kwargs else ()
            )
            wire.append(_message(message, wire, download, unanswered))
    return wire


def _unanswered(message: ChatMessage, later: Sequence[ChatMessage]) -> set[Any]:
    """Return the ids of calls without an answer: vendors refuse such a history."""
    answered = {extras.get("tool_call_id", extras.get("call_id")) for extras in (m.additional_kwargs for m in later)}
    return {_plain(call).get("id") for call in message.additional_kwargs[INVALID_CALLS] or ()} - answered


def _message(
    message: ChatMessage, earlier: list[dict[str, Any]], download: bool, unanswered: Collection[Any]
) -> dict[str, Any]:
    role = _ROLE_OF_VALUE[message.role._value_]
    extras = message.additional_kwargs
    entry: dict[str, Any] = {"role": role, "content": _content(message.blocks, role, earlier, download)}
    if role == "user" and any(map(_is_cited, message.blocks)):
        entry[CITABLE] = _content(message.blocks, role, earlier, download, own_form=True)
    for key in _PASSED:
        if key in extras:
            entry[key] = extras[key]
    if role == "assistant":
        _add_assistant_fields(entry, message, unanswered)
    elif role == "tool" and (call_id := extras.get("tool_call_id", extras.get("call_id"))) is not None:
        entry["tool_call_id"] = call_id
    return entry


# ---------------------------------------------------------------------------------------------------- assistant


def _add_assistant_fields(entry: dict[str, Any], message: ChatMessage, unanswered: Collection[Any]) -> None:
    extras = message.additional_kwargs
    if calls := _tool_calls(message, unanswered):
        entry["tool_calls"] = calls
    elif function_call := extras.get("function_call"):
        entry["function_call"] = _plain(function_call)
    if (calls or "function_call" in entry) and not entry["content"]:
        entry["content"] = None
    reasoning = _reasoning(message)
    if items := extras.get(OUTPUT_ITEMS):
        reasoning = {**(reasoning or {"model": None, "text": "", "details": None}), "items": items}
    if reasoning:
        entry["hubmix_reasoning"] = {**reasoning, **(extras.get(ORIGIN) or {})}
    if reference := extras.get("reference_audio_id"):
        entry["audio"] = {"id": reference}


def _tool_calls(message: ChatMessage, unanswered: Collection[Any]) -> list[dict[str, Any]]:
    legacy = [_plain(call) for call in message.additional_kwargs.get("tool_calls") or ()]
    blocks = [block for block in message.blocks if isinstance(block, ToolCallBlock)]
    if not blocks:
        return [_legacy_call(call, number) for number, call in enumerate(legacy) if call.get("id") not in unanswered]
    known = {call.get("id"): call for call in legacy}
    return [
        _block_call(block, number, known.get(block.tool_call_id, {}))
        for number, block in enumerate(blocks)
        if block.tool_call_id is None or block.tool_call_id not in unanswered
    ]


def _block_call(block: ToolCallBlock, number: int, legacy: Mapping[str, Any]) -> dict[str, Any]:
    """Return the block with what the vendor wants back, such as Gemini's signature."""
    if legacy.get("type") == "custom":
        return dict(legacy)
    call = _call(block.tool_call_id, number, block.tool_name, block.tool_kwargs)
    return call | {key: legacy[key] for key in legacy.keys() - _CALL_KEYS} if legacy else call


def _legacy_call(call: Mapping[str, Any], number: int) -> dict[str, Any]:
    """One entry of `additional_kwargs["tool_calls"]`, in the wire's or a flat form."""
    if call.get("type") == "custom":
        return dict(call)
    function = call.get("function") or call
    wire = _call(call.get("id"), number, function.get("name") or "", function.get("arguments"))
    return wire | {key: call[key] for key in call.keys() - _CALL_KEYS}


_CALL_KEYS = frozenset({"id", "type", "index", "function", "name", "arguments"})


def _call(call_id: str | None, number: int, name: str, arguments: Any) -> dict[str, Any]:
    if not isinstance(arguments, str):
        arguments = json.dumps(arguments or {}, ensure_ascii=False, default=str)
    function = {"name": name, "arguments": arguments or "{}"}
    return {"id": call_id or f"call_{number}", "type": "function", "function": function}


def _reasoning(message: ChatMessage) -> dict[str, Any] | None:
    blocks = [block for block in message.blocks if isinstance(block, ThinkingBlock)]
    extras = message.additional_kwargs
    if not blocks:
        text, details = extras.get("reasoning_content"), extras.get(REASONING_DETAILS)
        return {"model": None, "text": text or "", "details": details} if text or details else None
    if len(blocks) == 1:
        return _reasoning_of(blocks[0])
    parts = [_reasoning_of(block) for block in blocks]
    details = [part["details"] for part in parts if part["details"]]
    joined = details[0] if len(details) == 1 else [item for entry in details for item in _as_list(entry)]
    model = parts[0]["model"]
    text = "\n".join(part["text"] for part in parts if part["text"])
    return {"model": model, "text": text, "details": joined or None}


def _reasoning_of(block: ThinkingBlock) -> dict[str, Any]:
    extra = block.additional_information
    details = extra.get(REASONING_DETAILS)
    if details is None and "signature" in extra:  # as LlamaIndex's own Anthropic class keeps it
        details = [{"type": "thinking", "thinking": block.content or "", "signature": extra["signature"]}]
    return {"model": extra.get(REASONING_MODEL), "text": block.content or "", "details": details}


# ------------------------------------------------------------------------------------------------------ content


def _content(
    blocks: Sequence[Any], role: str, earlier: list[dict[str, Any]], download: bool, *, own_form: bool = False
) -> str | list[Part]:
    """Return content parts; with `own_form` a citable block is a search result."""
    parts: list[Part] = []
    for block in blocks:
        kind = type(block)
        if kind is TextBlock:
            parts.append({"type": "text", "text": block.text})
        elif kind is ThinkingBlock or kind is ToolCallBlock:
            continue
        elif own_form and _is_cited(block):
            parts.append(_search_result(block))
        elif isinstance(block, CachePoint):
            _mark_for_cache(parts, earlier, block)
        else:
            parts.extend(_parts(block, role, download))
    if all(part.keys() == _TEXT_KEYS for part in parts):
        # The same separator as `ChatMessage.content`, so that the model reads what the caller sees.
        return parts[0]["text"] if len(parts) == 1 else "\n".join(part["text"] for part in parts)
    return [part for part in parts if part.get("text") != ""]  # vendors refuse empty text parts


_TEXT_KEYS = {"type", "text"}


def _mark_for_cache(parts: list[Part], earlier: list[dict[str, Any]], block: CachePoint) -> None:
    """Put the marker on the block before it, or on the message before."""
    control = {"type": block.cache_control.type}
    if block.cache_control.ttl != "5m":  # the vendor's default, which older gateways do not know by name
        control["ttl"] = block.cache_control.ttl
    if not parts and earlier:
        content = earlier[-1].get("content")
        if isinstance(content, str) and content:
            content = earlier[-1]["content"] = [{"type": "text", "text": content}]
        parts = content if isinstance(content, list) else []
    if parts:
        parts[-1]["cache_control"] = control


def _parts(block: Any, role: str, download: bool) -> list[Part]:
    for kind, convert in _CONVERTERS:
        if isinstance(block, kind):
            return convert(block, role, download)
    name = type(block).__name__
    raise ConfigurationError(f"A {name} has no place in a message to a hub; send its text as a TextBlock.")


def _text(block: TextBlock, role: str, download: bool) -> list[Part]:
    return [{"type": "text", "text": block.text}]


def _image(block: ImageBlock, role: str, download: bool) -> list[Part]:
    url = str(block.url) if block.url else _data_url(block, block.image_mimetype, "image/png")
    image: dict[str, Any] = {"url": url}
    if block.detail:
        image["detail"] = block.detail
    return [{"type": "image_url", "image_url": image}]


def _video(block: VideoBlock, role: str, download: bool) -> list[Part]:
    url = str(block.url) if block.url else _data_url(block, block.video_mimetype, "video/mp4")
    part: Part = {"type": "video_url", "video_url": {"url": url}}
    if block.detail:
        part["video_url"]["detail"] = block.detail
    if block.fps:
        part["fps"] = block.fps
    return [part]


def _audio(block: AudioBlock, role: str, download: bool) -> list[Part]:
    if role == "assistant":
        return []  # goes back by its id: `reference_audio_id`
    _check_remote(block, download)
    data = _content_of(block)
    kind, _, heard = kind_of(data).partition("/")
    sound_format = block.format or (heard if kind == "audio" else "wav")
    return [{"type": "input_audio", "input_audio": {"data": _base64(data), "format": sound_format}}]


def _document(block: DocumentBlock, role: str, download: bool) -> list[Part]:
    _check_remote(block, download)
    name = block.title or "document"
    guessed = guess_type(str(block.path or block.url or name))[0]  # core knows no text by its name
    file_data = _data_url(block, block.document_mimetype, guessed)
    return [{"type": "file", "file": {"filename": name, "file_data": file_data}}]


def _is_cited(block: Any) -> bool:
    return isinstance(block, CitableBlock) and all(type(inner) is TextBlock for inner in block.content)


def _search_result(block: CitableBlock) -> Part:
    said = [{"type": "text", "text": inner.text} for inner in block.content if isinstance(inner, TextBlock)]
    about = {"source": block.source, "title": block.title}
    return {"type": "search_result", **about, "content": said, "citations": {"enabled": True}}


def _citable(block: CitableBlock, role: str, download: bool) -> list[Part]:
    # The OpenAI dialect has no citable documents: the source is named in the text, where the model can cite it.
    head: Part = {"type": "text", "text": f"[{block.title}] ({block.source})"}
    return [head, *(part for inner in block.content for part in _parts(inner, role, download))]


def _citation(block: CitationBlock, role: str, download: bool) -> list[Part]:
    # In an assistant message it annotates what was said and was not itself said.
    return [] if role == "assistant" else _parts(block.cited_content, role, download)


_CONVERTERS: tuple[tuple[type, Callable[[Any, str, bool], list[Part]]], ...] = (
    (TextBlock, _text),
    (ImageBlock, _image),
    (AudioBlock, _audio),
    (VideoBlock, _video),
    (DocumentBlock, _document),
    (CitableBlock, _citable),
    (CitationBlock, _citation),
)


# ------------------------------------------------------------------------------------------------------- binary


def _check_remote(block: AudioBlock | DocumentBlock, download: bool) -> None:
    if not download and block.url and str(block.url).startswith(("http:", "https:")):
        raise RemoteContent(str(block.url))


def _data_url(block: ImageBlock | VideoBlock | DocumentBlock, declared: str | None, otherwise: str | None) -> str:
    data = _content_of(block)
    return f"data:{declared or kind_of(data) or otherwise or _text_or_not(data)};base64,{_base64(data)}"


def _text_or_not(data: bytes) -> str:
    try:
        return "application/octet-stream" if "\0" in data.decode() else "text/plain"
    except UnicodeDecodeError:
        return "application/octet-stream"


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _content_of(block: ImageBlock | VideoBlock | AudioBlock | DocumentBlock) -> bytes:
    try:
        return _resolve(block)
    except ValueError as error:
        raise ConfigurationError(f"A {type(block).__name__} in the messages has no content: {error}.") from error


def _resolve(block: ImageBlock | VideoBlock | AudioBlock | DocumentBlock) -> bytes:
    if isinstance(block, ImageBlock):
        return bytes(block.resolve_image().read())
    if isinstance(block, VideoBlock):
        return bytes(block.resolve_video().read())
    if isinstance(block, AudioBlock):
        return bytes(block.resolve_audio().read())
    return bytes(block.resolve_document().read())


# ------------------------------------------------------------------------------------------------------ helpers


def _plain(value: Any) -> dict[str, Any]:
    """A dict of a dict or of an SDK object."""
    if isinstance(value, Mapping):
        return dict(value)
    dump = getattr(value, "model_dump", None)
    return dict(dump(exclude_none=True)) if dump is not None else {}


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
