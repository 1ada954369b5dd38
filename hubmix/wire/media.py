"""Bytes as parts of a message, known by their first bytes."""

from __future__ import annotations

import base64
from typing import Any

# (offset, first bytes, kind). Sources: the formats' own specifications.
_SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (0, b"BM", "image/bmp"),
    (0, b"%PDF-", "application/pdf"),
    (8, b"WAVE", "audio/wav"),
    (0, b"ID3", "audio/mp3"),
    (0, b"\xff\xfb", "audio/mp3"),
)


def kind_of(data: bytes) -> str:
    """The media type by the first bytes; "" where they are none of the known ones."""
    for offset, signature, kind in _SIGNATURES:
        if data[offset : offset + len(signature)] == signature:
            return kind
    return ""


def media_part(data: bytes, *, name: str = "file", kind: str = "") -> dict[str, Any] | None:
    """Return bytes as a content part, or None for a kind that models do not take.

    Args:
        data: the content.
        name: a file name, shown to the model with PDFs and texts.
        kind: the media type, where it is known; it wins over what the first bytes say.
    """
    known = kind or kind_of(data)
    if known.startswith("image/") and known != "image/svg+xml":
        return {"type": "image_url", "image_url": {"url": _data_url(known, data)}}
    if known == "application/pdf":
        return {"type": "file", "file": {"filename": name, "file_data": _data_url(known, data)}}
    if known in ("audio/wav", "audio/x-wav", "audio/mp3", "audio/mpeg"):
        form = "wav" if "wav" in known else "mp3"
        return {"type": "input_audio", "input_audio": {"data": base64.b64encode(data).decode(), "format": form}}
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else {"type": "text", "text": f"File {name}:\n\n{text}"}


def _data_url(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
