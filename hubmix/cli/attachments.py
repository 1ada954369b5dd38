"""Files as parts of a message: images, PDFs, sound and text."""

from __future__ import annotations

import base64
import mimetypes
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hubmix.errors import ConfigurationError

LARGEST = 20 * 1024 * 1024
"""Bytes. Gateways refuse bodies above some tens of megabytes, after they were sent."""

_SOUND = {".wav": "wav", ".mp3": "mp3"}


def content_of(prompt: str, files: Sequence[Path]) -> str | list[dict[str, Any]]:
    """The content of a user message: the prompt alone, or its parts with the files in front of it."""
    if not files:
        return prompt
    parts = [part_of(path) for path in files]
    return [*parts, {"type": "text", "text": prompt}] if prompt else parts


def part_of(path: Path) -> dict[str, Any]:
    """A file as a content part.

    Raises:
        ConfigurationError: it cannot be read, is too large, or is of a kind that no model takes.
    """
    data = _read(path)
    kind = mimetypes.guess_type(path.name)[0] or ""
    if kind.startswith("image/") and kind != "image/svg+xml":
        return {"type": "image_url", "image_url": {"url": _data_url(kind, data)}}
    if kind == "application/pdf" or data.startswith(b"%PDF-"):
        return {"type": "file", "file": {"filename": path.name, "file_data": _data_url("application/pdf", data)}}
    if path.suffix.lower() in _SOUND:
        sound = {"data": base64.b64encode(data).decode(), "format": _SOUND[path.suffix.lower()]}
        return {"type": "input_audio", "input_audio": sound}
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise ConfigurationError(
            f"{path} is neither an image, a PDF, a WAV or MP3 sound nor UTF-8 text ({kind or 'unknown kind'}), and "
            "models take nothing else. Convert it first."
        )
    return {"type": "text", "text": f"File {path.name}:\n\n{text}"}


def _read(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > LARGEST:
            raise ConfigurationError(
                f"{path} has {size / 1048576:.0f} MB; at most {LARGEST // 1048576} MB can be attached."
            )
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be attached: {error.strerror or error}.") from error


def _data_url(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
