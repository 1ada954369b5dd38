"""Files as parts of a message: images, PDFs, sound and text."""

from __future__ import annotations

import mimetypes
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hubmix.errors import ConfigurationError
from hubmix.wire.media import kind_of, media_part

LARGEST = 20 * 1024 * 1024
"""Bytes. Gateways refuse bodies above some tens of megabytes, after they were sent."""


def content_of(prompt: str, files: Sequence[Path]) -> str | list[dict[str, Any]]:
    """Return the content of a user message: the prompt, after the files if any."""
    if not files:
        return prompt
    parts = [part_of(path) for path in files]
    return [*parts, {"type": "text", "text": prompt}] if prompt else parts


def part_of(path: Path) -> dict[str, Any]:
    """A file as a content part.

    Raises:
        ConfigurationError: it cannot be read, is too large, or is of a kind that no model takes.
    """
    part = media_part(data := _read(path), name=path.name, kind=_kind(path, data))
    if part is None:
        raise ConfigurationError(
            f"{path} is neither an image, a PDF, a WAV or MP3 sound nor UTF-8 text, and models take nothing else. "
            "Convert it first."
        )
    return part


def _kind(path: Path, data: bytes) -> str:
    # The name says which of the many image formats it is; what the first bytes say is surer, where they do.
    named = mimetypes.guess_type(path.name)[0] or ""
    return kind_of(data) or (named if named.startswith(("image/", "audio/")) else "")


def _read(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > LARGEST:
            raise ConfigurationError(
                f"{path} has {size / 1048576:.0f} MB; at most {LARGEST // 1048576} MB can be attached."
            )
        return path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        reason = getattr(error, "strerror", None) or error
        raise ConfigurationError(f"{path} cannot be attached: {reason}.") from error
