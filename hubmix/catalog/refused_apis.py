"""Which APIs a hub has refused for a model, remembered for a day on disk."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hubmix.catalog.store import cache_file, default_cache_dir

_DAY = 86_400.0
_MOST = 1_000  # entries
_WHOLE_HUB = "*"


class RefusedApis:
    """What refusals taught about one hub and key.

    Nothing is raised: a file that cannot be read or written counts as no file.

    Args:
        directory: where the file is kept; "default" for `default_cache_dir()`, None to remember in this process only.
        base_url: the hub's base URL.
        key_id: a salted hash of the key.
        clock: the wall clock.
    """

    __slots__ = ("_base_url", "_clock", "_directory", "_key_id", "_until")

    def __init__(
        self, directory: Path | str | None, base_url: str, key_id: str, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._directory, self._base_url, self._key_id, self._clock = directory, base_url, key_id, clock
        self._until: dict[str, dict[str, float]] | None = None  # model, API, wall time

    def of(self, model: str) -> frozenset[str]:
        """Return the APIs that the hub has refused for this model within a day."""
        known = self._known()
        if not known:
            return frozenset()
        now = self._clock()
        return frozenset(
            api
            for name in (model, _WHOLE_HUB)
            for api, until in known.get(name, {}).items()
            if now < until <= now + _DAY
        )

    def remember(self, api: str, model: str | None) -> None:
        """Note a refusal.

        Args:
            api: the API's name.
            model: the model, or None if the hub has no such API at all.
        """
        now = self._clock()
        known = self._known()
        known.setdefault(model or _WHOLE_HUB, {})[api] = now + _DAY
        known = {name: apis for name, apis in known.items() if max(apis.values()) > now}
        self._until = dict(list(known.items())[-_MOST:])
        self._save()

    def _known(self) -> dict[str, dict[str, float]]:
        if self._until is None:
            self._until = _read(self._path)
        return self._until

    @property
    def _path(self) -> Path | None:
        directory = default_cache_dir() if self._directory == "default" else self._directory
        if directory is None:
            return None
        lists = cache_file(Path(directory), self._base_url, self._key_id)
        return lists.with_name(lists.name.replace("catalog-", "apis-"))

    def _save(self) -> None:
        path = self._path
        if path is None:
            return
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(prefix=".apis-", suffix=".tmp", dir=path.parent)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump({"version": 1, "refused": self._until}, file)
            os.replace(temporary, path)


def _read(path: Path | None) -> dict[str, dict[str, float]]:
    try:
        content: Any = json.loads(path.read_text("utf-8")) if path is not None else {}
        refused = content["refused"] if content.get("version") == 1 else {}
        return {
            str(model): {str(api): float(until) for api, until in apis.items()}
            for model, apis in refused.items()
            if apis
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}
