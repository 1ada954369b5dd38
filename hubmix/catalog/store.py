"""The copy on disk: one file for each hub and key, replaced as a whole."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from hubmix.catalog.snapshot import Document, RejectedError, document_of
from hubmix.catalog.sources import SOURCES

_VERSION = 1
_log = logging.getLogger("hubmix.catalog")


class DiskCopy:
    """One catalog's copy on disk. It never raises: what goes wrong is its `note`.

    Args:
        directory: where it is kept; "default" for `default_cache_dir()`, None for no copy.
        base_url: the hub's base URL.
        key_id: a salted hash of the key; each key has its own list.
    """

    __slots__ = ("_base_url", "_directory", "_key_id", "_warned", "note", "read")

    def __init__(self, directory: Path | str | None, base_url: str, key_id: str) -> None:
        self._directory, self._base_url, self._key_id = directory, base_url, key_id
        self._warned = False
        self.read = False
        self.note: str | None = None

    @property
    def path(self) -> Path | None:
        """The file, or None if no copy is kept."""
        directory = default_cache_dir() if self._directory == "default" else self._directory
        return None if directory is None else cache_file(Path(directory), self._base_url, self._key_id)

    def load(self, now: float) -> dict[str, Document]:
        """Return the documents of the copy; none if there is no usable copy."""
        documents: dict[str, Document] = {}
        if (path := self.path) is not None:
            documents, self.note = load(path, self._base_url, now)
        self.read = True
        return documents

    def save(self, documents: Mapping[str, Document]) -> None:
        """Write the documents. A failure is logged once."""
        if (path := self.path) is None:
            return
        try:
            save(path, self._base_url, documents)
            self.note = None
        except (OSError, ValueError) as error:
            self.note = f"the list could not be kept on disk: {error}"
            if not self._warned:
                self._warned = True
                _log.warning("%s. Set HUBMIX_CACHE_DIR to a directory that can be written.", self.note.capitalize())


def default_cache_dir() -> Path | None:
    """Return the directory of copies: `HUBMIX_CACHE_DIR`, else the user's cache.

    None, and nothing is kept on disk, if the variable is set and empty.
    """
    chosen = os.environ.get("HUBMIX_CACHE_DIR")
    if chosen is not None:
        return Path(os.path.expanduser(chosen)) if chosen.strip() else None
    import platformdirs

    return Path(platformdirs.user_cache_dir("hubmix", appauthor=False))


def cache_file(directory: Path, base_url: str, key_id: str) -> Path:
    """Return the file of a hub's lists, named for its URL and the hash of the key."""
    digest = hashlib.sha256(f"{base_url.rstrip('/')}\n{key_id}".encode()).hexdigest()
    return directory / f"catalog-{digest[:32]}.json"


def save(path: Path, base_url: str, documents: Mapping[str, Document]) -> None:
    """Write the documents as they came.

    The file is written next to its place and moved there, which is atomic: a process that reads at the same time gets
    the old file or the new one.
    """
    content = {
        "version": _VERSION,
        "base_url": base_url,
        "documents": [
            {"source": item.source, "etag": item.etag, "fetched_at": item.fetched_at, "payload": item.payload}
            for item in documents.values()
        ],
    }
    data = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=".catalog-", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def load(path: Path, base_url: str, now: float) -> tuple[dict[str, Document], str | None]:
    """Return the documents on disk, and why none could be read."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return {}, None
    except OSError as error:
        return {}, f"the copy on disk could not be read ({error.strerror or error}): {path}"
    try:
        content = json.loads(data.decode("utf-8", "surrogatepass"))
        if content["version"] != _VERSION or content["base_url"] != base_url:
            return {}, f"the copy on disk is another version's: {path}"
        documents = [_document(item, now) for item in content["documents"] if item["source"] in SOURCES]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, RejectedError):
        return {}, f"the copy on disk is damaged and was not used: {path}"
    return {document.source: document for document in documents}, None


def _document(item: Mapping[str, object], now: float) -> Document:
    etag, fetched_at = item["etag"], item["fetched_at"]
    if not isinstance(fetched_at, (int, float)):
        raise ValueError("fetched_at is no time")
    # A time in the future is a clock that was wrong, then or now: whatever was fetched then is old.
    at = float(fetched_at) if fetched_at <= now else 0.0
    return document_of(SOURCES[str(item["source"])], item["payload"], etag if isinstance(etag, str) else None, at)
