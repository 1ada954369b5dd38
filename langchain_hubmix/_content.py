"""Content blocks to content parts of the OpenAI wire. Pure.

Every dialect that can stand in a LangChain history is read: OpenAI's own parts, LangChain's standard blocks of v0
(`source_type`) and v1 (`url`, `base64`, `file_id`), Anthropic's (`source`), the Responses API's (`input_text`) and
Gemini's (`media`). Prompt-cache markers stay on the part they were on: for Claude behind a hub they are what makes a
repeated prompt cheap.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import TYPE_CHECKING, Any

from langchain_hubmix._errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Part = dict[str, Any]

# Calls travel in `tool_calls`, reasoning under a key of its own, and a hub refuses either inside `content`.
NOT_CONTENT = frozenset(
    {
        "tool_call",
        "tool_call_chunk",
        "invalid_tool_call",
        "tool_use",
        "input_json_delta",
        "function_call",
        "server_tool_call",
        "server_tool_call_chunk",
        "server_tool_result",
        "reasoning",
        "reasoning_content",
        "thinking",
        "redacted_thinking",
        "refusal",
    }
)
_AUDIO_FORMATS = {"mpeg": "mp3", "x-wav": "wav", "wave": "wav", "vnd.wave": "wav", "x-m4a": "m4a", "mp4": "m4a"}


def part_of(block: str | Mapping[str, Any]) -> Part | None:
    """Return one content part, or None for a block that is not `content`.

    Args:
        block: a string or a content block of any dialect named above. A block of an unknown type passes as it is: the
            hub may know it.

    Raises:
        ConfigurationError: the block is of a known type but holds none of the things it can hold.
    """
    if isinstance(block, str):
        return {"type": "text", "text": block}
    kind = block.get("type")
    if kind in NOT_CONTENT:
        return None
    writer = _WRITERS.get(kind) if isinstance(kind, str) else None
    if writer is not None:
        part = writer(block)
    elif isinstance(block.get("text"), str) and kind is None:
        part = {"type": "text", "text": block["text"]}
    else:
        part = own_form(block)
    for marker in _MARKERS:
        held = block if marker in block else block.get("extras") or {}
        if marker in held and marker not in part and (held[marker] or marker != "cache_control"):
            part[marker] = held[marker]
    return part


def own_form(block: Mapping[str, Any]) -> Part:
    """Return the block without the keys that LangChain adds to merge streamed blocks."""
    return {key: value for key, value in block.items() if key not in ("index", "id", "extras")}


def is_cited(block: Any) -> bool:
    """Return whether a block is a document of Anthropic's that the answer is to cite."""
    wanted = block.get("citations") if isinstance(block, dict) and block.get("type") == "document" else None
    return isinstance(wanted, dict) and bool(wanted.get("enabled"))


# What marks the end of a cached prefix, for Claude and for OpenAI. A standard block holds it among its `extras`.
_MARKERS = ("cache_control", "prompt_cache_breakpoint")
# Keys of a text block that are LangChain's, or that another provider's answer brought; a vendor's own keys are sent.
_NOT_SENT = frozenset(
    {"type", "text", "index", "id", "extras", "annotations", "citations", "source_type", "mime_type", "metadata"}
    | {"signature", "phase", "logprobs"}
)


def _text(block: Mapping[str, Any]) -> Part:
    own = {key: value for key, value in block.items() if key not in _NOT_SENT and value is not None}
    return {"type": "text", "text": block.get("text") or "", **own}


def _json(block: Mapping[str, Any]) -> Part:
    value = block.get("json", block)
    return {"type": "text", "text": json.dumps(value, ensure_ascii=False, default=str)}


def _non_standard(block: Mapping[str, Any]) -> Part:
    value = block.get("value")
    inner = part_of(value) if isinstance(value, dict) else None
    return inner if inner is not None else _json({"json": value})


def _image_url(block: Mapping[str, Any]) -> Part:
    image = block.get("image_url")
    if isinstance(image, str):
        detail = block.get("detail")
        return {"type": "image_url", "image_url": {"url": image, **({"detail": detail} if detail else {})}}
    return own_form(block)


def _image(block: Mapping[str, Any]) -> Part:
    url, file_id = _url_of(block, "image/png"), _file_id_of(block)
    if url is None and file_id is not None:
        return {"type": "file", "file": {"file_id": file_id}}
    detail = block.get("detail") or (block.get("extras") or {}).get("detail")
    image = {"url": _found(url, block)}
    if detail:
        image["detail"] = detail
    return {"type": "image_url", "image_url": image}


def _audio(block: Mapping[str, Any]) -> Part:
    data, mime = _data_of(block, "audio/wav")
    if data is not None:
        subtype = mime.partition("/")[2].partition(";")[0] or "wav"
        return {"type": "input_audio", "input_audio": {"data": data, "format": _AUDIO_FORMATS.get(subtype, subtype)}}
    if (file_id := _file_id_of(block)) is not None:
        return {"type": "file", "file": {"file_id": file_id}}
    # No field of the OpenAI wire takes the address of a sound; this is the name under which Qwen and vLLM do.
    return {"type": "audio_url", "audio_url": {"url": _found(_url_of(block, mime), block)}}


def _video(block: Mapping[str, Any]) -> Part:
    url, file_id = _url_of(block, "video/mp4"), _file_id_of(block)
    if url is None and file_id is not None:
        return {"type": "file", "file": {"file_id": file_id}}
    return {"type": "video_url", "video_url": {"url": _found(url, block)}}


