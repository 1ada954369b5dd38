"""The embedded hub for LangChain's own suites, and small media of our own."""

from __future__ import annotations

import struct
import zlib
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from hubmix.embedded import EmbeddedHub

if TYPE_CHECKING:
    from collections.abc import Iterator


def _png() -> bytes:
    """A grey picture of one pixel."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0\x80")) + chunk(b"IEND", b"")
    )


_WAV = (
    b"RIFF"
    + struct.pack("<I", 36)
    + b"WAVEfmt "
    + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 8000, 1, 8)
    + b"data\0\0\0\0"
)
_PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\n%%EOF\n"


class _Media:
    """Stands in for the `httpx` of the suite, which only fetches media."""

    HTTPError = OSError

    @staticmethod
    def get(url: str, **_: Any) -> SimpleNamespace:
        kinds = {".pdf": _PDF, ".wav": _WAV, ".mp3": _WAV}
        content = next((data for ending, data in kinds.items() if url.lower().endswith(ending)), _png())
        return SimpleNamespace(content=content)


@pytest.fixture(scope="session")
def hub() -> Iterator[EmbeddedHub]:
    claude = {"rule": "think", "apis": ("messages", "chat")}
    with EmbeddedHub(models={"claude-sonnet-4-6": claude, "claude-haiku-4-5": claude}) as server:
        yield server


@pytest.fixture(autouse=True)
def _settings(hub: EmbeddedHub, monkeypatch: pytest.MonkeyPatch, clean_environment: None) -> None:
    """Name the hub in the environment: the suites pass no settings."""
    monkeypatch.setenv("HUBMIX_BASE_URL", hub.base_url)
    monkeypatch.setenv("HUBMIX_API_KEY", hub.api_key)
    monkeypatch.setattr("langchain_tests.integration_tests.chat_models.httpx", _Media)


@pytest.fixture
def vcr() -> SimpleNamespace:
    """Let the embedded hub answer `test_stream_time`, which expects a cassette."""
    return SimpleNamespace(responses=["the embedded hub"])


@pytest.fixture
def vcr_config() -> dict[str, Any]:
    """Nothing is recorded in this folder."""
    return {}


@pytest.fixture(autouse=True)
def whole_cassette() -> None:
    """Nothing is recorded in this folder."""
