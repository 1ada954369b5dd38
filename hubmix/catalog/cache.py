"""What a catalog holds in this process: the list, its age, the copy on disk, and the one refresh under way."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hubmix.catalog import store
from hubmix.catalog.info import CatalogInfo, age_text
from hubmix.catalog.refresh import AbandonedError, Outcome, SingleFlight, ask_sources
from hubmix.catalog.snapshot import Document, Snapshot, merge
from hubmix.errors import AuthenticationError, CatalogError
from hubmix.transport.get import Conversation, Fetcher, aconverse, converse

FRESH = 300.0  # seconds; the max-age that AIHubMix puts on its list
RETRY = 30.0  # seconds before anybody but an explicit refresh asks again after a failure
_log = logging.getLogger("hubmix.catalog")


def run_in_thread(work: Callable[[], None]) -> None:
    """Run a refresh beside the caller; a daemon, so that a program that ends does not wait for a model list."""
    threading.Thread(target=work, name="hubmix-catalog", daemon=True).start()


@dataclass(slots=True)
class Settings:
    """What a catalog was made with; this is all of it that goes into a copy or another process."""

    fetch: Fetcher
    base_url: str
    key_id: str
    sources: tuple[str, ...]
    aliases: Mapping[str, str]
    overrides: Mapping[str, Mapping[str, Any]]
    cache_dir: Path | str | None
    timeout: float = 10.0
    clock: Callable[[], float] = field(default=time.monotonic)
    wall_clock: Callable[[], float] = field(default=time.time)
    background: Callable[[Callable[[], None]], None] = field(default=run_in_thread)


class CatalogState:
    """The list in hand and how it is renewed. Readers take the reference to a snapshot that never changes; no lock."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.snapshot: Snapshot | None = None
        self._own_words: Snapshot | None = None
        self._disk_read = False
        self._disk_note: str | None = None
        self._last_error: str | None = None
        self._refused = False
        self._warned = False
        self._disk_warned = False
        self._in_vain = False  # somebody waited for the first list as long as he could
        self._retry_at = float("-inf")
        # A request may take its timeout to connect and again to answer.
        self._flights = SingleFlight(2 * settings.timeout * max(len(settings.sources), 1))
        self._tasks: set[asyncio.Task[None]] = set()

    def view(self) -> Snapshot:
        """What is here: the list, else the copy on disk, else what the user said himself. Never waits for the hub."""
        return self._loaded() or self._of_user()

    def in_memory(self) -> Snapshot:
        """`view` without even the copy on disk."""
        return self.snapshot or self._of_user()

    def info(self) -> CatalogInfo:
        """Where the list came from and how old it is."""
        snapshot, path = self._loaded(), self._path()
        return CatalogInfo(
            base_url=self.settings.base_url,
            source=tuple(snapshot.documents) if snapshot else (),
            count=len(snapshot.models) if snapshot else 0,
            age=self._age(snapshot) if snapshot else None,
            stale=snapshot is None or self._stale(snapshot),
            last_error=self._last_error or self._disk_note,
            notes=dict(snapshot.notes) if snapshot else {},
            cache_file=None if path is None else str(path),
        )

    def as_of(self, snapshot: Snapshot) -> str | None:
        """How old a list is, in words, where it is not fresh."""
        return age_text(self._age(snapshot)) if self._stale(snapshot) and snapshot.documents else None

    def warm(self) -> None:
        """Start a refresh beside the caller where the list is missing or old."""
        snapshot = self._loaded()
        if snapshot is None or self._stale(snapshot):
            try:
                asyncio.get_running_loop()
            except RuntimeError:
                self._refresh_soon()
            else:
                self._refresh_soon(in_loop=True)

    # Waiting: the only code that is there twice.

    def ready(self) -> Snapshot:
        """A list, asked for where there is none. Raises `CatalogError` where there is none to be had."""
        if self._loaded() is None:
            self.refresh()
        snapshot = self.need()
        if self._stale(snapshot):
            self._refresh_soon()
        return snapshot

    async def aready(self) -> Snapshot:
        """`ready`, for asyncio."""
        await self._aloaded()
        if self.snapshot is None:
            await self.arefresh()
        snapshot = self.need()
        if self._stale(snapshot):
            self._refresh_soon(in_loop=True)
        return snapshot

    def wait_a_moment(self, seconds: float) -> None:
        """Give the first list so many seconds to come. Where that is in vain once, nobody waits for it again."""
        if self._loaded() is None and not self._hopeless():
            came = threading.Event()
            if self._in_vain or not self._refresh_beside(came.set):
                self.warm()
            elif not came.wait(seconds):
                self._in_vain = True

    async def await_a_moment(self, seconds: float) -> None:
        """`wait_a_moment`, for asyncio."""
        await self._aloaded()
        if self.snapshot is None and not self._hopeless():
            if self._in_vain:
                self.warm()
            else:
                _, late = await asyncio.wait({self._task_in_loop() or self._refresh_in_loop()}, timeout=seconds)
                self._in_vain = bool(late)

    def ready_for(self, model: str) -> Snapshot:
        """`ready`, or the user's own words where there is no list to be had and they describe this very model."""
        try:
            return self.ready()
        except (CatalogError, AuthenticationError):
            return self._own_words_for(model)

    async def aready_for(self, model: str) -> Snapshot:
        """`ready_for`, for asyncio."""
        try:
            return await self.aready()
        except (CatalogError, AuthenticationError):
            return self._own_words_for(model)

    def ready_or_view(self) -> Snapshot:
        """`ready`, or what is here where there is no list to be had."""
        if self._hopeless():
            return self.view()
        try:
            return self.ready()
        except (CatalogError, AuthenticationError):
            return self.view()

    async def aready_or_view(self) -> Snapshot:
        """`ready_or_view`, for asyncio."""
        if self._hopeless():
            return self.view()
        try:
            return await self.aready()
        except (CatalogError, AuthenticationError):
            return self.view()

    def refresh(self, *, force: bool = False) -> None:
        """Ask the hub, or wait for the answer that somebody else in this process is asking for."""
        self._loaded()
        while True:
            flight, mine = self._flights.take_off()
            try:
                if not mine and not flight.in_this_thread:
                    flight.wait()
                    return
                # In the thread whose event loop has to finish that other refresh, waiting would be for ever.
                outcome = converse(self._asking(force), self.settings.fetch, timeout=self.settings.timeout)
                self._adopt(outcome)
            except AbandonedError:
                continue
            except BaseException:
                self._flights.land(flight, mine, abandoned=True)
                raise
            self._flights.land(flight, mine)
            self._keep(outcome)
            return

    async def arefresh(self, *, force: bool = False) -> None:
        """`refresh`, for asyncio."""
        await self._aloaded()
        while True:
            flight, mine = self._flights.take_off()
            try:
                if not mine:
                    await flight.wait_async()
                    return
                outcome = await aconverse(self._asking(force), self.settings.fetch, timeout=self.settings.timeout)
                self._adopt(outcome)
            except AbandonedError:
                continue
            except BaseException:
                self._flights.land(flight, mine, abandoned=True)
                raise
            self._flights.land(flight, mine)
            await asyncio.to_thread(self._keep, outcome)
            return

    # Deciding.

    def need(self) -> Snapshot:
        """The list in hand. Raises `CatalogError`, or `AuthenticationError` for a refused key, where there is none."""
        if self.snapshot is None:
            raise self._failure()
        return self.snapshot

    def _refresh_soon(self, *, in_loop: bool = False) -> None:
        if self._flights.busy or self.settings.clock() < self._retry_at:
            return
        # Said before it starts, so that a hundred callers in the same moment start one.
        self._retry_at = self.settings.clock() + RETRY
        if in_loop:
            self._refresh_in_loop()
        else:
            self._refresh_beside()

    def _task_in_loop(self) -> asyncio.Task[None] | None:
        loop = asyncio.get_running_loop()
        # A copy: other threads, with loops of their own, take theirs in and out.
        return next((task for task in list(self._tasks) if task.get_loop() is loop and not task.done()), None)

    def _refresh_in_loop(self) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(self.arefresh())
        self._tasks.add(task)  # the loop itself holds its tasks weakly
        task.add_done_callback(self._refreshed)
        return task

    def _refreshed(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            # Its loop ends, and with `asyncio.run` for each call every loop ends before the list is there.
            self._refresh_beside()

    def _refresh_beside(self, then: Callable[[], None] = lambda: None) -> bool:
        def work() -> None:
            try:
                self.refresh()
            finally:
                then()

        try:
            self.settings.background(work)
        except RuntimeError as error:  # no thread is to be had where a process ends, or has too many
            self._last_error = f"the list could not be asked for: {error}"
            _log.debug("%s: %s", self.settings.base_url, self._last_error)
            return False
        return True

    def _asking(self, force: bool) -> Conversation[Outcome]:
        held = self.snapshot.documents if self.snapshot else {}
        return ask_sources(self.settings.sources, held, self.settings.wall_clock(), force=force)

    def _adopt(self, outcome: Outcome) -> None:
        now, trouble = self.settings.clock(), outcome.failed or outcome.partial
        self._refused = outcome.failed and outcome.refused
        self._last_error = _in_words(outcome.notes) if trouble else None
        self._retry_at = now + RETRY if trouble else float("-inf")
        if not outcome.failed:
            self.snapshot = self._merged(outcome.documents, now, outcome.notes, outcome.partial)
            self._warned = False
        elif self.snapshot is not None and not self._warned:
            self._warned = True
            age = age_text(self._age(self.snapshot))
            _log.warning(
                "The model list of %s could not be renewed, the one from %s stays in use. %s",
                self.settings.base_url,
                age,
                self._last_error,
            )

    def _merged(
        self, documents: Mapping[str, Document], checked_at: float, notes: Mapping[str, str], partial: bool = False
    ) -> Snapshot:
        chosen = self.settings
        return merge(
            documents,
            aliases=chosen.aliases,
            overrides=chosen.overrides,
            checked_at=checked_at,
            notes=notes,
            partial=partial,
        )

    def _of_user(self) -> Snapshot:
        if self._own_words is None:
            self._own_words = self._merged({}, float("-inf"), {})
        return self._own_words

    def _own_words_for(self, model: str) -> Snapshot:
        words = self._of_user()
        return words if words.find(model) is not None else self.need()

    def _hopeless(self) -> bool:
        # Without an error the first refresh is still on its way, and worth waiting for.
        tried = self._disk_read and self._last_error is not None
        return self.snapshot is None and tried and self.settings.clock() < self._retry_at

    def _stale(self, snapshot: Snapshot) -> bool:
        return self.settings.clock() - snapshot.checked_at >= (RETRY if snapshot.partial else FRESH)

    def _age(self, snapshot: Snapshot) -> float:
        return max(self.settings.wall_clock() - snapshot.fetched_at, 0.0)

    def _failure(self) -> CatalogError | AuthenticationError:
        where = f"The models of {self.settings.base_url} are not known"
        if self._refused:
            return AuthenticationError(
                f"{where}: the hub does not accept the key ({self._last_error}). Check the key.",
                status=401,
                base_url=self.settings.base_url,
            )
        return CatalogError(
            f"{where}: {self._last_error or 'no source is set'}. Check the base URL and the network; "
            "calls work without the list."
        )

    # The copy on disk.

    def _path(self) -> Path | None:
        directory = store.default_cache_dir() if self.settings.cache_dir == "default" else self.settings.cache_dir
        return (
            None
            if directory is None
            else store.cache_file(Path(directory), self.settings.base_url, self.settings.key_id)
        )

    def _loaded(self) -> Snapshot | None:
        if self.snapshot is None and not self._disk_read:
            self._read_disk()
        return self.snapshot

    def use(self, documents: Mapping[str, Document]) -> None:
        """Take documents that were fetched some time ago, by another process or before a restart."""
        known = {name: item for name, item in documents.items() if name in self.settings.sources}
        if known:
            age = self.settings.wall_clock() - min(item.fetched_at for item in known.values())
            loaded = self._merged(known, self.settings.clock() - age, {})
            # Somebody may have asked the hub meanwhile: what it said is newer.
            self.snapshot = self.snapshot or loaded

    async def _aloaded(self) -> None:
        if self.snapshot is None and not self._disk_read:
            await asyncio.to_thread(self._loaded)

    def _read_disk(self) -> None:
        path = self._path()
        if path is not None:
            documents, self._disk_note = store.load(path, self.settings.base_url, self.settings.wall_clock())
            self.use(documents)
        self._disk_read = True

    def _keep(self, outcome: Outcome) -> None:
        path = None if outcome.failed else self._path()
        if path is None:
            return
        try:
            store.save(path, self.settings.base_url, outcome.documents)
            self._disk_note = None
        except (OSError, ValueError) as error:
            self._disk_note = f"the list could not be kept on disk: {error}"
            if not self._disk_warned:
                self._disk_warned = True
                _log.warning(
                    "%s. Set HUBMIX_CACHE_DIR to a directory that can be written.", self._disk_note.capitalize()
                )


def _in_words(notes: Mapping[str, str]) -> str:
    """What each source said instead of a list; once, where several said the same."""
    saying: dict[str, list[str]] = {}
    for name, note in notes.items():
        saying.setdefault(note, []).append(name)
    return "; ".join(f"{', '.join(names)}: {note}" for note, names in saying.items())