def _file(block: Mapping[str, Any]) -> Part:
    if isinstance(block.get("file"), dict):
        return own_form(block)
    source = block.get("source")
    if block.get("source_type") == "text" or (isinstance(source, dict) and source.get("type") == "text"):
        return _plain_text(block)
    if (file_id := _file_id_of(block)) is not None:
        return {"type": "file", "file": {"file_id": file_id}}
    url = _found(_url_of(block, "application/pdf"), block)
    # A plain address in `file_data` is how gateways take a file that they fetch themselves.
    return {"type": "file", "file": {"filename": _filename_of(block, url), "file_data": url}}


def _input_file(block: Mapping[str, Any]) -> Part:
    named = {key: block[key] for key in ("file_id", "filename", "file_data") if block.get(key)}
    if "file_url" in block:
        named = {"filename": _filename_of(block, block["file_url"]), "file_data": block["file_url"]}
    return {"type": "file", "file": named}


def _plain_text(block: Mapping[str, Any]) -> Part:
    """Return a text document as its words, with its title if it has one."""
    source = block.get("source") if isinstance(block.get("source"), dict) else {}
    text = block.get("text") or (source or {}).get("data") or (source or {}).get("text")
    if text is None and block.get("source_type") == "text":
        text = block.get("url") or block.get("data")
    if text is None:
        data, _ = _data_of(block, "text/plain")
        if data is None:
            url = _found(_url_of(block, "text/plain"), block)
            return {"type": "file", "file": {"filename": _filename_of(block, url), "file_data": url}}
        text = _decoded(data, block)
    title = block.get("title")
    return {"type": "text", "text": f"{title}\n\n{text}" if title else text}


def _media(block: Mapping[str, Any]) -> Part:
    """Gemini's block names only a MIME type."""
    mime = str(block.get("mime_type") or "application/octet-stream")
    standard: dict[str, Any] = {"type": "file", "mime_type": mime}
    standard.update({"base64": block["data"]} if block.get("data") else {"url": block.get("file_uri")})
    return _BY_MEDIA.get(mime.partition("/")[0], _file)(standard)


# ------------------------------------------------------------------------------------- where a block keeps its data


def _data_of(block: Mapping[str, Any], default_mime: str) -> tuple[str | None, str]:
    """The base64 data of a block (None where it has none) and its MIME type."""
    source = block.get("source")
    if isinstance(source, dict):
        return (source.get("data"), source.get("media_type") or default_mime)
    mime = block.get("mime_type") or default_mime
    data = block.get("base64")
    if data is None and block.get("source_type", "base64") == "base64":
        data = block.get("data")
    if data is None and isinstance(url := block.get("url"), str) and url.startswith("data:") and ";base64," in url:
        head, _, data = url.partition(";base64,")
        mime = head[len("data:") :] or mime
    return (_as_text(data), mime)


def _url_of(block: Mapping[str, Any], default_mime: str) -> str | None:
    """The address of what a block shows; data becomes a data: address."""
    source = block.get("source")
    url = source.get("url") if isinstance(source, dict) else block.get("url")
    if isinstance(url, str) and url:
        return url
    data, mime = _data_of(block, default_mime)
    return f"data:{mime};base64,{data}" if data is not None else None


def _file_id_of(block: Mapping[str, Any]) -> str | None:
    source = block.get("source")
    held = source if isinstance(source, dict) else block
    file_id = held.get("file_id")
    if file_id is None and block.get("source_type") == "id":
        file_id = block.get("id")
    return file_id if isinstance(file_id, str) else None


def _filename_of(block: Mapping[str, Any], url: str) -> str:
    """Return the name that vendors ask of a file; one that says what it is, if none."""
    for held in (block, block.get("extras") or {}, block.get("metadata") or {}):
        if name := held.get("filename") or held.get("title") or held.get("name"):
            return str(name)
    if url.startswith("data:"):
        return "file." + (url[len("data:") :].partition(";")[0].partition("/")[2] or "bin")
    return url.partition("?")[0].rstrip("/").rpartition("/")[2] or "file"


def _as_text(data: Any) -> str | None:
    if isinstance(data, (bytes, bytearray)):
        return base64.b64encode(data).decode("ascii")
    return data if isinstance(data, str) else None


def _decoded(data: str, block: Mapping[str, Any]) -> str:
    try:
        return base64.b64decode(data, validate=False).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"A {block.get('type')!r} content block holds base64 that is no UTF-8 text ({error}). "
            "Give the text itself under 'text', or send it as a 'file' block."
        ) from error


def _found(url: str | None, block: Mapping[str, Any]) -> str:
    if url is None:
        raise ConfigurationError(
            f"A content block of type {block.get('type')!r} has the keys {sorted(block)}, but none of 'url', 'base64' "
            "(with 'mime_type') or 'file_id'. See LangChain's standard content blocks for what such a block holds."
        )
    return url


_BY_MEDIA: dict[str, Callable[[Mapping[str, Any]], Part]] = {"image": _image, "audio": _audio, "video": _video}
_WRITERS: dict[str, Callable[[Mapping[str, Any]], Part]] = {
    "text": _text,
    "input_text": _text,
    "output_text": _text,
    "json": _json,
    "image_url": _image_url,
    "input_image": _image_url,
    "image": _image,
    "audio": _audio,
    "video": _video,
    "file": _file,
    "document": _file,
    "input_file": _input_file,
    "text-plain": _plain_text,
    "media": _media,
    "non_standard": _non_standard,
}
